"""The document beside other extensions of Jupyter's server, each in an environment of its own that PyPI fills."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from conftest import opening
from document_agent import document_agent
from lab_server import running_lab
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(600)]

CELLS = ("a = 1", "b = a * 10", "print('b is', b)")
TEXTS = "() => Array.from(jupyterapp.shell.currentWidget.content.model.cells, cell => cell.sharedModel.getSource())"


@pytest.fixture(scope="module")
def beside(homes, request):
    """A Lab that has our extension and a package of others."""
    home = homes.new("p").folder
    environment = home / "environment"
    uv = os.environ.get(
        "UV", Path(sys.executable).parent / "uv"
    )  # of the environment, or what has made it for another Lab
    lab = f"jupyterlab=={version('jupyterlab')}"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", environment / "bin/python", lab, request.param],
        check=True,
    )
    with running_lab(home / "lab", extension=True, environment=environment) as server:
        yield server


@pytest.fixture
def lab_beside(request, browser, beside):
    with opening(request, browser, beside) as open_notebook:
        yield lambda *cells: open_notebook(*cells, kernel="marimo", own_page=True)


def is_patient(page) -> None:
    """jupyter-collaboration asks after some seconds whether to wait on."""
    button = page.page.get_by_role("button", name="Continue waiting")
    page.page.add_locator_handler(button, lambda found: found.click())


@pytest.mark.parametrize("beside", ["jupyter-collaboration"], indirect=True)
def test_in_a_shared_document_a_change_is_made_once_and_shows_in_both_windows(lab_beside):
    page = lab_beside(*CELLS)
    is_patient(page)
    page.run_all()
    expect(page.outputs(2)).to_have_text(["b is 10"])
    with page.another_window() as other, document_agent(page) as agent:
        is_patient(other)
        agent.attached(views=2)
        both = (page, other)
        assert agent.change(0, "a = 7").outcome == "applied"
        for window in both:
            expect(window.editor(0)).to_have_text("a = 7")
            expect(window.outputs(2)).to_have_text(["b is 70"])
        added = agent.add(0, "c = a + 1")
        assert added.outcome == "applied"
        for window in both:
            expect(window.editor(1)).to_have_text("c = a + 1")
            assert window.page.evaluate(TEXTS) == ["a = 7", "c = a + 1", *CELLS[1:]]
        assert sum(window.pill(0).count() for window in both) >= 1

        proposed = agent.change(2, "b = a * 100", propose=True)
        for window in both:
            expect(window.cards(2)).to_have_count(1)
        other.page.bring_to_front()
        other.cards(2).locator(".mkb-accept").click()
        for window in both:
            expect(window.outputs(3)).to_have_text(["b is 700"])
            expect(window.cards()).to_have_count(0)
        assert [one.decision for one in agent.proposal(proposed.op_id).decisions] == ["accepted"]
        other.page.close()
        assert agent.change(0, "a = 8").outcome == "applied"
        expect(page.outputs(3)).to_have_text(["b is 800"])
        assert [cell.code for cell in agent.cells()] == page.page.evaluate(TEXTS)
    assert page.page_errors == []


@pytest.mark.parametrize("beside", ["jupyter-server-nbmodel"], indirect=True)
def test_where_the_server_runs_the_persons_cells_a_change_shows_and_a_proposal_is_decided(lab_beside):
    page = lab_beside("a = 1", "print('a is', a)")
    page.run_all()
    expect(page.outputs(1)).to_have_text(["a is 1"])
    with document_agent(page) as agent:
        assert agent.change(0, "a = 7\nprint(a)").outcome == "applied"
        # Whose output this is, the server has not told: it shows where the change was made.
        expect(page.outputs(0)).to_have_text([re.compile("^7\\n↻ cell .*\\na is 7\\n$")])
        expect(page.pill(0)).to_have_text("claude")
        proposed = agent.change(1, "print('a is now', a)", propose=True)
        page.cards(1).locator(".mkb-accept").click()
        expect(page.outputs(1)).to_have_text(["a is now 7"])
        assert [one.decision for one in agent.proposal(proposed.op_id).decisions] == ["accepted"]
        page.undo_agent(0)
        expect(page.editor(0)).to_have_text("a = 1")
        page.edit(0, "a = 8")
        assert agent.cells()[0].code == "a = 8"
