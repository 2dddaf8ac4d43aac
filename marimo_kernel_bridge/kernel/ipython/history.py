"""IPython's history, written to disk while the next cell runs.

IPython's thread holds the lock of what is to be written while it waits for the disk, some 10 ms for each cell, and the
next cell waits for that lock. Here it takes the lines and releases the lock. What is kept, and where, is IPython's.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from IPython.core.history import HistoryManager

if TYPE_CHECKING:
    import sqlite3


class InputHistory(HistoryManager):
    """A history whose writer does not hold the lock while it waits for the disk."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # what traitlets takes
        self._writing = threading.Lock()
        super().__init__(*args, **kwargs)

    def writeout_cache(self, conn: sqlite3.Connection | None = None) -> None:
        """Write what is not written yet; readers of the history call this first."""
        if not self.enabled:
            return
        import sqlite3  # noqa: PLC0415  # where there is none, IPython keeps no history

        connection = self.db if conn is None else conn
        with self._writing:
            with self.db_input_cache_lock:
                lines, self.db_input_cache = self.db_input_cache, []
            try:
                self._write(connection, lines)
            except sqlite3.IntegrityError:  # another process wrote under our session's number
                self.new_session(connection)
                with suppress(sqlite3.IntegrityError):
                    self._write(connection, lines)
            if self.db_output_cache:  # seldom enabled
                super().writeout_cache(connection)

    def _write(self, connection: sqlite3.Connection, lines: list[tuple[int, str, str]]) -> None:
        with connection:
            connection.executemany(
                "INSERT INTO history VALUES (?, ?, ?, ?)", [(self.session_number, *line) for line in lines]
            )
