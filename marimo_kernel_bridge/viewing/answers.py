"""The answers to the requests of pages, as JSON text: of a tab over its socket, of an App over a tool.

Reads a table in other threads. Each request has exactly one answer, with its id.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.viewing import page_requests as asked
from marimo_kernel_bridge.viewing.table import Cancellation, CancelledError
from marimo_kernel_bridge.viewing.tables.failures import panics_as_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from marimo_kernel_bridge.protocol.views import Column
    from marimo_kernel_bridge.viewing.downloads import Downloads
    from marimo_kernel_bridge.viewing.readers import Readers
    from marimo_kernel_bridge.viewing.table import Page as Rows
    from marimo_kernel_bridge.viewing.table import Table
    from marimo_kernel_bridge.viewing.view import Page, View

LONGEST: Final = 8_000_000
"""Bytes of an answer to a tab: 500 rows of 200 short columns are half of that."""
LONGEST_FOR_APP: Final = 700_000
_EXPORT_LOOK: Final = 0.05  # seconds between looks at the size of an export to an App

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asker:
    """Who asks: a page over its socket, or an App, which has none."""

    page: Page | None = None
    longest: int = LONGEST
    cancellations: set[Cancellation] = field(default_factory=set)
    """Those of what is answered now."""

    @property
    def is_app(self) -> bool:
        return self.page is None

    def left(self) -> None:
        """Cancel what nobody waits for any more."""
        for cancellation in list(self.cancellations):
            cancellation.cancel()

    @contextmanager
    def waiting(self, cancellation: Cancellation) -> Iterator[Cancellation]:
        """Wait for something that can be cancelled."""
        self.cancellations.add(cancellation)
        try:
            yield cancellation
        finally:
            self.cancellations.discard(cancellation)


class PageRequests:
    """Answers requests about views. For one event loop."""

    def __init__(
        self,
        rows: Readers,
        slower: Readers,
        downloads: Downloads,
        unsettled: Callable[[View], bool] = lambda _: False,
    ) -> None:
        """`rows` read rows, `slower` all that may take long. `unsettled`: whether a running cell may change a view's data."""
        self._rows = rows
        self._slower = slower
        self._downloads = downloads
        self._unsettled = unsettled

    async def answer(self, view: View, text: str | bytes, asker: Asker) -> str:
        """Return the JSON text of the answer."""
        number = None
        try:
            request = asked.decode(text)
            number = request.id
            with panics_as_errors():
                answer = await self._answer(view, request, asker)
            if len(answer) > asker.longest and isinstance(request, asked.News):
                answer = _encoded(request, {"events": [], "n": view.told, "missed": True})
            if len(answer) <= asker.longest:
                return answer.decode()
            refusal = BridgeError("too_large", "That is too much at once.", "Ask for fewer rows or columns.")
        except BridgeError as error:
            refusal = error
        except CancelledError:
            refusal = None
        except MemoryError:
            refusal = BridgeError("too_large", "There is not enough memory for that.")
        except Exception as error:
            if self._unsettled(view):  # its rows are between two states
                refusal = BridgeError(
                    "data_changed", "A cell that runs now is changing this data; wait for its end."
                )
            else:
                logger.exception("A request of a page failed")
                refusal = BridgeError("bad_request", f"The data cannot be read: {_first_line(error)}")
        number = asked.id_of(text) if number is None else number
        code, message = ("cancelled", "Cancelled.") if refusal is None else (refusal.code, str(refusal))
        return msgspec.json.encode({"id": number, "error": {"code": code, "message": message}}).decode()

    async def _answer(  # noqa: PLR0911  # one for each
        self, view: View, request: asked.PageRequest, asker: Asker
    ) -> bytes:
        match request:
            case asked.Describe():
                return _described(request, view, asker.longest)
            case asked.Columns():
                columns = view.require(request.version).columns[request.start :]
                return _columns_within(request, columns, {"version": request.version}, asker.longest)
            case asked.Set():
                state = view.change(request.state, "person", asker.page)
                return _encoded(request, {"state": state, "matching": view.matching})
            case asked.News():
                return _encoded(request, view.news(request.since))
            case asked.Rows():
                return await self._read_rows(view, request, asker)
            case asked.StatisticsOf():
                return await self._statistics(view, request, asker)
            case asked.DetailOf():
                table = _with_columns(view.require(request.version), [request.column])
                return await self._rows.run(
                    lambda: _encoded(request, _fields(table.detail(request.row, request.column)))
                )
            case asked.Export():
                return await self._export(view, request, asker)

    async def _read_rows(self, view: View, request: asked.Rows, asker: Asker) -> bytes:
        table, query = _with_columns(view.require(request.version), request.columns), view.query
        before = self._unsettled(view)

        def read(cancellation: Cancellation) -> tuple[bytes, int | None]:
            cancellation.check()
            page = table.page(query, request.start, request.count, request.columns, cancellation)
            extra = {"unsettled": True} if before or self._unsettled(view) else {}
            answer = {"matching": page.matching, "version": request.version, **extra}
            return _rows_within(request, page, answer, asker.longest), page.matching

        with view.reading(query) as cancellation, asker.waiting(cancellation):
            answer, matching = await self._rows.run(partial(read, cancellation))
        view.counted(query, request.version, matching)
        return answer

    async def _statistics(self, view: View, request: asked.StatisticsOf, asker: Asker) -> bytes:
        table, query = _with_columns(view.require(request.version), [request.column]), view.query
        found = view.statistics.known(query, request.column)
        if found is None:
            settled, forgotten = not self._unsettled(view), view.statistics.forgotten
            cancellation = view.statistics.begin()
            try:
                with asker.waiting(cancellation):
                    found = await self._slower.run(
                        lambda: table.statistics(query, request.column, cancellation)
                    )
            finally:
                view.statistics.end(cancellation)
            if settled and not self._unsettled(view):
                view.statistics.keep(query, forgotten, found)
        return _encoded(request, _fields(found), version=request.version)

    async def _export(self, view: View, request: asked.Export, asker: Asker) -> bytes:
        table, state = view.require(view.version), view.state
        hidden = frozenset(state.hidden) if request.columns == "shown" else frozenset()
        columns = [column.index for column in table.columns if column.index not in hidden]
        with asker.waiting(Cancellation()) as cancellation:
            export = partial(table.export, view.query, columns, request.format, cancellation=cancellation)
            if asker.is_app:
                if request.format == "parquet":
                    raise BridgeError(
                        "bad_request", "Parquet is not text.", "Open the view in a tab to export that."
                    )
                longest = asker.longest - 1000
                if (view.matching or 0) * len(columns) > longest:  # each cell is a byte at least
                    raise _too_much_to_copy()
                text = await self._slower.run(lambda: _exported_text(export, longest, cancellation))
                return _encoded(request, {"text": text})
            target = self._downloads.new_file(view, request.format)
            try:
                await self._slower.run(lambda: export(target))
            except BaseException:
                target.unlink(missing_ok=True)
                raise
        return _encoded(request, {"url": f"download/{self._downloads.offer(view, target)}"})


