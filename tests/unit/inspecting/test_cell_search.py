"""Finding text in code and outputs."""

from __future__ import annotations

from typing import Any

import pytest

from marimo_kernel_bridge.inspecting import cell_search
from marimo_kernel_bridge.inspecting.cell_search import search
from marimo_kernel_bridge.protocol.notebook import CellWithOutputs
from tests.unit.made_cells import made_cell


def cell(cell_id: str, code: str, *outputs: dict[str, Any]) -> CellWithOutputs:
    return CellWithOutputs(made_cell(cell_id, code), outputs)


def printed(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


FAILED = {"output_type": "error", "traceback": ["\x1b[31mZeroDivisionError\x1b[0m: division by zero"]}
SHOWN = {"output_type": "execute_result", "data": {"text/plain": "a table", "text/html": "<table>"}}


def test_lines_of_code_and_outputs_are_found_whatever_the_case() -> None:
    cells = [
        cell("aaaa", "needle = 1\nprint('a NEEDLE here')", printed("a NEEDLE here\n")),
        cell("bbbb", "1"),
    ]
    matches = search(cells, "Needle", 10)
    assert [(match.cell_id, match.where, match.line) for match in matches.found] == [
        ("aaaa", "code", 1),
        ("aaaa", "code", 2),
        ("aaaa", "output", 1),
    ]
    assert (matches.total, matches.unread) == (3, ())


@pytest.mark.parametrize("character", ["\x0c", "\x1d", "\x85", "\u2029"])
def test_a_match_has_the_line_that_the_cell_and_its_output_have(character: str) -> None:
    cells = [cell("aaaa", f"text = 'a{character}b'\nneedle = 1", printed(f"a{character}b\nneedle\n"))]
    assert [(match.where, match.line) for match in search(cells, "needle", 10).found] == [
        ("code", 2),
        ("output", 2),
    ]


def test_errors_and_plain_text_of_results_are_searched_without_colors() -> None:
    cells = [cell("aaaa", "1 / 0", FAILED), cell("bbbb", "t", SHOWN)]
    assert [match.text for match in search(cells, "ZeroDivisionError: d", 10).found] == [
        "ZeroDivisionError: division by zero"
    ]
    assert [match.cell_id for match in search(cells, "table", 10).found] == ["bbbb"]
    assert search(cells, "<table>", 10).total == 0


def test_the_first_matches_come_with_how_many_there_are() -> None:
    matches = search([cell("aaaa", "x\n" * 5)], "x", 2)
    assert (len(matches.found), matches.total) == (2, 5)


def test_a_match_in_a_long_line_shows_what_is_around_it() -> None:
    (match,) = search([cell("aaaa", "a" * 500 + " needle " + "b" * 500)], "needle", 1).found
    assert match.text.startswith("…a")
    assert match.text.endswith("b…")
    assert " needle " in match.text
    assert len(match.text) < 250


def test_a_cell_with_too_much_output_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_search, "MOST_SEARCHED", 10)
    matches = search([cell("aaaa", "", printed("y" * 11)), cell("bbbb", "", printed("y" * 10))], "y", 5)
    assert matches.unread == ("aaaa",)
