"""IPython's memory of outputs, `_` and `Out[3]`, as names: the cell whose value is meant gets to bind it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from marimo_kernel_bridge.importing.magics import hides_its_value
from marimo_kernel_bridge.reactive_names.occurrences import CellNames, read_cell


@dataclass
class Named:
    """The cells' codes, and notes on each."""

    codes: list[str]
    notes: list[list[str]]


def named(codes: list[str]) -> Named:
    """Give names to the values that other cells read as `_`, `__`, `_3` or `Out[3]`.

    Execution counts are those of a run from top to bottom: cells that are not empty count.
    """
    result = Named(list(codes), [[] for _ in codes])
    if not any(re.search(r"\bOut\b|(?<!\w)_(?:__?|\d+)?(?!\w)", code) for code in codes):
        return result
    cells = [read_cell(code) for code in codes]
    bound = {each.name for cell in cells for each in cell.occurrences if each.act == "store"}
    counts: dict[int, int] = {}
    for index, code in enumerate(codes):
        if code.strip():
            counts[len(counts) + 1] = index
    by_index = {index: count for count, index in counts.items()}
    shows = [bool(code.strip()) and _shows(code) for code in codes]
    edits: dict[int, list[tuple[int, int, str]]] = {}
    meant: set[int] = set()
    for index, cell in enumerate(cells):
        for start, end, source in _reads(cell, index, bound, counts, codes, shows):
            meant.add(source)
            edits.setdefault(index, []).append((start, end, f"out_{by_index[source]}"))
            result.notes[index].append(f"`{codes[index][start:end]}` is read as `out_{by_index[source]}`")
    for index, changes in edits.items():
        for start, end, text in sorted(changes, reverse=True):
            code = result.codes[index]
            result.codes[index] = f"{code[:start]}{text}{code[end:]}"
    for index in meant:
        name = f"out_{by_index[index]}"
        result.codes[index] = _binding(result.codes[index], name)
        result.notes[index].append(f"its value is called `{name}`: another cell reads it")
    return result


def _reads(  # noqa: PLR0917  # six facts
    cell: CellNames,
    index: int,
    bound: set[str],
    counts: dict[int, int],
    codes: list[str],
    shows: list[bool],
) -> list[tuple[int, int, int]]:
    """Return the places that read a value of another cell, and which cell that is."""
    found = []
    above = [other for other in range(index) if shows[other]]
    for each in cell.occurrences:
        if each.act != "load" or each.name in bound or each.form != "name":
            continue
        if re.fullmatch(r"_{1,3}", each.name) and len(above) >= len(each.name):
            found.append((each.start, each.end, above[-len(each.name)]))
        elif (number := re.fullmatch(r"_(\d+)", each.name)) and counts.get(int(number[1]), index) < index:
            found.append((each.start, each.end, counts[int(number[1])]))
        elif each.name == "Out":
            subscript = re.compile(r"Out\[\s*(\d+)\s*\]").match(codes[index], each.start)
            if subscript and counts.get(int(subscript[1]), index) < index:
                found.append((each.start, subscript.end(), counts[int(subscript[1])]))
    return [each for each in found if shows[each[2]]]


def _last(code: str) -> ast.Expr | None:
    tree = read_cell(code).tree
    last = tree.body[-1] if tree.body else None
    return last if isinstance(last, ast.Expr) else None


def _shows(code: str) -> bool:
    return _last(code) is not None and not hides_its_value(code)


def _binding(code: str, name: str) -> str:
    last = _last(code)
    assert last is not None
    lines = code.split("\n")
    assert last.end_lineno is not None
    assert last.end_col_offset is not None
    line = lines[last.end_lineno - 1].encode()
    lines[last.end_lineno - 1] = (
        f"{line[: last.end_col_offset].decode()}){line[last.end_col_offset :].decode()}"
    )
    line = lines[last.lineno - 1].encode()
    lines[last.lineno - 1] = (
        f"{line[: last.col_offset].decode()}({name} := {line[last.col_offset :].decode()}"
    )
    return "\n".join(lines)
