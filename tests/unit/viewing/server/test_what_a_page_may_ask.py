"""What a page asks of its view, what it is told, and the limits of both."""

import asyncio
import json
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.views import OpenedView, SortKey, StateChange
from marimo_kernel_bridge.viewing import readers
from marimo_kernel_bridge.viewing.answers import LONGEST_FOR_APP
from marimo_kernel_bridge.viewing.downloads import OFFERED
from marimo_kernel_bridge.viewing.page_requests import LONGEST
from marimo_kernel_bridge.viewing.readers import SHARE, Pace, Readers
from marimo_kernel_bridge.viewing.server.serving import ViewServer
from marimo_kernel_bridge.viewing.server.site import MOST_REFUSED, MOST_UNANSWERED
from marimo_kernel_bridge.viewing.table import Cancellation, CancelledError, Page, Query, Table
from marimo_kernel_bridge.viewing.tables import open_value
from marimo_kernel_bridge.viewing.tables import orders as orders_module
from marimo_kernel_bridge.viewing.tables.loading import LoadingTable
from marimo_kernel_bridge.viewing.tables.orders import Orders
from marimo_kernel_bridge.viewing.views import MOST_VIEWS, PERSON
from tests.unit.viewing.server.view_browser import BOUND, ROWS, Browser, SlowTable, data, opened

pytestmark = pytest.mark.anyio
FIRST: dict[str, Any] = {"start": 0, "count": 3, "columns": [0, 1], "version": 1}


async def test_a_page_learns_what_there_is_and_reads_rows_by_position(
    server: ViewServer, browser: Browser
) -> None:
    tab = await browser.tab(await opened(server))
    described = await tab.ask("describe")
    assert (described["rows"], described["title"], described["version"]) == (1000, "sales", 1)
    assert [column["name"] for column in described["columns"]] == ["city", "price"]
    answer = await tab.ask("rows", start=998, count=100, columns=[1, 0], version=1)
    assert answer["rows"] == [[9980, "city 998"], [9990, "city 999"]]
    assert (answer["ids"], answer["matching"]) == ([998, 999], 1000)


async def test_what_one_page_sets_the_other_shows_and_itself_is_not_told(
    server: ViewServer, browser: Browser
) -> None:
    first = await browser.tab(await opened(server))
    second = await browser.tab(await opened(server))
    filters = [{"column": 1, "op": ">=", "value": 9900}]
    answer = await first.ask("set", state={"filters": filters, "widths": {"0": 200}, "selected": [3]})
    assert (answer["state"]["filters"], answer["state"]["by"]) == (filters, "person")
    assert (await second.event("state"))["state"] == answer["state"]
    assert (await first.ask("rows", **FIRST))["matching"] == 10
    assert not [event for event in first.events if event["event"] == "state"]


async def test_a_state_that_makes_no_sense_is_refused_and_changes_nothing(
    server: ViewServer, browser: Browser
) -> None:
    tab = await browser.tab(await opened(server))
    before = (await tab.ask("describe"))["state"]
    for state in (
        {"sort": [{"column": 2}]},
        {"filters": [{"column": 1, "op": "=", "value": "no number"}]},
        {"filters": [{"column": 0, "op": "LIKE", "value": "%"}]},
        {"hidden": [7]},
        {"widths": {"9": 10}},
        {"selected_column": 2},
        {"selected": [-1]},
        {"by": "agent"},
    ):
        assert (await tab.ask("set", state=state))["error"]["code"] == "bad_request", state
    assert (await tab.ask("describe"))["state"] == before


