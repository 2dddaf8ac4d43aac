"""What agents propose, and what they changed in the kernel while no document was open."""

from typing import Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.documents import kept_edits
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, DeleteCell, MoveCell
from tests.front_end_document import FrontEndDocument, RefusedError
from tests.unit.kernel.document_agents import Agent, two_windows
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd

CELLS = {"a": "x = 1", "b": "y = x + 1"}


@pytest.fixture
def document(page: FrontEnd) -> FrontEndDocument:
    document = page.open(CELLS)
    for key, code in document.codes.items():
        page.run(key, code)
    return document


def change(agent: Agent, key: str, code: str) -> ChangeCell:
    return ChangeCell(cell_id=key, version=agent.cells()[key].version, code=code)


def test_a_proposal_touches_neither_text_nor_graph(
    document: FrontEndDocument, page: FrontEnd, agent: Agent
) -> None:
    edit = agent.propose(change(agent, "a", "x = 2"), note="twice as much")
    assert (edit.outcome, edit.front_end) == ("proposed", "JupyterLab")
    document.work()
    (proposal,) = document.proposals.values()
    assert (proposal.author, proposal.note, proposal.kept) == ("claude", "twice as much", False)
    assert document.codes == CELLS
    page.sync()
    assert page.cells()["a"].code == "x = 1"


def test_what_is_accepted_runs_and_the_agent_is_told(
    document: FrontEndDocument, page: FrontEnd, agent: Agent
) -> None:
    edit = agent.propose(change(agent, "a", "x = 2"), AddCell(code="z = 3"), AddCell(code="w = 4"))
    assert edit.op_id is not None
    document.work()
    assert [one.decision for one in agent.proposal(edit.op_id).decisions] == ["open", "open", "open"]
    document.accept(edit.op_id, 0, code="x = 20")
    document.reject(edit.op_id, 1)
    document.accept(edit.op_id, 2)
    proposal = agent.proposal(edit.op_id)
    assert [(one.decision, one.code) for one in proposal.decisions] == [
        ("accepted", "x = 20"),
        ("rejected", None),
        ("accepted", "w = 4"),
    ]
    assert list(document.codes.values()) == ["x = 20", "y = x + 1", "w = 4"]
    op_id = edit.op_id
    page.kernel.run_until(lambda: agent.report(op_id).finished)
    page.sync()
    cells = page.cells()
    assert (cells["a"].code, cells["a"].edited_by, cells["a"].last_run_by) == ("x = 20", "notebook", "claude")
    assert cells[proposal.decisions[2].cell or ""].edited_by == "claude"
    report = agent.report(edit.op_id)
    assert report.finished
    assert {run.notebook_cell_id for run in report.cells} == {"a", "b", proposal.decisions[2].cell}


@pytest.mark.parametrize("new", [False, True], ids=["changed", "new"])
def test_what_the_person_makes_of_a_proposal_is_theirs_and_the_journal_has_both(
    document: FrontEndDocument, page: FrontEnd, agent: Agent, monkeypatch: pytest.MonkeyPatch, new: bool
) -> None:
    """Also where the accepted cell has run before the decision is told."""
    point = agent.changes().point
    edit = agent.propose(AddCell(code="x = 2") if new else change(agent, "a", "x = 2"))
    assert edit.op_id is not None
    document.work()
    decide = document._decide

    def decide_late(*arguments: Any, **fields: Any) -> None:
        page.sync()
        decide(*arguments, **fields)

    monkeypatch.setattr(document, "_decide", decide_late)
    document.accept(edit.op_id, code="x = 20")
    page.sync()
    key = agent.proposal(edit.op_id).decisions[0].cell or ""
    assert (page.cells()[key].code, page.cells()[key].edited_by) == ("x = 20", "notebook")
    assert agent.cells()[key].by == "notebook"
    changes = [one for one in agent.changes(point).changes if one.key == key and one.kind != "ran"]
    assert [(one.by, one.before, one.after) for one in changes] == [
        ("claude", None if new else "x = 1", "x = 2"),
        ("notebook", "x = 2", "x = 20"),
    ]


