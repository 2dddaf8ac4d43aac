"""A person and an agent in one notebook in VS Code. Run by `make vscode`; not a part of `make test`."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.document_edits import Proposal
from tests.vscode.editor import CodeServer, Window, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.vscode.conftest import Opened


def unchanged(path: Path) -> tuple[bytes, int]:
    return path.read_bytes(), path.stat().st_mtime_ns


def spread(seconds: list[float]) -> str:
    """The median and the worst of these times, in milliseconds."""
    return f"{1000 * statistics.median(seconds):.0f} to {1000 * max(seconds):.0f} ms"


def proposed(window: Window) -> list[str]:
    """What is proposed at the cells on the screen."""
    return [mark for mark in window.marks() if "\N{MINUS SIGN}" in mark]


def test_a_change_shows_in_the_cell_and_its_dependents_and_not_on_the_disk(
    opened: Callable[..., Opened],
) -> None:
    window, agent = opened("a = 1", "a + 1")
    assert window.outputs == ["", "2"]
    before = unchanged(window.path)
    began = time.monotonic()
    edit = agent.edit(agent.change("a = 1", "a = 10"))
    assert edit.outcome == "applied"
    window.until(lambda w: w.codes == ["a = 10", "a + 1"], "the text")
    print(f"text after {time.monotonic() - began:.3f} s")  # noqa: T201  # a figure for whoever runs this
    window.until(lambda w: w.outputs[1] == "11", "the dependent's output")
    assert window.state()["cells"][0]["order"] == 3
    assert window.state()["dirty"]
    assert unchanged(window.path) == before


def test_cells_are_added_moved_and_deleted_where_the_agent_says(opened: Callable[..., Opened]) -> None:
    window, agent = opened("a = 1", "b = 2", "c = 3")
    key = agent.cell("b = 2").key
    assert (
        agent.edit(agent.add("first = 0", None), agent.add("# Title", "a = 1", type="markdown")).outcome
        == "applied"
    )
    window.until(lambda w: w.codes == ["first = 0", "a = 1", "# Title", "b = 2", "c = 3"], "the new cells")
    assert window.state()["cells"][2]["kind"] == 1
    assert agent.edit(agent.move("b = 2", "c = 3"), agent.delete("first = 0")).outcome == "applied"
    window.until(lambda w: w.codes == ["a = 1", "# Title", "c = 3", "b = 2"], "the moved cell")
    assert [cell.code for cell in agent.read().cells] == window.codes
    assert agent.cell("b = 2").key != key
    assert agent.cell("b = 2").ran == "as_shown"


def test_the_agents_name_stands_at_the_cell_until_the_person_types(opened: Callable[..., Opened]) -> None:
    window, agent = opened("a = 1", "a + 1")
    agent.edit(agent.change("a = 1", "a = 2"))
    window.until(lambda w: "claude" in w.marks(), "the name")
    assert agent.cell("a = 2").by == "claude"
    window.edit(0)
    window.page.keyboard.type("3")
    window.until(lambda w: "claude" not in w.marks(), "no name any more")
    wait_for(lambda: agent.read().cells[0].code == "a = 23", "the agent sees the text", 2)
    assert agent.read().cells[0].by in ("notebook", "person", "you", "")


def test_each_change_is_one_step_of_undo(opened: Callable[..., Opened]) -> None:
    window, agent = opened("a = 1", "a + 1")
    agent.edit(agent.change("a = 1", "a = 10\nb = 20"))
    window.until(lambda w: w.outputs[1] == "11", "the change ran")
    window.edit(0)
    window.page.keyboard.press("Control+z")
    window.until(lambda w: w.codes[0] == "a = 1", "the text before")
    window.page.keyboard.press("Control+Shift+z")
    window.until(lambda w: w.codes[0] == "a = 10\nb = 20", "the text again")
    window.click_mark("claude")
    window.until(lambda w: w.outputs[1] == "2", "the kernel's undo, which runs")
    assert window.codes[0] == "a = 1"


def test_nothing_that_a_person_types_is_lost_while_cells_come_above(opened: Callable[..., Opened]) -> None:
    window, agent = opened(*(f"v{n} = {n}" for n in range(6)))
    window.edit(3)
    text = " # " + "abcdefghij" * 5
    edits = []
    for at, letter in enumerate(text):
        window.page.keyboard.type(letter)
        if at % 10 == 9:
            edits.append(agent.later(lambda at=at: agent.edit(agent.add(f"n{at} = 0", "v0 = 0"))))
        window.page.wait_for_timeout(30)
    assert [edit.result(60).outcome for edit in edits] == ["applied"] * 5
    assert window.codes.count(f"v3 = 3{text}") == 1
    assert len(window.codes) == 11
    window.page.keyboard.type("!")
    window.until(lambda w: f"v3 = 3{text}!" in w.codes, "the focus is still there", 3)
    assert len(window.codes) == 11


def test_a_change_of_the_cell_in_which_the_person_types_becomes_a_proposal(
    opened: Callable[..., Opened],
) -> None:
    window, agent = opened("a = 1", "a + 1")
    change = agent.change("a = 1", "a = 100")
    window.edit(0)
    window.page.keyboard.type("2")
    edit = agent.edit(change)
    assert (edit.outcome, [one.code for one in edit.conflicts]) == ("proposed", ["a = 12"])
    window.until(lambda w: any("claude: change" in mark for mark in w.marks()), "the proposal")
    assert window.codes[0] == "a = 12"


@pytest.mark.parametrize(
    "code", ["time.sleep(30)", "while time.monotonic() < end: sum(range(300))"], ids=["sleeps", "computes"]
)
def test_changes_show_and_agents_are_paused_while_a_cell(opened: Callable[..., Opened], code: str) -> None:
    window, agent = opened("a = 1", "a + 1", "import time")
    window.until(lambda w: "claude" in w.status(), "who is attached")
    agent.edit(agent.change("import time", f"import time\nend = time.monotonic() + 30\n{code}"))
    wait_for(lambda: agent.read().cells[2].status == "running", "it runs")
    shown, paused = [], []
    for n in range(20):
        change = agent.change(window.codes[0], f"a = {n + 2}")
        began = time.monotonic()
        edit = agent.later(lambda change=change: agent.edit(change, run=False))
        window.shows(f"a = {n + 2}")
        shown.append(time.monotonic() - began)
        assert edit.result().outcome == "applied"
    for _ in range(10):
        paused += [window.click_status(), window.click_status()]
    print(f"while a cell runs: shown {spread(shown)}, paused {spread(paused)}")  # noqa: T201  # a figure for who runs it
    assert (statistics.median(shown) < 0.5, statistics.median(paused) < 0.5) == (True, True)
    window.click_status()
    with pytest.raises(BridgeError) as refused:
        agent.edit(agent.add("b = 1", None))
    assert refused.value.code == "paused"
    assert window.codes[:2] == ["a = 21", "a + 1"]
    assert agent.read().cells[2].status == "running"
    window.click_status()
    assert "paused" not in window.status()


def test_a_proposal_changes_nothing_before_it_is_accepted(opened: Callable[..., Opened]) -> None:
    window, agent = opened("a = 1", "a + 1", "c = 3")
    before = unchanged(window.path)
    edit = agent.edit(
        agent.change("a = 1", "a = 5\nb = 6"),
        agent.add("d = 4", "a + 1"),
        agent.delete("c = 3"),
        propose=True,
        note="why",
    )
    assert edit.outcome == "proposed"
    window.until(
        lambda w: (
            proposed(w)
            == [
                "claude: change +2 \N{MINUS SIGN}1",
                "claude: new cell below +1 \N{MINUS SIGN}0",
                "claude: delete this cell +0 \N{MINUS SIGN}1",
            ]
        ),
        "three proposals",
    )
    assert (window.codes, window.outputs[1]) == (["a = 1", "a + 1", "c = 3"], "2")
    assert unchanged(window.path) == before
    window.click_mark("claude: change")
    window.until(lambda w: w.ask("diffs") == ["Proposal of claude"], "the difference beside")
    window.page.keyboard.press("Control+w")
    window.page.locator(".notebookOverlay .code-cell-row").first.click()
    window.click_mark("Accept")
    window.until(lambda w: w.codes[0] == "a = 5\nb = 6" and w.outputs[1] == "6", "accepted, and it ran")
    window.page.locator(".notebookOverlay .cell-status-item:has(.codicon-close)").last.click()
    window.until(lambda w: proposed(w) == ["claude: new cell below +1 \N{MINUS SIGN}0"], "one is left")
    assert "c = 3" in window.codes
    window.palette("Accept all changes of agents")
    window.until(lambda w: w.codes[1:] == ["a + 1", "d = 4", "c = 3"], "the new cell")
    decisions = agent.proposal(edit.op_id or "").decisions
    assert [one.decision for one in decisions] == ["accepted", "accepted", "rejected"]


def test_a_proposal_is_edited_before_it_is_accepted(opened: Callable[..., Opened]) -> None:
    window, agent = opened("a = 1", "a + 1")
    edit = agent.edit(agent.change("a = 1", "a = 5"), propose=True)
    window.until(proposed, "the proposal")
    window.click_mark("claude: change")
    window.until(lambda w: w.ask("diffs") == ["Proposal of claude"], "the difference beside")
    window.page.locator(".monaco-diff-editor .editor.modified .view-lines:not(.line-delete)").click()
    window.page.keyboard.press("Control+End")
    window.page.keyboard.type("0")
    window.click_mark("Accept")
    window.until(lambda w: w.codes[0] == "a = 50" and w.outputs[1] == "51", "the edited text, and it ran")
    window.until(lambda w: w.ask("diffs") == [], "the difference is closed")
    (decision,) = agent.proposal(edit.op_id or "").decisions
    assert (decision.decision, decision.code) == ("accepted", "a = 50")


def test_a_proposal_goes_when_it_is_taken_back(
    opened: Callable[..., Opened],
) -> None:
    window, agent = opened("a = 1", "a + 1")
    edit = agent.edit(agent.change("a = 1", "a = 5"), propose=True)
    window.until(lambda w: any("claude: " in mark for mark in w.marks()), "the proposal")
    agent.ask(wire.WithdrawProposal(op_id=edit.op_id or ""), Proposal)
    window.until(lambda w: not any("claude: " in mark for mark in w.marks()), "taken back")


def test_the_agent_sees_what_is_not_saved_and_did_not_run(opened: Callable[..., Opened]) -> None:
    window, agent = opened("a = 1", "a + 1")
    window.edit(0)
    window.page.keyboard.type("7")
    wait_for(lambda: agent.read().cells[0].code == "a = 17", "the unsaved text", 1)
    content = agent.read()
    assert content.active is not None
    assert (content.active.front_end, content.active.dirty) == ("vscode", True)
    assert (content.cells[0].ran, content.active.editing) == ("changed", content.cells[0].key)


def test_what_differs_from_what_ran_is_named_marked_and_run_once(opened: Callable[..., Opened]) -> None:
    window, agent = opened("a = 1", "a + 1", "c = 3")
    window.edit(0)
    window.page.keyboard.type("0")
    wait_for(lambda: agent.compare().changed == (window.keys[0],), "the changed cell", 3)
    assert agent.compare().never_run == ()
    window.until(lambda w: any("differs from what ran" in mark for mark in w.marks()), "the mark")
    window.palette("Run what differs from what ran (sync)")
    window.until(lambda w: w.outputs[1] == "11", "the dependent")
    assert agent.compare().to_run == ()
    assert window.state()["cells"][2]["order"] == 3
    window.until(lambda w: not any("differs" in mark for mark in w.marks()), "no mark")


def test_a_moved_cell_shows_later_results(opened: Callable[..., Opened]) -> None:
    window, agent = opened("a = 1", "a + 1", "c = 3")
    agent.edit(agent.move("a + 1", "c = 3"))
    window.until(lambda w: w.codes == ["a = 1", "c = 3", "a + 1"], "moved")
    assert window.outputs[2] == "2"
    agent.edit(agent.change("a = 1", "a = 5"))
    window.until(lambda w: w.outputs[2] == "6", "the result at its new place", 15)


def test_only_the_window_that_has_the_kernel_attaches(
    opened: Callable[..., Opened], server: CodeServer, browser: Browser
) -> None:
    window, agent = opened("a = 1", "a + 1")
    other = server.open(browser, window.path, runs=False)
    other.page.wait_for_timeout(3_000)  # a look of the relay takes less
    assert len(agent.read().documents) == 1
    agent.edit(agent.change("a = 1", "a = 2"))
    window.until(lambda w: w.codes[0] == "a = 2", "the change")
    assert other.codes[0] == "a = 1"
    other.page.close()


def test_names_and_code_are_shown_as_text(opened: Callable[..., Opened]) -> None:
    window, agent = opened("a = 1", name="<img src=x onerror=alert(1)> $(bug)")
    window.page.on("dialog", lambda _: pytest.fail("a script ran"))
    agent.edit(
        agent.change("a = 1", "'</script><img src=x onerror=alert(1)>'"),
        propose=True,
        note="<b>[x](command:y)</b>",
    )
    window.until(lambda w: any(": change" in mark for mark in w.marks()), "the proposal")
    assert window.page.locator(".cell-statusbar-container img").count() == 0
    assert window.page.locator(".cell-statusbar-container .codicon-bug").count() == 0
    window.click_mark("Accept")
    window.until(lambda w: "</script>" in w.codes[0], "accepted")
