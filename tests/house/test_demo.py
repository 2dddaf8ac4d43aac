"""The demo: it shows what really happens, and fails when something does not."""

import json
import subprocess
import sys

import pytest

from marimo_kernel_bridge.cli import demo
from marimo_kernel_bridge.cli.demo import DemoFailedError, run_demo
from marimo_kernel_bridge.client.page import Page


def test_the_demo_shows_every_step_and_leaves_what_it_made(tmp_path):
    kept = tmp_path / "kept"
    run = subprocess.run(
        [sys.executable, "-m", "marimo_kernel_bridge", "demo", "--keep", str(kept)],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    steps = [line for line in run.stdout.splitlines() if line[:1].isdigit()]
    assert [step.split(".")[0] for step in steps] == ["1", "2", "3", "4", "5"]
    person_before, person_after = run.stdout.split("\n4. ")
    assert "146 Adelie penguins" in person_before
    assert "119 Gentoo penguins" not in person_before
    assert "119 Gentoo penguins" in person_after
    assert "python penguins.py prints:\n      146 Adelie penguins" in person_after
    charts = [(kept / f"chart-{species}.png").read_bytes() for species in ("Adelie", "Gentoo")]
    assert all(chart.startswith(b"\x89PNG") for chart in charts)
    assert charts[0] != charts[1]
    assert "marimo.App(" in (kept / "penguins.py").read_text()


def test_the_demo_fails_when_nothing_reacts(tmp_path, monkeypatch):
    """A kernel that answers to the name, but is ipykernel: the agent's edit cannot happen."""
    folder = tmp_path / "kernels" / "marimo"
    folder.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "only a name", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    said = []
    with pytest.raises(DemoFailedError, match="not_reactive"):
        run_demo(None, said.append)
    assert not any(line.startswith("\n4.") for line in said)


def test_the_demo_fails_when_the_agents_change_does_not_reach_the_person(monkeypatch):
    show = Page.show

    def show_until_idle(page, message):
        requests = {cell.request_id: cell for cell in page.cells.values()}
        cell = requests.get(message["parent_header"].get("msg_id"))
        if cell is not None and not cell.over:
            show(page, message)

    monkeypatch.setattr(Page, "show", show_until_idle)
    monkeypatch.setattr("marimo_kernel_bridge.client.front_end.SHOW_BOUND", 1.0)
    with pytest.raises(DemoFailedError, match="in vain for the dependents' new outputs"):
        run_demo(None, lambda _: None)


def test_the_demo_says_what_to_install_when_pandas_is_missing(monkeypatch):
    monkeypatch.setattr(demo, "find_spec", lambda name: None if name == "pandas" else name)
    with pytest.raises(
        DemoFailedError, match=r"needs pandas\. Run: pip install 'marimo-kernel-bridge\[demo\]'"
    ):
        run_demo(None, print)


def test_the_demo_refuses_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DemoFailedError, match="cannot be copied"):
        run_demo(tmp_path / "file" / "below", print)