@pytest.mark.parametrize(
    "request_text",
    [
        '{"id": 1, "do": "open", "path": "/etc/passwd"}',
        '{"id": 1, "do": "describe", "data": "other"}',
        '{"id": 1, "do": "rows", "start": 0, "count": 1, "columns": ["city"], "version": 1}',
        '{"id": 1, "do": "rows", "start": 0, "count": 1, "columns": [0], "version": 1, "view": "abc"}',
        '{"id": 1, "do": "rows", "start": 0, "count": 1, "columns": [0], "version": 1, "sql": "SELECT 1"}',
        '{"id": 1, "do": "export", "format": "csv", "path": "/tmp/x"}',
        '{"id": 1, "do": "export", "format": "../x"}',
        '{"id": 1, "do": "set", "state": {"query": "x"}}',
        '{"id": 1, "op": "open_view", "data": "other", "session": "person"}',
        '{"id": 1, "op": "open_file", "path": "/etc/passwd", "session": "person"}',
    ],
)
async def test_a_request_of_a_page_that_names_something_is_refused(
    server: ViewServer, browser: Browser, request_text: str
) -> None:
    tab = await browser.tab(await opened(server))
    await tab.socket.write_message(request_text)
    answer = await tab.answer(1)
    assert answer["error"]["code"] == "bad_request"
    assert "passwd" not in str(answer)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '"x"', '{"id": 5}', "[" * 20_000, '{"do": "describe"}', "\ud800"]
)
async def test_what_is_no_request_is_answered(server: ViewServer, browser: Browser, text: str) -> None:
    tab = await browser.tab(await opened(server))
    await tab.socket.write_message(text.encode("utf-8", "surrogatepass"), binary=True)
    number = 5 if '"id": 5' in text else None
    assert (await tab.answer(number))["error"]["code"] == "bad_request"
    assert (await tab.ask("describe"))["title"] == "sales"


async def test_sizes_of_requests_have_a_limit(server: ViewServer, browser: Browser) -> None:
    tab = await browser.tab(await opened(server))
    for fields in (
        FIRST | {"count": 501},
        FIRST | {"columns": [0] * 201},
        FIRST | {"start": -1},
        FIRST | {"start": 2**60},
        FIRST | {"columns": [2]},
    ):
        assert (await tab.ask("rows", **fields))["error"]["code"] == "bad_request", fields
    await tab.socket.write_message(json.dumps({"id": 1, "do": "describe", "x": "x" * LONGEST}))
    assert await tab.rest() == 1009


async def _asked(server: ViewServer, view: OpenedView, do: str, **fields: Any) -> Any:
    """Ask as an App does, whose answers have a limit."""
    request = json.dumps({"id": 1, "do": do, **fields})
    answer = (await server.control.ask(view.description.view, PERSON, request)).answer
    assert len(answer.encode()) <= LONGEST_FOR_APP
    return json.loads(answer)


async def test_rows_that_are_too_large_for_one_answer_come_in_several(server: ViewServer) -> None:
    view = await opened(server, [{f"c{n}": f"{row:0290}" for n in range(20)} for row in range(500)])
    ids: list[int] = []
    while len(ids) < 500:
        asked = {"start": len(ids), "count": 500 - len(ids), "columns": list(range(20)), "version": 1}
        answer = await _asked(server, view, "rows", **asked)
        assert [int(row[7]) for row in answer["rows"]] == answer["ids"]
        assert answer.get("cut", False) is (len(ids) + len(answer["ids"]) < 500)
        assert answer["ids"]
        ids += answer["ids"]
    assert ids == list(range(500))


async def test_ten_thousand_columns_are_described_in_parts(server: ViewServer) -> None:
    view = await opened(server, [{f"a column of a long name, number {n}": n for n in range(10_000)}])
    described = await _asked(server, view, "describe")
    columns = described["columns"]
    assert (described["columns_total"], described["rows"]) == (10_000, 1)
    while len(columns) < 10_000:
        more = (await _asked(server, view, "columns", start=len(columns), version=1))["columns"]
        assert more
        columns += more
    assert [column["index"] for column in columns] == list(range(10_000))
    (shown,) = server.views
    shown.loaded_more()
    news = await _asked(server, view, "news", since=0)
    assert (news["events"], news["missed"], news["n"]) == ([], True, 1)


async def test_a_page_is_told_what_loads_and_when_that_has_ended(
    server: ViewServer, browser: Browser, tmp_path: Path
) -> None:
    may_load = threading.Event()

    def load(_: Cancellation) -> Table:
        may_load.wait(60)
        return open_value([{"a": row} for row in range(3000)])

    head = open_value([{"a": 0}])
    view = await server.control.open(
        data(), PERSON, lambda: LoadingTable(head, "Loading a.csv", load, lambda: None)
    )
    tab = await browser.tab(view)
    described = await tab.ask("describe")
    assert (described["rows"], described["progress"]) == (None, {"done": None, "what": "Loading a.csv"})
    await tab.send("rows", start=2990, count=10, columns=[0], version=1)
    may_load.set()
    told = await tab.event("progress")
    assert (told["done"], told["what"]) == (1.0, "")
    loaded = await tab.ask("describe")
    assert (loaded["rows"], "progress" in loaded) == (3000, False)


