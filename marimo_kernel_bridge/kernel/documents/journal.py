"""The journal: what has changed in documents and in the kernel, by whom, since when an agent last asked.

The newest changes only. Pure, but for the clock.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.protocol.document_edits import CellChange, Changes
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.kernel.documents.open_documents import Difference

_MOST_CHANGES: Final = 5_000
_MOST_TEXT: Final = 5_000_000  # characters
_MOST_READERS: Final = 100
_ONE_EDIT: Final = 10.0  # seconds: what the same author types in a cell within them is one change


class Journal:
    """The changes of cells, oldest first."""

    def __init__(self) -> None:
        self._changes: deque[CellChange] = deque()
        self._number = 0
        self._text = 0
        self._dropped = 0  # the number of the newest change that is not kept
        self._read: OrderedDict[str, int] = OrderedDict()

    @property
    def number(self) -> int:
        """The number of the newest change."""
        return self._number

    @property
    def is_read(self) -> bool:
        """Whether any agent has asked for changes."""
        return bool(self._read)

    def note(self, found: Iterable[Difference], by: str | None = None) -> None:
        """Record differences; `by` is their author, if it is not that of the texts."""
        for one in found:
            self.add(CellChange(0, time.time(), by or one.by, one.kind, one.key, one.before, one.after))

    def add(self, change: CellChange) -> None:
        """Record a change. What somebody types in one go is one change, unless an agent has read its beginning."""
        last = self._changes[-1] if self._changes else None
        if (
            last is not None
            and (last.kind, last.key, last.by) == (change.kind, change.key, change.by)
            and change.kind == "changed"
            and change.at - last.at < _ONE_EDIT
            and last.number > max(self._read.values(), default=0)
        ):
            self._changes.pop()
            self._text -= _size(last)
            change = CellChange(0, change.at, change.by, change.kind, change.key, last.before, change.after)
        self._number += 1
        change = CellChange(
            self._number, change.at, change.by, change.kind, change.key, change.before, change.after
        )
        self._changes.append(change)
        self._text += _size(change)
        while len(self._changes) > _MOST_CHANGES or (self._text > _MOST_TEXT and len(self._changes) > 1):
            oldest = self._changes.popleft()
            self._text -= _size(oldest)
            self._dropped = oldest.number

    def edited_before_accepting(self, key: str, proposed: str, code: str, agent: str) -> None:
        """Tell apart what an agent has proposed and what the person has made of it, where the newest change of a cell is both."""
        for place in reversed(range(len(self._changes))):
            change = self._changes[place]
            if change.key == key and change.kind != "ran":
                if (change.by, change.after) == (agent, code):
                    self._text += len(proposed) - len(code)
                    self._changes[place] = replace(change, after=proposed)
                    self.add(CellChange(0, time.time(), NOTEBOOK, "changed", key, proposed, code))
                return

    def since(self, after: int | None, reader: str) -> Changes:
        """Return the changes after a point; None: those that this reader has not read yet."""
        point = self._read.get(reader, 0) if after is None else after
        restarted = point > self._number  # it is from another kernel
        point = 0 if restarted else point
        self._read.pop(reader, None)
        self._read[reader] = self._number
        while len(self._read) > _MOST_READERS:
            self._read.popitem(last=False)
        changes = tuple(change for change in self._changes if change.number > point)
        return Changes(changes, self._number, incomplete=restarted or point < self._dropped)


def _size(change: CellChange) -> int:
    return 200 + len(change.before or "") + len(change.after or "")
