"""What agents change in the document that a person has open."""

from typing import Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import document as messages
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol import pauses
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, DeleteCell, MoveCell
from marimo_kernel_bridge.protocol.notebook import RunReport
from tests.unit.kernel.document_agents import Agent
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd, KernelInMemory

TWO = {"a": "x = 1", "b": "print('x is', x)"}


def ran(page: FrontEnd, cells: dict[str, str] = TWO, **options: Any) -> Any:
    """Open a document whose code cells have run."""
    document = page.open(cells, **options)
    for key, code in cells.items():
        if not code.startswith("#%md"):
            assert page.run(key, code).ok
    return document


def test_an_agents_change_shows_in_the_open_cell_and_its_dependents(page: FrontEnd, agent: Agent) -> None:
    document = ran(page)
    edit = agent.change("a", "x = 42")
    assert (edit.outcome, edit.front_end, len(edit.runs)) == ("applied", "JupyterLab", 1)
    (report,) = agent.finished(edit)
    assert [run.notebook_cell_id for run in report.cells] == ["a", "b"]
    assert document.codes["a"] == "x = 42"
    page.wait_for("b", "x is 42")
    assert page.text("a") == ""  # the page has the text itself, so there is no notice


def test_a_change_shows_its_author_until_the_person_edits_the_cell(page: FrontEnd, agent: Agent) -> None:
    document = ran(page)
    agent.finished(agent.change("a", "x = 42"))
    cell = page.cells()["a"]
    assert (cell.edited_by, cell.last_run_by) == ("claude", "claude")
    assert agent.cells()["a"].by == "claude"
    document.type("a", "x = 43")
    assert agent.cells()["a"].by == "notebook"
    page.finish(document.run("a"))
    cell = page.cells()["a"]
    assert (cell.edited_by, cell.last_run_by) == ("notebook", "notebook")


def test_a_person_who_runs_an_agents_text_again_is_not_its_author(page: FrontEnd, agent: Agent) -> None:
    document = ran(page)
    agent.finished(agent.change("a", "x = 42"))
    page.finish(document.run("a"))
    cell = page.cells()["a"]
    assert (cell.edited_by, cell.last_run_by) == ("claude", "notebook")


def test_new_cells_of_any_kind_go_to_their_places(page: FrontEnd, agent: Agent) -> None:
    document = ran(page)
    edit = agent.edit(
        AddCell(code="# Title", type="markdown", first=True),
        AddCell(code="y = x + 1", after="a"),
        AddCell(code="z = y + 1", after="new2"),
        AddCell(code="z"),
    )
    agent.finished(edit)
    assert list(document.codes.values()) == [
        "# Title", "x = 1", "y = x + 1", "z = y + 1", "print('x is', x)", "z",
    ]  # fmt: skip
    assert len(edit.added) == 4
    assert page.text(edit.added[3]) == "3"
    assert [cell.code for cell in page.cells().values()] == [
        code for code in document.codes.values() if code != "# Title"
    ]


def test_moved_and_deleted_cells_are_so_in_page_and_kernel(page: FrontEnd, agent: Agent) -> None:
    document = ran(page, {"a": "x = 1", "b": "y = 2", "c": "z = 3"})
    agent.edit(
        MoveCell(cell_id="c", version=agent.cells()["c"].version, after=None),
        DeleteCell(cell_id="b", version=agent.cells()["b"].version),
    )
    assert list(document.codes) == ["c", "a"]
    page.kernel.run_until(lambda: list(page.cells()) == ["c", "a"])
    page.sync()
    assert list(page.cells()) == ["c", "a"]
    assert page.run(None, "'y' in globals()", store_history=False).text == "False"


def test_a_cell_may_be_named_by_the_kernels_id(page: FrontEnd, agent: Agent) -> None:
    document = ran(page)
    cell = agent.cells()["a"]
    assert cell.cell_id is not None
    agent.finished(agent.edit(ChangeCell(cell_id=cell.cell_id, version=cell.version, code="x = 9")))
    assert document.codes["a"] == "x = 9"


