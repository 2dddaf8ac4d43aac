"""A person in JupyterLab and a second client on the same kernel, who changes a cell."""

from __future__ import annotations

import base64

import pytest
from lab_agents import ToolRefusedError, change, zmq_agent
from playwright.sync_api import expect

from marimo_kernel_bridge.client.connection import read_connection

pytestmark = pytest.mark.browser

CELLS = ("a = 1", "b = a * 10", "print('b is', b)\nb")


@pytest.mark.long
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


def test_an_agent_over_mcp_finds_the_open_notebook_and_its_edit_shows_on_the_page(lab, agent):
    page = lab(*CELLS)
    page.run_all()
    expect(page.outputs(2)).to_have_text(["b is 10", "10"])

    (kernel,) = agent.call("list_kernels")["kernels"]
    assert (kernel["reactive"], kernel["notebook"]) == (True, str(page.path))
    assert read_connection(
        page.connection_file
    ).curve_publickey  # page, server and agent reach an encrypted kernel
    agent.call("connect_to_kernel", connection_file=kernel["connection_file"])
    first, second, third = agent.call("list_cells")["cells"]
    assert [cell["code"] for cell in (first, second)] == list(CELLS[:2])
    run = agent.call("edit_cells", edits=[change(first, "a = 7")])

    assert run["status"] == "ok"
    assert [cell["cell_id"] for cell in run["reran"]] == [second["cell_id"], third["cell_id"]]
    expect(page.outputs(2)).to_have_text(["b is 70", "70"])
    assert "b is 70" in agent.call("read_cell", cell_id=third["cell_id"])["outputs"]
    stream, result = page.save().cells[2].outputs
    assert (stream.text, result.data["text/plain"]) == ("b is 70\n", "70")


@pytest.mark.long
def test_an_agents_edit_of_what_the_person_has_changed_since_is_refused_and_changes_nothing(lab, agent):
    page = lab(*CELLS)
    page.run_all()
    expect(page.outputs(2)).to_have_text(["b is 10", "10"])
    agent.call("connect_to_kernel", connection_file=str(page.connection_file))
    first = agent.call("list_cells")["cells"][0]
    page.edit(0, "a = 5")
    page.run(0)
    expect(page.outputs(2)).to_have_text(["b is 50", "50"])

    with pytest.raises(ToolRefusedError, match="stale_version"):
        agent.call("edit_cells", edits=[change(first, "a = 7")])

    page.run(2)
    expect(page.prompt(2)).to_have_text("[5]:")
    expect(page.outputs(2)).to_have_text(["b is 50", "50"])


@pytest.mark.long
def test_an_agent_is_shown_the_chart_that_the_person_sees(lab, agent):
    page = lab(
        "import matplotlib.pyplot as plt",
        "height = 1",
        "figure, axes = plt.subplots()\naxes.plot([0, height])\nplt.show()",
    )
    page.run_all()
    expect(page.images(2)).to_have_count(1)
    before = page.images(2).get_attribute("src")
    agent.call("connect_to_kernel", connection_file=str(page.connection_file))
    _, height, chart = agent.call("list_cells")["cells"]

    agent.call("edit_cells", edits=[change(height, "height = -3")])

    expect(page.images(2)).not_to_have_attribute("src", before)
    seen = [
        block.data
        for block in agent.result("read_cell", cell_id=chart["cell_id"]).content
        if block.type == "image"
    ]
    shown = page.images(2).get_attribute("src").removeprefix("data:image/png;base64,")
    assert [base64.b64decode(image) for image in seen] == [base64.b64decode(shown)]
