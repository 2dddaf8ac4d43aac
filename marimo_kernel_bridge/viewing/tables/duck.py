"""A DuckDB of our own for one file: closed against all other files, bounded in memory, its work can be interrupted."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.viewing.table import CancelledError
from marimo_kernel_bridge.viewing.tables.duck_sql import literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from marimo_kernel_bridge.viewing.table import Cancellation

_MEMORY_MAX: Final = 1 << 30
_MEMORY_SHARE: Final = 0.2
"""Of the machine's memory."""


_MEMORY_IS_GIVEN_BACK: Final = (
    "allocator_flush_threshold = '1MiB'",
    "allocator_bulk_deallocation_flush_threshold = '1MiB'",
    "allocator_background_threads = true",
)
"""Else DuckDB's allocator keeps what a query has taken: several times what an open file needs."""


_NO_REMOTE_FILES: Final = "async_threads = 1"
"""Threads that wait for networks, of which there are eight else."""


class Database:
    """A database in a folder of its own, which is removed when it is closed.

    It may read and write what is in this folder, and read one file, under the name that `link` returns; nothing else. Extensions are neither
    loaded nor installed, and no setting can be changed any more.
    """

    def __init__(self, path: Path | None = None) -> None:
        try:
            import duckdb  # noqa: PLC0415  # an extra, and large
        except ImportError:
            raise BridgeError(
                "not_installed",
                "Files are read with DuckDB, which is not installed here.",
                "Install `marimo-kernel-bridge[view]`.",
            ) from None
        self._duckdb = duckdb
        self.folder = Path(tempfile.mkdtemp(prefix="marimo-view-")).resolve()
        self._path = path.resolve() if path is not None else None  # DuckDB asks where links lead to
        readable = [] if self._path is None else [literal(str(self._path))]
        self._lock = threading.Lock()
        self._running: set[Any] = set()
        self._closed = False
        try:
            self._connection = duckdb.connect(
                str(self.folder / "view.duckdb"),
                config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"},
            )
            with contextlib.suppress(duckdb.Error):  # of DuckDB 2
                self._connection.execute(f"SET {_NO_REMOTE_FILES}")
            for setting in (
                f"memory_limit = '{_memory() >> 20}MiB'",
                f"temp_directory = {literal(str(self.folder / 'spilled'))}",
                "TimeZone = 'UTC'",
                *_MEMORY_IS_GIVEN_BACK,
                f"allowed_paths = [{', '.join(readable)}]",
                f"allowed_directories = [{literal(str(self.folder))}]",
                "enable_external_access = false",
                "lock_configuration = true",
            ):
                self._connection.execute(f"SET {setting}")
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def link(self, suffix: str) -> str:
        """Return the name under which DuckDB reads a file: one that is no pattern, and without folders that become columns."""
        assert self._path is not None
        link = self.folder / f"source{suffix}"
        try:
            link.symlink_to(self._path)
        except OSError:  # Windows allows it to administrators alone
            shutil.copyfile(self._path, link)
        return str(link)

    def run(
        self, statement: str, values: Sequence[Any] = (), cancellation: Cancellation | None = None
    ) -> list[Any]:
        """Return the rows of a statement. Raises `BridgeError`: disk_full; `CancelledError`; and DuckDB's own errors."""
        with self._cursor(cancellation) as cursor:
            return cursor.execute(statement, list(values)).fetchall()  # type: ignore[no-any-return]  # mypy skips it

    def create(self, statement: str, cancellation: Cancellation, *, rejecting: bool = False) -> list[Any]:
        """Run a statement that reads a file, and return the lines that `store_rejects` left out of it. Raises as `run`."""
        with self._cursor(cancellation) as cursor:
            cursor.execute(statement).fetchall()
            if not rejecting:
                return []
            return list(cursor.execute("SELECT DISTINCT line FROM reject_errors ORDER BY line").fetchall())

    def described(self, source: str) -> list[tuple[str, str]]:
        """Return the names and types of the columns of a table or a function in FROM."""
        if not source.isidentifier():
            return self.head(f"SELECT * FROM {source}", 0)[0]
        with self._cursor(None) as cursor:  # DuckDB plans a query of 10,000 columns for half a second
            found = cursor.execute(f"PRAGMA table_info({literal(source)})").fetchall()
        return [(str(name), str(dtype)) for _, name, dtype, *_ in found]

    def head(self, statement: str, count: int) -> tuple[list[tuple[str, str]], list[Any]]:
        """Return the names and types of a query's columns, and its first rows. Raises as `run`."""
        with self._cursor(None) as cursor:
            found = cursor.execute(f"{statement} LIMIT {count}")
            return [(str(name), str(dtype)) for name, dtype, *_ in found.description], found.fetchall()

    @property
    def error(self) -> Any:
        """The class of DuckDB's errors."""
        return self._duckdb.Error

    def load(self, value: object, count: int) -> None:
        """Create the table "loaded" of at most so many rows of a value with Arrow's interface."""
        with self._cursor(None) as cursor:
            cursor.register("given", value)
            cursor.execute(f"CREATE TABLE loaded AS SELECT * FROM given LIMIT {count}").fetchall()
            cursor.unregister("given")

    def close(self) -> None:
        """End what runs, and remove the folder."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for cursor in running:
            with contextlib.suppress(self._duckdb.Error):  # it has ended meanwhile
                cursor.interrupt()
        with contextlib.suppress(self._duckdb.Error):
            self._connection.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def _cursor(self, cancellation: Cancellation | None) -> Iterator[Any]:
        """Give a connection of its own to each statement, so that none waits for another. Raises as `run` says."""
        with self._lock:
            if self._closed:
                raise CancelledError
            cursor = self._connection.cursor()
            self._running.add(cursor)

        def stop() -> None:
            with contextlib.suppress(self._duckdb.Error):  # it has ended meanwhile
                cursor.interrupt()

        if cancellation is not None:
            cancellation.stopped_by(stop)
        try:
            if cancellation is not None:
                cancellation.check()
            yield cursor
        except self._duckdb.InterruptException:
            raise CancelledError from None
        except self._duckdb.OutOfMemoryException:
            raise BridgeError(
                "too_large", "DuckDB has not enough memory for this.", "Filter the rows first."
            ) from None
        except self._duckdb.IOException as error:
            if "No space left" in str(error):
                raise BridgeError("disk_full", f"There is no space left in {self.folder.parent}.") from None
            raise
        finally:
            if cancellation is not None:
                cancellation.finished(stop)
            with self._lock:
                self._running.discard(cursor)
            with contextlib.suppress(self._duckdb.Error):
                cursor.close()


def warm() -> None:
    """Import DuckDB and make its first database, if it is installed: the first file is opened sooner then."""
    with contextlib.suppress(ImportError):
        import duckdb  # noqa: PLC0415  # an extra, and large

        duckdb.connect().close()


def _memory() -> int:
    import psutil  # type: ignore[import-untyped]  # noqa: PLC0415  # only where a file is opened

    return min(_MEMORY_MAX, int(psutil.virtual_memory().total * _MEMORY_SHARE))
