"""The demo shows each step, and fails when something does not happen. `make demo` is in test_wheel.py."""

import json
import sys

import nbformat
import pytest

from marimo_kernel_bridge.cli import demo
from marimo_kernel_bridge.cli.demo import DemoFailedError, run_demo
from marimo_kernel_bridge.client.page import Page

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


@pytest.mark.usefixtures("_small_example")
def test_the_demo_shows_every_step_and_leaves_what_it_made(tmp_path):
    said = []
    run_demo(tmp_path / "kept", said.append)
    told = "\n".join(said)
    assert "Every step was checked" in told
    assert [line.split(".")[0] for line in told.splitlines() if line[:1].isdigit()] == [
        "1",
        "2",
        "3",
        "4",
        "5",
    ]
    person_before, person_after = told.split("\n4. ")
    assert "about AdelieAdelieAdelie" in person_before
    assert "Gentoo" not in person_before.split("edit_cells")[0]
    assert "about GentooGentooGentoo" in person_after
    assert "python penguins.py prints:\n      about AdelieAdelieAdelie" in person_after
    charts = [(tmp_path / f"kept/chart-{species}.png").read_bytes() for species in ("Adelie", "Gentoo")]
    assert charts[0] != charts[1]
    assert "marimo.App(" in (tmp_path / "kept/penguins.py").read_text()


@pytest.mark.usefixtures("_small_example")
@pytest.mark.long  # the first test has each step of the demo
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
@pytest.mark.long  # as before
def test_the_demo_fails_when_the_agents_change_does_not_reach_the_person(monkeypatch):
    show = Page.show

    def show_until_idle(page, message):
        requests = {cell.request_id: cell for cell in page.cells.values()}
        cell = requests.get(message["parent_header"].get("msg_id"))
        if cell is not None and not cell.over:
            show(page, message)

    monkeypatch.setattr(Page, "show", show_until_idle)
    monkeypatch.setattr("marimo_kernel_bridge.client.front_end.SHOW_BOUND", 1.0)
    with pytest.raises(DemoFailedError, match="waiting for the dependents' new outputs"):
        run_demo(None, lambda _: None)


def test_the_demo_says_what_to_install_when_pandas_is_missing(monkeypatch):
    monkeypatch.setattr(demo, "find_spec", lambda name: None if name == "pandas" else name)
    with pytest.raises(
        DemoFailedError, match=r"needs pandas\. Run: pip install 'marimo-kernel-bridge\[demo\]'"
    ):
        run_demo(None, print)


def test_the_demo_overwrites_nothing(tmp_path):
    own = tmp_path / "penguins.ipynb"
    own.write_text("mine")
    with pytest.raises(DemoFailedError, match="is not empty"):
        run_demo(tmp_path, print)
    assert [own] == list(tmp_path.iterdir())
    assert own.read_text() == "mine"


def test_the_demo_refuses_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DemoFailedError, match="cannot be copied"):
        run_demo(tmp_path / "file" / "below", print)
