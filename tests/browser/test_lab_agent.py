"""A person in JupyterLab and a second client on the same kernel, who changes a cell."""

from __future__ import annotations

import pytest
from lab_agents import zmq_agent
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

CELLS = ("a = 1", "b = a * 10", "print('b is', b)\nb")


def test_an_edit_on_the_wire_renews_the_dependents_on_the_persons_page(lab):
    page = lab(*CELLS)
    page.run_all()
    expect(page.outputs(2)).to_have_text(["b is 10", "10"])

    with zmq_agent(page.connection_file) as agent:
        first, _, third = agent.cells()
        report = agent.edit(first, "a = 7")

    assert (first.code, third.code) == (CELLS[0], CELLS[2])
    assert report.finished
    expect(page.outputs(2)).to_have_text(["b is 70", "70"])
    expect(page.outputs(0)).to_contain_text(
        ["a = 7"]
    )  # the page still shows `a = 1`, so the kernel says what it ran
    expect(page.editor(0)).to_have_text("a = 1")
    saved = page.save()
    assert [output.get("text") for output in saved.cells[2].outputs] == ["b is 70\n", None]
    assert saved.cells[2].outputs[1].data == {"text/plain": "70"}

    page.run(0)
    expect(page.outputs(2)).to_have_text(["b is 10", "10"])
    expect(page.outputs(0)).to_have_count(0)
