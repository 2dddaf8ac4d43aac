"""A person and agents at once: each row of the conflict table in docs/document.md."""

from typing import Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.documents import order_queue
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, DeleteCell
from tests.front_end_document import FrontEndDocument, TextCell
from tests.unit.kernel.document_agents import Agent, two_windows
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd, KernelInMemory


@pytest.fixture
def document(page: FrontEnd) -> FrontEndDocument:
    document = page.open({"a": "x = 1", "b": "y = x + 1", "c": "y"})
    for key, code in document.codes.items():
        page.run(key, code)
    return document


@pytest.mark.parametrize("flush", [True, False], ids=["told", "not told yet"])
def test_a_change_of_a_cell_in_which_the_person_typed_becomes_a_proposal(
    document: FrontEndDocument, agent: Agent, flush: bool
) -> None:
    read = agent.cells()["a"].version
    document.type("a", "x = 1  # mine", flush=flush)
    edit = agent.change("a", "x = 2", read)
    assert (edit.outcome, [(one.cell, one.code) for one in edit.conflicts]) == (
        "proposed",
        [("a", "x = 1  # mine")],
    )
    document.work()
    assert document.codes["a"] == "x = 1  # mine"
    (proposal,) = document.proposals.values()
    assert (proposal.op_id, proposal.conflict, proposal.author) == (edit.op_id, True, "claude")
    document.accept(proposal.op_id)
    assert document.codes["a"] == "x = 2"


def test_or_is_refused_if_the_agent_wants_that(document: FrontEndDocument, agent: Agent) -> None:
    read = agent.cells()["a"].version
    document.type("a", "x = 1  # mine", flush=False)
    edit = agent.change("a", "x = 2", read, on_conflict="refuse")
    assert (edit.outcome, edit.conflicts[0].code) == ("refused", "x = 1  # mine")
    document.work()
    assert (document.codes["a"], document.proposals) == ("x = 1  # mine", {})


def test_a_batch_with_one_conflict_is_not_applied_in_part(document: FrontEndDocument, agent: Agent) -> None:
    cells = agent.cells()
    document.type("b", "y = x + 2", flush=False)
    edit = agent.edit(
        ChangeCell(cell_id="a", version=cells["a"].version, code="x = 5"),
        ChangeCell(cell_id="b", version=cells["b"].version, code="y = 0"),
    )
    assert (edit.outcome, document.codes["a"]) == ("proposed", "x = 1")


def test_typing_in_another_cell_does_not_matter(document: FrontEndDocument, agent: Agent) -> None:
    read = agent.cells()["a"].version
    document.type("b", "y = x + 1  # mine", flush=False)
    assert agent.change("a", "x = 2", read).outcome == "applied"
    assert document.codes == {"a": "x = 2", "b": "y = x + 1  # mine", "c": "y"}


def test_text_that_returned_to_what_the_agent_read_is_no_conflict(
    document: FrontEndDocument, agent: Agent
) -> None:
    read = agent.cells()["a"].version
    document.type("a", "x = 11")
    document.type("a", "x = 1")
    assert agent.change("a", "x = 2", read).outcome == "applied"


@pytest.mark.parametrize("flush", [True, False], ids=["told", "not told yet"])
def test_a_place_that_is_gone_is_a_conflict_with_the_new_order(
    document: FrontEndDocument, agent: Agent, flush: bool
) -> None:
    agent.cells()
    cell = document.buffer.find("b")
    assert cell is not None
    if flush:
        document.delete("b")
    else:
        document.buffer.cells.remove(cell)
    edit = agent.add("z = 1", after="b")
    assert (edit.outcome, [(one.cell, one.code) for one in edit.conflicts]) == ("refused", [("b", None)])
    if flush:
        assert edit.order == ("a", "c")
    assert list(document.codes) == ["a", "c"]


def test_a_cell_that_the_person_deleted_is_not_changed(document: FrontEndDocument, agent: Agent) -> None:
    read = agent.cells()["b"].version
    document.delete("b")
    edit = agent.change("b", "y = 0", read)
    assert (edit.outcome, edit.conflicts[0].code) == ("refused", None)


def test_a_cell_that_never_was_is_refused(document: FrontEndDocument, agent: Agent) -> None:
    with pytest.raises(BridgeError) as refusal:
        agent.edit(DeleteCell(cell_id="nope", version=1))
    assert refusal.value.code == "no_such_cell"
    assert document.applied == []


