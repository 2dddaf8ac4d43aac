"""Pages come and go: no change is made twice, and none is lost unsaid."""

from __future__ import annotations

import pytest
from document_agent import NAME, document_agent
from lab_page import CLOSE_ALL
from lab_server import wait_for
from playwright.sync_api import expect

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import AddCell, EditReport

pytestmark = [pytest.mark.browser, pytest.mark.long]

CELLS = ("a = 1", "print('a is', a)")


def test_what_an_agent_adds_while_the_notebook_is_closed_is_offered_when_it_opens_again(live_lab):
    page = live_lab(*CELLS)
    page.run_all()
    expect(page.outputs(1)).to_have_text(["a is 1"])
    page.save()
    with document_agent(page) as agent:
        page.page.evaluate(CLOSE_ALL)
        wait_for(lambda: not agent.document().documents, "the page says goodbye")
        assert agent.add(None, "b = a + 1").outcome == "kept"
        agent._ask("shell", wire.EditCells(changes=[AddCell(code="b = a + 1")], client=NAME), EditReport)
        page.open()
        expect(page.bar()).to_contain_text("that this notebook does not have")
        assert [cell.code for cell in agent.attached().cells()] == list(CELLS)
        page.bar().get_by_role("button", name="Insert").click()
        wait_for(lambda: [cell.code for cell in agent.cells()] == [*CELLS, "b = a + 1"], "it is inserted")
        assert agent.document().kernel_only == ()
