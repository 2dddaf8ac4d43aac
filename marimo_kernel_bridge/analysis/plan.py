"""The result of the analysis as values: edits of cells' texts, and cells that must be joined."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

EditKind = Literal["rename", "private", "public", "copy", "seed", "import", "delete", "late", "other"]


@dataclass(frozen=True)
class Edit:
    """The replacement of the text from `start` to `end` (offsets in the cell)."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Note:
    """A reason for edits of a cell, for people. `warning`: the cell may behave differently."""

    kind: EditKind
    text: str
    warning: bool = False


@dataclass
class CellPlan:
    """The plan for one cell: its edits, the lines before it, and the reasons.

    `gives` are the names of objects that its calls may change without a trace in the text.
    """

    edits: list[Edit] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    needs: set[str] = field(default_factory=set)  # what its new text uses: "copy", "shown_as"
    defines: dict[str, str] = field(default_factory=dict)
    reads: dict[str, str] = field(default_factory=dict)
    gives: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Join:
    """A request to join cells (by index), in this order, at the place of `at`."""

    cells: tuple[int, ...]
    at: int
    reason: str


@dataclass(frozen=True)
class CopyDefinition:
    """A request to repeat the definition of a function of `source` at the start of `target`."""

    name: str
    source: int
    target: int
    reason: str


@dataclass
class Plan:
    """The plans for all cells. If there are `requests`, they must be met first, and the cells analyzed again."""

    cells: list[CellPlan]
    requests: list[Join | CopyDefinition] = field(default_factory=list)


def rewritten(source: str, plan: CellPlan) -> str:
    """Apply a plan to the text of its cell."""
    text = source
    last = len(source) + 1
    for edit in sorted(set(plan.edits), key=lambda edit: (edit.start, edit.end), reverse=True):
        if edit.end > last:
            continue  # the same place again: `x += 1` loads and stores
        text = text[: edit.start] + edit.text + text[edit.end :]
        last = edit.start
    if plan.before:
        text = "\n".join([*plan.before, text])
    return text
