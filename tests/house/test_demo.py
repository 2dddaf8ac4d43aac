"""The demo: it shows what actually happens, and fails when something does not."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from marimo_kernel_bridge.cli import demo
from marimo_kernel_bridge.cli.demo import DemoFailedError, run_demo
from marimo_kernel_bridge.client.page import Page

ROOT = Path(__file__).parents[2]
SMALL = {
    "load": "rows = 3",
    "species": 'species = "Adelie"',
    "chosen": "chosen = species * rows\nchosen",
    "summary": "about = f'about {chosen}'\nprint(about)",
    "chart": (
        "from IPython.display import Image\n"
        "chart = Image(bytes.fromhex('89504e470d0a1a0a') + chosen.encode(), format='png')\nchart"
    ),
}
"""The cells of a notebook that is like the example, and needs neither pandas nor matplotlib."""


@pytest.fixture
def _small_example(tmp_path, monkeypatch):
    folder = tmp_path / "small"
    folder.mkdir()
    cells = [nbformat.v4.new_code_cell(source, id=name) for name, source in SMALL.items()]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "penguins.ipynb")
    monkeypatch.setattr(demo, "shipped", lambda _: folder)


def checked_out(folder):
    """Copy what git has, as a checkout elsewhere would have it."""
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.mark.wheel
@pytest.mark.timeout(600)
def test_make_demo_shows_every_step_in_a_checkout_elsewhere_and_leaves_what_it_made(tmp_path):
    kept = tmp_path / "kept"
    run = subprocess.run(
        ["make", "demo", f"PYTHON={sys.executable}", f"ARGS=--keep {kept}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=checked_out(tmp_path / "checkout"),
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Every step was checked" in run.stdout
    assert "Installing with pip" not in run.stderr
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


@pytest.mark.usefixtures("_small_example")
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


@pytest.mark.usefixtures("_small_example")
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