def test_after_an_undo_in_the_editor_nothing_runs_by_itself(
    document: FrontEndDocument, page: FrontEnd, agent: Agent
) -> None:
    agent.finished(agent.change("a", "x = 2"))
    document.type("a", "x = 1")  # Ctrl+Z
    assert agent.cells()["a"].ran == "changed"
    assert page.cells()["a"].code == "x = 2"
    assert agent.compare().changed == ("a",)


def test_undo_of_an_agents_change_restores_and_runs(
    document: FrontEndDocument, page: FrontEnd, agent: Agent
) -> None:
    edit = agent.change("a", "x = 2")
    agent.finished(edit)
    assert edit.op_id is not None
    document.type("c", "y  # mine")
    document.undo(edit.op_id)
    document.work()
    assert document.codes == {"a": "x = 1", "b": "y = x + 1", "c": "y  # mine"}
    page.sync()
    assert (page.cells()["a"].code, page.cells()["a"].edited_by) == ("x = 1", "notebook")


def test_undo_is_refused_where_the_person_has_changed_the_text(
    document: FrontEndDocument, agent: Agent
) -> None:
    edit = agent.change("a", "x = 2")
    assert edit.op_id is not None
    document.type("a", "x = 2  # mine")
    with pytest.raises(Exception, match="nothing was undone"):
        document.undo(edit.op_id)
    undone = agent.undo(edit.op_id)
    assert (undone.outcome, undone.conflicts[0].code) == ("refused", "x = 2  # mine")
    assert document.codes["a"] == "x = 2  # mine"


def test_an_agent_undoes_new_deleted_and_moved_cells_and_that_again(
    document: FrontEndDocument, agent: Agent
) -> None:
    before = list(document.codes.values())
    edit = agent.edit(
        DeleteCell(cell_id="b", version=agent.cells()["b"].version),
        AddCell(code="z = 3", after="a"),
    )
    after = list(document.codes.values())
    assert edit.op_id is not None
    undone = agent.undo(edit.op_id)
    assert list(document.codes.values()) == before
    assert undone.op_id is not None
    agent.undo(undone.op_id)
    assert list(document.codes.values()) == after


def test_the_diff_of_a_proposal_follows_what_the_person_types(
    document: FrontEndDocument, page: FrontEnd, agent: Agent
) -> None:
    edit = agent.propose(ChangeCell(cell_id="a", version=agent.cells()["a"].version, code="x = 2"))
    assert edit.op_id is not None
    document.type("a", "x = 1  # mine")
    document.work()
    document.accept(edit.op_id, code="x = 2  # mine")
    assert document.codes["a"] == "x = 2  # mine"
    assert agent.proposal(edit.op_id).decisions[0].code == "x = 2  # mine"


def test_a_proposal_for_a_cell_that_is_gone_is_over(document: FrontEndDocument, agent: Agent) -> None:
    edit = agent.propose(ChangeCell(cell_id="a", version=agent.cells()["a"].version, code="x = 2"))
    assert edit.op_id is not None
    document.work()
    document.delete("a")
    document.work()
    assert document.proposals == {}
    assert agent.proposal(edit.op_id).decisions[0].decision == "gone"


def test_of_two_windows_the_one_in_which_the_person_was_last_changes(connect: Connect, agent: Agent) -> None:
    first, second = two_windows(connect, shared=False)
    first.type("b", "x  # here")
    agent.change("a", "x = 2")
    first.work()
    second.work()
    assert (first.codes["a"], second.codes["a"]) == ("x = 2", "x = 1")
    assert agent.front_end.kernel.run_until(lambda: second.states["a"].changed)  # it is told
    second.type("b", "x  # there")
    assert agent.change("a", "x = 3", on_conflict="refuse").outcome == "applied"
    assert second.codes["a"] == "x = 3"


def test_a_shared_document_is_changed_once_and_shown_twice(connect: Connect, agent: Agent) -> None:
    first, second = two_windows(connect, shared=True)
    edit = agent.add("z = 1")
    first.work()
    assert list(first.codes.values()) == list(second.codes.values()) == ["x = 1", "x", "z = 1"]
    assert len(first.applied) + len(second.applied) == 1
    for document in (first, second):
        document.flush()
    assert [cell.code for cell in agent.read().cells] == ["x = 1", "x", "z = 1"]
    assert edit.outcome == "applied"


def test_one_view_of_a_shared_document_takes_over_late_outputs(connect: Connect) -> None:
    page = connect("lab")
    page.run("a", "x = 1")
    first, second = two_windows(connect, shared=True)
    assert first.attached is not None
    assert second.attached is not None
    assert (list(first.attached.parents), list(second.attached.parents)) == (["a"], [])
    first.close()
    second.flush()
    assert list(second.attached.parents) == ["a"]


