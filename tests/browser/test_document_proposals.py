"""Proposals: nothing of them is in the notebook before the person decides, and what the person decides is what runs."""

from __future__ import annotations

import pytest
from document_agent import document_agent
from lab_server import wait_for
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.long]

CELLS = ("a = 1\nb = 2\n# between\n# between\n# between\nc = 3", "print(a, b, c)")


@pytest.fixture
def opened(live_lab):
    page = live_lab(*CELLS, own_page=True)
    page.run_all()
    expect(page.outputs(1)).to_have_text(["1 2 3"])
    with document_agent(page) as agent:
        yield page, agent


def decisions(agent, op_id: str) -> list[str]:
    return [one.decision for one in agent.proposal(op_id).decisions]


def test_a_proposal_is_in_no_cell_and_no_file_and_is_there_again_after_a_reload(opened):
    page, agent = opened
    edit = agent.change(
        0, CELLS[0].replace("c = 3", "c = 30"), propose=True, note="<img src=x onerror=alert(1)>"
    )
    expect(page.cards(0)).to_contain_text("<img src=x onerror=alert(1)>")
    expect(page.page.locator(".mkb-Proposal img, .mkb-Bar img")).to_have_count(0)
    assert page.save().cells[0].source == CELLS[0]
    page.reload()
    expect(page.cards(0)).to_have_count(1)
    page.cards(0).get_by_role("button", name="Reject").click()
    expect(page.cards()).to_have_count(0)
    wait_for(lambda: decisions(agent, edit.op_id) == ["rejected"], "the kernel hears of it")
    assert agent.cells()[0].ran == "as_shown"


def test_one_part_is_accepted_one_is_rejected_and_the_rest_is_edited(opened):
    page, agent = opened
    proposed = CELLS[0].replace("a = 1", "a = 10").replace("c = 3", "c = 30")
    edit = agent.change(0, proposed, propose=True)
    parts = page.cards(0).locator(".cm-chunkButtons:visible")
    expect(parts).to_have_count(2)
    parts.first.get_by_role("button", name="Accept").click()
    expect(parts).to_have_count(0)  # one part is left, and the card's own buttons decide it
    text = page.cards(0).locator(".cm-content")
    text.click()
    page.page.keyboard.press("ControlOrMeta+End")
    page.page.keyboard.type("0")
    page.cards(0).locator(".mkb-accept").click()
    expect(page.outputs(1)).to_have_text(["10 2 300"])
    (decision,) = agent.proposal(edit.op_id).decisions
    assert (decision.decision, decision.code) == ("accepted", proposed + "0")


def test_what_is_rejected_after_one_part_was_accepted_is_the_rest(opened):
    page, agent = opened
    edit = agent.change(0, CELLS[0].replace("a = 1", "a = 10").replace("c = 3", "c = 30"), propose=True)
    page.cards(0).locator(".cm-chunkButtons:visible").first.get_by_role("button", name="Accept").click()
    page.cards(0).locator(".mkb-reject").click()
    expect(page.outputs(1)).to_have_text(["10 2 3"])
    (decision,) = agent.proposal(edit.op_id).decisions
    assert (decision.decision, decision.code) == ("accepted", CELLS[0].replace("a = 1", "a = 10"))


def test_the_person_goes_on_typing_in_the_cell_and_both_texts_are_kept(opened):
    page, agent = opened
    agent.change(0, CELLS[0].replace("c = 3", "c = 30"), propose=True)
    expect(page.cards(0)).to_have_count(1)
    page.editor(0).click()
    page.page.keyboard.press("ControlOrMeta+Home")
    page.page.keyboard.type("# mine\n")
    page.cards(0).locator(".mkb-accept").click()
    wait_for(lambda: agent.cells()[0].code == "# mine\n" + CELLS[0].replace("c = 3", "c = 30"), "both texts")
    expect(page.outputs(1)).to_have_text(["1 2 30"])


def test_new_cells_and_deletions_are_decided_one_by_one_or_all_at_once(opened):
    page, agent = opened
    added = agent.add(1, "d = 4", "print(d)", propose=True)
    expect(page.cards(1)).to_have_count(2)
    expect(page.cards(1).locator(".cm-deletedChunk")).to_have_count(0)
    page.bar().get_by_role("button", name="Accept all").click()
    expect(page.outputs(3)).to_have_text(["4"])
    wait_for(lambda: decisions(agent, added.op_id) == ["accepted", "accepted"], "the kernel hears of it")
    removed = agent.delete(3, propose=True)
    expect(page.cards(3)).to_contain_text("proposes to delete")
    page.cards(3).locator(".mkb-accept").click()
    wait_for(lambda: decisions(agent, removed.op_id) == ["accepted"], "the cell is deleted")
    assert [cell.code for cell in agent.cells()] == [*CELLS, "d = 4"]
    again = agent.add(None, "e = 5", propose=True)
    expect(page.cards(0)).to_have_count(1)
    page.bar().locator(".mkb-reject").click()
    wait_for(lambda: decisions(agent, again.op_id) == ["rejected"], "the kernel hears of it")


def test_after_a_reload_reactive_output_shows_in_its_cell_and_no_cell_runs_for_it(opened):
    page, agent = opened
    page.save()
    page.reload()
    agent.attached()
    page.edit(0, CELLS[0].replace("c = 3", "c = 33"))
    page.run(0)
    expect(page.outputs(1)).to_have_text(["1 2 33"])
    assert page.save().cells[1].outputs[0].text == "1 2 33\n"


def test_sync_shows_where_page_and_kernel_differ_and_runs_that(opened):
    page, agent = opened
    expect(page.sync()).to_have_count(0)
    page.edit(0, CELLS[0].replace("a = 1", "a = 11"))
    expect(page.sync()).to_have_text("Sync 1")
    assert agent.compare().changed == (agent.cells()[0].key,)
    page.sync().click()
    expect(page.outputs(1)).to_have_text(["11 2 3"])
    expect(page.sync()).to_have_count(0)
    page.page.locator(".lm-TabBar-tab", has_text="Dataflow").click()
    nodes = page.page.locator(".mkb-Graph-node")
    expect(nodes).to_have_count(2)
    nodes.last.press("Enter")
    assert page.page.evaluate("() => jupyterapp.shell.currentWidget?.content.activeCellIndex ?? 1") == 1