def test_a_new_cell_that_two_shared_windows_accept_at_once_is_made_once(
    connect: Connect, agent: Agent
) -> None:
    agent.front_end.run("a", "x = 1")
    first, second = two_windows(connect, shared=True)
    edit = agent.propose(AddCell(code="z = 1"), AddCell(code="w = 1"))
    assert edit.op_id is not None
    first.work()
    second.work()
    shown = second.proposals[edit.op_id]
    first.accept(edit.op_id)
    second.proposals[edit.op_id] = shown  # the first one's decision has not come yet
    second.accept(edit.op_id)
    assert list(first.codes.values()) == ["x = 1", "x", "z = 1", "z = 1"]
    assert agent.front_end.kernel.run_until(
        lambda: list(first.codes.values()) == ["x = 1", "x", "z = 1"] == list(second.codes.values())
    )
    kept = agent.proposal(edit.op_id).decisions[0].cell
    assert kept == list(first.codes)[2]
    assert agent.front_end.kernel.run_until(lambda: list(agent.front_end.cells()) == ["a", kept])
    first.accept(edit.op_id, 1)
    assert list(first.codes.values())[2:] == ["z = 1", "w = 1"]


def test_of_a_mixed_proposal_each_change_is_decided_by_itself(
    document: FrontEndDocument, agent: Agent
) -> None:
    document.insert("c", "old = 1", "b")
    cells = agent.cells()
    edit = agent.propose(
        AddCell(code="# Title", type="markdown", first=True),
        DeleteCell(cell_id="c", version=cells["c"].version),
        MoveCell(cell_id="b", version=cells["b"].version, after=None),
        change(agent, "a", "x = 2"),
        AddCell(code="z = 3", after="a"),
    )
    assert edit.op_id is not None
    document.work()
    for number in (1, 2, 4):
        document.accept(edit.op_id, number)
    for number in (0, 3):
        document.reject(edit.op_id, number)
    assert list(document.codes.values()) == ["y = x + 1", "x = 1", "z = 3"]
    decisions = [one.decision for one in agent.proposal(edit.op_id).decisions]
    assert decisions == ["rejected", "accepted", "accepted", "rejected", "accepted"]
    assert document.proposals == {}


def test_a_proposal_outlives_the_agents_server(
    document: FrontEndDocument, agent: Agent, connect: Connect
) -> None:
    edit = agent.propose(change(agent, "a", "x = 2"))
    assert edit.op_id is not None
    document.work()
    document.accept(edit.op_id)
    proposal = Agent(connect("lab"), "cursor").proposal(edit.op_id)
    assert (proposal.author, proposal.decisions[0].code) == ("claude", "x = 2")


def test_a_window_that_has_missed_a_decision_is_told_again(connect: Connect, agent: Agent) -> None:
    first, second = two_windows(connect, shared=False)
    edit = agent.propose(*(AddCell(code=f"v{number} = 1") for number in range(3)))
    assert edit.op_id is not None
    first.work()
    second.work()
    first.reject(edit.op_id)
    second.orders.clear()  # lost
    second.reject(edit.op_id, 1)
    second.work()
    assert second.proposals[edit.op_id].decided == [0, 1]
    second.reject(edit.op_id, 2)
    assert not any(order["kind"] == "propose" for order in second.orders)


def test_windows_that_are_not_shared_each_have_what_was_accepted_there(
    connect: Connect, agent: Agent
) -> None:
    first, second = two_windows(connect, shared=False)
    edit = agent.propose(AddCell(code="z = 1"))
    assert edit.op_id is not None
    first.work()
    second.work()
    first.accept(edit.op_id)
    second.accept(edit.op_id)
    agent.front_end.sync()
    second.work()
    assert [list(document.codes.values())[2:] for document in (first, second)] == [["z = 1"], ["z = 1"]]


def test_a_decision_may_be_waited_for(document: FrontEndDocument, agent: Agent) -> None:
    edit = agent.propose(change(agent, "a", "x = 2"))
    assert edit.op_id is not None

    def decide() -> None:
        for op_id in list(document.proposals):
            document.accept(op_id)

    agent.front_end.kernel.between.append(decide)
    assert agent.proposal(edit.op_id, wait=30).decisions[0].decision == "accepted"


def test_a_wait_for_a_decision_ends(document: FrontEndDocument, agent: Agent) -> None:
    edit = agent.propose(change(agent, "a", "x = 2"))
    assert edit.op_id is not None
    assert agent.proposal(edit.op_id, wait=0.01).decisions[0].decision == "open"


def test_an_agent_withdraws_a_proposal(document: FrontEndDocument, agent: Agent) -> None:
    edit = agent.propose(change(agent, "a", "x = 2"))
    assert edit.op_id is not None
    document.work()
    shown = document.proposals[edit.op_id]
    assert agent.withdraw(edit.op_id).withdrawn
    document.work()
    assert document.proposals == {}
    document.proposals[edit.op_id] = shown  # the person has decided meanwhile
    document.reject(edit.op_id)
    assert agent.proposal(edit.op_id).decisions[0].decision == "open"


