"""Answers about cells: the outline of a notebook, and one cell with its outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from marimo_kernel_bridge.mcp_server.answers.bounds import PAGED
from marimo_kernel_bridge.mcp_server.answers.durations import took
from marimo_kernel_bridge.mcp_server.answers.origin import Origin  # noqa: TC001  # pydantic looks at it
from marimo_kernel_bridge.mcp_server.answers.tables import NAMES, count_of
from marimo_kernel_bridge.mcp_server.answers.view import one_line, whole_line

SYNC: Final = {
    "changed": "changed since it ran",
    "never_run": "never ran",
    "file_differs": "the file has another text",
    "not_saved": "not in the saved file",
    "kernel_only": "in the kernel only: the person does not see its code",
}
"""How a cell differs between the person's notebook and the kernel."""


@dataclass(frozen=True)
class CellLine:
    """A cell in a list, without what is so for most: a cell of code that ran to its end, by the person, in less than a second.

    `code` is its first line; `uses` leaves out names that a cell with imports alone defines. `edited_by` and `run_by` are
    agents. `type` is code, markdown or raw. `sync` is set where notebook and kernel differ: changed (since it ran), never_run,
    file_differs, not_saved, or kernel_only (the person does not see its code).
    `not_watched` are names of objects that are too large to see whether the cell changes them.
    """

    cell_id: str
    version: int
    code: str
    status: str = "ok"
    stale: bool = False
    lines: int = 1
    defines: tuple[str, ...] = field(default=(), metadata=NAMES)
    uses: tuple[str, ...] = field(default=(), metadata=NAMES)
    edited_by: str | None = None
    run_by: str | None = None
    error: str | None = None
    seconds: float | None = None
    not_watched: tuple[str, ...] = field(default=(), metadata=NAMES)
    type: str = "code"
    sync: str | None = None


@dataclass(frozen=True)
class CellList:
    """Cells `offset` to `offset + len(cells)` of `total`, in the order of what `origin` says."""

    cells: tuple[CellLine, ...]
    total: int = field(metadata=count_of("cells"))
    origin: Origin
    offset: int = 0
    note: str = ""

    def text(self) -> str:
        head = [self.note] if self.note else []
        head.append(self.origin.line())
        if not self.total:
            return "\n".join([*head, "No cells yet."])
        end = self.offset + len(self.cells)
        part = f"Cells {self.offset + 1} to {end} of {self.total}:" if self.cells else f"{self.total} cells."
        head += [part] if len(self.cells) < self.total else []
        more = [f"list_cells(offset={end}) gives the next."] if end < self.total and self.cells else []
        return "\n".join([*head, *map(_cell_line, self.cells), *more])


@dataclass(frozen=True)
class CellView:
    """A cell with its code and outputs. `upstream` and `downstream` are ids of cells one edge away.

    `not_watched` are names of objects that are too large to see whether the cell changes them: what the code does not show
    of such changes runs no other cell.
    `full` is the resource with all outputs, if these are incomplete or images were scaled. `edited_by` and `run_by` are agents: what
    only `ran_at` tells of, the person has run. `type` and `sync` are as in list_cells; outputs are of the code that ran. `origin` is missing for the open document.
    """

    cell_id: str
    version: int
    code: str = field(metadata=PAGED)
    outputs: str = field(default="", metadata=PAGED)
    status: str = "ok"
    images: int = 0
    stale: bool = False
    defines: tuple[str, ...] = field(default=(), metadata=NAMES)
    uses: tuple[str, ...] = field(default=(), metadata=NAMES)
    upstream: tuple[str, ...] = field(default=(), metadata=NAMES)
    downstream: tuple[str, ...] = field(default=(), metadata=NAMES)
    not_watched: tuple[str, ...] = field(default=(), metadata=NAMES)
    edited_by: str | None = None
    run_by: str | None = None
    seconds: float | None = None
    ran_at: str | None = None
    error: str | None = None
    full: str | None = None
    type: str = "code"
    sync: str | None = None
    origin: Origin | None = None
    note: str = ""

    def text(self) -> str:
        return self.described()

    def described(self, first_image: int = 1) -> str:
        """Return it as text. `first_image` is the number of its first image among those of the answer."""
        facts = [f"cell {self.cell_id}", f"version {self.version}"]
        facts += [_status(self.status, stale=self.stale)] if self.type == "code" else [self.type]
        facts += [_numbered(first_image, self.images)] if first_image > 1 and self.images else []
        facts += [SYNC[self.sync]] if self.sync else []
        facts += _last_run(self.run_by, self.ran_at, self.seconds)
        facts += [f"from {self.origin.brief}"] if self.origin is not None and self.origin.brief else []
        names = [
            f"{word} {', '.join(values)}"
            for word, values in (
                ("defines", self.defines),
                ("uses", self.uses),
                ("upstream", self.upstream),
                ("downstream", self.downstream),
                ("not watched:", self.not_watched),
            )
            if values
        ]
        parts = [self.note, " · ".join(facts), "; ".join(names), "--- code", self.code]
        shown = ["--- outputs", self.outputs] if self.outputs else []
        return "\n".join([*filter(None, parts), *shown, *whole_line(self.full)])


@dataclass(frozen=True)
class CellsRead:
    """Several cells, each as read_cell gives one. Images are in the order of the cells. `not_read` says why cells are missing."""

    cells: tuple[CellView, ...]
    origin: Origin | None = None
    note: str = ""
    not_read: tuple[str, ...] = ()

    def text(self) -> str:
        parts = [self.note] if self.note else []
        parts += ["\n".join(self.not_read)] if self.not_read else []
        parts += [f"from {self.origin.brief}"] if self.origin is not None and self.origin.brief else []
        number = 1
        for cell in self.cells:
            parts.append(cell.described(number))
            number += cell.images
        return "\n\n".join(parts)


def _cell_line(cell: CellLine) -> str:
    facts = [f"{cell.cell_id} v{cell.version}"]
    facts += [] if cell.type == "code" else [cell.type]
    facts += [] if cell.status == "ok" else [cell.status]
    facts += ["stale"] if cell.stale else []
    if cell.sync:
        facts.append(SYNC[cell.sync])
    facts.append(one_line(cell.code) + (f" (+{cell.lines - 1})" if cell.lines > 1 else "") + _names(cell))
    if cell.not_watched:
        facts.append(f"not watched: {', '.join(cell.not_watched)}")
    if cell.run_by:
        facts.append(f"run by {cell.run_by}")
    if cell.edited_by and cell.edited_by != cell.run_by:
        facts.append(f"edited by {cell.edited_by}")
    if cell.seconds is not None:
        facts.append(took(cell.seconds))
    if cell.error:
        facts.append(cell.error)
    return " · ".join(facts)


def _names(cell: CellLine) -> str:
    """Return which names a cell makes of which: `=> y <- x`."""
    made = f" => {', '.join(cell.defines)}" if cell.defines else ""
    return made + (f" <- {', '.join(cell.uses)}" if cell.uses else "")


def _last_run(run_by: str | None, ran_at: str | None, seconds: float | None) -> list[str]:
    if run_by is None and ran_at is None:
        return []
    told = "" if seconds is None else f", {took(seconds)}"
    return [f"run by {run_by or 'the person'}{f' at {ran_at}' if ran_at else ''}{told}"]


def _numbered(first: int, number: int) -> str:
    return f"image {first}" if number == 1 else f"images {first} to {first + number - 1}"


def _status(status: str, *, stale: bool) -> str:
    return f"{status}, stale" if stale else status
