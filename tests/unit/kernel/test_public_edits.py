"""After an edit, each cell of a page shows what a fresh run would show, or is marked: the kinds of a public suite."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import ChangeCell, EditReport, ExpectedRun
from marimo_kernel_bridge.protocol.notebook import RunReport
from tests.unit.kernel.notebook_in_memory import FrontEnd
from tests.unit.kernel.public_edits import BUILT_IN, FILES, FOREIGN, LIBRARIES
from tests.unit.kernel.random_histories import fresh

EDITS = BUILT_IN | LIBRARIES | FILES


@pytest.fixture
def folder(lab: FrontEnd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory, once the kernel has started in its own."""
    folder = tmp_path / "notebook"
    folder.mkdir()
    (folder / "trips.csv").write_text("tip,fare,miles\n4,2,1\n1,9,3\n")
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "foreign.py").write_text(FOREIGN)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(modules)
    yield folder
    sys.modules.pop("foreign", None)


def as_run_again(cells: dict[str, str], folder: Path) -> dict[str, str]:
    """Return what Restart and Run All would show: a new process, and the files that are there."""
    copy = folder.parent / "copy"
    shutil.copytree(folder, copy)
    loaded = sys.modules.pop("foreign", None)
    shown = fresh(cells, copy)
    shutil.rmtree(copy)
    sys.modules.pop("foreign", None)
    if loaded is not None:
        sys.modules["foreign"] = loaded
    assert shown.keys() == cells.keys(), "a cell fails"
    return shown


def printed(lab: FrontEnd, cell: str) -> str:
    return "".join(o["text"] for o in lab.outputs(cell) if o["output_type"] == "stream").strip()


def wrong(lab: FrontEnd, expected: dict[str, str]) -> dict[str, str]:
    """Return what cells show that show something else than expected, and are not marked."""
    known = lab.cells()
    return {
        cell: printed(lab, cell)
        for cell, text in expected.items()
        if not known[cell].stale and (known[cell].status != "ok" or printed(lab, cell) != text)
    }


def preview(lab: FrontEnd, cell: str, code: str) -> set[str]:
    """Return the cells that would run, as an agent is shown them."""
    known = lab.cells()[cell]
    names = {each.cell_id: name for name, each in lab.cells().items()}
    if known.code == code:
        expected = wire.decode_reply(lab.ask(wire.PreviewRun(cell_ids=[known.cell_id])), list[ExpectedRun])
    else:
        change = ChangeCell(cell_id=known.cell_id, version=known.version, code=code)
        request = wire.EditCells(changes=[change], client="an agent", dry_run=True)
        expected = list(wire.decode_reply(lab.ask(request, "shell"), EditReport).would_run)
    return {names[each.cell_id] for each in expected}


def ran(lab: FrontEnd) -> set[str]:
    """Return the cells that ran with the last request for a cell."""
    reports = wire.decode_reply(lab.ask(wire.ReadHistory(limit=5)), list[RunReport])
    newest = max((report for report in reports if report.requested), key=lambda report: report.started_at)
    return {str(run.notebook_cell_id) for run in newest.cells}


@pytest.mark.parametrize(("notebook", "edit"), EDITS.values(), ids=EDITS)
def test_after_an_edit_each_cell_is_right_or_marked(
    lab: FrontEnd, folder: Path, notebook: str, edit: str
) -> None:
    original = {str(number): code for number, code in enumerate(notebook.split(" / "))}
    cell, _, code = edit.partition(": ")
    edited = {**original, cell: code}
    expected = as_run_again(original, folder)
    for name, text in original.items():
        assert lab.run(name, text).ok
    lab.sync()
    assert wrong(lab, expected) == {}
    for again, cells in (
        (False, edited),
        (True, edited),
        (False, original),
    ):  # the edit, the cell again, and back
        expected = as_run_again(cells, folder)
        previewed = preview(lab, cell, cells[cell])
        lab.run(cell, cells[cell])
        lab.sync()
        assert wrong(lab, expected) == {}
        # A cell that acts outside runs only if what it reads has changed, which nobody knows before.
        assert previewed == ran(lab) or (again and previewed > ran(lab))