def test_proposals_are_in_each_window_and_gone_from_each_when_decided(connect: Connect, agent: Agent) -> None:
    first, second = two_windows(connect, shared=False)
    edit = agent.propose(AddCell(code="z = 1"), AddCell(code="w = 1"))
    assert edit.op_id is not None
    first.work()
    second.work()
    assert first.proposals.keys() == second.proposals.keys() == {edit.op_id}
    second.accept(edit.op_id)
    first.work()
    assert first.proposals[edit.op_id].decided == [0]
    second.reject(edit.op_id, 1)
    first.work()
    assert (first.proposals, second.proposals) == ({}, {})


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "separate"])
def test_a_change_goes_to_the_other_window_if_one_does_not_answer(
    connect: Connect, agent: Agent, impatient: KernelInMemory, shared: bool
) -> None:
    first, second = two_windows(connect, shared=shared)
    second.type("b", "x  # here")
    second.answers = False
    edit = agent.add("z = 1")
    assert edit.outcome == "applied"
    assert len(first.applied) == 1
    second.answers = True
    second.orders.clear()
    second.flush()  # it is there again
    assert agent.add("w = 1").outcome == "applied"
    assert impatient.kernel.documents.shared.open


def test_a_change_goes_to_the_other_window_at_once_if_one_is_closed(connect: Connect, agent: Agent) -> None:
    first, second = two_windows(connect, shared=False)
    second.type("b", "x  # here")
    second.answers = False

    def close() -> None:
        if second.orders and second in second.buffer.views:
            second.close()

    agent.front_end.kernel.between.insert(0, close)
    limits = agent.front_end.kernel.kernel.documents.shared.limits
    limits.answer = limits.longest = 600.0  # longer than any test waits
    assert agent.add("z = 1").outcome == "applied"
    assert len(first.applied) == 1


def test_a_change_that_no_window_answers_is_kept(
    document: FrontEndDocument, agent: Agent, impatient: KernelInMemory
) -> None:
    document.answers = False
    edit = agent.add("z = 1")
    assert (edit.outcome, edit.added) == ("kept", ())
    assert "does not answer" in edit.message
    assert agent.read().active is None
    assert impatient.kernel.documents.shared.open


def test_a_window_that_did_not_answer_runs_no_cells_for_that_order_later(
    connect: Connect, agent: Agent, impatient: KernelInMemory
) -> None:
    first, second = two_windows(connect, shared=False)
    page = agent.front_end
    second.type("b", "x  # here")
    second.answers = False
    agent.finished(agent.sync())
    counts = {key: cell.execution_count for key, cell in page.cells().items()}
    assert counts["a"] is not None
    second.answers = True
    second.work()
    page.sync()
    assert {key: cell.execution_count for key, cell in page.cells().items()} == counts
    assert first.buffer is not second.buffer


def test_nor_where_no_window_has_run_them(
    document: FrontEndDocument, page: FrontEnd, agent: Agent, impatient: KernelInMemory
) -> None:
    document.type("c", "y  # mine")
    document.answers = False
    assert agent.sync().outcome == "refused"
    document.answers = True
    document.work()
    page.sync()
    assert page.cells()["c"].code == "y"
    assert impatient.kernel.documents.shared.open
    document.flush()
    agent.finished(agent.sync())  # and it may be asked for again
    assert page.cells()["c"].code == "y  # mine"


def test_a_window_that_says_something_is_waited_for(
    document: FrontEndDocument, agent: Agent, impatient: KernelInMemory
) -> None:
    """VS Code waits with a new cell until the person pauses."""
    turns = iter(range(300))

    def typing() -> None:
        turn = next(turns, None)
        if turn is None:
            document.work()
        elif turn % 40 == 0:
            document.flush()

    impatient.between.remove(document.work)
    impatient.between.append(typing)
    limits = impatient.kernel.documents.shared.limits
    limits.answer, limits.longest = 0.3, 5.0
    assert agent.add("z = 1").outcome == "applied"


def test_an_order_under_way_is_carried_out_once_after_a_reconnection(
    document: FrontEndDocument, agent: Agent, connect: Connect
) -> None:
    lost: list[Any] = []

    def reconnect() -> None:
        if document.orders and not lost:
            lost.append(document.orders[0])
            document.attach()  # what came before is dropped

    document.link.kernel.between.insert(0, reconnect)  # type: ignore[attr-defined]
    edit = agent.add("z = 1")
    assert (edit.outcome, list(document.codes.values()).count("z = 1"), len(lost)) == ("applied", 1, 1)


