"""The comparison of the document with what ran, syncs, the journal of changes, and the notebook's name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, DeleteCell, MoveCell
from tests.front_end_document import FrontEndDocument
from tests.unit.kernel.document_agents import Agent
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd, KernelInMemory

CELLS = {"a": "x = 1", "b": "y = x + 1", "c": "z = y + 1", "d": "w = 5"}


@pytest.fixture
def document(page: FrontEnd) -> FrontEndDocument:
    document = page.open(CELLS)
    for key, code in document.codes.items():
        page.run(key, code)
    return document


def counts(page: FrontEnd) -> dict[str, int | None]:
    return {key: cell.execution_count for key, cell in page.cells().items()}


def test_everything_is_in_step_after_run_all(document: FrontEndDocument, agent: Agent) -> None:
    comparison = agent.compare()
    assert (comparison.in_step, comparison.to_run, comparison.would_run) == (tuple("abcd"), (), ())
    assert agent.sync().message == "Everything is in step."


def test_each_kind_of_difference_is_told(document: FrontEndDocument, page: FrontEnd, agent: Agent) -> None:
    page.run(None, "hidden = 1")
    page.run("d", "1 / 0")
    document.type("d", "1 / 0")
    document.type("b", "y = x + 2")
    document.insert("new", "v = 1", "d")
    document.insert("text", "Words", "d", "markdown")
    document.insert("blank", "  ", "d")
    agent.edit_the_kernel(
        ChangeCell(cell_id="a", version=page.cells()["a"].version, code="x = 1  # same"), run=False
    )
    document.type("a", "x = 1  # same")
    found = agent.compare()
    assert (found.changed, found.never_run, found.failed) == (("b",), ("new",), ("d",))
    assert set(found.stale) >= {"a"}
    assert len(found.kernel_only) == 1
    compared = document.compare()
    assert (compared.changed, compared.never_run, compared.failed) == (["b"], ["new"], ["d"])


def test_a_sync_after_one_edit_runs_that_cell_and_its_dependents_once(
    document: FrontEndDocument, page: FrontEnd, agent: Agent
) -> None:
    document.type("b", "y = x + 5")
    before = agent.compare()
    assert (before.to_run, [run.cell_id for run in before.would_run]) == (("b",), ["b", "c"])
    edit = agent.sync()
    assert [run.cell_id for run in edit.would_run] == ["b", "c"]
    (report,) = agent.finished(edit)
    assert [run.notebook_cell_id for run in report.cells] == ["b", "c"]
    cell = page.cells()["b"]
    assert (cell.edited_by, cell.last_run_by) == ("notebook", "claude")  # it is the person's text
    assert agent.compare().to_run == ()


def test_a_sync_with_edits_above_each_other_runs_each_cell_once(
    document: FrontEndDocument, page: FrontEnd, agent: Agent
) -> None:
    document.type("c", "z = y + 2")
    document.type("a", "x = 2")
    assert agent.compare().to_run == ("a", "c")
    edit = agent.sync()
    agent.finished(edit)
    assert edit.op_id is not None
    ran = [run.notebook_cell_id for run in agent.report(edit.op_id).cells if run.duration]
    assert sorted(filter(None, ran)) == ["a", "b", "c"]


def test_a_sync_of_a_new_kernel_runs_every_cell_once(page: FrontEnd, agent: Agent) -> None:
    page.open(CELLS)
    edit = agent.sync()
    agent.finished(edit)
    assert edit.op_id is not None
    ran = [run.notebook_cell_id for run in agent.report(edit.op_id).cells]
    assert sorted(filter(None, ran)) == list(CELLS)


def test_of_stale_cells_a_sync_asks_for_the_first_alone(
    document: FrontEndDocument, page: FrontEnd, agent: Agent
) -> None:
    change = ChangeCell(cell_id="a", version=page.cells()["a"].version, code="x = 3")
    agent.edit_the_kernel(change, run=False)
    document.type("a", "x = 3")
    comparison = agent.compare()
    assert (comparison.stale, comparison.to_run) == (("a", "b", "c"), ("a",))
    assert [run.cell_id for run in comparison.would_run] == ["a", "b", "c"]
    edit = agent.sync()
    agent.finished(edit)
    ran = [run.notebook_cell_id for run in agent.report(edit.runs[0]).cells]
    assert ran == ["a", "b", "c"]


def test_in_lazy_mode_a_sync_asks_for_each_cell(
    document: FrontEndDocument, page: FrontEnd, agent: Agent
) -> None:
    page.run(None, "%marimo lazy")
    document.type("a", "x = 3")
    assert agent.compare().to_run == ("a", "b", "c")
    page.finish(document.run("a"))
    assert agent.compare().to_run == ("b", "c")
    agent.finished(agent.sync())
    assert agent.compare().to_run == ()


def test_a_failed_cell_is_named_and_not_run_again(
    document: FrontEndDocument, page: FrontEnd, agent: Agent
) -> None:
    document.type("c", "1 / 0")
    page.finish(document.run("c"))
    comparison = agent.compare()
    assert (comparison.failed, comparison.to_run) == (("c",), ())


def test_without_a_document_there_is_nothing_to_compare(page: FrontEnd, agent: Agent) -> None:
    for act in (agent.compare, agent.sync, agent.save):
        with pytest.raises(BridgeError) as refusal:
            act()
        assert refusal.value.code == "no_document"


# -- the journal ----------------------------------------------------------------------------------------------------


def test_changes_of_agent_and_person_are_told_apart(
    document: FrontEndDocument, page: FrontEnd, agent: Agent
) -> None:
    point = agent.changes().point
    agent.finished(agent.change("a", "x = 2"))
    document.type("a", "x = 2  # mine")
    agent.edit_the_kernel(AddCell(code="k = 1"))
    document.delete("d")
    changes = agent.changes(point)
    assert [
        (one.kind, one.key if one.key in CELLS else "", one.by, one.before, one.after)
        for one in changes.changes
        if one.kind != "ran"
    ] == [
        ("changed", "a", "claude", "x = 1", "x = 2"),
        ("changed", "a", "notebook", "x = 2", "x = 2  # mine"),
        ("added", "", "claude", None, "k = 1"),
        ("deleted", "d", "notebook", "w = 5", None),
    ]
    assert ("ran", "a", "claude") in [(one.kind, one.key, one.by) for one in changes.changes]
    assert agent.changes(changes.point).changes == ()


@pytest.mark.parametrize("first", ["done", "changed"])
def test_an_agent_is_the_author_of_its_moves_and_deletions(
    document: FrontEndDocument, agent: Agent, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """A front end may say what it shows before or after it answers the order."""
    if first == "changed":
        answer = document._answer

        def flush_before(op_id: str, act: Callable[[], Any]) -> None:
            done = act()
            document.flush()
            answer(op_id, lambda: done)

        monkeypatch.setattr(document, "_answer", flush_before)
    point = agent.changes().point
    agent.edit(
        DeleteCell(cell_id="b", version=agent.cells()["b"].version),
        MoveCell(cell_id="d", version=agent.cells()["d"].version, after=None),
    )
    document.flush()
    changes = [one for one in agent.changes(point).changes if one.kind != "ran"]
    assert [(one.kind, one.key, one.by) for one in changes] == [
        ("deleted", "b", "claude"),
        ("moved", "d", "claude"),
    ]


def test_an_agent_is_told_what_it_has_not_read_yet(
    document: FrontEndDocument, agent: Agent, connect: Connect
) -> None:
    other = Agent(connect("lab"), "cursor")
    agent.changes()
    other.changes()
    document.type("a", "x = 8")
    assert [one.after for one in agent.changes().changes if one.kind == "changed"] == ["x = 8"]
    assert agent.changes().changes == ()
    assert [one.after for one in other.changes().changes if one.kind == "changed"] == ["x = 8"]


def test_what_is_typed_in_one_go_is_one_change(document: FrontEndDocument, agent: Agent) -> None:
    agent.changes()
    for text in ("x", "x =", "x = 9"):
        document.type("a", text)
    (change,) = agent.changes().changes
    assert (change.before, change.after) == ("x = 1", "x = 9")


def test_the_journal_is_bounded_and_says_so(document: FrontEndDocument, agent: Agent) -> None:
    agent.changes()
    for number in range(60):
        document.type("ab"[number % 2], f"text = '{'t' * 100_000}{number}'")
    changes = agent.changes()
    assert changes.incomplete
    assert len(changes.changes) < 40


# -- saving and names ------------------------------------------------------------------------------------------------


def test_the_front_end_saves_and_renames(document: FrontEndDocument, agent: Agent) -> None:
    document.type("a", "x = 9")
    assert agent.save().outcome == "applied"
    assert document.saved[0] == "x = 9"
    assert agent.save("other.ipynb").outcome == "applied"
    active = agent.read().active
    assert active is not None
    assert (active.path, document.path) == ("other.ipynb", "other.ipynb")


@pytest.mark.parametrize("name", ["", "../up.ipynb", "a/b.ipynb", "x" * 300])
def test_a_name_with_a_folder_is_refused(document: FrontEndDocument, agent: Agent, name: str) -> None:
    with pytest.raises(BridgeError) as refusal:
        agent.save(name)
    assert refusal.value.code == "bad_request"


def test_what_a_front_end_cannot_do_is_refused(page: FrontEnd, agent: Agent) -> None:
    page.open(CELLS, can=("apply", "propose", "run", "save"))
    edit = agent.save("other.ipynb")
    assert (edit.outcome, "cannot rename" in edit.message) == ("refused", True)


def test_the_kernel_follows_a_renamed_notebook(
    page: FrontEnd, kernel: KernelInMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    old, new = folder / "old.ipynb", folder / "new.ipynb"
    old.write_text("{}")
    monkeypatch.setenv("JPY_SESSION_NAME", str(old))
    document = page.open(CELLS, path="work/old.ipynb")
    assert page.describe().notebook == str(old)
    old.rename(new)
    document.rename("work/new.ipynb")
    assert page.describe().notebook == str(new)
    document.rename("RTC:work/new.ipynb")
    assert page.describe().notebook == str(new)
    document.close()
    assert kernel.kernel.file.path() is None


def test_a_cell_keeps_its_ids_and_version_over_a_reload_and_another_name(
    document: FrontEndDocument, page: FrontEnd, agent: Agent, connect: Connect
) -> None:
    agent.finished(agent.change("a", "x = 2"))

    def known() -> list[tuple[str, str | None, int, str | None]]:
        return [(cell.key, cell.cell_id, cell.version, cell.ran) for cell in agent.read().cells]

    before = known()
    document.rename("other.ipynb")
    assert known() == before
    document.close()
    again = connect("lab")
    opened = again.open(document.codes, path="other.ipynb")
    assert known() == before
    again.finish(opened.run("a"))
    assert known() == before
    assert {key: cell.cell_id for key, cell in page.cells().items()} == {
        key: own for key, own, _, _ in before
    }


def test_proposals_follow_a_renamed_notebook(document: FrontEndDocument, agent: Agent) -> None:
    edit = agent.propose(AddCell(code="z = 1"))
    document.rename("new.ipynb")
    assert agent.proposal(edit.op_id or "").shown_in == "JupyterLab"


def test_the_cells_have_the_order_of_the_document(document: FrontEndDocument, page: FrontEnd) -> None:
    cell = document.buffer.cells.pop(3)
    document.buffer.cells.insert(0, cell)
    document._note(None)
    document.flush()
    document.insert("top", "t = 1", None)
    page.finish(document.run("top"))
    assert list(page.cells()) == ["top", "d", "a", "b", "c"]


def test_an_agent_with_a_point_of_an_earlier_kernel_gets_all_changes(page: FrontEnd, agent: Agent) -> None:
    document = page.open({"a": "x = 1"})
    document.type("a", "x = 2")
    changes = agent.changes(1_000)
    assert ([one.after for one in changes.changes], changes.incomplete) == (["x = 2"], True)
