"""What is alike in tables whose rows are all known when they are opened: their facts, which stay as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.protocol.views import Column
    from marimo_kernel_bridge.viewing.table import Progress


class WholeTable:
    """The facts of a table, which the class for each kind of source sets: a part of `table.Table`."""

    kind: str
    _columns: tuple[Column, ...]
    _length: int
    _notes: tuple[str, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        return self._columns

    @property
    def rows(self) -> int | None:
        return self._length

    @property
    def notes(self) -> tuple[str, ...]:
        return self._notes

    @property
    def progress(self) -> Progress | None:
        return None

    def watch(self, changed: Callable[[], object]) -> None:
        """Nothing loads."""

    def _require_cell(self, row: int, column: int) -> None:
        """Raise `BridgeError` (bad_request) if there is no such cell."""
        if not 0 <= row < self._length or not 0 <= column < len(self._columns):
            raise BridgeError("bad_request", "There is no such cell.")
