"""Answers about the open document: proposals, what differs from what ran, who changed what, saving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from marimo_kernel_bridge.mcp_server.answers.notebook import ExpectedCell  # noqa: TC001  # pydantic looks at it
from marimo_kernel_bridge.mcp_server.answers.origin import Origin  # noqa: TC001  # pydantic looks at it
from marimo_kernel_bridge.mcp_server.answers.runs import RanCell  # noqa: TC001  # pydantic looks at it
from marimo_kernel_bridge.mcp_server.answers.view import quoted

_WORDS: Final = {
    "changed": "changed since it ran",
    "never_run": "never ran",
    "kernel_only": "in the kernel only",
}


@dataclass(frozen=True)
class DecisionLine:
    """The person's decision on one change, by its number from 1: open, accepted, rejected, withdrawn, or gone (its cell is).

    `code` is the accepted text if the person has edited it.
    """

    change: int
    decision: str
    cell_id: str | None = None
    code: str | None = None


@dataclass(frozen=True)
class ProposalState:
    """A proposal. `status` is open, decided or withdrawn; `ran` are the cells that ran because of what was accepted.

    `run_id` is for read_run, which has their outputs.
    """

    op_id: str
    status: str
    message: str
    decisions: tuple[DecisionLine, ...] = ()
    front_end: str | None = None
    run_id: str | None = None
    ran: tuple[RanCell, ...] = ()
    note: str = ""

    def text(self) -> str:
        lines = [self.note] if self.note else []
        lines.append(f"{self.status}: {self.message} (proposal {self.op_id})")
        for line in self.decisions:
            cell = f" (cell {line.cell_id})" if line.cell_id else ""
            edited = ", with a text that the person has edited:" if line.code is not None else ""
            lines.append(f"- change {line.change}{cell}: {line.decision}{edited}")
            lines += [line.code] if line.code is not None else []
        if self.run_id:
            ran = [
                f"{cell.cell_id} {cell.status}{f' ({cell.error})' if cell.error else ''}" for cell in self.ran
            ]
            lines.append(
                f"ran: {', '.join(ran) or 'not over'}; read_run(run_id={self.run_id!r}) has the outputs"
            )
        return "\n".join(lines)


@dataclass(frozen=True)
class SyncLine:
    """A cell that is not in step: changed (since it ran), never_run, stale, failed, or kernel_only."""

    cell_id: str
    state: str
    code: str = ""


@dataclass(frozen=True)
class SyncState:
    """Which cells differ from what ran. `would_run` are the cells that sync runs, in order, dependents included.

    `last_seconds` is the sum of the known durations; `unknown` counts the cells that never ran.
    """

    sync_needed: bool
    message: str
    in_step: int
    origin: Origin
    cells: tuple[SyncLine, ...] = ()
    would_run: tuple[ExpectedCell, ...] = ()
    last_seconds: float = 0.0
    unknown: int = 0
    note: str = ""

    def text(self) -> str:
        lines = [self.note] if self.note else []
        lines += [self.origin.line(), self.message]
        lines += [
            f"{line.cell_id} · {_WORDS.get(line.state, line.state)} · {quoted(line.code)}"
            for line in self.cells
        ]
        if self.would_run:
            lines.append(f"sync would run: {', '.join(cell.cell_id for cell in self.would_run)}")
        return "\n".join(lines)


@dataclass(frozen=True)
class AuthorsChange:
    """What one author did to a cell in a row: changed, added, deleted, moved or ran, and the difference of the text."""

    by: str
    kind: str
    at: str
    diff: str = ""


@dataclass(frozen=True)
class ChangedCell:
    """The changes of a cell, the oldest first. Each author's are apart."""

    cell_id: str
    changes: tuple[AuthorsChange, ...]


@dataclass(frozen=True)
class ChangesSince:
    """What changed after a point, by cell and author. `point` is where to go on; `by` is "the person" or an agent.

    `incomplete`: older changes are not kept any more.
    """

    cells: tuple[ChangedCell, ...]
    point: int
    incomplete: bool = False
    note: str = ""

    def text(self) -> str:
        lines = [self.note] if self.note else []
        older = " Older changes are not kept." if self.incomplete else ""
        count = f"{len(self.cells)} cell{'' if len(self.cells) == 1 else 's'}" if self.cells else "Nothing"
        lines.append(f"{count} changed; diff_since(point={self.point}) goes on from here.{older}")
        for cell in self.cells:
            for change in cell.changes:
                lines.append(f"--- {cell.cell_id}, {change.kind} by {change.by} at {change.at}")
                lines += [change.diff] if change.diff else []
        return "\n".join(lines)


@dataclass(frozen=True)
class DocumentSaved:
    """The result of saving or renaming. `saved`: the front end has done it."""

    saved: bool
    message: str
    path: str | None = None
    note: str = ""

    def text(self) -> str:
        return "\n".join(filter(None, (self.note, self.message)))
