"""The rules for which cell loses a name when two define it, and where the other is then. `graph` applies them.

In general the second definition is another version of the name (`versions.redefinitions`), or marimo refuses it. But the
kernel often has cells that no notebook shows any more (deleted, merged, split, of a reloaded VS Code window) or never
did (terminals, nbclient, agents): these must not block a visible cell.
"""

from __future__ import annotations

import dis
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.kernel.cells import CellTable, Entry


def is_superseded_by(owner: Entry, newcomer: Entry, *, strict: bool) -> bool:
    """Return whether `owner`, which is in the graph, leaves it for `newcomer`, which defines one of its names."""
    if not strict and newcomer.address.dialect == "batch":
        return False  # its requests are the cells of a document, in order
    if not owner.live or not newcomer.live:
        # Also the other way round: what a terminal or an agent runs must have an effect.
        return True
    # Merge and split in JupyterLab: new ids appear, and that old cells are gone or shorter is not reported.
    if not strict and owner.cell.code == newcomer.cell.code:
        return False  # twice in the document
    return newcomer.cell.last_run_at is None and _is_part_of_other(owner.cell.code, newcomer.cell.code)


def _is_part_of_other(one: str, other: str) -> bool:
    """Return whether all lines of one cell stand together in the other."""
    first, second = _padded(one), _padded(other)
    return first.strip() != "" and second.strip() != "" and (first in second or second in first)


def _padded(code: str) -> str:
    return "\n" + code.strip() + "\n"


@dataclass(frozen=True)
class _Moved:
    """A cell that stands where the one was that it superseded; it was behind `after` before, None: the first."""

    cell_id: str
    after: str | None
    is_whole: bool
    """Whether the superseded cell was a part of it, as after a merge. Otherwise it was a part of that, as after a split."""


class TakenPlaces:
    """The places of superseded cells: given back when one of them runs again, so that it was neither merged nor split."""

    def __init__(self, cells: CellTable) -> None:
        self._cells = cells
        self._moved: dict[str, _Moved] = {}  # by the cell that was superseded

    def take(self, entry: Entry, owners: Iterable[str]) -> None:
        """Place a cell behind the last of those that it supersedes."""
        owners = list(owners)
        if not owners:
            return
        cell_id, order = entry.cell.cell_id, self._cells.ids()
        at = order.index(cell_id)
        after = order[at - 1] if at else None
        for owner_id in owners:
            is_whole = _padded(self._cells[owner_id].cell.code) in _padded(entry.cell.code)
            self._moved[owner_id] = _Moved(cell_id, after, is_whole)
            self._cells.place(cell_id, owner_id)

    def give_back(self, cell_id: str, code: str) -> str | None:
        """Move the cell that superseded this one back, which runs again with `code`. Return it if it has superseded none then."""
        moved = self._moved.pop(cell_id, None)
        if moved is None or moved.cell_id not in self._cells:
            return None
        if not moved.is_whole and not _is_part_of_other(code, self._cells[moved.cell_id].cell.code):
            return None  # a split: what is left of the cell stays above the new one
        order = self._cells.ids()
        at = order.index(moved.cell_id)
        before = order[at - 1] if at else None
        others = [each for each, other in self._moved.items() if other.cell_id == moved.cell_id]
        if (
            before is not None
            and before in {cell_id, *others}
            and (moved.after is None or moved.after in order)
        ):
            self._cells.place(moved.cell_id, moved.after)
        return None if others else moved.cell_id


def reads_before_writing(code: str, name: str) -> bool:
    """Return whether code reads the old value of a global before it binds it again, as `x = x + 1` does."""
    try:
        instructions = dis.get_instructions(compile(code, "<cell>", "exec", flags=0x2000))  # top-level await
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    for instruction in instructions:
        if instruction.argval == name and instruction.opname in {"LOAD_NAME", "STORE_NAME", "DELETE_NAME"}:
            return instruction.opname != "STORE_NAME"
    return False
