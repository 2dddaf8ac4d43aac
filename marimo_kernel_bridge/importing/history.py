"""IPython's output history, `_` and `Out[3]`, as names that the cells with these values bind.

IPython does not store None: `_` after `print("hi")` is the value before. Where static analysis cannot tell whether a
value is None, the code that replaces `_` tests it.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Final

from marimo_kernel_bridge.analysis.name_uses import CellNames, read_cell
from marimo_kernel_bridge.importing.known_values import Value, containers_in, value_of
from marimo_kernel_bridge.importing.python_text import hides_its_value

_ORDINAL: Final = {1: "first", 2: "second", 3: "third"}


@dataclass(frozen=True)
class _Read:
    """A place that reads the output of one other cell, or of the `which`-th of several whose output is not None."""

    start: int
    end: int
    sources: tuple[int, ...]
    which: int = 1

    def text(self, names: list[str]) -> str:
        if len(names) == 1:
            return names[0]
        if self.which > 1:
            return f"[out for out in ({', '.join(names)}) if out is not None][{self.which - 1}]"
        tests = "".join(f"{name} if {name} is not None else " for name in names[:-1])
        return f"({tests}{names[-1]})"


@dataclass
class Named:
    """The code of each cell, and the notes on it."""

    codes: list[str]
    notes: list[list[str]]


def named(codes: list[str]) -> Named:
    """Give names to the values that other cells read as `_`, `__`, `_3` or `Out[3]`.

    Execution counts are those of a run from top to bottom, which counts the cells that are not empty.
    """
    result = Named(list(codes), [[] for _ in codes])
    if not any(re.search(r"\bOut\b|(?<!\w)_(?:__?|\d+)?(?!\w)", code) for code in codes):
        return result
    cells = [read_cell(code) for code in codes]
    bound = {use.name for cell in cells for use in cell.occurrences if use.act == "store"}
    counts: dict[int, int] = {}
    for index, code in enumerate(codes):
        if code.strip():
            counts[len(counts) + 1] = index
    by_index = {index: count for count, index in counts.items()}
    ends = [_value(cell, code, bound) for cell, code in zip(cells, codes, strict=True)]
    edits: dict[int, list[tuple[int, int, str]]] = {}
    sources: set[int] = set()
    for index, cell in enumerate(cells):
        for read in _reads(cell, index, bound, counts, codes, ends):
            sources.update(read.sources)
            names = [f"out_{by_index[source]}" for source in read.sources]
            edits.setdefault(index, []).append((read.start, read.end, read.text(names)))
            means = f"`{names[0]}`"
            if len(names) > 1:
                means = f"the {_ORDINAL[read.which]} of {', '.join(f'`{name}`' for name in names)} that is not None"
            result.notes[index].append(f"`{codes[index][read.start : read.end]}` is read as {means}")
    for index, changes in edits.items():
        for start, end, text in sorted(changes, reverse=True):
            code = result.codes[index]
            result.codes[index] = f"{code[:start]}{text}{code[end:]}"
    for index in sources:
        name = f"out_{by_index[index]}"
        result.codes[index] = _binding(result.codes[index], name)
        result.notes[index].append(f"its value is called `{name}`: another cell reads it")
    return result


def _reads(  # noqa: PLR0917  # six independent inputs
    cell: CellNames,
    index: int,
    bound: set[str],
    counts: dict[int, int],
    codes: list[str],
    ends: list[Value | None],
) -> list[_Read]:
    """Return the places that read the value of another cell, each with the cells that it may be."""
    reads = []
    above = [other for other in reversed(range(index)) if ends[other] not in {None, "none"}]
    for use in cell.occurrences:
        if use.act != "load" or use.name in bound or use.form != "name":
            continue
        if re.fullmatch(r"_{1,3}", use.name) and len(above) >= (which := len(use.name)):
            reads.append(_recalled(use.start, use.end, above, which, ends))
        elif (number := re.fullmatch(r"_(\d+)", use.name)) and counts.get(int(number[1]), index) < index:
            reads.append(_Read(use.start, use.end, (counts[int(number[1])],)))
        elif use.name == "Out":
            subscript = re.compile(r"Out\[\s*(\d+)\s*\]").match(codes[index], use.start)
            if subscript and counts.get(int(subscript[1]), index) < index:
                reads.append(_Read(use.start, subscript.end(), (counts[int(subscript[1])],)))
    return [read for read in reads if all(ends[source] is not None for source in read.sources)]


def _recalled(start: int, end: int, above: list[int], which: int, ends: list[Value | None]) -> _Read:
    """Return the read of `_` (`which` is 1), `__` or `___`: the nearest cells before it, up to one that is certain."""
    sure = [number for number, other in enumerate(above) if ends[other] == "some"]
    if sure[:which] == list(range(which)):
        return _Read(start, end, (above[which - 1],))
    needed = sure[which - 1] + 1 if len(sure) >= which else len(above)
    return _Read(start, end, tuple(above[:needed]), which)


def _last(code: str) -> ast.Expr | None:
    tree = read_cell(code).tree
    last = tree.body[-1] if tree.body else None
    return last if isinstance(last, ast.Expr) else None


def _value(cell: CellNames, code: str, bound: set[str]) -> Value | None:
    """Classify the value that a cell shows; None if it shows nothing, as after an assignment or a semicolon."""
    last = _last(code) if code.strip() else None
    if last is None or hides_its_value(code):
        return None
    value = last.value
    if isinstance(value, ast.Name):  # `%time f()` is written as `_value = f()`, ..., `_value`
        stores = [use for use in cell.occurrences if use.name == value.id and use.act == "store"]
        assigned = [
            node.value
            for node in (cell.tree.body if cell.tree is not None else [])
            if isinstance(node, ast.Assign)
            and [target.id for target in node.targets if isinstance(target, ast.Name)] == [value.id]
        ]
        if len(stores) == len(assigned) == 1:
            value = assigned[0]
    return value_of(value, containers_in(code), bound)


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