def _with_columns(table: Table, columns: list[int]) -> Table:
    if any(column >= len(table.columns) for column in columns):
        raise BridgeError("bad_request", f"There are {len(table.columns)} columns, from 0 on.")
    return table


def _fields(value: Any) -> dict[str, Any]:  # a struct
    return {name: getattr(value, name) for name in value.__struct_fields__}


def _encoded(request: asked.PageRequest, answer: dict[str, Any], **more: Any) -> bytes:
    return msgspec.json.encode({"id": request.id, **answer, **more})


def _described(request: asked.Describe, view: View, longest: int) -> bytes:
    """Return the description, with as many columns as an answer may hold."""
    description = view.describe()
    fields = _fields(description) | {"n": view.told}
    if (progress := view.progress) is not None:
        fields["progress"] = {"done": progress.done, "what": progress.what}
    whole = _encoded(request, fields)
    if len(whole) <= longest:
        return whole
    fields["columns_total"] = len(description.columns)
    return _columns_within(request, description.columns, fields, longest)


def _columns_within(
    request: asked.PageRequest, columns: Sequence[Column], answer: dict[str, Any], longest: int
) -> bytes:
    """Return an answer with as many of the columns as it may hold."""
    parts = [msgspec.json.encode(column) for column in columns]
    room = longest - len(_encoded(request, answer | {"columns": []}))
    shown = [msgspec.Raw(part) for part in parts[: _most_within(parts, room)]]
    return _encoded(request, answer | {"columns": shown})


def _rows_within(request: asked.Rows, page: Rows, answer: dict[str, Any], longest: int) -> bytes:
    """Return an answer with as many of the rows as it may hold, and one at least; `cut` says that there are more."""
    whole = _encoded(request, answer, rows=page.rows, ids=page.ids)
    if len(whole) <= longest or len(page.rows) <= 1:
        return whole
    rows = [msgspec.json.encode(row) for row in page.rows]
    room = longest - len(_encoded(request, answer, rows=[], ids=page.ids, cut=True))
    kept = max(1, _most_within(rows, room))
    shown = [msgspec.Raw(row) for row in rows[:kept]]
    return _encoded(request, answer, rows=shown, ids=page.ids[:kept], cut=True)


def _most_within(parts: list[bytes], room: int) -> int:
    """Return how many of the first elements of a JSON array have room."""
    for number, part in enumerate(parts):
        room -= len(part) + 1
        if room < 0:
            return number
    return len(parts)


def _exported_text(export: Callable[[Path], None], longest: int, cancellation: Cancellation) -> str:
    """Return exported rows as text; an export that becomes too large is stopped."""
    with tempfile.TemporaryDirectory(prefix="marimo-view-") as folder:
        target, ended, is_too_large = Path(folder) / "rows", threading.Event(), threading.Event()

        def watch() -> None:
            while not ended.wait(_EXPORT_LOOK):
                if _size(Path(folder)) > longest:
                    is_too_large.set()
                    cancellation.cancel()
                    return

        watching = threading.Thread(target=watch, name="export of a view", daemon=True)
        watching.start()
        try:
            export(target)
        except CancelledError:
            if not is_too_large.is_set():
                raise
            raise _too_much_to_copy() from None
        finally:
            ended.set()
            watching.join()
        if target.stat().st_size > longest:
            raise _too_much_to_copy()
        return target.read_text(encoding="utf-8")


def _size(folder: Path) -> int:
    size = 0
    for file in folder.iterdir():
        with suppress(OSError):  # renamed meanwhile
            size += file.stat().st_size
    return size


def _too_much_to_copy() -> BridgeError:
    return BridgeError(
        "too_large",
        "That is too much to copy here.",
        "Filter the rows, or open the view in a tab to export them.",
    )


def _first_line(error: Exception) -> str:
    with suppress(Exception):  # of an object of the user
        return f"{type(error).__name__}: {str(error)[:300]}".split("\n", 1)[0]
    return type(error).__name__