async def test_statistics_that_began_before_a_run_and_ended_after_it_are_not_kept(
    server: ViewServer, browser: Browser
) -> None:
    table = SlowTable()
    tab = await browser.tab(await server.control.open(data(), PERSON, lambda: _as_table(table)))
    (shown,) = server.views
    asked = asyncio.ensure_future(tab.ask("statistics", column=0, version=1))
    await asyncio.to_thread(table.counting.wait, BOUND)
    shown.statistics.forget()  # a run, which began and ended meanwhile
    table.may_count.set()
    assert "error" not in await asked
    assert shown.statistics.known(Query(), 0) is None
    await tab.ask("statistics", column=0, version=1)
    assert shown.statistics.known(Query(), 0) is not None


async def test_a_page_that_asks_without_end_is_cut_off(server: ViewServer, browser: Browser) -> None:
    table = SlowTable()
    view = await server.control.open(data(), PERSON, lambda: _as_table(table))
    tab, other = await browser.tab(view), await browser.connect(view.description.view)
    for _ in range(MOST_UNANSWERED):
        await tab.send("rows", **FIRST)
    too_many = await tab.ask("rows", **FIRST)
    assert too_many["error"]["code"] == "too_many"
    for _ in range(MOST_REFUSED):
        await tab.send("rows", **FIRST)
    assert await tab.rest() == 1008
    table.may_read.set()
    assert len((await other.ask("rows", **FIRST))["rows"]) == 3


async def test_a_page_that_reads_nothing_is_cut_off(server: ViewServer, browser: Browser) -> None:
    view = await opened(server)
    tab = await browser.tab(view)
    (shown,) = server.views
    (silent,) = shown.pages
    other = await browser.connect(view.description.view)
    written: list[asyncio.Future[None]] = []

    def never(message: str) -> asyncio.Future[None]:
        written.append(asyncio.get_running_loop().create_future())
        return written[-1]

    silent.write_message = never  # type: ignore[attr-defined]  # a page whose system takes no more
    for width in range(1, 250):
        await other.ask("set", state={"widths": {"0": width}})
    assert len(written) == 200
    assert await tab.rest() == 1008


async def test_rows_do_not_wait_for_statistics(server: ViewServer, browser: Browser) -> None:
    table = SlowTable()
    table.may_read.set()
    tab = await browser.tab(await server.control.open(data(), PERSON, lambda: _as_table(table)))
    for column in (0, 1):
        await tab.send("statistics", column=column, version=1)
    await asyncio.to_thread(table.counting.wait, 30)
    assert len((await tab.ask("rows", **FIRST))["rows"]) == 3
    assert not tab.answers


