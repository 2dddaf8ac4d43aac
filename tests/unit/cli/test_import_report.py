"""How the report of an import tells the reasons for the changes of cells."""

from __future__ import annotations

from marimo_kernel_bridge.cli.cell_reports import report_lines, told_once
from marimo_kernel_bridge.notebooks.ipynb import CellReport


def report(position: int, *notes: str) -> CellReport:
    return CellReport(position, f"c{position}", "code", "changed", notes)


def test_a_note_on_many_cells_is_told_at_the_first_which_names_the_others() -> None:
    cells = [report(1, "P"), report(3, "P", "Q"), report(4, "P")]
    assert told_once(cells) == [report(1, "P (so in cells 3, 4)"), report(3, "Q")]


def test_a_note_on_two_cells_and_a_cell_without_notes_are_told_as_they_are() -> None:
    cells = [report(1, "P"), report(2), report(3, "P")]
    assert told_once(cells) == cells


def test_each_reason_has_a_line_of_its_own_and_a_single_one_stays_with_its_cell() -> None:
    assert list(report_lines(report(1, "P", "Q"), None)) == ["cell 1 [c1] changed:", "    P", "    Q"]
    assert list(report_lines(report(1, "P"), None)) == ["cell 1 [c1] changed: P"]


def test_long_reasons_are_wrapped_to_the_terminal_and_names_stay_whole() -> None:
    cell = report(23, "marimo cannot open ./01_Step_1-and-further_on.ipynb here", "`u` is `u_1`")
    assert list(report_lines(cell, 30)) == [
        "cell 23 [c23] changed:",
        "    marimo cannot open",
        "        ./01_Step_1-and-further_on.ipynb",
        "        here",
        "    `u` is `u_1`",
    ]
    assert list(report_lines(cell, None))[1] == f"    {cell.notes[0]}"