def test_proposals_are_there_again_after_a_reload(
    document: FrontEndDocument, agent: Agent, connect: Connect
) -> None:
    edit = agent.propose(change(agent, "a", "x = 2"), AddCell(code="z = 1"))
    assert edit.op_id is not None
    document.work()
    document.reject(edit.op_id, 1)
    document.close()
    assert agent.proposal(edit.op_id).shown_in is None
    again = connect("lab").open(CELLS)
    assert again.proposals[edit.op_id].decided == [1]
    assert agent.proposal(edit.op_id).shown_in == "JupyterLab"


def test_a_proposal_without_a_document_waits_for_one(page: FrontEnd, agent: Agent) -> None:
    page.run("a", "x = 1")
    version = page.cells()["a"].version
    edit = agent.propose(ChangeCell(cell_id="a", version=version, code="x = 2"), AddCell(code="z = 1"))
    assert (edit.outcome, edit.front_end) == ("proposed", None)
    assert page.cells()["a"].code == "x = 1"
    document = page.open({"a": "x = 1"})
    assert edit.op_id is not None
    document.accept(edit.op_id, 0)
    document.accept(edit.op_id, 1)
    assert list(document.codes.values()) == ["x = 2", "z = 1"]


def test_a_proposal_that_the_kernel_does_not_know_is_refused(
    document: FrontEndDocument, agent: Agent
) -> None:
    with pytest.raises(BridgeError) as refusal:
        agent.proposal("nope")
    assert refusal.value.code == "no_such_edit"
    edit = agent.propose(change(agent, "a", "x = 2"))
    document.work()
    shown = document.proposals[edit.op_id or ""]
    document.proposals["nope"] = shown
    with pytest.raises(RefusedError) as refused:
        document.accept("nope")
    assert refused.value.code == "no_such_edit"


# -- without a document ----------------------------------------------------------------------------------------------


def test_without_a_document_an_edit_is_the_kernels_and_is_offered_when_one_attaches(
    page: FrontEnd, agent: Agent
) -> None:
    for key, code in CELLS.items():
        page.run(key, code)
    assert agent.edit(AddCell(code="z = 1")).outcome == "kept"
    report = agent.edit_the_kernel(
        ChangeCell(cell_id="a", version=1, code="x = 2"),
        AddCell(code="z = x", after="a"),
        AddCell(code="Words", type="markdown"),
    )
    assert (report.applied, len(report.added)) == (True, 1)
    assert "changed by claude" in page.text("a")  # today's notice
    document = page.open(CELLS)
    (kept,) = document.proposals.values()
    assert (kept.kept, kept.author, len(kept.changes)) == (True, "claude", 3)
    for number in range(3):
        document.accept(kept.op_id, number)
    assert list(document.codes.values()) == ["x = 2", "z = x", "y = x + 1", "Words"]
    page.sync()
    cells = page.cells()
    assert [cell.code for cell in cells.values()] == ["x = 2", "z = x", "y = x + 1"]
    assert cells[list(document.codes)[1]].cell_id == report.added[0]  # one cell, not two


def test_a_new_cell_may_be_the_place_of_another_without_a_document_too(page: FrontEnd, agent: Agent) -> None:
    for key, code in CELLS.items():
        page.run(key, code)
    batch = (
        AddCell(code="p = 1", first=True),
        AddCell(code="r = 3", after="a"),
        AddCell(code="q = p", after="new1"),
        MoveCell(cell_id="b", version=1, after="new2"),
    )
    assert agent.edit_the_kernel(*batch, dry_run=True).problems == ()
    assert len(agent.edit_the_kernel(*batch).added) == 3
    codes = ["p = 1", "q = p", "x = 1", "r = 3", "y = x + 1"]
    assert [cell.code for cell in page.cells().values()] == codes
    document = page.open(CELLS)
    for proposal in list(document.proposals.values()):
        for number in range(len(proposal.changes)):
            document.accept(proposal.op_id, number)
    assert list(document.codes.values()) == codes


def test_an_edit_is_offered_as_it_is_now(page: FrontEnd, agent: Agent) -> None:
    page.run("a", "x = 1")
    (added,) = agent.edit_the_kernel(AddCell(code="z = 1")).added
    agent.edit_the_kernel(ChangeCell(cell_id=added, version=1, code="z = 2"))
    (other,) = agent.edit_the_kernel(AddCell(code="w = 1", after=added)).added
    agent.edit_the_kernel(AddCell(code="gone = 1"))
    gone = next(cell for cell in page.cells().values() if cell.code == "gone = 1")
    agent.edit_the_kernel(DeleteCell(cell_id=gone.cell_id, version=1))
    document = page.open({"a": "x = 1"})
    (kept,) = document.proposals.values()
    for number in range(len(kept.changes)):
        if number not in kept.decided:
            document.accept(kept.op_id, number)
    assert list(document.codes.values()) == ["x = 1", "z = 2", "w = 1"]
    assert other in {cell.cell_id for cell in page.cells().values()}


