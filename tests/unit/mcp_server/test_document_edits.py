"""Where edits of agents go: into the open document, to the person as proposals, or into the kernel; and what the answer says."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from marimo_kernel_bridge.client import following
from marimo_kernel_bridge.client.connection import Connection, read_connection
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.owned_kernels import StartedKernels
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import (
    AddCell,
    ChangeCell,
    DeleteCell,
    EditReport,
    GraphProblem,
    MoveCell,
)
from marimo_kernel_bridge.protocol.document_edits import Decision, DocumentEdit, EditConflict, Proposal
from marimo_kernel_bridge.protocol.notebook import CellError
from tests.unit.mcp_server.agent import Agent
from tests.unit.mcp_server.conftest import Serve
from tests.unit.mcp_server.fake_kernel import Execution, FakeKernel, cell_run, stream
from tests.unit.mcp_server.open_documents import cell, content

pytestmark = pytest.mark.anyio

BOUND = 60.0  # seconds
CHANGE = {"action": "change", "cell_id": "aaaa", "version": 7, "code": "x = 2"}
ADD = {"action": "add", "code": "z = 3"}


@pytest.fixture
def document(kernel: FakeKernel) -> FakeKernel:
    """A document with Markdown, a cell that ran, and one that was changed since, and a cell in the kernel only."""
    kernel.add("aaaa", "x = 1")
    kernel.add("bbbb", "print(x)", stream("2\n"))
    kernel.add("mine", "y = 2", notebook_cell_id=None)
    kernel.content = content(
        cell("head", "# Penguins\n\nAll of them.", "markdown"),
        cell("nb-aaaa", "x = 1"),
        cell("nb-bbbb", "print(x)\nprint(x)", ran="changed"),
        kernel_only=("mine",),
    )
    return kernel


def applied(*runs: str, added: tuple[str, ...] = ()) -> DocumentEdit:
    return DocumentEdit("applied", "op-1", "JupyterLab", added, runs)


def edits_sent(kernel: FakeKernel) -> list[wire.EditDocument]:
    return [request for request in kernel.requests if isinstance(request, wire.EditDocument)]


# Into the document


async def test_an_edit_goes_into_the_document_and_the_front_ends_runs_are_one_answer(
    connected: Agent, document: FakeKernel
) -> None:
    document.about_document[wire.EditDocument] = applied("r1", "r2", added=("new1",))
    document.add("new1", "z = 3")
    document.front_end_runs("r1", cell_run("aaaa"), cell_run("bbbb"))
    document.front_end_runs("r2", cell_run("new1"))
    answer = await connected("edit_cells", edits=[CHANGE, ADD])
    assert (answer.data["status"], answer.data["where"], answer.data["run_id"]) == ("ok", "document", "op-1")
    assert "op_id" not in answer.data, "it is the run's id"
    assert [ran["cell_id"] for ran in answer.data["ran"]] == ["aaaa"]
    assert [ran["cell_id"] for ran in answer.data["reran"]] == ["bbbb"]
    assert answer.data["added"] == ["new1"]
    assert "in the document; undo_edit(op_id='op-1')" in answer.text
    assert edits_sent(document) == [
        wire.EditDocument(changes=[ChangeCell("aaaa", 7, "x = 2"), AddCell("z = 3")], client="ann")
    ]
    assert "edit_cells" not in document.asked


async def test_an_edit_is_not_over_before_the_front_ends_runs_are(
    connected: Agent, document: FakeKernel
) -> None:
    document.about_document[wire.EditDocument] = applied("r1")
    document.front_end_runs("r1", cell_run("aaaa"), finished=False)
    assert (await connected("edit_cells", edits=[CHANGE], timeout=0)).data["run_id"] == "op-1"
    async with asyncio.timeout(BOUND):
        while (await connected("read_run", run_id="op-1", timeout=0)).data["status"] != "running":  # noqa: ASYNC110  # an agent asks
            await asyncio.sleep(0)
    document.front_end_runs("r1", cell_run("aaaa", "error", CellError("ValueError", "no")))
    document.something_ended()
    over = await connected("read_run", run_id="op-1", timeout=BOUND)
    assert (over.data["status"], over.data["where"]) == ("error", "document")
    assert "ValueError: no" in over.data["message"]


async def test_a_request_that_the_front_end_never_sent_is_aborted(
    connected: Agent, document: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_ARRIVES_IN", 0.0)
    document.about_document[wire.EditDocument] = applied("r1")
    assert (await connected("edit_cells", edits=[CHANGE])).data["status"] == "aborted"


async def test_what_the_front_end_prints_for_the_person_is_not_read_from_its_messages(
    connected: Agent, document: FakeKernel
) -> None:
    document.about_document[wire.EditDocument] = applied("r1")
    document.front_end_runs("r1", cell_run("bbbb"))
    for channels in document._channels:
        channels.publish(
            {"msg_id": "r1", "msg_type": "execute_request"}, "stream", {"name": "stdout", "text": "KEY"}
        )
    answer = await connected("edit_cells", edits=[CHANGE])
    assert answer.data["outputs"] == "2"
    assert "KEY" not in answer.text


async def test_giving_up_an_edit_keeps_its_requests_from_starting(
    connected: Agent, document: FakeKernel
) -> None:
    document.about_document[wire.EditDocument] = applied("r1", "r2")
    await connected("edit_cells", edits=[CHANGE], timeout=0)
    answer = await connected("interrupt_run", run_id="op-1")
    assert (answer.data["status"], "the document has the change" in answer.text) == ("aborted", True)
    cancelled = [request.run_id for request in document.requests if isinstance(request, wire.CancelRun)]
    assert cancelled == ["r1", "r2"]


async def test_markdown_cells_are_added_at_a_place_and_nothing_runs(
    connected: Agent, document: FakeKernel
) -> None:
    document.about_document[wire.EditDocument] = applied(added=("k1", "k2"))
    edits = [
        {"action": "add", "type": "markdown", "code": "# T", "after": ""},
        {"action": "add", "type": "raw", "code": "r", "after": "new1"},
        {"action": "delete", "cell_id": "head", "version": 7},
        {"action": "move", "cell_id": "nb-aaaa", "version": 7, "after": ""},
    ]
    answer = await connected("edit_cells", edits=edits)
    assert answer.data["message"] == "edited; nothing ran because of it."
    assert edits_sent(document)[0].changes == [
        AddCell("# T", type="markdown", first=True),
        AddCell("r", "new1", "raw"),
        DeleteCell("head", 7),
        MoveCell("nb-aaaa", 7),
    ]


# Text replacement


async def test_a_text_in_a_cell_is_replaced_with_the_version_that_was_read(
    connected: Agent, document: FakeKernel
) -> None:
    document.about_document[wire.EditDocument] = applied()
    edits: list[dict[str, Any]] = [
        {"action": "change", "cell_id": "head", "old": "All of them.", "new": "Most."},
        {"action": "change", "cell_id": "aaaa", "version": 6, "old": "1", "new": "5"},
    ]
    await connected("edit_cells", edits=edits)
    assert edits_sent(document)[0].changes == [
        ChangeCell("head", 7, "# Penguins\n\nMost."),
        ChangeCell("aaaa", 6, "x = 5"),
    ]


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        ({"cell_id": "bbbb", "old": "print", "new": "p"}, "replaces a text that cell bbbb has 2 times"),
        ({"cell_id": "bbbb", "old": "nothing", "new": "p"}, "replaces a text that cell bbbb does not have"),
        ({"cell_id": "bbbb", "old": "nothing", "new": "p"}, "now, version 7:\nprint(x)\nprint(x)"),
        ({"cell_id": "bbbb", "old": "print(x)  print", "new": "p"}, "It differs in spaces or line breaks."),
        ({"cell_id": "bbbb", "old": "", "new": "p"}, "has an empty old"),
        ({"cell_id": "bbbb", "old": "x"}, "needs both old and new"),
        ({"cell_id": "bbbb", "old": "x", "new": "y", "code": "z"}, "takes no code with old and new"),
        ({"old": "x", "new": "y"}, "needs cell_id"),
        ({"cell_id": "nosuch", "old": "x", "new": "y"}, "There is no cell 'nosuch'"),
    ],
)
async def test_a_replacement_that_is_not_clear_changes_nothing(
    connected: Agent, document: FakeKernel, edit: dict[str, Any], why: str
) -> None:
    answer = await connected("edit_cells", edits=[{"action": "change", **edit}])
    assert answer.failed
    assert why in answer.text
    assert edits_sent(document) == []


async def test_a_replacement_beside_a_hidden_secret_is_refused(connected: Agent, kernel: FakeKernel) -> None:
    kernel.content = content(cell("nb-aaaa", 'key = "<<redacted:KEY>>"\nx = 1'))
    edit = {"action": "change", "cell_id": "nb-aaaa", "old": "x = 1", "new": "x = 2"}
    assert (await connected("edit_cells", edits=[edit])).refused("redaction_mark")
    assert edits_sent(kernel) == []


async def test_a_hidden_value_cannot_be_guessed_by_a_comparison_or_a_replacement(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.add("aaaa", 'key = "<<redacted:KEY>>"')  # as the kernel tells of it
    states, refusals = set(), set()
    for guess in ("right", "wrong"):
        code = f'key = "{guess}"'
        compared = await connected("detect_sync_needed", code_override={"aaaa": code})
        states.add(compared.data["cells"][0]["state"])
        edit = {"action": "change", "cell_id": "aaaa", "old": guess, "new": "x"}
        refusals.add((await connected("edit_cells", edits=[edit])).text)
    assert states == {"changed"}
    assert len(refusals) == 1


# What becomes a proposal, and what is refused


async def test_an_edit_of_what_the_person_has_changed_meanwhile_becomes_a_proposal(
    connected: Agent, document: FakeKernel
) -> None:
    conflict = EditConflict("nb-aaaa", "x = 'typed'")
    document.about_document[wire.EditDocument] = DocumentEdit(
        "proposed", "op-2", "JupyterLab", conflicts=(conflict,)
    )
    answer = await connected("edit_cells", edits=[CHANGE])
    assert (answer.data["status"], answer.data["where"]) == ("proposed", "proposed")
    assert answer.data["conflicts"] == [{"cell_id": "nb-aaaa", "code": "x = 'typed'"}]
    assert "the person has changed cell nb-aaaa; its present text:\nx = 'typed'" in answer.text
    assert "wait_for_decision(op_id='op-2')" in answer.text


async def test_an_edit_that_the_graph_or_the_document_refuses_changes_nothing(
    connected: Agent, document: FakeKernel
) -> None:
    problem = GraphProblem("cycle", "a and b need each other.", ("a", "b"))
    document.about_document[wire.EditDocument] = [
        DocumentEdit("refused", None, problems=(problem,)),
        DocumentEdit("refused", None, message="The document is read-only."),
    ]
    first, second = [await connected("edit_cells", edits=[CHANGE]) for _ in range(2)]
    assert (first.data["status"], "nothing was changed" in first.text) == ("refused", True)
    assert "- cycle: a and b need each other." in first.text
    assert (second.data["message"], "where" in second.data) == ("The document is read-only.", False)


# Into the kernel


async def test_without_a_document_an_edit_is_kept_for_it(connected: Agent, kernel: FakeKernel) -> None:
    kernel.add("aaaa", "x = 1")  # which a notebook has
    kernel.executions["edit_cells"] = Execution(requested=("aaaa",), edits=EditReport(applied=True))
    answer = await connected("edit_cells", edits=[CHANGE])
    assert answer.data["where"] == "kept"
    assert "the person's notebook does not" in answer.text
    assert edits_sent(kernel) == []


async def test_an_older_kernel_has_the_edit_in_the_kernel_only(connected: Agent, kernel: FakeKernel) -> None:
    kernel.knows_documents = False
    kernel.executions["edit_cells"] = Execution(requested=("aaaa",), edits=EditReport(applied=True))
    answer = await connected("edit_cells", edits=[CHANGE])
    assert (answer.data["where"], "This kernel is older" in answer.text) == ("kernel_only", True)
    text = {"action": "add", "type": "markdown", "code": "# T"}
    assert (await connected("edit_cells", edits=[text])).refused("bad_request")
    sent = [request for request in kernel.requests if isinstance(request, wire.EditCells)]
    assert wire.encode_request(sent[0])["changes"] == [
        {"kind": "change", "cell_id": "aaaa", "version": 7, "code": "x = 2"}
    ]


async def test_of_a_long_cell_the_lines_are_shown_that_are_most_like_what_it_lacks(
    connected: Agent, document: FakeKernel
) -> None:
    lines = [f"row_{number} = number({number})" for number in range(500)]
    document.content = content(cell("nb-aaaa", "\n".join(["total = sum(rows)", *lines])))
    edit = {"action": "change", "cell_id": "nb-aaaa", "old": "total = sum(row)\nx", "new": "p"}
    answer = await connected("edit_cells", edits=[edit])
    assert answer.text.endswith("The lines most like it:\ntotal = sum(rows)")
    assert edits_sent(document) == []
    unlike = await connected("edit_cells", edits=[{**edit, "old": "§§§"}])
    assert "Read the cell again" in unlike.text
    assert "row_1" not in unlike.text


@pytest.fixture
async def starter(
    serve: Serve, kernel: FakeKernel, connection_file: str, monkeypatch: pytest.MonkeyPatch
) -> Agent:
    """An agent that has had its server start the kernel, for no notebook."""

    async def start(_: StartedKernels, *arguments: object) -> Connection:
        del arguments
        return read_connection(connection_file)

    monkeypatch.setattr(StartedKernels, "start", start)
    monkeypatch.setattr(StartedKernels, "has", lambda _, where: bool(where))
    agent = await serve("all")
    assert not (await agent("start_kernel")).failed
    kernel.executions["edit_cells"] = Execution(requested=("aaaa",), edits=EditReport(applied=True))
    return agent


async def test_of_a_kernel_without_a_notebook_nothing_is_said_of_the_persons(starter: Agent) -> None:
    first = await starter("edit_cells", edits=[ADD])
    assert first.data["where"] == "no_notebook"
    assert (
        "No notebook is known to show this kernel's cells; export_notebook writes them to a file."
        in first.text
    )
    for tool, arguments in (("edit_cells", {"edits": [ADD]}), ("execute_code", {"code": "q = 1"})):
        later = await starter(tool, **arguments)
        assert later.data["status"] == "ok", later.text
        assert "where" not in later.data
        assert not any(word in later.text for word in ("person", "notebook", "edit_cells"))


async def test_nobody_is_said_to_have_a_notebook_that_is_not_known(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.executions["edit_cells"] = Execution(requested=("aaaa",), edits=EditReport(applied=True))
    first = await connected("edit_cells", edits=[ADD])
    assert first.data["where"] == "no_notebook", "somebody's, which no notebook is known of"
    assert "person" not in first.text
    texts = [{"action": "add", "type": "markdown", "code": "# T"}]
    assert (await connected("edit_cells", edits=texts)).data["status"] == "ok", (
        "a document may be attached yet"
    )


async def test_a_text_is_not_lost_in_a_kernel_without_a_notebook(starter: Agent, kernel: FakeKernel) -> None:
    refused = await starter("edit_cells", edits=[ADD, {"action": "add", "type": "markdown", "code": "# T"}])
    assert refused.refused("bad_request")
    assert "create_notebook" in refused.text
    assert "edit_cells" not in kernel.asked
    assert (await starter("execute_code", code="q = 1")).data["where"] == "no_notebook"


async def test_a_kernel_that_a_person_has_opened_by_now_is_told_as_theirs(
    starter: Agent, kernel: FakeKernel
) -> None:
    kernel.add("aaaa", "x = 1")
    assert (await starter("edit_cells", edits=[ADD])).data["where"] == "kept"
    assert (await starter("execute_code", code="q = 1")).data["where"] == "kernel_only"


def test_what_an_older_kernel_does_not_know_is_sent_only_where_it_is_used() -> None:
    sent = wire.encode_request(wire.EditCells(changes=[AddCell("x"), AddCell("# T", type="markdown")]))
    assert sent["changes"] == [
        {"kind": "add", "code": "x"},
        {"kind": "add", "code": "# T", "type": "markdown"},
    ]


async def test_a_cell_of_the_kernel_alone_is_changed_there(connected: Agent, document: FakeKernel) -> None:
    mine = {"action": "change", "cell_id": "mine", "version": 1, "code": "y = 3"}
    document.executions["edit_cells"] = Execution(requested=("mine",), edits=EditReport(applied=True))
    answer = await connected("edit_cells", edits=[mine])
    assert (answer.data["where"], edits_sent(document)) == ("kernel_only", [])
    assert (await connected("edit_cells", edits=[mine, CHANGE])).refused("bad_request")


async def test_a_document_that_does_not_answer_has_the_kernels_cells_changed_if_they_are_the_same(
    connected: Agent, document: FakeKernel
) -> None:
    document.about_document[wire.EditDocument] = DocumentEdit("kept", "op-3")
    document.executions["edit_cells"] = Execution(requested=("aaaa",), edits=EditReport(applied=True))
    edit = {**CHANGE, "cell_id": "nb-aaaa"}
    answer = await connected("edit_cells", edits=[edit])
    assert answer.data["where"] == "kept"
    (sent,) = [request for request in document.requests if isinstance(request, wire.EditCells)]
    assert sent.changes == [ChangeCell("aaaa", 1, "x = 2")]
    other = await connected("edit_cells", edits=[{**CHANGE, "cell_id": "nb-bbbb"}])
    assert (other.data["status"], "where" in other.data) == ("refused", False)
    assert "the document does not answer" in other.text


async def test_code_that_is_run_says_that_no_notebook_shows_it(
    connected: Agent, document: FakeKernel
) -> None:
    document.executions["q = 1"] = Execution(requested=("mine",), ran=(cell_run("mine"),))
    assert (await connected("execute_code", code="q = 1")).data["where"] == "kernel_only"
    assert "where" not in (await connected("execute_code", code="q", scratch=True)).data


# Proposals


def proposal(*decisions: Decision, runs: tuple[str, ...] = (), withdrawn: bool = False) -> Proposal:
    return Proposal("op-4", "ann", "why", decisions, "JupyterLab", withdrawn, runs)


async def test_a_proposal_returns_at_once_and_changes_nothing(connected: Agent, document: FakeKernel) -> None:
    document.about_document[wire.EditDocument] = DocumentEdit("proposed", "op-4", "JupyterLab")
    answer = await connected("propose_edit", edits=[CHANGE], note="It is wrong.")
    assert (answer.data["status"], answer.data["op_id"]) == ("proposed", "op-4")
    (sent,) = edits_sent(document)
    assert (sent.propose, sent.note) == (True, "It is wrong.")


async def test_a_decision_is_waited_for_with_the_text_that_the_person_made_of_it(
    connected: Agent, document: FakeKernel
) -> None:
    document.about_document[wire.ReadProposal] = [
        proposal(Decision(0, "open"), Decision(1, "open")),
        proposal(Decision(0, "accepted", "x = 20", "nb-aaaa"), Decision(1, "rejected"), runs=("r1",)),
    ]
    document.front_end_runs("r1", cell_run("aaaa"))
    answer = await connected("wait_for_decision", op_id="op-4", timeout=BOUND)
    assert (answer.data["status"], answer.data["message"]) == ("decided", "1 accepted, 1 rejected.")
    assert answer.data["decisions"] == [
        {"change": 1, "decision": "accepted", "cell_id": "nb-aaaa", "code": "x = 20"},
        {"change": 2, "decision": "rejected"},
    ]
    assert [ran["cell_id"] for ran in answer.data["ran"]] == ["aaaa"]
    assert (
        "- change 1 (cell nb-aaaa): accepted, with a text that the person has edited:\nx = 20" in answer.text
    )
    assert (await connected("read_run", run_id=answer.data["run_id"])).data["status"] == "ok"


async def test_waiting_for_a_decision_ends_in_time(connected: Agent, document: FakeKernel) -> None:
    document.about_document[wire.ReadProposal] = proposal(Decision(0, "open"))
    answer = await connected("wait_for_decision", op_id="op-4", timeout=0)
    assert (answer.data["status"], "has not decided yet" in answer.text) == ("open", True)
    assert document.requests[-1] == wire.ReadProposal(op_id="op-4", wait=0.0)


async def test_a_proposal_is_withdrawn(connected: Agent, document: FakeKernel) -> None:
    document.about_document[wire.WithdrawProposal] = proposal(Decision(0, "open"), withdrawn=True)
    withdrawn = (await connected("withdraw_proposal", op_id="op-4")).data
    assert (withdrawn["status"], withdrawn["decisions"][0]["decision"]) == ("withdrawn", "withdrawn")
    document.about_document[wire.WithdrawProposal] = BridgeError("no_such_edit", "No such proposal.")
    assert (await connected("withdraw_proposal", op_id="op-9")).refused("no_such_edit")


async def test_whatever_an_agent_changes_that_may_only_propose_is_a_proposal(
    serve: Serve, document: FakeKernel, connection_file: str
) -> None:
    agent = await serve("propose")
    await agent("connect_to_kernel", connection_file=connection_file)
    document.about_document[wire.EditDocument] = DocumentEdit("proposed", "op-5", "JupyterLab")
    for run in (True, False):
        answer = await agent("edit_cells", edits=[CHANGE], run=run)
        assert (answer.data["status"], "A proposal: JupyterLab shows it" in answer.text) == ("proposed", True)
    assert [sent.propose for sent in edits_sent(document)] == [True, True]
    for tool, arguments in (("undo_edit", {"op_id": "op-1"}), ("sync", {}), ("save_notebook", {})):
        assert (await agent(tool, **arguments)).refused("not_allowed")
    document.content = None
    document.about_document[wire.EditDocument] = DocumentEdit("proposed", "op-6")
    assert "no front end shows it now" in (await agent("edit_cells", edits=[CHANGE])).text
    assert not {"edit_cells", "execute_request", "run_cells"} & set(document.asked)
    document.knows_documents = False
    assert (await agent("edit_cells", edits=[CHANGE])).refused("unsupported_version")


# Sync, undo, save


async def test_what_differs_is_run_by_the_front_end(connected: Agent, document: FakeKernel) -> None:
    document.about_document[wire.SyncDocument] = applied("r1")
    document.front_end_runs("r1", cell_run("bbbb"))
    answer = await connected("sync")
    assert (answer.data["status"], answer.data["cell_id"]) == ("ok", "bbbb")
    assert "where" not in answer.data
    document.about_document[wire.SyncDocument] = DocumentEdit("applied", None, message="All is in step.")
    assert (await connected("sync")).data["message"] == "All is in step."


async def test_an_edit_is_undone_by_its_inverse_in_the_document(
    connected: Agent, document: FakeKernel
) -> None:
    document.about_document[wire.UndoEdit] = applied("r1")
    document.front_end_runs("r1", cell_run("aaaa"))
    answer = await connected("undo_edit", op_id="op-1")
    assert (answer.data["status"], answer.data["where"]) == ("ok", "document")
    document.about_document[wire.UndoEdit] = BridgeError("document_changed", "x = 9 by now.")
    assert (await connected("undo_edit", op_id="op-1")).refused("document_changed")


async def test_an_undo_that_no_front_end_answers_is_no_proposal(
    connected: Agent, document: FakeKernel
) -> None:
    document.about_document[wire.UndoEdit] = DocumentEdit("kept", "op-2", message="It does not answer.")
    answer = await connected("undo_edit", op_id="op-1")
    assert (answer.data["status"], answer.data["message"]) == ("refused", "It does not answer.")
    assert "wait_for_decision" not in answer.text


async def test_a_silent_kernel_leaves_open_whether_the_document_was_changed(
    connected: Agent, document: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marimo_kernel_bridge.client.document.EDIT_BOUND", 0.01)
    document.about_document[wire.EditDocument] = applied()
    edit = asyncio.create_task(connected("edit_cells", edits=[CHANGE]))
    async with asyncio.timeout(BOUND):
        while "read_document" not in document.asked:  # noqa: ASYNC110  # nothing else tells of it
            await asyncio.sleep(0)
    document.answers = False
    answer = await edit
    assert answer.refused("kernel_silent")
    assert "It is not known whether the document was changed." in answer.text


async def test_the_front_end_saves_and_renames(connected: Agent, document: FakeKernel) -> None:
    document.about_document[wire.SaveDocument] = applied()
    assert (await connected("save_notebook")).text == "JupyterLab has saved penguins.ipynb."
    renamed = await connected("rename_notebook", new_name="birds.ipynb")
    assert (renamed.data["saved"], renamed.data["path"]) == (True, "birds.ipynb")
    assert document.requests[-1] == wire.SaveDocument(name="birds.ipynb", client="ann")
    document.about_document[wire.SaveDocument] = DocumentEdit("refused", None, message="It is read-only.")
    refused = await connected("save_notebook")
    assert (refused.data["saved"], "Not saved: It is read-only." in refused.text) == (False, True)


@pytest.mark.parametrize(
    "name",
    [
        "CLAUDE.md",
        "birds.py",
        "../birds.ipynb",
        "a\\b.ipynb",
        ".hidden.ipynb",
        ".ipynb",
        "C:b.ipynb",
        "birds",
        "a\x1b[31m.ipynb",
        "gnp.\u202eexe.ipynb",
        "a\n.ipynb",
    ],
)
async def test_a_notebook_keeps_its_folder_and_its_kind_when_it_is_renamed(
    connected: Agent, document: FakeKernel, name: str
) -> None:
    assert (await connected("rename_notebook", new_name=name)).refused("bad_request")
    assert "save_document" not in document.asked


async def test_without_a_document_nothing_is_saved_behind_the_editor(
    connected: Agent, kernel: FakeKernel
) -> None:
    assert (await connected("save_notebook")).refused("no_document")
    assert "save_document" not in kernel.asked


async def test_a_preview_is_that_of_the_document(connected: Agent, document: FakeKernel) -> None:
    document.about_document[wire.EditDocument] = DocumentEdit("applied", None)
    answer = await connected("preview_run", edits=[CHANGE])
    assert answer.data["message"].startswith("0 cells would run")
    (sent,) = edits_sent(document)
    assert (sent.dry_run, "edit_cells" in document.asked) == (True, False)


async def test_cells_that_are_run_as_they_were_are_told(connected: Agent, document: FakeKernel) -> None:
    one = await connected("run_cells", cell_ids=["bbbb"])
    assert "another text by now in bbbb, and the earlier one ran" in one.data["note"]
    assert "note" not in (await connected("run_cells", cell_ids=["aaaa"])).data
    document.content = content(cell("nb-aaaa", "x = 1"), cell("nb-new", "x = 1", ran="never"))
    assert (
        "1 cells of the document never ran here" in (await connected("run_cells", which="all")).data["note"]
    )


@pytest.mark.parametrize("which", ["all", "stale"])
async def test_the_front_end_runs_the_whole_document_in_a_kernel_that_knows_none_of_its_cells(
    connected: Agent, document: FakeKernel, which: str
) -> None:
    document.cells.clear()
    document.about_document[wire.SyncDocument] = applied("r1")
    document.front_end_runs("r1", cell_run("aaaa"))
    run = await connected("run_cells", which=which)
    assert (run.data["status"], run.data["cell_id"]) == ("ok", "aaaa")
    assert not {"load_document", "run_cells", "run_stale"} & set(document.asked)


async def test_the_kernel_runs_the_document_itself_if_its_front_end_does_not_answer(
    connected: Agent, document: FakeKernel
) -> None:
    document.saved = list(document.cells.values())
    document.cells.clear()
    document.about_document[wire.SyncDocument] = DocumentEdit("kept", None)
    await connected("run_cells", which="all")
    assert "run_cells" in document.asked


async def test_the_file_of_an_open_document_is_not_written_behind_the_editor(
    connected: Agent, document: FakeKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "penguins.ipynb").write_text("{}")
    answer = await connected("export_notebook", output="penguins.ipynb", overwrite=True)
    assert answer.refused("bad_request")
    assert "save_notebook saves it there" in answer.text
    assert (tmp_path / "penguins.ipynb").read_text() == "{}"


async def test_the_state_of_a_kernel_names_the_document_by_its_present_name(
    connected: Agent, document: FakeKernel
) -> None:
    document.description = replace(document.description, notebook="/home/ada/old.ipynb")
    status = await connected("kernel_status")
    assert (status.data["notebook"], status.data["front_end"]) == ("penguins.ipynb", "JupyterLab")
    assert "notebook penguins.ipynb, open in JupyterLab, which has the extension" in status.text
