"""The answer about a run: its outputs, the cells that ran because of it, and their changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marimo_kernel_bridge.mcp_server.answers.bounds import PAGED
from marimo_kernel_bridge.mcp_server.answers.durations import took
from marimo_kernel_bridge.mcp_server.answers.tables import NAMES
from marimo_kernel_bridge.mcp_server.answers.view import quoted, whole_line
from marimo_kernel_bridge.protocol.changes import GraphProblem  # noqa: TC001  # pydantic looks at it
from marimo_kernel_bridge.protocol.environment import PackageChange  # noqa: TC001  # pydantic looks at it

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class RanCell:
    """A cell that ran, or should have. `outputs` are those of a dependent, if they changed; `outputs_changed`: they did, and are not here.

    `seconds` is missing if it was quick.
    """

    cell_id: str
    status: str = "ok"
    code: str = ""
    outputs_changed: bool = False
    seconds: float | None = None
    error: str | None = None
    outputs: str = ""

    @property
    def changed(self) -> bool:
        return self.outputs_changed or bool(self.outputs)


@dataclass(frozen=True)
class ChangedText:
    """A cell that the person has changed meanwhile, and its present text; none if it is gone."""

    cell_id: str
    code: str | None = None


@dataclass(frozen=True)
class RunView:
    """A run: code executed, a cell edited, or cells run.

    `status` is ok, error, refused, proposed, interrupted, aborted, cancelled, queued, running or lost; `message` explains the
    status and says what to do, and is missing if it is done and there is no more to say. `where` is the new code: document (the person has it open), kept (the kernel has it, the
    person's notebook does not and will be offered it), proposed (the person decides; `front_end` shows it), kernel_only (no notebook has it), saved (this server saves
    it in the notebook's file) or no_notebook (none shows this kernel; said once).
    `op_id` names it for undo_edit or wait_for_decision, and is missing where that is the run's id; `conflicts` are cells that the person has changed meanwhile. `ran` are the requested cells if there are several, but for new ones that ran to their end, `reran` the dependents
    with what they show now, `added` new cells. `outputs` are those of the requested code or cells, or of the installer. `packages` are those that an
    installation changed. `to_run` are cells that should be run: they lacked a package, or read an ipywidget. `full` is
    the resource with all outputs, if these are incomplete.
    """

    run_id: str
    status: str
    message: str = ""
    outputs: str = field(default="", metadata=PAGED)
    images: int = 0
    cell_id: str | None = None
    version: int | None = None
    seconds: float | None = None
    ran: tuple[RanCell, ...] = ()
    reran: tuple[RanCell, ...] = ()
    added: tuple[str, ...] = field(default=(), metadata=NAMES)
    packages: tuple[PackageChange, ...] = ()
    to_run: tuple[str, ...] = field(default=(), metadata=NAMES)
    problems: tuple[GraphProblem, ...] = ()
    still_stale: tuple[str, ...] = field(default=(), metadata=NAMES)
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
        done = f"done in {took(self.seconds)}" if self.seconds is not None else "done"
        lines.append(f"{self.status}: {self.message or done} ({run}{cell}{version})")
        lines += self._whereabouts()
        lines += [f"- {problem.kind}: {problem.message}" for problem in self.problems]
        if self.added:
            lines.append(f"new cells: {', '.join(self.added)}")
        lines += [_ran_line(cell) for cell in self.ran if cell.status != "ok"]
        if ran := [cell.cell_id for cell in self.ran if cell.status == "ok"]:
            lines.append(f"ran: {', '.join(ran)}")
        lines += [
            f"- {package.name}: {package.before or 'not there'} -> {package.after or 'gone'}"
            for package in self.packages
        ]
        if self.outputs:
            lines += ["--- outputs", self.outputs]
        if self.reran:
            lines.append("--- ran because of it")
            lines += _dependents(self.reran)
        if self.to_run and not self.run_id:
            lines.append(f"would run: {', '.join(self.to_run)}")
        if self.still_stale:
            lines.append(f"--- still stale: {', '.join(self.still_stale)}")
        return "\n".join([*lines, *whole_line(self.full)])

    def _whereabouts(self) -> Iterator[str]:
        match self.where:
            case "document":
                undo = f"undo_edit(op_id={self.op_id or self.run_id!r})"
                yield f"in the document; {undo}"
            case "kept":
                yield (
                    "Kept for the document: the kernel has this code, the person's notebook does not. It is offered to them when "
                    "their front end has the extension; until then tell them."
                )
            case "no_notebook":
                yield "No notebook is known to show this kernel's cells; export_notebook writes them to a file."
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


def _dependents(cells: tuple[RanCell, ...]) -> Iterator[str]:
    """Return the dependents as lines: those with nothing new in one, of the others what they show now."""
    same = [cell.cell_id for cell in cells if cell.status == "ok" and not cell.changed]
    for cell in cells:
        if cell.cell_id not in same:
            yield _ran_line(cell)
            if cell.outputs:
                yield cell.outputs
    if same:
        yield f"outputs as before: {', '.join(same)}"


def _ran_line(cell: RanCell) -> str:
    facts = [cell.cell_id, *([] if cell.status == "ok" else [cell.status])]
    facts += ["outputs changed"] if cell.changed else []
    facts += [took(cell.seconds)] if cell.seconds is not None else []
    facts += [cell.error] if cell.error else []
    facts += [quoted(cell.code)] if cell.code else []
    return " · ".join(facts)
