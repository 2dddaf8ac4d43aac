"""What happens to the window and the file of a notebook in VS Code, and the person's other choices there. Run by `make vscode`."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]  # it has no types
import pytest
from jupyter_client import BlockingKernelClient

from tests.vscode.agent import Agent
from tests.vscode.editor import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.vscode.conftest import Opened
    from tests.vscode.editor import CodeServer, Window


@pytest.fixture
def outlives() -> Iterator[Callable[[Path], None]]:
    """Have the kernel of a notebook outlive its window, as one on a Jupyter server does; until the test ends."""
    kept: list[Path] = []

    def keep(notebook: Path) -> None:
        kept.append(notebook.with_name(f"{notebook.name}.kept"))
        kept[-1].touch()

    yield keep
    for one in kept:
        if file := one.read_text():
            client = BlockingKernelClient(connection_file=file)
            client.load_connection_file()
            client.start_channels()
            client.shutdown(reply=True, timeout=20)
            client.stop_channels()


def proposed(window: Window) -> list[str]:
    return [mark for mark in window.marks() if mark.startswith("claude: ")]


def test_after_a_reload_proposals_are_there_again_and_sync_runs_what_differs(
    opened: Callable[..., Opened], server: CodeServer, outlives: Callable[[Path], None]
) -> None:
    window, agent = opened("a = 1", "a + 1", "c = 3", prepare=outlives)
    proposal = agent.edit(agent.change("a = 1", "a = 5"), propose=True)
    window.until(lambda w: len(proposed(w)) == 1, "the proposal")
    server.reload(window)
    window.ask("run", str(window.path), 2)
    window.until(lambda w: len(proposed(w)) == 1, "the proposal again")
    window.edit(1)
    window.page.keyboard.type("0")
    window.until(lambda w: any("differs from what ran" in mark for mark in w.marks()), "the mark")
    window.palette("Run what differs from what ran (sync)")
    window.until(lambda w: w.outputs[1] == "11", "what differed has run")
    window.palette("Accept all changes of agents")
    window.until(lambda w: w.codes[0] == "a = 5" and w.outputs[1] == "15", "accepted, and it ran")
    assert [one.decision for one in agent.proposal(proposal.op_id or "").decisions] == ["accepted"]


def test_a_renamed_notebook_is_attached_under_its_new_name_when_it_runs(
    opened: Callable[..., Opened], server: CodeServer
) -> None:
    window, _ = opened("a = 1", "a + 1")
    window.ask("save", str(window.path))
    after = window.path.with_name("renamed.ipynb")
    assert window.ask("rename", str(window.path), str(after))
    window.path = after
    window.until(lambda w: w.state(), "the notebook is open again")
    known = server.kernel_files()
    window.ask("run", str(after))
    (kernel,) = set(server.kernel_files()) - set(known)
    agent = Agent(kernel)
    wait_for(lambda: (active := agent.read().active) and active.path == str(after), "it is attached")
    agent.edit(agent.change("a = 1", "a = 3"))
    window.until(lambda w: w.outputs[1] == "4", "the dependent's output")
    agent.close()


def test_two_windows_with_a_kernel_each_show_what_their_own_agents_do(
    opened: Callable[..., Opened], server: CodeServer, browser: Browser
) -> None:
    window, agent = opened("a = 1", "a + 1")
    other = server.open(browser, window.path)
    others = Agent(server.kernel_files()[-1], "codex")
    wait_for(lambda: others.read().active, "the other window attaches to its kernel")
    others.edit(others.change("a = 1", "a = 7"))
    other.until(lambda w: w.outputs[1] == "8", "the change in the other window")
    agent.edit(agent.change("a = 1", "a = 2"))
    window.until(lambda w: w.outputs[1] == "3", "the change in this one")
    assert (window.codes[0], other.codes[0]) == ("a = 2", "a = 7")
    others.close()
    other.page.close()


def test_a_read_only_notebook_is_not_changed(opened: Callable[..., Opened], server: CodeServer) -> None:
    window, agent = opened("a = 1", "a + 1", prepare=server.read_only)
    edit = agent.edit(agent.change("a = 1", "a = 2"))
    assert (edit.outcome, window.codes[0]) == ("refused", "a = 1")
    assert "read-only" in edit.message


def test_the_chosen_environment_is_kept_in_the_notebook(opened: Callable[..., Opened]) -> None:
    def with_environment(path: Path) -> None:
        python = path.parent / ".venv/bin/python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)

    window, _ = opened("a = 1", prepare=with_environment)
    window.palette("Select the Python environment of this notebook's kernel")
    window.page.locator(".quick-input-list .monaco-list-row", has_text="/.venv").first.click()
    window.until(lambda w: "marimo_kernel_bridge" in str(w.state()["metadata"]), "the choice")
    metadata = window.state()["metadata"]["metadata"]
    assert metadata["marimo_kernel_bridge"] == {"environment": ".venv"}
    assert metadata["kernelspec"]["display_name"] == f"marimo ({window.path.parent.name}/.venv)"
    assert window.state()["dirty"]


def test_the_mcp_server_is_listed_and_starts(opened: Callable[..., Opened]) -> None:
    def starts() -> bool:
        with suppress(psutil.Error):
            return any("--allow propose" in " ".join(one.cmdline()) for one in psutil.process_iter())
        return False

    window, _ = opened("a = 1")
    window.palette("MCP: List Servers")
    rows = window.page.locator(".quick-input-list .monaco-list-row")
    rows.filter(has_text="marimo kernel bridge").click()
    rows.filter(has_text="Start Server").click()
    wait_for(starts, "the server runs")