async def test_statistics_begin_after_the_rows_that_are_read_unless_those_take_long(
    server: ViewServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for longest, order in ((BOUND, ["rows", "statistics"]), (0.01, ["statistics", "rows"])):
        monkeypatch.setattr(readers, "_GOES_FIRST", longest)
        reading, may_end, done = threading.Event(), threading.Event(), list[str]()

        def read(reading: Any = reading, may_end: Any = may_end, done: list[str] = done) -> None:
            reading.set()
            assert may_end.wait(BOUND)
            done.append("rows")

        rows = asyncio.ensure_future(server.rows.run(read))
        assert await asyncio.to_thread(reading.wait, BOUND)
        statistics = asyncio.ensure_future(server.slower.run(partial(done.append, "statistics")))
        if order[0] == "statistics":
            await statistics
        else:
            await asyncio.sleep(0)
            assert not done
        may_end.set()
        await asyncio.gather(rows, statistics)
        assert done == order


async def test_statistics_are_made_once_for_the_same_rows_of_the_same_data(
    server: ViewServer, browser: Browser
) -> None:
    table: Any = _table([{"x": number} for number in range(10)])
    made: list[str] = []
    statistics = table.statistics

    def counted(query: Query, column: int, cancellation: Cancellation) -> Any:
        made.append(query.search)
        return statistics(query, column, cancellation)

    table.statistics = counted
    tab = await browser.tab(await server.control.open(data(), PERSON, lambda: table))
    first = await tab.ask("statistics", column=0, version=1)
    await tab.ask("set", state={"search": "7"})
    assert (await tab.ask("statistics", column=0, version=1))["rows"] == 1
    await tab.ask("set", state={"search": "", "sort": [{"column": 0}]})
    again = await tab.ask("statistics", column=0, version=1)
    assert (again["rows"], again["bins"], made) == (10, first["bins"], ["", "7"])
    (shown,) = server.views
    shown.replace(_table([{"x": 5}]))
    assert (await tab.ask("statistics", column=0, version=2))["rows"] == 1


async def test_a_new_filter_cancels_statistics_and_a_new_sort_does_not(
    server: ViewServer, browser: Browser
) -> None:
    table = SlowTable()
    tab = await browser.tab(await server.control.open(data(), PERSON, lambda: _as_table(table)))
    number = await tab.send("statistics", column=1, version=1)
    await asyncio.to_thread(table.counting.wait, 30)
    await tab.ask("set", state={"sort": [{"column": 0}]})
    assert not table.may_count.is_set()
    await tab.ask("set", state={"search": "city 1"})
    assert (await tab.answer(number))["error"]["code"] == "cancelled"
    statistics = await tab.ask("statistics", column=1, version=1)
    assert (statistics["rows"], statistics["version"]) == (111, 1)


class _WaitingTable(SlowTable):
    """Reads rows until somebody cancels that."""

    def __init__(self) -> None:
        super().__init__()
        self.cancelled: list[str] = []

    def page(
        self, query: Query, start: int, count: int, columns: Sequence[int], cancellation: Cancellation
    ) -> Page:
        if not query.search.endswith("wait"):
            return self.of.page(query, start, count, columns, cancellation)
        ended = threading.Event()
        cancellation.stopped_by(ended.set)
        self.reading.set()
        assert ended.wait(5)
        self.cancelled.append(query.search)
        raise CancelledError


async def test_rows_of_an_order_that_is_not_shown_any_more_are_cancelled_also_in_an_app(
    server: ViewServer,
) -> None:
    table = _WaitingTable()
    view = await server.control.open(data(), PERSON, lambda: _as_table(table))
    (shown,) = server.views
    for search in ("one wait", "two wait", "three wait"):
        table.reading.clear()
        shown.change(StateChange(search=search))
        waiting = asyncio.ensure_future(_asked(server, view, "rows", **FIRST))
        assert await asyncio.to_thread(table.reading.wait, 30)
        shown.change(StateChange(widths={0: 90}))
        assert table.cancelled[-1:] != [search]
        shown.change(StateChange(search="city 1"))
        assert (await waiting)["error"]["code"] == "cancelled"
    assert table.cancelled == ["one wait", "two wait", "three wait"]
    assert len((await _asked(server, view, "rows", **FIRST))["rows"]) == 3


async def test_what_is_computed_behind_a_page_takes_its_turn_with_other_reads(
    server: ViewServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    done = threading.Event()

    def compute(_: Cancellation) -> int:
        names.append(threading.current_thread().name)
        done.set()
        return 1

    monkeypatch.setattr(orders_module, "_LOOKED_AT", 0)
    orders: Orders[int] = Orders()
    await server.rows.run(lambda: orders.behind("key", compute))
    assert await asyncio.to_thread(done.wait, 30)
    assert names[0].startswith("view-statistics")


async def test_what_opens_slowly_holds_up_no_other_view(server: ViewServer) -> None:
    may_open, opening = threading.Event(), threading.Event()

    def slow() -> Table:
        opening.set()
        assert may_open.wait(BOUND)
        return _table([{"x": 1}])

    first = asyncio.ensure_future(server.control.open(data("slow"), PERSON, slow))
    again = asyncio.ensure_future(server.control.open(data("slow"), PERSON, slow))
    assert await asyncio.to_thread(opening.wait, BOUND)
    other = await asyncio.wait_for(opened(server, name="other"), BOUND)
    assert other.description.rows == 1000
    assert not first.done()
    may_open.set()
    assert (await first).description.view == (await again).description.view
    assert len(list(server.views)) == 2


async def test_who_sorts_is_who_set_it_and_not_who_scrolls(server: ViewServer) -> None:
    await opened(server)
    (shown,) = server.views
    shown.change(StateChange(sort=(SortKey(1),)), "agent")
    assert shown.change(StateChange(first_row=7, widths={0: 90}), "person").by == "agent"
    assert shown.change(StateChange(sort=(SortKey(1),)), "person").by == "agent"
    assert shown.change(StateChange(search="city"), "person").by == "person"


async def test_a_selection_is_of_one_order_of_one_version(server: ViewServer) -> None:
    await opened(server)
    (shown,) = server.views

    def selected() -> tuple[tuple[int, ...], int, int | None]:
        return shown.state.selected, shown.state.selected_count, shown.state.selected_column

    shown.change(StateChange(selected=(1, 2), selected_count=900, selected_column=1))
    shown.change(StateChange(first_row=4))
    assert selected() == ((1, 2), 900, 1)
    shown.change(StateChange(sort=(SortKey(1),)), "agent")
    assert selected() == ((), 0, None)
    shown.change(StateChange(search="city", selected=(3, 4)))
    assert selected() == ((3, 4), 2, None)
    await server.control.renew(shown, lambda: _table(list(reversed(ROWS))))
    assert selected() == ((), 0, None)


async def test_what_a_page_that_is_gone_has_asked_is_cancelled(server: ViewServer, browser: Browser) -> None:
    table = SlowTable()
    tab = await browser.tab(await server.control.open(data(), PERSON, lambda: _as_table(table)))
    await tab.send("statistics", column=1, version=1)
    await asyncio.to_thread(table.counting.wait, 30)
    tab.socket.close()
    assert await asyncio.to_thread(table.may_count.wait, 30)


async def test_a_failure_of_the_data_is_answered_with_its_reason(
    server: ViewServer, browser: Browser
) -> None:
    table = SlowTable(failure=KeyError("city"))
    table.may_read.set()
    tab = await browser.tab(await server.control.open(data(), PERSON, lambda: _as_table(table)))
    error = (await tab.ask("rows", **FIRST))["error"]
    assert (error["code"], error["message"]) == ("bad_request", "The data cannot be read: KeyError: 'city'")


async def test_rows_of_an_older_version_are_refused_and_the_newer_ones_told(
    server: ViewServer, browser: Browser
) -> None:
    tab = await browser.tab(await opened(server))
    (view,) = server.views
    await server.control.renew(view, lambda: _table([{"price": "1", "new": 2}]))
    news = await tab.event("changed")
    assert [column["name"] for column in news["view"]["columns"]] == ["price", "new"]
    assert (await tab.ask("rows", **FIRST))["error"]["code"] == "data_changed"
    assert (await tab.ask("rows", **(FIRST | {"version": 2})))["rows"] == [["1", 2]]


async def test_newer_data_keeps_what_is_shown_of_columns_that_are_still_there(
    server: ViewServer, browser: Browser
) -> None:
    tab = await browser.tab(await opened(server))
    await tab.ask(
        "set",
        state={
            "sort": [{"column": 1, "descending": True}, {"column": 0}],
            "filters": [{"column": 1, "op": ">", "value": 5}, {"column": 0, "op": "contains", "value": "1"}],
            "widths": {"1": 90},
            "hidden": [0],
            "selected": [2, 999],
            "selected_column": 1,
        },
    )
    (view,) = server.views
    await server.control.renew(view, lambda: _table([{"new": 1, "price": n} for n in range(5)]))
    state = (await tab.event("changed"))["view"]["state"]
    assert state["sort"] == [{"column": 1, "descending": True}]
    assert state["filters"] == [{"column": 1, "op": ">", "value": 5}]
    assert (state["widths"], state["hidden"], state["selected"], state["selected_column"]) == (
        {"1": 90},
        [],
        [],
        None,
    )
    await server.control.renew(view, lambda: _table([{"price": "text"}]))
    state = (await tab.event("changed"))["view"]["state"]
    assert (state["filters"], state["sort"]) == ([], [{"column": 0, "descending": True}])


async def test_an_app_asks_for_the_news_and_learns_when_it_has_missed_some(server: ViewServer) -> None:
    view = await opened(server)

    async def ask(do: str, **fields: Any) -> Any:
        answer = await server.control.ask(
            view.description.view, PERSON, json.dumps({"id": 1, "do": do, **fields})
        )
        return json.loads(answer.answer)

    assert await ask("news", since=0) == {"id": 1, "events": [], "n": 0, "missed": False}
    (shown,) = server.views
    await ask("set", state={"search": "a"})
    await ask("set", state={"search": "b"})
    news = await ask("news", since=0)
    assert [(event["event"], event["n"], event["state"]["search"]) for event in news["events"]] == [
        ("state", 2, "b")
    ]
    for number in range(150):
        shown.show()
        await ask("set", state={"first_row": number})
    news = await ask("news", since=news["n"])
    assert news["missed"]
    assert not (await ask("news", since=news["n"]))["events"]
    assert (await ask("describe"))["n"] == news["n"]


# Export


async def test_exported_rows_are_fetched_once_by_their_own_view(server: ViewServer, browser: Browser) -> None:
    tab = await browser.tab(await opened(server, name='sales "of" ünits/2024'))
    other = await opened(server, name="other")
    await browser.visit(other.url)
    await tab.ask("set", state={"filters": [{"column": 1, "op": "<", "value": 20}], "hidden": [0]})
    url = (await tab.ask("export", format="csv", columns="shown"))["url"]
    (view,) = (one for one in server.views if one.data.title != "other")
    foreign = await browser.get(f"/view/{other.description.view}/{url}")
    assert foreign.code == 403
    answer = await browser.get(f"/view/{view.id}/{url}")
    assert answer.body.decode().split() == ["price", "0", "10"]
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename=\"sales-of-_nits-2024.csv\"; filename*=UTF-8''sales-of-%C3%BCnits-2024.csv"
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert (await browser.get(f"/view/{view.id}/{url}")).code == 403
    assert not _exported(server)


async def test_an_export_that_nobody_fetches_is_removed(server: ViewServer, browser: Browser) -> None:
    tab = await browser.tab(await opened(server))
    url = (await tab.ask("export", format="jsonl", columns="all"))["url"]
    (path,) = _exported(server)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    (view,) = server.views
    now = server.downloads._clock()
    server.downloads._clock = lambda: now + OFFERED + 1
    assert (await browser.get(f"/view/{view.id}/{url}")).code == 403
    server.close_unused()
    assert not _exported(server)


async def test_an_app_gets_exported_rows_as_text_and_not_too_many(server: ViewServer) -> None:
    view = await opened(server)
    large = await opened(server, [{"x": "y" * 1000}] * 1000, name="large")
    for which, expected in ((view, "text"), (large, "error")):
        request = json.dumps({"id": 1, "do": "export", "format": "csv"})
        answer = json.loads((await server.control.ask(which.description.view, PERSON, request)).answer)
        assert expected in answer
    assert answer["error"]["code"] == "too_large"
    assert not _exported(server)


class _EndlessTable(SlowTable):
    """Exports rows until somebody stops that."""

    written = 0

    def export(self, query: Query, columns: object, format: object, target: Path, cancellation: Any) -> None:  # noqa: A002
        del query, columns, format
        with target.open("w") as file:
            while self.written < 50_000_000:
                self.written += file.write("y" * 100_000)
                file.flush()
                if cancellation.cancelled:
                    raise CancelledError
                threading.Event().wait(0.01)


async def test_an_export_to_an_app_ends_when_it_is_too_large(server: ViewServer) -> None:
    table = _EndlessTable()
    view = await server.control.open(data(), PERSON, lambda: _as_table(table))
    assert (await _asked(server, view, "export", format="csv"))["error"]["code"] == "too_large"
    assert table.written < 50_000_000


async def test_an_export_to_an_app_of_too_many_rows_is_not_begun(server: ViewServer) -> None:
    table = _EndlessTable([{"x": 1, "y": 2}] * 400_000)
    view = await server.control.open(data(), PERSON, lambda: _as_table(table))
    assert (await _asked(server, view, "export", format="csv"))["error"]["code"] == "too_large"
    assert table.written == 0


def _exported(server: ViewServer) -> list[Path]:
    folder = server.downloads._folder
    return [] if folder is None else list(Path(folder.name).iterdir())


# Views come and go


async def test_a_closed_view_closes_its_pages_and_its_table(server: ViewServer, browser: Browser) -> None:
    table = SlowTable()
    view = await server.control.open(data(), PERSON, lambda: _as_table(table))
    tab = await browser.tab(view)
    server.control.close(view.description.view, PERSON)
    assert await tab.rest() == 1000
    assert (await browser.get(f"/view/{view.description.view}/")).code == 403
    await server.close()
    assert table.closed


async def test_a_view_that_nobody_looks_at_is_closed_in_time_and_one_with_a_page_is_not(
    server: ViewServer, browser: Browser
) -> None:
    await browser.tab(await opened(server, name="looked at"))
    await opened(server, name="forgotten")
    now = server.views._clock()
    server.views._clock = lambda: now + 1801
    server.close_unused()
    assert [view.data.key for view in server.views] == ["looked at"]


async def test_one_session_does_not_fill_the_memory_and_closes_no_others_views(server: ViewServer) -> None:
    other = await opened(server, session="other")
    for number in range(MOST_VIEWS + 1):
        await opened(server, name=f"v{number}", session="claude")
    assert other.description.view in {view.id for view in server.views}
    assert len(server.views.of("claude")) == MOST_VIEWS
    assert server.views.of_data("v0", "claude") is None


async def test_a_view_that_cannot_be_opened_leaves_nothing(server: ViewServer) -> None:
    with pytest.raises(BridgeError) as refused:
        await opened(server, 5)
    assert refused.value.code == "not_a_table"
    assert not list(server.views)


# The cells go first


def test_reads_rest_while_a_cell_runs_and_never_when_none_does() -> None:
    now, busy = 100.0, True
    pace = Pace(lambda: busy, lambda: now)
    pace.spent(0.004)
    assert pace.rest() == pytest.approx(0.004 / SHARE)
    now += 0.15
    assert pace.rest() == pytest.approx(0.004 / SHARE - 0.15)
    pace.spent(0.001)
    assert pace.rest() == pytest.approx(0.005 / SHARE - 0.15)
    busy = False
    assert pace.rest() == 0
    busy = True
    pace.spent(50.0)
    assert pace.rest() == 1.0, "one long read does not stop the page"


def test_between_short_cells_rows_rest_and_newer_data_does_not() -> None:
    now, soon = 100.0, True
    pace = Pace(lambda: False, lambda: now, soon=lambda: soon)
    pace.spent(0.004)
    assert pace.rest() == pytest.approx(0.004 / SHARE)
    assert pace.rest(hurried=True) == 0
    soon = False
    assert pace.rest() == 0


async def test_while_a_cell_runs_reads_take_a_small_part_of_the_time() -> None:
    """Each read of 2 ms of processor time is followed by a rest of 100 ms."""
    loop = asyncio.get_running_loop()
    busy = threading.Event()
    busy.set()
    readers = Readers("test", 2, Pace(busy.is_set))
    try:
        begun = loop.time()
        cpu = [await readers.run(_work) for _ in range(5)]
        assert sum(cpu[:-1]) <= SHARE * (loop.time() - begun) * 1.05
        busy.clear()
        before = loop.time()
        await readers.run(lambda: None)
        assert loop.time() - before < 1.0, "the rest ends with the cell"
    finally:
        readers.stop()


def _work() -> float:
    import time  # noqa: PLC0415  # in the thread

    begun = time.thread_time()
    while time.thread_time() - begun < 0.002:
        pass
    return time.thread_time() - begun


def _table(value: Any) -> Table:
    from marimo_kernel_bridge.viewing.tables import open_value  # noqa: PLC0415

    return open_value(value)


def _as_table(table: SlowTable) -> Table:
    return table
