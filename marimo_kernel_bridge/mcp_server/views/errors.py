"""The problems in a notebook: cell, line, cause and hint. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.mcp_server.answers.notebook import Problem
from marimo_kernel_bridge.protocol.lines import line_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marimo_kernel_bridge.protocol.environment import MissingImport
    from marimo_kernel_bridge.protocol.notebook import Cell, CellError

_KINDS: Final = {
    "MultipleDefinitionError": "multiple_definition",
    "CycleError": "cycle",
    "SyntaxError": "syntax",
    "IndentationError": "syntax",
}
_RAISED: Final = "Traceback (most recent call last)"
"""In the tracebacks of exceptions at run time, but not of compilation errors."""

_OWN_FRAME: Final = re.compile(
    r"Cell In\[[\d ]*\], line (\d{1,7})|^\s*Cell .{0,200}line (\d{1,7})|line (\d{1,7})"
)
_MOST_FRAMES: Final = 100
_LONGEST_FRAME: Final = 10_000
"""Characters; a frame of IPython has ten lines of code."""
_MODULE: Final = re.compile(r"No module named '([\w.]+)'")
_NAME: Final = re.compile(r"name '(\w+)' is not defined")


def problems(cells: Sequence[Cell], missing: Iterable[MissingImport] = ()) -> list[Problem]:
    """Return the problems of all cells, in order.

    Cells that were cancelled because another cell failed, and superseded cells, are not problems.
    """
    packages = {import_.module: import_.package for import_ in missing}
    return [_problem(cell, cells, packages) for cell in cells if cell.status in _TROUBLED]


_INTERRUPTED: Final = "If it would not have ended by itself, change it first; else run it again."
_TROUBLED: Final = {"error", "refused", "interrupted"}


def _problem(cell: Cell, cells: Sequence[Cell], packages: Mapping[str, str]) -> Problem:
    blocks = tuple(sorted(_cancelled_below(cell, cells)))
    if cell.status == "interrupted":
        text = "It was interrupted, or its run was interrupted before it started."
        return Problem(cell.cell_id, "interrupted", text, hint=_INTERRUPTED, blocks=blocks)
    error = cell.error
    if error is None:
        return Problem(cell.cell_id, "runtime", "It failed; the cause is not known.", blocks=blocks)
    refused = cell.status == "refused" or not any(_RAISED in text for text in error.traceback)
    kind = _KINDS.get(error.ename, "runtime") if refused else "runtime"
    hint = _hint(error, kind, cells)
    if module := _MODULE.search(error.evalue):
        kind, hint = "missing_package", _about_module(module[1], packages)
    message = f"{error.ename}: {error.evalue}".rstrip(": ")
    line = line_of(error)
    code = "" if line is None else line_at(cell.code, line).strip()
    return Problem(cell.cell_id, kind, message, line, code, hint, blocks)


def line_of(error: CellError) -> int | None:
    """Return the line of the cell's code in which it failed: that of the last frame in a cell."""
    line: int | None = None
    for text in error.traceback[-_MOST_FRAMES:]:
        for match in _OWN_FRAME.finditer(text[-_LONGEST_FRAME:]):
            if match.group(1) or match.group(2) or "<ipython" in text:
                line = int(next(filter(None, match.groups())))
    if line is None and error.ename in {"SyntaxError", "IndentationError"}:
        reported = re.search(r"line (\d{1,7})", error.evalue)
        line = int(reported[1]) if reported else None
    return line


def _hint(error: CellError, kind: str, cells: Iterable[Cell]) -> str:
    if kind == "multiple_definition":
        return "Rename it in one cell, prefix it with _ to keep it local, or merge the cells."
    if kind == "cycle":
        return "Merge these cells, or move the code that they share into a separate cell."
    if name := _NAME.search(error.evalue):
        return _about_name(name[1], cells)
    if error.ename == "StdinNotImplementedError":
        return "No one can enter input here: put the value into the code."
    return ""


def _about_module(module: str, packages: Mapping[str, str]) -> str:
    top = module.partition(".")[0]
    if top in packages:
        call = f"With the person's consent: install_packages({[packages[top]]})."
        if packages[top] != top.replace("_", "-"):
            return f"Not in the kernel's environment. {call}"
        return f"Not in the kernel's environment. The name of the package is a guess: check it first. {call}"
    if top != module:
        return f"`{top}` is installed, but has no `{module}`: another version may have it."
    return "It is installed now: run the cell again."


def _about_name(name: str, cells: Iterable[Cell]) -> str:
    definer = next((cell for cell in cells if name in cell.defines), None)
    if definer is None:
        return f"No cell that the kernel knows defines `{name}`: it has not run yet, was deleted, or the name is wrong."
    return f"Cell {definer.cell_id} defines `{name}`, but is {definer.status}: run or fix that one."


def _cancelled_below(cell: Cell, cells: Sequence[Cell]) -> set[str]:
    by_id = {other.cell_id: other for other in cells}
    waiting, cancelled = list(cell.downstream), set()
    while waiting:
        below = by_id.get(waiting.pop())
        if below is not None and below.cell_id not in cancelled and below.status == "cancelled":
            cancelled.add(below.cell_id)
            waiting.extend(below.downstream)
    return cancelled
