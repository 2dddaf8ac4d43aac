"""Answers of the tools for files: values for programs, and the same as short text for models."""

from __future__ import annotations

from dataclasses import dataclass, field

from marimo_kernel_bridge.mcp_server.answers.bounds import PAGED


@dataclass(frozen=True)
class ExportedNotebook:
    """An exported notebook. `content` is part of its text, from `offset` of `total_chars`, unless it is in the file `output`."""

    format: str
    source: str
    cells: int
    with_outputs: int
    output: str | None = None
    content: str = field(default="", metadata=PAGED)
    offset: int = 0
    total_chars: int = 0
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        where = f" -> {self.output}" if self.output else f" as {self.format}"
        lines = [f"{self.source}{where}: {self.cells} cells, {self.with_outputs} with outputs."]
        lines += [f"- {note}" for note in self.notes]
        if self.output is None:
            end = self.offset + len(self.content)
            if self.offset or end < self.total_chars:
                lines.append(f"Characters {self.offset} to {end} of {self.total_chars}:")
            lines += ["", self.content]
        return "\n".join(lines)


@dataclass(frozen=True)
class ImportedCell:
    """The conversion of a cell that was not simply kept."""

    position: int
    cell_id: str
    fate: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CellDifference:
    """A difference in the outputs of a cell of the result. `cells` are positions in the .ipynb."""

    cells: tuple[int, ...]
    what: str
    before: str
    after: str


@dataclass(frozen=True)
class ImportedNotebook:
    """An imported notebook. `complete`: every cell was converted. `same` is null without verify. `kernel` is the handle if it was opened."""

    notebook: str
    output: str
    written: bool
    complete: bool
    kept: int
    changed: tuple[ImportedCell, ...] = ()
    added: tuple[str, ...] = ()
    marimo_check: tuple[str, ...] = ()
    same: bool | None = None
    differences: tuple[CellDifference, ...] = ()
    kernel: str = ""
    message: str = ""

    def text(self) -> str:
        did = "->" if self.written else "would become"
        kept = f"{self.kept} cell{'' if self.kept == 1 else 's'} kept"
        lines = [f"{self.notebook} {did} {self.output}: {kept}, {len(self.changed)} changed."]
        lines += [f"added: {code}" for code in self.added]
        for cell in self.changed:
            fate = cell.fate.replace("_", " ")
            lines.append(f"- cell {cell.position} [{cell.cell_id}] {fate}: {'; '.join(cell.notes)}")
        lines += [f"marimo check: {finding}" for finding in self.marimo_check]
        if not self.complete:
            lines.append("Not complete: a cell could not be carried over, or marimo check fails. See above.")
        if self.same is not None:
            lines.append("Verified: the same." if self.same else "Verified: these cells show something else:")
        lines += [
            f"- cell {'+'.join(map(str, difference.cells))}: {difference.what}: {difference.before!r} became {difference.after!r}"
            for difference in self.differences
        ]
        lines += [f"{self.kernel}: {self.message}"] if self.kernel else []
        return "\n".join(lines)