def test_deleted_and_moved_cells_are_offered_and_the_newest_text_alone(page: FrontEnd, agent: Agent) -> None:
    cells = {"a": "x = 1", "b": "y = 1", "c": "z = 1"}
    for key, code in cells.items():
        page.run(key, code)
    agent.edit_the_kernel(ChangeCell(cell_id="a", version=1, code="x = 2"))
    agent.edit_the_kernel(ChangeCell(cell_id="a", version=2, code="x = 3"))
    agent.edit_the_kernel(DeleteCell(cell_id="b", version=1), MoveCell(cell_id="c", version=1, after=None))
    document = page.open(cells)
    (kept,) = document.proposals.values()
    assert len(kept.changes) == 3
    for number in range(3):
        document.accept(kept.op_id, number)
    assert document.codes == {"c": "z = 1", "a": "x = 3"}
    assert page.open(document.codes).proposals == {}


def test_what_a_document_has_already_is_not_offered(page: FrontEnd, agent: Agent) -> None:
    page.run("a", "x = 1")
    agent.edit_the_kernel(ChangeCell(cell_id="a", version=1, code="x = 2"), AddCell(code="z = 1"))
    assert page.open({"a": "x = 2", "new": "z = 1"}).proposals == {}


def test_a_dry_run_is_not_kept(page: FrontEnd, agent: Agent) -> None:
    page.run("a", "x = 1")
    assert not agent.edit_the_kernel(AddCell(code="z = 1"), dry_run=True).applied
    assert page.open({"a": "x = 1"}).proposals == {}


def test_an_edit_of_the_kernels_own_cell_is_offered_at_once_where_a_document_is_open(
    document: FrontEndDocument, agent: Agent
) -> None:
    agent.edit_the_kernel(AddCell(code="z = 1"))
    assert agent.front_end.kernel.run_until(lambda: bool(document.proposals))
    (kept,) = document.proposals.values()
    document.reject(kept.op_id)
    assert agent.read().kernel_only


def test_proposals_are_bounded(document: FrontEndDocument, agent: Agent) -> None:
    first = agent.propose(AddCell(code="first = 1"))
    for number in range(210):
        agent.propose(AddCell(code=f"v{number} = 1"))
    with pytest.raises(BridgeError):
        agent.proposal(first.op_id or "")
    document.work()
    assert first.op_id not in document.proposals


def test_without_an_extension_the_person_takes_an_agents_cells_one_by_one(
    page: FrontEnd, agent: Agent
) -> None:
    page.run("a", "x = 1")
    added = agent.edit_the_kernel(AddCell(code="z = x"), AddCell(code="w = z")).added
    for number, cell_id in enumerate(added):
        reply = page.run(f"magic {number}", "%marimo accept")
        (payload,) = reply.content["payload"]
        assert (payload["source"], payload["replace"]) == ("set_next_input", False)
        page.run(f"new {number}", payload["text"])
        cell = page.cells()[f"new {number}"]
        assert (cell.cell_id, cell.edited_by) == (cell_id, "claude")
    assert "no agent has added" in page.run("last", "%marimo accept").text


def test_a_new_cell_is_offered_whose_place_was_behind_one_that_is_gone(page: FrontEnd, agent: Agent) -> None:
    page.run("a", "x = 1")
    (gone,) = agent.edit_the_kernel(AddCell(code="gone = 1")).added
    agent.edit_the_kernel(AddCell(code="z = 1"))  # behind the last cell
    agent.edit_the_kernel(DeleteCell(cell_id=gone, version=1))
    document = page.open({"a": "x = 1"})
    (kept,) = document.proposals.values()
    document.accept(kept.op_id, 1)
    assert list(document.codes.values()) == ["x = 1", "z = 1"]
    document.attach()
    assert document.proposals == {}


def test_what_agents_change_without_a_document_is_offered_in_bounded_parts(
    page: FrontEnd, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_edits, "_MOST_TOGETHER", 2)
    page.run("a", "x = 1")
    for number in range(3):
        agent.edit_the_kernel(AddCell(code=f"v{number} = 1"))
    proposals = page.open({"a": "x = 1"}).proposals.values()
    assert sorted(len(proposal.changes) for proposal in proposals) == [1, 2]
