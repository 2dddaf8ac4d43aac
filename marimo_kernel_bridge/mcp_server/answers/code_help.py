"""Answers about code: what may stand at a place, and what a name is."""

from __future__ import annotations

from dataclasses import dataclass, field

from marimo_kernel_bridge.mcp_server.answers.bounds import PAGED
from marimo_kernel_bridge.mcp_server.answers.view import one_line


@dataclass(frozen=True)
class CompletionLine:
    """What may stand at the place. `kind` is function, class, module, value, key, column, argument, keyword or name."""

    name: str
    kind: str
    signature: str = ""


@dataclass(frozen=True)
class CompletionList:
    """Completions, the likeliest first, and how many there are. They replace `part` of the code."""

    part: str
    completions: tuple[CompletionLine, ...]
    total: int
    note: str = ""

    def text(self) -> str:
        lines = [self.note] if self.note else []
        if not self.completions:
            lines.append("Nothing is known that may stand here.")
        for one in self.completions:
            kind = "" if one.kind == "value" else f" · {one.kind}"
            lines.append(f"{one_line(one.name)}{one_line(one.signature)}{kind}")
        if self.total > len(self.completions):
            lines.append(f"{self.total - len(self.completions)} more; longer code narrows them.")
        return "\n".join(lines)


@dataclass(frozen=True)
class CodeHelp:
    """What an expression is. `cell_id` defines its first name; `place` is the file and line of a function."""

    expression: str
    kind: str = ""
    type: str = ""
    summary: str = ""
    signature: str = ""
    cell_id: str | None = None
    place: str = ""
    doc: str = field(default="", metadata=PAGED)
    total_chars: int = 0
    note: str = ""

    def text(self) -> str:
        lines = [self.note] if self.note else []
        called = f"{self.expression}{self.signature}" if self.signature else self.expression
        facts = [self.kind, self.type if self.kind in {"value", "instance"} else "", self.summary]
        facts.append(f"cell {self.cell_id}" if self.cell_id else "")
        facts.append(self.place)
        lines.append(" · ".join(filter(None, [one_line(called), *map(one_line, facts)])))
        if self.doc:
            lines += ["", self.doc]
        if len(self.doc) < self.total_chars:
            lines.append(f"… {self.total_chars} characters in all; a higher max_chars shows more.")
        return "\n".join(lines)
