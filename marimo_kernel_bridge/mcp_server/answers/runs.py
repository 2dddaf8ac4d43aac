"""The answer about a run: its outputs, the cells that ran because of it, and their changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marimo_kernel_bridge.mcp_server.answers.bounds import PAGED
from marimo_kernel_bridge.mcp_server.answers.view import quoted, whole_line
from marimo_kernel_bridge.protocol.changes import GraphProblem  # noqa: TC001  # pydantic looks at it
from marimo_kernel_bridge.protocol.environment import PackageChange  # noqa: TC001  # pydantic looks at it

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class RanCell:
    """A cell that ran, or should have."""

    cell_id: str
    status: str
    version: int | None = None
    code: str = ""
    outputs_changed: bool = False
    seconds: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class ChangedText:
    """A cell that the person has changed meanwhile, and its present text; none if it is gone."""

    cell_id: str
    code: str | None = None


@dataclass(frozen=True)
class RunView:
    """A run: code executed, a cell edited, or cells run.

    `status` is ok, error, refused, proposed, interrupted, aborted, cancelled, queued, running or lost; `message` explains the
    status and says what to do. `where` is the new code: document (`front_end` shows it), kept (the kernel has it, the
    person's notebook does not and will be offered it), proposed (the person decides), or kernel_only (no notebook has it).
    `op_id` names it for undo_edit or wait_for_decision; `conflicts` are cells that the person has changed meanwhile. `ran` are the requested cells if there are several, `reran` the dependents, `added` new
    cells. `outputs` are those of the requested code or cells, or of the installer. `packages` are those that an
    installation changed. `to_run` are cells that should be run: they lacked a package, or read an ipywidget. `full` is
    the resource with all outputs, if these are incomplete.
    """

    run_id: str
    status: str
    message: str
    outputs: str = field(default="", metadata=PAGED)
    images: int = 0
    cell_id: str | None = None
    version: int | None = None
    execution_count: int | None = None
    seconds: float | None = None
    ran: tuple[RanCell, ...] = ()
    reran: tuple[RanCell, ...] = ()
    added: tuple[str, ...] = ()
    packages: tuple[PackageChange, ...] = ()
    to_run: tuple[str, ...] = ()
    problems: tuple[GraphProblem, ...] = ()
    still_stale: tuple[str, ...] = ()
    full: str | None = None
    where: str | None = None
    op_id: str | None = None
    front_end: str | None = None
    conflicts: tuple[ChangedText, ...] = ()
    note: str = ""

    def text(self) -> str:
        lines = [self.note] if self.note else []
        cell = f", cell {self.cell_id}" if self.cell_id else ""
        version = f" version {self.version}" if self.version else ""
        run = f"run {self.run_id}" if self.run_id else "no run"
        lines.append(f"{self.status}: {self.message} ({run}{cell}{version})")
        lines += self._whereabouts()
        lines += [f"- {problem.kind}: {problem.message}" for problem in self.problems]
        if self.added:
            lines.append(f"new cells: {', '.join(self.added)}")
        lines += [_ran_line(cell) for cell in self.ran]
        lines += [
            f"- {package.name}: {package.before or 'not there'} -> {package.after or 'gone'}"
            for package in self.packages
        ]
        if self.outputs:
            lines += ["--- outputs", self.outputs]
        if self.reran:
            lines.append("--- cells that ran because of it")
            lines += [_ran_line(cell) for cell in self.reran]
        if self.to_run and not self.run_id:
            lines.append(f"would run: {', '.join(self.to_run)}")
        if self.still_stale:
            lines.append(f"--- still stale: {', '.join(self.still_stale)}")
        return "\n".join([*lines, *whole_line(self.full)])

    def _whereabouts(self) -> Iterator[str]:
        match self.where:
            case "document":
                undo = f" undo_edit(op_id={self.op_id!r}) takes it back." if self.op_id else ""
                yield f"In the document: {self.front_end or 'the front end'} shows it.{undo}"
            case "kept":
                yield (
                    "Kept for the document: the kernel has this code, the person's notebook does not. It is offered to them when "
                    "their front end has the extension; until then tell them."
                )
            case "kernel_only":
                yield "In the kernel only: the person does not see this code. edit_cells puts code into the notebook that they have open."
            case "proposed":
                shown = f"{self.front_end} shows it" if self.front_end else "no front end shows it now"
                yield f"A proposal: {shown}. wait_for_decision(op_id={self.op_id!r}) waits for the person's decision."
        for changed in self.conflicts:
            if changed.code is None:
                yield f"Cell {changed.cell_id} is gone from the document."
            else:
                yield f"--- the person has changed cell {changed.cell_id}; its present text:"
                yield changed.code


def _ran_line(cell: RanCell) -> str:
    changed = "outputs changed" if cell.outputs_changed else "outputs as before"
    version = f" v{cell.version}" if cell.version else ""
    facts = [f"{cell.cell_id}{version}", cell.status, changed]
    if cell.error:
        facts.append(cell.error)
    if cell.code:
        facts.append(quoted(cell.code))
    return " · ".join(facts)
