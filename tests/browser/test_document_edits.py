"""What agents change in the open document: order, undo, the person's typing, a busy kernel, other kernels."""

from __future__ import annotations

import re

import pytest
from document_agent import document_agent
from lab_server import wait_for
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.long]

CELLS = ("a = 1", "b = a * 10", "print('b is', b)")


def texts(page) -> list[str]:
    return page.page.evaluate(
        "() => Array.from(jupyterapp.shell.currentWidget.content.model.cells, cell => cell.sharedModel.getSource())"
    )


@pytest.fixture
def opened(live_lab):
    page = live_lab(*CELLS)
    page.run_all()
    expect(page.outputs(2)).to_have_text(["b is 10"])
    with document_agent(page) as agent:
        yield page, agent
    assert page.page_errors == []


def test_cells_are_added_moved_and_deleted_where_the_agent_says_and_page_and_kernel_agree(opened):
    page, agent = opened
    agent.add(0, "c = 5", "d = c + a")
    agent.add(None, "# Title", type="markdown")
    assert agent.move(4, after=0).outcome == "applied"
    assert agent.delete(4).outcome == "applied"
    assert texts(page) == ["# Title", "b = a * 10", "a = 1", "c = 5", "print('b is', b)"]
    assert texts(page) == [cell.code for cell in agent.cells()]


def test_the_persons_next_key_in_the_cell_ends_the_attribution(opened):
    page, agent = opened
    agent.change(0, "a = 7")
    expect(page.pill(0)).to_have_text("claude")
    page.editor(1).click()
    page.page.keyboard.type(" ")
    expect(page.pill(0)).to_have_text("claude")
    page.editor(0).click()
    page.page.keyboard.press("End")
    page.page.keyboard.type("0")
    expect(page.pill(0)).to_have_count(0)
    wait_for(lambda: agent.cells()[0].code == "a = 70", "the kernel hears of it")
    assert agent.cells()[0].by == "notebook"


def test_one_undo_takes_back_one_operation_and_leaves_the_persons_text_elsewhere(opened):
    page, agent = opened
    page.edit(1, "b = a * 20")
    wait_for(lambda: agent.cells()[1].code == "b = a * 20", "the kernel hears of it")
    agent.change(0, "a = 7")
    agent.add(2, "x = 1", "y = 2")
    expect(page.editor(4)).to_have_text("y = 2")
    page.prompt(2).click()
    page.page.keyboard.press("z")
    wait_for(lambda: texts(page) == ["a = 7", "b = a * 20", CELLS[2]], "both cells are gone")
    page.editor(0).click()
    page.page.keyboard.press("ControlOrMeta+z")
    wait_for(lambda: texts(page) == ["a = 1", "b = a * 20", CELLS[2]], "the text is as before")
    page.page.keyboard.press("ControlOrMeta+Shift+z")
    wait_for(lambda: texts(page)[0] == "a = 7", "redone")


def test_the_person_types_on_while_cells_are_added_above(opened):
    page, agent = opened
    page.editor(2).click()
    page.page.keyboard.press("ControlOrMeta+A")
    place = page.cell(2).bounding_box()["y"]
    typed = "".join(chr(ord("a") + number % 26) for number in range(50))
    for number in range(5):
        page.page.keyboard.type(typed[number * 10 : number * 10 + 10])
        agent.add(None, f"above_{number} = {number}")
    assert texts(page)[-1] == typed
    assert len(texts(page)) == 8
    assert page.page.evaluate("() => jupyterapp.shell.currentWidget.content.mode") == "edit"
    wait_for(lambda: page.cell(7).bounding_box() is not None, "it is on the page")
    assert page.cell(7).bounding_box()["y"] == pytest.approx(place, abs=250)


def test_a_text_that_the_person_has_changed_since_is_proposed_and_nothing_is_lost(opened):
    page, agent = opened
    seen = agent.cells()[0]
    page.edit(0, "a = 3  # mine")
    edit = agent.change(0, "a = 7", seen=seen)
    assert edit.outcome == "proposed"
    assert [conflict.code for conflict in edit.conflicts] == ["a = 3  # mine"]
    expect(page.cards(0)).to_contain_text("you have changed since")
    assert texts(page)[0] == "a = 3  # mine"
    page.cards(0).get_by_role("button", name="Reject").click()
    expect(page.cards()).to_have_count(0)


def test_while_a_cell_runs_a_change_shows_a_read_answers_and_a_click_pauses(opened):
    page, agent = opened
    agent.add(2, "import time; time.sleep(20)")
    page.expect_status("busy")
    assert agent.change(0, "a = 7").outcome == "applied"
    expect(page.editor(0)).to_have_text("a = 7")
    assert agent.cells()[0].ran == "changed"
    page.chip().click()
    expect(page.chip()).to_have_attribute("aria-pressed", "true")
    page.expect_status("busy")  # all of it was while the cell ran
    page.chip().click()
    page.interrupt()


def test_the_agent_sees_unsaved_text_cells_that_never_ran_and_where_the_person_is(opened):
    page, agent = opened
    page.edit(1, "b = a * 30")
    document = agent.document()  # asks the page for what it has not told yet
    assert (document.cells[1].code, document.cells[1].ran) == ("b = a * 30", "changed")
    assert document.active.editing == document.cells[1].key
    assert document.active.dirty
    expect(page.marks(1)).to_have_text(["not run"])
    page.prompt(0).click()
    page.page.keyboard.press(
        "b"
    )  # a new cell below, with Markdown; JupyterLab 4.4 does not hear an "m" right after
    expect(page.cell(1)).to_have_class(re.compile(r"\bjp-mod-active\b"))
    page.page.evaluate("() => jupyterapp.commands.execute('notebook:change-cell-to-markdown')")
    page.edit(1, "# New")
    cells = agent.cells()
    assert [cell.code for cell in cells] == ["a = 1", "# New", "b = a * 30", CELLS[2]]
    assert (cells[1].type, cells[1].ran) == ("markdown", None)


def test_a_notebook_with_another_kernel_is_left_alone(live_lab):
    page = live_lab("1 + 1", kernel="python3", own_page=True)
    sent: list[str] = []
    page.page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(str(frame))))
    page.console.clear()
    page.reload()
    page.run_all()
    expect(page.outputs(0)).to_have_text(["2"])
    expect(page.chip()).to_have_count(0)
    assert page.page_errors == page.console == []
    assert any("execute_request" in frame for frame in sent)
    assert not any("marimo_bridge" in frame for frame in sent)
