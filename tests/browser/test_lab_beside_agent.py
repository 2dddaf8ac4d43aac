"""A person in JupyterLab and an agent over MCP on one kernel, each at work: what the one does reaches the other, also while
a long cell runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from lab_agents import change
from lab_server import wait_for
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.browser

CELLS = ("a = 1", "b = a * 10", "print('b is', b)")


@pytest.fixture
def gate(tmp_path) -> Iterator[Path]:
    """A pipe from which a cell reads, and waits, until the test writes."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    yield path
    os.close(os.open(path, os.O_RDWR))  # lets go who still waits, after a test that failed


def joined(agent, page) -> tuple[str, list[dict]]:
    handle = agent.call("connect_to_kernel", connection_file=str(page.connection_file))["kernel"]
    return handle, agent.call("list_cells")["cells"]


@pytest.mark.long  # the other test has both sides
def test_the_persons_run_is_told_to_the_agent_and_shows_in_its_next_read(lab, agent):
    page = lab(*CELLS)
    page.run_all()
    expect(page.outputs(2)).to_have_text(["b is 10"])
    handle, (first, _, third) = joined(agent, page)
    shown, variable = f"marimo://{handle}/cells/{third['cell_id']}", f"marimo://{handle}/variables/b"

    with agent.subscribed(shown, variable) as told:
        page.edit(0, "a = 5")
        page.run(0)
        told(shown)
        expect(page.outputs(2)).to_have_text(["b is 50"])

    assert agent.call("read_cell", cell_id=third["cell_id"])["outputs"] == "b is 50"
    now = agent.call("read_cell", cell_id=first["cell_id"])
    assert (now["code"], now["version"]) == ("a = 5", first["version"] + 1)


def test_while_the_persons_long_cell_runs_the_agent_looks_on_and_its_edit_follows(lab, agent, gate):
    page = lab(*CELLS, f"print('working')\nopen({str(gate)!r}).read()")
    for index in range(3):
        page.run(index)
    expect(page.outputs(2)).to_have_text(["b is 10"])
    handle, (first, _, third, _) = joined(agent, page)
    notebook = f"marimo://{handle}/notebook"

    with agent.subscribed(notebook) as told:
        page.run(3)
        told(notebook)
        expect(page.outputs(3)).to_have_text(["working"])
        wait_for(
            lambda: agent.call("list_cells")["cells"][3].get("status") == "running",
            "the agent sees the cell that has begun",
        )
        long = agent.call("list_cells")["cells"][3]
        assert agent.call("read_cell", cell_id=long["cell_id"])["outputs"] == "working"
        assert agent.call("read_cell", cell_id=third["cell_id"])["outputs"] == "b is 10"
        edit = agent.call("edit_cells", edits=[change(first, "a = 7")], timeout=0.5)
        assert edit["status"] == "queued"
        assert "print('working')" in edit["message"]
        expect(page.outputs(2)).to_have_text(["b is 10"])
        with gate.open("w"):
            pass
        expect(page.outputs(2)).to_have_text(["b is 70"])

    over = agent.call("read_run", run_id=edit["run_id"])
    assert (over["status"], [cell.get("status", "ok") for cell in over["reran"]]) == ("ok", ["ok", "ok"])
    expect(page.outputs(3)).to_have_text(["working", "''"])


@pytest.mark.long
def test_while_the_agents_long_run_goes_on_the_persons_cell_waits_and_then_reaches_the_agent(
    lab, agent, gate
):
    page = lab(*CELLS)
    page.run_all()
    expect(page.outputs(2)).to_have_text(["b is 10"])
    handle, (first, _, third) = joined(agent, page)
    shown = f"marimo://{handle}/cells/{third['cell_id']}"

    with agent.subscribed(shown) as told:
        code = f"a = 2\nopen({str(gate)!r}).read()"
        run = agent.call("edit_cells", edits=[change(first, code)], timeout=0.5)
        assert run["status"] == "running"
        page.expect_status("busy")
        page.edit(1, "b = a * 100")
        page.run(1)
        expect(page.prompt(1)).to_have_text("[*]:")
        expect(page.outputs(2)).to_have_text(["b is 10"])
        with gate.open("w"):
            pass
        expect(page.outputs(2)).to_have_text(["b is 200"])
        told(shown)

    assert agent.call("read_run", run_id=run["run_id"])["status"] == "ok"
    assert agent.call("read_cell", cell_id=third["cell_id"])["outputs"] == "b is 200"