def test_a_change_may_wait_for_its_run(page: FrontEnd, agent: Agent) -> None:
    document = ran(page)
    edit = agent.change("a", "x = 42", run=False)
    assert (edit.outcome, edit.runs, document.codes["a"]) == ("applied", (), "x = 42")
    assert agent.cells()["a"].ran == "changed"
    page.finish(document.run("a"))
    assert page.cells()["a"].edited_by == "claude"


def test_what_would_run_is_known_before(page: FrontEnd, agent: Agent) -> None:
    document = ran(page)
    edit = agent.change("a", "x = 42", dry_run=True)
    assert (edit.outcome, edit.op_id) == ("applied", None)
    assert [run.cell_id for run in edit.would_run] == ["a", "b"]
    assert document.codes == TWO


@pytest.mark.parametrize(("code", "kind"), [("x = y", "cycle"), ("x = (", "syntax")], ids=["cycle", "syntax"])
def test_what_the_graph_would_refuse_never_reaches_the_page(
    page: FrontEnd, agent: Agent, code: str, kind: str
) -> None:
    document = ran(page, {"a": "x = 1", "b": "y = x"})
    edit = agent.change("a", code)
    assert (edit.outcome, [problem.kind for problem in edit.problems]) == ("refused", [kind])
    assert document.codes["a"] == "x = 1"
    assert document.applied == []


def test_a_cell_that_never_ran_is_changed_and_planned_for_too(page: FrontEnd, agent: Agent) -> None:
    document = page.open({"a": "x = 1", "b": "y = x"})
    page.finish(document.run("a"))
    assert agent.cells()["b"].ran == "never"
    edit = agent.change("b", "y = x + 1", dry_run=True)
    assert [run.cell_id for run in edit.would_run] == ["b"]
    agent.finished(agent.change("b", "y = x + 1"))
    assert page.cells()["b"].edited_by == "claude"


def test_an_agent_sees_the_text_that_is_not_saved_and_cells_that_are_no_code(
    page: FrontEnd, agent: Agent
) -> None:
    document = ran(page, {"title": "#%md # Title", "a": "x = 1"})
    document.type("a", "x = 7", flush=False)  # the kernel asks for what is not sent yet
    content = agent.read()
    assert content.active is not None
    assert (content.active.editing, content.active.path, content.active.focused) == ("a", "n.ipynb", True)
    assert [(cell.type, cell.code, cell.ran) for cell in content.cells] == [
        ("markdown", "#%md # Title", None),
        ("code", "x = 7", "changed"),
    ]


def test_the_kernels_own_cells_are_named(page: FrontEnd, agent: Agent) -> None:
    ran(page)
    page.run(None, "hidden = 1")
    assert len(agent.read().kernel_only) == 1


def test_everything_works_while_a_cell_runs(page: FrontEnd, agent: Agent, kernel: KernelInMemory) -> None:
    document = ran(page)
    seen: list[Any] = []

    def meanwhile() -> None:
        seen.append(agent.cells()["a"].code)
        seen.append(agent.change("a", "x = 5").outcome)
        document.pause()
        with pytest.raises(BridgeError) as refusal:
            agent.change("b", "x")
        seen.append(refusal.value.code)

    kernel.kernel.shell.user_ns["meanwhile"] = meanwhile
    page.run("c", "meanwhile()")
    assert seen == ["x = 1", "applied", "paused"]
    page.wait_for("b", "x is 5")


def test_a_pause_refuses_before_anything_is_changed(page: FrontEnd, agent: Agent) -> None:
    document = ran(page)
    document.pause()
    with pytest.raises(BridgeError) as refusal:
        agent.change("a", "x = 2")
    assert refusal.value.code == "paused"
    document.work()
    assert (document.codes, document.paused) == (TWO, True)
    assert agent.read().cells  # reading works
    document.pause(paused=False)
    assert agent.change("a", "x = 2").outcome == "applied"


def test_front_ends_are_told_of_a_pause_that_was_made_elsewhere(
    page: FrontEnd, kernel: KernelInMemory
) -> None:
    kernel.kernel.documents.shared.limits.look = 0.01
    document = ran(page)
    for paused in (True, False):
        (pauses.pause if paused else pauses.resume)(pauses.EVERYTHING)
        assert kernel.run_until(lambda now=paused: document.paused is now)  # type: ignore[misc]


