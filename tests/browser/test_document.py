"""One document: an agent's work shows in the notebook that the person has open, and the person decides."""

from __future__ import annotations

import pytest
from document_agent import document_agent
from playwright.sync_api import expect

from marimo_kernel_bridge.errors import BridgeError

pytestmark = pytest.mark.browser

CELLS = ("a = 1", "b = a * 10", "print('b is', b)")


def test_in_notebook_7_an_agents_work_shows_in_the_open_document_and_the_person_decides(lab):
    page = lab(*CELLS, app="notebook")
    story(page)
    assert [line for line in page.console if "marimo" in line or "nsatisfied" in line] == []


@pytest.mark.long
def test_in_jupyterlab_an_agents_work_shows_in_the_open_document_and_the_person_decides(live_lab):
    page = live_lab(*CELLS, own_page=True)
    story(page)
    assert page.page_errors == page.console == []  # Notebook 7.6 has some of its own


def story(page) -> None:
    page.run_all()
    expect(page.outputs(2)).to_have_text(["b is 10"])
    page.save()
    before = page.path.read_bytes()

    with document_agent(page) as agent:
        edit = agent.change(0, "a = 7")
        assert edit.outcome == "applied", edit
        expect(page.editor(0)).to_have_text("a = 7")
        expect(page.prompt(0)).to_have_text("[4]:")
        expect(page.outputs(2)).to_have_text(["b is 70"])
        expect(page.pill(0)).to_have_text("claude")
        assert page.path.read_bytes() == before

        page.undo_agent(0)
        expect(page.editor(0)).to_have_text("a = 1")
        expect(page.outputs(2)).to_have_text(["b is 10"])
        expect(page.pill(0)).to_have_count(0)

        proposed = agent.change(1, "b = a * 100", propose=True, note="cents")
        assert proposed.outcome == "proposed", proposed
        expect(page.cards()).to_have_count(1)
        expect(page.editor(1)).to_have_text("b = a * 10")
        page.cards().get_by_role("button", name="Accept").click()
        expect(page.outputs(2)).to_have_text(["b is 100"])
        expect(page.cards()).to_have_count(0)
        assert [one.decision for one in agent.proposal(proposed.op_id).decisions] == ["accepted"]

        expect(page.chip()).to_have_text("● claude")
        page.chip().click()
        expect(page.chip()).to_have_attribute("aria-pressed", "true")
        with pytest.raises(BridgeError, match="paused"):
            agent.change(0, "a = 9")
        expect(page.editor(0)).to_have_text("a = 1")
        page.chip().click()
        expect(page.chip()).to_have_attribute("aria-pressed", "false")
    assert page.path.read_bytes() == before
