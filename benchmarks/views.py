"""Tables on the person's screen, beside buckaroo, marimo's own table and Perspective: same machine, same run, in Chromium.

A time ends when the page shows what was waited for. The servers, ours and the peers', run before a table is opened in them,
have nothing else to do, and the browser has an empty tab for it. What a peer cannot do, or does not show in three minutes, is
noted. Memory is that of the server's processes after all of this, when they have nothing left to do, without
the table itself where they hold it.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psutil
from anyio.from_thread import start_blocking_portal
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import sync_playwright

from benchmarks.contenders import Kernel
from benchmarks.measuring import (
    OURS,
    Row,
    Sample,
    Settings,
    UnavailableError,
    WrongResultError,
    check,
    median,
    say,
)
from benchmarks.view_data import GROUP, MAKE, MANY, NUMBER, PART, ROWS, TEXT, VALUE, many, table
from benchmarks.view_pages import FileView, Memory, VariableView, at_rest, attached, heap, memory, new_tab
from benchmarks.view_peers import PEERS
from marimo_kernel_bridge.launch.viewer.client import Viewer
from tests.browser.chromium import launch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from benchmarks.view_data import Known
    from benchmarks.view_pages import Ours

_FIRST, _FIRST_SORTED, _FIRST_NAME = (
    "first rows",
    "first screen of a sort, number",
    "first screen of a sort, text",
)
_LIMITS = {
    _FIRST: 1.0,
    _FIRST_SORTED: 1.0,
    _FIRST_NAME: 1.0,
    "filter, =": 0.5,
    "filter, contains": 0.5,
    "statistics of 15 columns": 3.0,
}
_AT_REST = (
    f"{OURS}: at rest it unmaps the pages of DuckDB's program (about 41 MiB), which the system keeps or not, as it likes; "
    "the next line counts pages of files of nobody"
)
_REQUESTS = 150  # of each kind, a tab that scrolls or not
_SLOWER = 1.03


class _Times:
    """Seconds by what was measured, and of whom."""

    def __init__(self) -> None:
        self.taken: dict[str, dict[str, list[Sample]]] = {}
        self.notes: dict[str, list[str]] = {}

    def time(self, what: str, who: str, work: Callable[[], object]) -> bool:
        """Time some work; a note says why it could not be done."""
        start = time.perf_counter()
        try:
            work()
        except (UnavailableError, PlaywrightError, OSError) as problem:
            if who.startswith(OURS) and not isinstance(problem, UnavailableError):
                raise WrongResultError(f"{what}: {problem}") from problem
            self.notes.setdefault(what, []).append(f"{who}: {str(problem).splitlines()[0][:120]}")
            return False
        self.taken.setdefault(what, {}).setdefault(who, []).append(Sample(time.perf_counter() - start))
        say(".", end="")
        return True

    def row(self, what: str, limit: float) -> Row:
        """Return a line: the slowest of ours is what the target is about."""
        samples = self.taken.get(what, {})
        ours = [
            value
            for who, some in samples.items()
            if who.startswith(OURS) and (value := median(some)) is not None
        ]
        name = f"1,000,000 × 15: {what}" if what in _LIMITS else what  # noqa: RUF001  # by
        return Row(
            name,
            f"≤ {limit:g} s",
            limit,
            max(ours) if ours else None,
            "s",
            samples=samples,
            notes=self.notes.get(what, []),
        )


def _looked_at(times: _Times, who: str, view: Ours, known: Known) -> None:
    """Sort, filter and wait for statistics on a page of ours."""
    times.time("statistics of 15 columns", who, view.statistics)
    smallest = "0"
    times.time(_FIRST_SORTED, who, lambda: view.sort(NUMBER, _first_of(NUMBER, smallest)))
    times.time(_FIRST_NAME, who, lambda: view.sort(TEXT, "name 0000000"))
    times.time("filter, =", who, lambda: view.filter(GROUP, "=", VALUE, known.equal))
    times.time("filter, contains", who, lambda: view.filter(TEXT, "contains", PART, known.containing))


def _first_of(column: str, value: str) -> str:
    """Return the text that only the first row of a sort has: the name beside the smallest number."""
    return _NAMES[value] if column == NUMBER else value


_NAMES: dict[str, str] = {}
"""The name in the row with a number."""


def _first_name(known: Known) -> str:
    import polars as pl  # noqa: PLC0415  # for this alone

    frame = pl.scan_parquet(known.parquet)
    _NAMES["0"] = frame.filter(pl.col(NUMBER) == 0).select(TEXT).collect().item()
    return str(frame.select(TEXT).head(1).collect().item())


def _files(
    browser: Browser, known: Known, first: str, settings: Settings, times: _Times
) -> tuple[Memory, int]:
    """Measure Parquet and CSV. Return the memory that Parquet took, and the bytes of the page."""
    taken, held = Memory(0, 0), 0
    for kind, path in (("Parquet", known.parquet), ("CSV", known.csv)):
        for number in range(settings.pick(3, 1)):
            viewer = Viewer.started()
            views: list[FileView] = []
            who, tab = f"{OURS}, {kind}", new_tab(browser, psutil.Process(viewer.process.pid))
            times.time(
                _FIRST,
                who,
                lambda path=path, views=views, tab=tab: views.append(FileView(tab, path, first)),
            )
            if kind == "CSV":  # sorts wait until it is loaded, once
                times.time("CSV, loaded", who, lambda view=views[0]: view.loaded(ROWS))
            _looked_at(times, who, views[0], known)
            if kind == "Parquet" and number == 0:
                taken = memory(at_rest(psutil.Process(viewer.process.pid)))
                held = heap(views[0].page)
            views[0].close()
    return taken, held


def _variables(
    browser: Browser, known: Known, first: str, settings: Settings, times: _Times
) -> Iterator[Row]:
    """Measure frames in a kernel, and its own cells while a tab scrolls."""
    kernel = Kernel(OURS)
    kernel.ready()
    try:
        kernel.run(MAKE, "make")
        kernel.run(
            "import pandas as pd\nframe = pd.DataFrame({name: table[name].to_numpy() for name in table.columns})",
            "pandas",
        )
        process = kernel.process
        with start_blocking_portal() as portal, attached(portal, kernel) as client:
            last: VariableView | None = None
            for number in range(settings.pick(3, 1)):
                for kind, name in (("pandas", "frame"), ("polars", "table")):
                    views: list[VariableView] = []
                    if number:
                        kernel.run(f"%marimo view {name} --close", "close")  # which keeps its statistics
                    who, tab = f"{OURS}, {kind}", new_tab(browser, process)
                    if times.time(
                        _FIRST,
                        who,
                        lambda name=name, views=views, tab=tab: views.append(
                            VariableView(tab, portal, client, name, first)
                        ),
                    ):
                        _looked_at(times, who, views[0], known)
                        if last is not None:
                            last.close()
                        last = views[0]
            if last is not None:
                other = FileView(new_tab(browser, process), known.parquet, first)
                yield _cells_while_scrolling(kernel, last.page, other.page, settings)
                other.close()
                last.close()
    finally:
        kernel.close()


def _cells_while_scrolling(kernel: Kernel, page: Page, other: Page, settings: Settings) -> Row:
    """Run `x = 1` in blocks, in turn while nothing happens and while a tab scrolls without a pause.

    A browser that scrolls takes processors whatever it shows: so the tab of a table of another process scrolls as well.
    """
    pages = {_QUIET: None, _SCROLLS: page, "while a tab of another process's table scrolls": other}
    samples: dict[str, list[Sample]] = {name: [] for name in pages}
    for number in range(settings.pick(10, 4)):
        for name in list(samples) if number % 2 else list(samples)[::-1]:
            for each in (page, other):
                each.evaluate(_SCROLL if each is pages[name] else _REST)
            done = threading.Event()
            blocks: list[float] = []

            def run(blocks: list[float] = blocks, done: threading.Event = done) -> None:
                for _ in range(_REQUESTS // 10):
                    start = time.perf_counter()
                    kernel.run("x = 1", "x")
                    blocks.append(time.perf_counter() - start)
                done.set()

            thread = threading.Thread(target=run)
            thread.start()
            while not done.is_set():
                page.wait_for_timeout(20)  # the pages' own events are handled meanwhile
            thread.join()
            samples[name] += [Sample(one) for one in blocks]
    for each in (page, other):
        each.evaluate(_REST)
    quiet, scrolling_median = median(samples[_QUIET]), median(samples[_SCROLLS])
    assert quiet is not None
    assert scrolling_median is not None
    return Row(
        "`x = 1` while a tab scrolls through 1,000,000 rows",
        f"≤ {_SLOWER} x",
        _SLOWER,
        scrolling_median / quiet,
        samples=samples,
    )


_QUIET, _SCROLLS = "quiet", "while a tab scrolls"
_REST = "() => clearInterval(window.scrolling)"
_SCROLL = """() => {
  const grid = document.querySelector("#grid");
  clearInterval(window.scrolling);
  window.scrolling = setInterval(() => { grid.scrollTop = (grid.scrollTop + 700) % Math.max(1, grid.scrollHeight - 2000); }, 30);
}"""


def _many(browser: Browser, path: Path, settings: Settings, times: _Times) -> None:
    """Measure fifty million rows: the first ones, and pages anywhere."""
    places = (1.0, 0.5, 0.314)[: settings.pick(3, 2)]
    for _ in range(settings.pick(3, 1)):
        views: list[FileView] = []
        tab = new_tab(browser, psutil.Process(Viewer.started().process.pid))
        times.time(
            "50,000,000-row Parquet: first rows",
            OURS,
            lambda views=views, tab=tab: views.append(FileView(tab, path, "0")),
        )
        for place in places:
            times.time(
                "50,000,000-row Parquet: a page anywhere",
                OURS,
                lambda place=place, view=views[0]: view.go_to(place, MANY),
            )
        views[0].close()


def _peers(browser: Browser, known: Known, first: str, times: _Times) -> dict[str, Memory]:
    """Measure what the peers can do, each once. Return the memory that they took."""
    taken: dict[str, Memory] = {}
    for name, kind in PEERS.items():
        try:
            peer = kind(browser)
        except (UnavailableError, OSError) as problem:
            times.notes.setdefault(_FIRST, []).append(f"{name}: {problem}")
            continue
        try:
            if times.time(_FIRST, name, lambda peer=peer: peer.open(known, first)):
                times.time(_FIRST_SORTED, name, lambda peer=peer: peer.sort(NUMBER, _first_of(NUMBER, "0")))
                with suppress(PlaywrightError):
                    peer.unsort(NUMBER, first)
                times.time(_FIRST_NAME, name, lambda peer=peer: peer.sort(TEXT, "name 0000000"))
                times.time("filter, =", name, lambda peer=peer: peer.filter(GROUP, "=", VALUE, known.equal))
                times.time(
                    "filter, contains",
                    name,
                    lambda peer=peer: peer.filter(TEXT, "contains", PART, known.containing),
                )
                found, data = memory(at_rest(peer.process)), known.size if peer.holds_data else 0
                taken[name] = Memory(found.all - data, found.own - data)
        finally:
            with suppress(PlaywrightError):
                peer.close()
    return taken


def _mebibytes(  # noqa: PLR0917  # a row's
    what: str,
    target: str,
    limit: float,
    taken: dict[str, int],
    value: float | None,
    unit: str,
    notes: tuple[str, ...] = (),
) -> Row:
    samples: dict[str, list[Any]] = {who: [Sample(float(size))] for who, size in taken.items()}
    return Row(what, target, limit, value, unit, samples=samples, sample_unit="MiB", notes=list(notes))


def _of_servers(taken: dict[str, Memory]) -> Iterator[Row]:
    """Return the lines of the memory of servers: all of it, and without pages of files."""
    what = "1,000,000 rows of Parquet: memory of the server beyond the data"
    for name, note, bytes_of in (
        (what, (_AT_REST,), {who: one.all for who, one in taken.items()}),
        (f"{what}, without pages of files", (), {who: one.own for who, one in taken.items()}),
    ):
        best = min((size for who, size in bytes_of.items() if who != OURS), default=None)
        value = bytes_of[OURS] / best if best else None
        yield _mebibytes(name, "≤ 0.5 x the best peer's", 0.5, bytes_of, value, "x", note)


@contextmanager
def _own_viewer() -> Iterator[None]:
    """Let the viewer of files be another one than the person's, and end it."""
    before = os.environ.get("JUPYTER_RUNTIME_DIR")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["JUPYTER_RUNTIME_DIR"] = folder
        try:
            yield
        finally:
            if (viewer := Viewer.running()) is not None:
                viewer.stop()
            del os.environ["JUPYTER_RUNTIME_DIR"]
            if before is not None:
                os.environ["JUPYTER_RUNTIME_DIR"] = before


def run(settings: Settings) -> Iterator[Row]:
    known, large, times = table(), many(), _Times()
    first = _first_name(known)
    with _own_viewer(), sync_playwright() as playwright:
        browser = launch(playwright)
        taken, held = _files(browser, known, first, settings, times)
        cells = list(_variables(browser, known, first, settings, times))
        _many(browser, large, settings, times)
        peers = _peers(browser, known, first, times)
        browser.close()
    check(times.taken, "nothing was measured")
    for what, limit in _LIMITS.items():
        yield times.row(what, limit)
    yield Row(
        "CSV of 1,000,000 rows: loaded behind the first ones",
        "",
        None,
        None,
        samples=times.taken.get("CSV, loaded", {}),
    )  # by
    yield times.row("50,000,000-row Parquet: first rows", 2.0)
    yield times.row("50,000,000-row Parquet: a page anywhere", 1.0)
    yield from _of_servers({OURS: taken, **peers})
    yield _mebibytes("heap of the page", "≤ 30 MiB", 30.0, {OURS: held}, held / 2**20, "MiB")
    yield from cells
