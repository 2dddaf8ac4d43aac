"""What must change for cells to be reactive, as values: edits of cells' texts, and cells that belong together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

EditKind = Literal["rename", "private", "public", "copy", "seed", "import", "delete", "late", "other"]


@dataclass(frozen=True)
class Edit:
    """Text from `start` to `end` (offsets in the cell) is replaced."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Note:
    """One reason for edits of a cell, for people. `warning`: the cell may not behave as it did."""

    kind: EditKind
    text: str
    warning: bool = False


@dataclass
class CellPlan:
    """What happens to one cell: its edits, lines to put before it, and why. `names` are its names' new ones."""

    edits: list[Edit] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    needs: set[str] = field(default_factory=set)  # modules that `before` uses: "copy"
    defines: dict[str, str] = field(default_factory=dict)
    reads: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Join:
    """Cells (by index) that only work as one, in this order, at the place of `at`."""

    cells: tuple[int, ...]
    at: int
    reason: str


@dataclass(frozen=True)
class CopyDefinition:
    """The function that `source` defines must be defined again at the start of `target`."""

    name: str
    source: int
    target: int
    reason: str


@dataclass
class Plan:
    """What happens to each cell. With `requests`, it holds only once these are met and the cells are analysed again."""

    cells: list[CellPlan]
    requests: list[Join | CopyDefinition] = field(default_factory=list)


def rewritten(source: str, plan: CellPlan) -> str:
    """Apply a plan to a cell's text: nothing changes but what it says."""
    text = source
    last = len(source) + 1
    for edit in sorted(set(plan.edits), key=lambda edit: (edit.start, edit.end), reverse=True):
        if edit.end > last:
            continue  # the same place twice: `x += 1` loads and stores
        text = text[: edit.start] + edit.text + text[edit.end :]
        last = edit.start
    if plan.before:
        text = "\n".join([*plan.before, text])
    return text
