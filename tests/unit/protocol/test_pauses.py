"""Pauses of agents as files: they hold for whoever looks, until the person ends them."""

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.kernel.notebook.agents import Agents
from marimo_kernel_bridge.protocol import pauses


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def kernel_of(*names: str) -> Agents:
    return Agents(lambda: names)


def test_a_pause_holds_in_the_kernel_that_follows_and_is_ended_in_any() -> None:
    kernel_of("/notes/a.ipynb", "id-1").paused = True
    assert kernel_of("/notes/a.ipynb", "id-2").paused
    assert not kernel_of("/notes/b.ipynb", "id-1").paused
    kernel_of("/notes/a.ipynb", "id-3").paused = False
    assert not kernel_of("/notes/a.ipynb", "id-1").paused


def test_the_pause_of_a_kernel_without_a_notebook_ends_with_the_kernel() -> None:
    kernel_of("id-1").paused = True
    restarted = kernel_of("id-1")
    assert restarted.paused
    restarted.kernel_ends("id-1")
    assert pauses.pauses() == []


def test_a_pause_that_cannot_be_kept_holds_in_its_kernel(data: Path) -> None:
    data.write_text("no folder")
    agents = kernel_of("id-1")
    agents.paused = True
    assert agents.paused


def test_only_the_person_can_read_the_names(data: Path) -> None:
    pauses.pause("/notes/a.ipynb")
    (file,) = (data / "marimo_kernel_bridge" / "paused").iterdir()
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)


def test_agents_are_paused_everywhere_and_in_a_notebook_on_the_command_line(tmp_path: Path) -> None:
    def said(*arguments: str) -> str:
        return CliRunner().invoke(main, ["agents", *arguments], catch_exceptions=False).output

    notebook = tmp_path / "a.ipynb"
    assert said() == "Agents are paused nowhere.\n"
    assert said("pause") == "Agents are paused: everything\n"
    assert kernel_of("/any.ipynb").paused
    assert kernel_of().paused
    assert said("pause", str(notebook)) == f"Agents are paused: {notebook}\nAgents are paused: everything\n"
    assert said("resume") == f"Agents are paused: {notebook}\n"
    assert kernel_of(str(notebook)).paused
    assert said("resume", str(notebook)) == "Agents are paused nowhere.\n"
    assert said("resume") == "Agents are not paused: everything\nAgents are paused nowhere.\n"
