"""What is wrong in a notebook, as data: which cell, which line, why, what to do. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marimo_kernel_bridge.notebook import Cell, CellError

_KINDS: Final = {
    "MultipleDefinitionError": "multiple_definition",
    "CycleError": "cycle",
    "SyntaxError": "syntax",
    "IndentationError": "syntax",
}
_OWN_FRAME: Final = re.compile(r"Cell In\[\d*\], line (\d+)|^\s*Cell .*line (\d+)|line (\d+)")
_MODULE: Final = re.compile(r"No module named '([\w.]+)'")
_NAME: Final = re.compile(r"name '(\w+)' is not defined")

# Where the name to import is not the name to install.
_PACKAGES: Final = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dotenv": "python-dotenv",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "yaml": "pyyaml",
}


@dataclass(frozen=True)
class Problem:
    """What is wrong with a cell. `kind` is runtime, multiple_definition, cycle, syntax, interrupted or superseded.

    `line` counts in the cell's code, None where nobody can tell. `blocks` are cells that did not run because of it.
    """

    cell_id: str
    kind: str
    message: str
    line: int | None = None
    hint: str = ""
    blocks: tuple[str, ...] = ()


def problems(cells: Sequence[Cell]) -> list[Problem]:
    """Return the problems of all cells, in their order. A cell that only waits for another one is no problem itself."""
    return [_problem(cell, cells) for cell in cells if cell.status in _TROUBLED]


_TROUBLED: Final = {"error", "refused", "interrupted", "superseded"}


def _problem(cell: Cell, cells: Sequence[Cell]) -> Problem:
    blocks = tuple(sorted(_cancelled_below(cell, cells)))
    if cell.status == "superseded":
        text = "Another cell took over a name that this one defines: it is out of the graph."
        return Problem(cell.cell_id, "superseded", text, hint="Run it to take the name back, or delete it.")
    if cell.status == "interrupted":
        text = "It was interrupted, or was to run when a run was."
        return Problem(cell.cell_id, "interrupted", text, hint="Run it again.", blocks=blocks)
    error = cell.error
    if error is None:
        return Problem(cell.cell_id, "runtime", "It failed, and nothing more is known.", blocks=blocks)
    kind = _KINDS.get(error.ename, "runtime") if cell.status == "refused" else "runtime"
    message = f"{error.ename}: {error.evalue}".rstrip(": ")
    return Problem(cell.cell_id, kind, message, line_of(error), _hint(error, kind, cells), blocks)


def line_of(error: CellError) -> int | None:
    """Return the line of the cell's own code in which it failed: the last frame that is a cell."""
    found: int | None = None
    for text in error.traceback:
        for match in _OWN_FRAME.finditer(text):
            if match.group(1) or match.group(2) or "<ipython" in text:
                found = int(next(filter(None, match.groups())))
    if found is None and error.ename in {"SyntaxError", "IndentationError"}:
        told = re.search(r"line (\d+)", error.evalue)
        found = int(told[1]) if told else None
    return found


def _hint(error: CellError, kind: str, cells: Iterable[Cell]) -> str:
    if kind == "multiple_definition":
        return "Rename it in one cell, prefix it with _ to keep it local, or merge the cells."
    if kind == "cycle":
        return "Merge these cells, or move what they share into one of its own."
    if module := _MODULE.search(error.evalue):
        package = _PACKAGES.get(module[1].partition(".")[0], module[1].partition(".")[0])
        return f"Not installed in the kernel's environment. With the person's consent: %pip install {package}"
    if name := _NAME.search(error.evalue):
        return _about_name(name[1], cells)
    if error.ename == "StdinNotImplementedError":
        return "Nobody can type here: put the value into the code."
    return ""


def _about_name(name: str, cells: Iterable[Cell]) -> str:
    definer = next((cell for cell in cells if name in cell.defines), None)
    if definer is None:
        return f"No cell that the kernel knows defines `{name}`: it has not run yet, was deleted, or the name is wrong."
    return f"Cell {definer.cell_id} defines `{name}`, but is {definer.status}: run or mend that one."


def _cancelled_below(cell: Cell, cells: Sequence[Cell]) -> set[str]:
    known = {one.cell_id: one for one in cells}
    waiting, found = list(cell.downstream), set()
    while waiting:
        below = known.get(waiting.pop())
        if below is not None and below.cell_id not in found and below.status == "cancelled":
            found.add(below.cell_id)
            waiting.extend(below.downstream)
    return found
