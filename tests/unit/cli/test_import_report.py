"""What the report of an import tells once instead of at each cell."""

from __future__ import annotations

from marimo_kernel_bridge.cli.import_command import told_once
from marimo_kernel_bridge.notebooks.ipynb import CellReport


def report(position: int, *notes: str) -> CellReport:
    return CellReport(position, f"c{position}", "code", "changed", notes)


def test_a_note_on_many_cells_is_told_at_the_first_which_names_the_others() -> None:
    cells = [report(1, "P"), report(3, "P", "Q"), report(4, "P")]
    assert told_once(cells) == [report(1, "P (so in cells 3, 4)"), report(3, "Q")]


def test_a_note_on_two_cells_and_a_cell_without_notes_are_told_as_they_are() -> None:
    cells = [report(1, "P"), report(2), report(3, "P")]
    assert told_once(cells) == cells