def test_the_states_of_cells_are_found_once_for_all_windows(
    page: FrontEnd, connect: Connect, kernel: KernelInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(page)
    documents = [connect("lab").open(TWO) for _ in range(2)]
    page.sync()
    view, found = kernel.kernel.notebook.view, []
    snapshot = view.snapshot
    monkeypatch.setattr(view, "snapshot", lambda: found.append(1) or snapshot())
    page.run("a", "x = 2")
    assert kernel.run_until(lambda: all(document.states["a"].changed for document in documents))
    assert len(found) <= len([one for one in page.seen if one["msg_type"] == "execute_input"])


def test_what_is_known_of_cells_is_found_again_only_where_something_changed(
    page: FrontEnd, kernel: KernelInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = ran(page, {f"c{number}": f"v{number} = {number}" for number in range(30)} | TWO)
    view, placed = kernel.kernel.notebook.view, list[str]()
    place = view._place
    monkeypatch.setattr(
        view, "_place", lambda cell, at: placed.append(cell.notebook_cell_id) or place(cell, at)
    )
    page.run("a", "x = 2")
    assert kernel.run_until(lambda: document.states["a"].changed)
    assert {"a", "b"} <= set(placed) <= {*TWO}
    placed.clear()
    page.run("c1", "other = 1")
    page.run("reads", "v1")
    assert "v1" not in page.cells()["reads"].uses
    assert {"c1", "c2", "reads"} <= set(placed)  # a name that is gone may be used anywhere


def test_front_ends_are_told_of_agents_and_of_the_states_of_cells(page: FrontEnd, agent: Agent) -> None:
    document = ran(page)
    agent.change("a", "x = 2", run=False)
    page.kernel.run_until(lambda: any(one.runs for one in document.agents))
    document.work()
    assert [(one.name, one.runs) for one in document.agents] == [("claude", 1)]
    assert document.states["a"].changed
    assert document.states["b"].upstream == ["a"]
    document.type("a", "x = 1")
    document.work()
    assert not document.states["a"].changed


def test_a_page_that_was_loaded_again_shows_late_outputs_once(
    page: FrontEnd, connect: Connect, agent: Agent
) -> None:
    ran(page).close()
    again = connect("lab")
    document = again.open(TWO)
    document.type("a", "x = 3")
    again.finish(document.run("a"))
    again.wait_for("b", "x is 3")
    assert again.text("a") == ""  # and not a second time below the cell that was run
    assert [run.notebook_cell_id for run in agent.report(again.request_of("a")).cells] == ["a", "b"]


def test_without_the_extension_a_page_that_was_loaded_again_sees_outputs_below(
    page: FrontEnd, connect: Connect
) -> None:
    for key, code in TWO.items():
        page.run(key, code)
    again = connect("lab")
    again.run("a", "x = 3")
    assert "x is 3" in again.text("a")


def test_an_order_is_carried_out_once(page: FrontEnd, agent: Agent, kernel: KernelInMemory) -> None:
    document = ran(page)
    edit = agent.add("y = 1")
    (order,) = [
        message["content"]
        for message in page.seen
        if message["msg_type"] == messages.DOCUMENT and message["content"].get("op_id") == edit.op_id
    ]
    document.orders.append(order)
    document.work()
    assert list(document.codes.values()).count("y = 1") == 1


def test_orders_are_given_one_after_the_other(page: FrontEnd, agent: Agent, connect: Connect) -> None:
    document = ran(page)
    document.answers = False
    other = Agent(connect("lab"), "cursor")
    sent = []
    for one in (agent, other):
        request = wire.EditDocument(changes=[AddCell(code=f"by_{one.name} = 1")], client=one.name)
        message = one.front_end.session.msg(wire.REQUEST, wire.encode_request(request))
        one.front_end.kernel.control(one.front_end.session.serialize(message, one.front_end.ident))
        sent.append((one.front_end, message["header"]["msg_id"]))
    assert sum(order["kind"] == "apply" for order in document.orders) == 1
    document.answers = True
    for front_end, msg_id in sent:
        assert page.kernel.run_until(lambda front=front_end, of=msg_id: of in front.replies)  # type: ignore[misc]
    assert list(document.codes.values())[2:] == ["by_claude = 1", "by_cursor = 1"]


def test_an_operation_with_several_runs_is_one_report(page: FrontEnd, agent: Agent) -> None:
    ran(page)
    edit = agent.edit(AddCell(code="p = 1"), AddCell(code="q = p + 1"))
    agent.finished(edit)
    assert edit.op_id is not None
    report = agent.report(edit.op_id)
    assert (report.finished, report.client, len(report.cells)) == (True, "claude", 2)


def test_a_read_only_document_is_not_changed(page: FrontEnd, agent: Agent) -> None:
    document = ran(page, can=("propose",))
    edit = agent.change("a", "x = 2")
    assert (edit.outcome, document.codes) == ("refused", TWO)
    assert "read-only" in edit.message


def test_an_author_is_never_the_person(page: FrontEnd, agent: Agent) -> None:
    agent.name = "notebook"
    ran(page)
    agent.finished(agent.change("a", "x = 2"))
    assert page.cells()["a"].edited_by == "agent"


def test_texts_for_agents_are_redacted_and_orders_for_pages_are_not(
    page: FrontEnd, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "kj34h5kjh345kjh34")
    document = page.open({"a": "token = 'kj34h5kjh345kjh34'"})
    assert "kj34h5kjh345kjh34" not in agent.cells()["a"].code
    agent.add("same = 'kj34h5kjh345kjh34'", run=False)
    assert list(document.codes.values())[1] == "same = 'kj34h5kjh345kjh34'"
    assert all("kj34h5kjh345kjh34" not in str(change) for change in agent.changes(0).changes)


def test_names_and_code_are_passed_on_as_text(page: FrontEnd, agent: Agent) -> None:
    document = ran(page)
    agent.name = "<img onerror=1>"
    edit = agent.add("s = '</script>'")
    assert list(document.codes.values())[2] == "s = '</script>'"
    agent.finished(edit)
    assert page.cells()[edit.added[0]].edited_by == "img onerror 1"


@pytest.mark.parametrize("change", ["delete", "move"])
def test_nothing_runs_because_of_a_change_that_is_not_to_run(
    page: FrontEnd, agent: Agent, change: str
) -> None:
    document = ran(page, {"one": "a = 1", "two": "a = 2", "three": "print('a is', a)"})
    if change == "delete":
        agent.delete("two", run=False)
    else:
        agent.move("one", after="two", run=False)
    page.sync()
    document.insert("other", "c = 1", after=None)
    page.finish(document.run("other"))
    page.sync()
    assert page.text("three") == "a is 2"
    assert page.cells()["three"].stale
    agent.ask(wire.RunStale(client="claude"), RunReport, "shell")
    page.wait_for("three", "a is 1")


def test_what_cannot_be_run_or_undone_in_a_read_only_document_is_said(page: FrontEnd, agent: Agent) -> None:
    edit = agent.change("a", "x = 2") if ran(page) else None
    assert edit is not None
    assert edit.op_id is not None
    page.documents[0].can = ("propose",)
    page.documents[0].attach()
    page.documents[0].type("b", "x")
    assert "cannot run" in agent.sync().message
    assert "read-only" in agent.undo(edit.op_id).message


def test_a_proposal_counts_as_no_run_of_an_agent(page: FrontEnd, agent: Agent) -> None:
    document = ran(page)
    agent.propose(AddCell(code="z = 1"))
    assert page.kernel.run_until(lambda: bool(document.agents))
    assert [(one.name, one.runs) for one in document.agents] == [("claude", 0)]


@pytest.mark.parametrize("move", [True, False], ids=["itself", "deleted"])
def test_a_place_that_the_batch_itself_takes_away_is_refused(
    page: FrontEnd, agent: Agent, move: bool
) -> None:
    document = ran(page)
    version = agent.cells()["b"].version
    behind_itself = [MoveCell(cell_id="b", version=version, after="b")]
    behind_deleted = [DeleteCell(cell_id="b", version=version), AddCell(code="z = 1", after="b")]
    with pytest.raises(BridgeError) as refusal:
        agent.edit(*(behind_itself if move else behind_deleted))
    assert (refusal.value.code, document.applied) == ("bad_request", [])
