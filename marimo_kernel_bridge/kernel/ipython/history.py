"""IPython's history, written to disk while the next cell runs.

IPython's writer thread holds the lock of the pending lines while it waits for the disk, about 10 ms for each cell, and
the next cell waits for that lock. This writer takes the lines and releases the lock first. The database and what is
stored in it are IPython's.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from IPython.core.history import HistoryManager

if TYPE_CHECKING:
    import sqlite3


class InputHistory(HistoryManager):
    """IPython's history manager, with a writer that does not hold the lock while it waits for the disk."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # traitlets' signature
        self._writing = threading.Lock()
        super().__init__(*args, **kwargs)

    def writeout_cache(self, conn: sqlite3.Connection | None = None) -> None:
        """Write the pending lines. Readers of the history call this first."""
        if not self.enabled:
            return
        import sqlite3  # noqa: PLC0415  # optional: without it IPython keeps no history

        connection = self.db if conn is None else conn
        with self._writing:
            with self.db_input_cache_lock:
                lines, self.db_input_cache = self.db_input_cache, []
            try:
                self._write(connection, lines)
            except sqlite3.IntegrityError:  # another process wrote lines with our session number
                self.new_session(connection)
                with suppress(sqlite3.IntegrityError):
                    self._write(connection, lines)
            if self.db_output_cache:  # disabled by default
                super().writeout_cache(connection)

    def _write(self, connection: sqlite3.Connection, lines: list[tuple[int, str, str]]) -> None:
        with connection:
            connection.executemany(
                "INSERT INTO history VALUES (?, ?, ?, ?)", [(self.session_number, *line) for line in lines]
            )