def test_saving_while_a_proposal_is_open_saves_the_persons_text(
    document: FrontEndDocument, agent: Agent
) -> None:
    agent.propose(ChangeCell(cell_id="a", version=agent.cells()["a"].version, code="x = 2"))
    assert agent.save().outcome == "applied"
    assert document.saved == ["x = 1", "y = x + 1", "y"]


def test_what_a_revert_brought_back_is_seen(document: FrontEndDocument, agent: Agent) -> None:
    document.buffer.cells = [TextCell("a", "code", "x = 100"), TextCell("b", "code", "y = x + 1")]
    document.attach()
    comparison = agent.compare()
    assert (comparison.changed, len(comparison.kernel_only)) == (("a",), 1)
    kinds = [(one.kind, one.key) for one in agent.changes(0).changes if one.kind != "ran"]
    assert kinds == [("deleted", "c"), ("changed", "a")]


def test_a_deletion_is_undone_once(document: FrontEndDocument, agent: Agent) -> None:
    before = list(document.codes.values())
    edit = agent.delete("c")
    assert edit.op_id is not None
    assert agent.undo(edit.op_id).outcome == "applied"
    with pytest.raises(BridgeError) as refusal:
        agent.undo(edit.op_id)
    assert (refusal.value.code, list(document.codes.values())) == ("no_such_edit", before)


def test_an_undo_that_was_refused_as_too_much_waits_may_be_asked_for_again(
    document: FrontEndDocument, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = list(document.codes.values())
    edit = agent.delete("c")
    assert edit.op_id is not None
    with monkeypatch.context() as full:
        full.setattr(order_queue, "_MOST_WAITING", 0)
        with pytest.raises(BridgeError) as refusal:
            agent.undo(edit.op_id)
    assert refusal.value.code == "kernel_busy"
    assert agent.undo(edit.op_id).outcome == "applied"
    assert list(document.codes.values()) == before


@pytest.mark.parametrize("again", ["before", "after"])
def test_an_undo_that_no_window_answers_may_be_asked_for_again_and_is_done_once(
    document: FrontEndDocument, agent: Agent, impatient: KernelInMemory, again: str
) -> None:
    before = list(document.codes.values())
    edit = agent.delete("c")
    assert edit.op_id is not None
    document.answers = False
    assert agent.undo(edit.op_id).outcome == "kept"
    if again == "before":
        document.flush()
        assert agent.undo(edit.op_id).outcome == "kept"
        document.flush()
        document.answers = True
        assert agent.undo(edit.op_id).outcome == "applied"
    else:
        document.answers = True
        document.work()
        with pytest.raises(BridgeError) as refusal:
            agent.undo(edit.op_id)
        assert refusal.value.code == "no_such_edit"
    document.work()
    assert list(document.codes.values()) == before
    assert [cell.code for cell in agent.read().cells] == before
    assert impatient.kernel.documents.shared.open


def test_in_a_shared_document_a_change_is_undone_where_it_was_applied_or_in_another_view(
    connect: Connect, agent: Agent
) -> None:
    first, second = two_windows(connect, shared=True)
    second.type("b", "x  # here")
    edits = [agent.change("a", f"x = {number}") for number in (5, 6)]
    first.type("b", "x  # and here")
    applied = len(second.applied)
    assert agent.undo(edits[1].op_id or "").outcome == "applied"
    assert (len(second.applied), first.applied) == (applied + 1, [])
    second.close()
    first.flush()
    assert agent.undo(edits[0].op_id or "").outcome == "applied"
    assert (len(first.applied), first.codes) == (1, {"a": "x = 1", "b": "x  # and here"})


def test_undo_goes_to_the_same_notebook_only(connect: Connect, agent: Agent) -> None:
    cells = {"a": "x = 1", "b": "y = 2"}
    edited = connect("lab").open(cells, path="one.ipynb")
    edit = agent.change("a", "x = 5")
    assert edit.op_id is not None
    other = connect("lab").open({**cells, "a": "x = 5"}, path="two.ipynb")
    edited.rename("renamed.ipynb")
    edited.close()
    with pytest.raises(BridgeError) as refusal:
        agent.undo(edit.op_id)
    assert refusal.value.code == "no_document"
    assert "renamed.ipynb" in str(refusal.value)
    assert other.codes["a"] == "x = 5"
    again = connect("lab").open({**cells, "a": "x = 5"}, path="renamed.ipynb")
    other.type("b", "y = 3")  # the person is in the other one
    assert agent.undo(edit.op_id).outcome == "applied"
    assert (again.codes["a"], other.codes["a"]) == ("x = 1", "x = 5")
