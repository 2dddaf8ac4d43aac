"""Whose content the files of a notebook have: which cell wrote each last, and which cells have read a later one's.

A file has one content, not one for each place in the document. A cell that reads it again after a cell below has written
it sees the newer content, as in Jupyter, and not what a run from top to bottom would show. Such a cell is marked stale.
Nothing here opens a file.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from marimo_kernel_bridge.kernel.versions.file_accesses import FileUse

_MOST: Final = 1000
"""Files that are known: a cell may write one of a new name each time."""
_STARTS_PROGRAMS: Final = re.compile(
    r"^[ \t]*!|=[ \t]*!|system|subprocess|popen|%%(?:bash|sh)\b", re.IGNORECASE | re.MULTILINE
)
"""Occurs in code that may remove files without a trace in this process."""


@dataclass
class FileContents:
    """The last writers of files, and the cells that have read what a run from top to bottom would not show them.

    `ahead` are the files that such a cell has read. They need no content that the notebook defines: a file to which cells
    only add, as a log, may have been there before.
    """

    ahead: dict[str, frozenset[str]] = field(default_factory=dict)
    _written_by: dict[str, str] = field(default_factory=dict)
    _made_by: dict[str, str] = field(default_factory=dict)  # or removed
    _begun: set[str] = field(default_factory=set)
    _added: dict[str, set[str]] = field(default_factory=dict)  # by file, the cells since it was begun
    _repeated: set[str] = field(default_factory=set)  # files to which one of these has added twice
    _writes: dict[str, tuple[str, frozenset[str]]] = field(default_factory=dict)  # by cell, with its code
    _left: dict[str, frozenset[str]] = field(default_factory=dict)  # by cell, what was there after its run

    def note(self, cell_id: str, code: str, use: FileUse, place: Mapping[str, int]) -> None:
        """Record what a run of a cell has read and written."""
        written = use.writes | use.appends
        if written or _STARTS_PROGRAMS.search(code):
            self._leave_removed(cell_id, place)
        if not written and not use.contents and cell_id not in self._writes and cell_id not in self.ahead:
            return
        above = {other for other in self._writes if place.get(other, -1) < place[cell_id] and other in place}
        continued = {path for path in use.appends if not path.endswith(os.sep)}
        ran, earlier = self._writes.pop(cell_id, (code, frozenset()))
        own = written | earlier if ran == code else written
        self._left[cell_id] = frozenset(
            path for path in written if path[-1:] != os.sep and os.path.lexists(path)
        )
        self._note_additions(cell_id, use.writes - use.reads, continued)
        if own or earlier:  # a file that is written once counts as long as the code is the same
            self._writes[cell_id] = code, own
        read = {path for path in use.contents | continued if self._is_ahead(path, cell_id, above)}
        read |= use.contents & self._repeated
        _put_last(self._written_by, written, cell_id)
        _put_last(self._made_by, use.made, cell_id)
        self._begun |= (use.writes - use.reads) | (use.writes & use.made)
        # What is marked runs again once its file is written above it.
        for other, paths in list(self.ahead.items()):
            if place.get(other, -1) > place[cell_id] and not paths.isdisjoint(written):
                del self.ahead[other]
        self.ahead.pop(cell_id, None)
        if read:
            self.ahead[cell_id] = frozenset(read)
        self._forget_files()

    def _note_additions(self, cell_id: str, begun: Iterable[str], continued: Iterable[str]) -> None:
        for path in begun:
            self._added.pop(path, None)
            self._repeated.discard(path)
        for path in continued:
            added = self._added.setdefault(path, set())
            if cell_id in added:
                self._repeated.add(path)
            added.add(cell_id)

    def _forget_files(self) -> None:
        """Forget the files that were written longest ago, beyond `_MOST`, as if no cell had written them."""
        forgotten = {*list(self._written_by)[:-_MOST], *list(self._made_by)[:-_MOST]}
        if not forgotten:
            return
        for path in forgotten:
            self._written_by.pop(path, None)
            self._made_by.pop(path, None)
        self._begun -= forgotten
        self._note_additions("", forgotten, ())
        self._writes = {cell: (code, paths - forgotten) for cell, (code, paths) in self._writes.items()}

    def _is_ahead(self, path: str, cell_id: str, above: set[str]) -> bool:
        if path.endswith(os.sep):
            return any(
                self._exists_too_early(made, maker, above | {cell_id})
                for made, maker in self._made_by.items()
                if os.path.join(os.path.dirname(made), "") == path  # noqa: PTH118, PTH120  # quicker
            )
        writer = self._written_by.get(path)
        if writer is None or path not in self._begun:
            return False
        if writer == cell_id:
            return self._is_written(path, above) or not self._is_written(path, {cell_id})
        return not self._is_written(path, above & {writer})

    def _exists_too_early(self, path: str, maker: str, until: set[str]) -> bool:
        return not self._is_written(path, until & {maker}) and os.path.lexists(path) != self._is_written(
            path, until
        )

    def _is_written(self, path: str, by: Iterable[str]) -> bool:
        return any(path in self._writes[cell][1] for cell in by if cell in self._writes)

    def is_emptied(self, folder: str, maker: str) -> bool:
        """Return whether all that a cell has left in a folder is gone, and no cell below it has removed that.

        If the folder is gone as well, the cell could not write there.
        """
        inside = {path for path in self._left.get(maker, ()) if path.rpartition(os.sep)[0] == folder[:-1]}
        return bool(inside) and os.path.lexists(folder) and not any(map(os.path.lexists, inside))

    def _leave_removed(self, cell_id: str, place: Mapping[str, int]) -> None:
        """Note that what is gone after a cell that may have removed it is no longer what the cells above it have left."""
        for maker, paths in self._left.items():
            if place.get(maker, place[cell_id]) < place[cell_id]:
                self._left[maker] = frozenset(filter(os.path.lexists, paths))

    def forget(self, cell_id: str) -> None:
        """Drop a cell that is gone. What it wrote is still there."""
        self._writes.pop(cell_id, None)
        self._left.pop(cell_id, None)
        self.ahead.pop(cell_id, None)


def _put_last(by: dict[str, str], paths: Iterable[str], cell_id: str) -> None:
    for path in paths:
        by.pop(path, None)
        by[path] = cell_id
