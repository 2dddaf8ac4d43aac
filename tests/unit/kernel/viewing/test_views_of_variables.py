"""Views of a kernel's variables: what agents ask on control, what is new after runs, what the person's commands do."""

import asyncio
import gc
import json
import threading
import time
import weakref
from collections.abc import Awaitable, Iterator
from typing import Any, Literal, TypeVar

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.viewing import views as kernel_views
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol import view_requests as views
from marimo_kernel_bridge.protocol.bounds import Bounds, Sandbox
from marimo_kernel_bridge.protocol.views import (
    Filter,
    OpenedView,
    SortKey,
    StateChange,
    ViewAnswer,
    ViewDescription,
)
from marimo_kernel_bridge.viewing.tables import open_value
from tests.unit.kernel.notebook_in_memory import FrontEnd, KernelInMemory
from tests.unit.viewing.server.view_browser import Browser, Tab

T = TypeVar("T")
FRAME = "sales = [{'city': c, 'price': p} for c, p in zip('abcdef', range(6))]"


class Person:
    """A person at the kernel's notebook, with a browser on an event loop of its own, and an agent."""

    def __init__(self, kernel: KernelInMemory) -> None:
        self.kernel = kernel
        self.lab: FrontEnd = kernel.connect("lab")
        self.loop = asyncio.new_event_loop()
        self.browsers: list[Browser] = []

    def ask(self, request: wire.Request, kind: Any) -> Any:
        return wire.decode_reply(self.lab.ask(request), kind)

    def open(self, name: str = "sales", session: str = "claude#1") -> OpenedView:
        opened: OpenedView = self.ask(views.OpenView(data=name, session=session, runs_code=True), OpenedView)
        return opened

    def read(self, view: OpenedView, session: str = "claude#1") -> ViewDescription:
        found: ViewDescription = self.ask(
            views.ReadView(view=view.description.view, session=session), ViewDescription
        )
        return found

    def rows(self, view: OpenedView, session: str = "claude#1", version: int = 1, **fields: Any) -> Any:
        """Ask as an App does."""
        asked = {"id": 1, "do": "rows", "start": 0, "count": 100, "columns": [0, 1], "version": version}
        answer = self.ask(
            views.AskView(view=view.description.view, session=session, request=json.dumps(asked | fields)),
            ViewAnswer,
        )
        return json.loads(answer.answer)

    def tab(self, view: OpenedView) -> Tab:
        browser = Browser(view.port)
        self.browsers.append(browser)
        return self.now(browser.tab(view))

    def now(self, awaited: Awaitable[T]) -> T:
        """Do something in the browser. The kernel's views have a thread of their own."""

        async def bounded() -> T:
            return await asyncio.wait_for(awaited, 60)

        return self.loop.run_until_complete(bounded())

    def close(self) -> None:
        for browser in self.browsers:
            browser.close()
        self.kernel.kernel.views().stop()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


@pytest.fixture
def person(kernel: KernelInMemory) -> Iterator[Person]:
    person = Person(kernel)
    yield person
    person.close()


PLAN = """
import polars as pl
ran = []
plan = pl.LazyFrame({"a": [1, 2]}).map_batches(lambda frame: ran.append(1) or frame)
"""


def test_who_may_not_run_code_opens_no_plan_and_no_view_of_theirs_runs_one_later(person: Person) -> None:
    person.lab.run("a", PLAN)
    looks = views.OpenView(data="plan", session="claude#1")
    assert person.lab.ask(looks)["code"] == "not_allowed"
    assert person.lab.run(None, "ran", store_history=False).text == "[]"
    person.lab.run("b", FRAME)
    tab = person.tab(person.ask(views.OpenView(data="sales", session="claude#1"), OpenedView))
    person.lab.run("b", PLAN.replace("plan =", "sales ="))
    assert "may run code" in person.now(tab.event("ended"))["ended"]
    assert person.lab.run(None, "ran", store_history=False).text == "[]"


def test_while_agents_are_paused_no_plan_runs_for_one_that_may_run_code(person: Person) -> None:
    person.lab.run("a", PLAN)
    may_run = views.OpenView(data="plan", session="claude#1", runs_code=True)
    person.lab.run("p", "%marimo pause")
    assert person.lab.ask(may_run)["code"] == "not_allowed"
    person.lab.run("p", "%marimo resume")
    assert person.ask(may_run, OpenedView).description.kind == "polars LazyFrame"


def test_a_view_of_a_variable_says_what_there_is_and_no_row(person: Person) -> None:
    person.lab.run("a", FRAME)
    reply = person.lab.ask(views.OpenView(data="sales", session="claude#1"))
    view = wire.decode_reply(reply, OpenedView)
    assert (view.description.title, view.description.source, view.description.rows) == (
        "sales",
        "variable",
        6,
    )
    assert [(column.name, column.kind) for column in view.description.columns] == [
        ("city", "text"),
        ("price", "integer"),
    ]
    assert view.opened_in == "new"
    assert "'a'" not in str(reply)
    assert person.rows(view)["rows"][:2] == [["a", 0], ["b", 1]]


def test_what_is_no_table_or_not_there_is_told(person: Person) -> None:
    person.lab.run("a", "number = 5; " + FRAME)
    assert person.lab.ask(views.OpenView(data="number", session="s"))["code"] == "not_a_table"
    reply = person.lab.ask(views.OpenView(data="salse", session="s"))
    assert reply["code"] == "no_such_variable"
    assert "sales" in reply["hint"]
    assert person.lab.ask(views.OpenView(data="sales['city']", session="s"))["code"] == "no_such_variable"


def test_a_second_call_finds_the_view_and_its_tab(person: Person) -> None:
    person.lab.run("a", FRAME)
    first = person.open()
    tab = person.tab(first)
    again = person.open()
    assert again.description.view == first.description.view
    assert again.opened_in == "tab already open"
    assert person.now(tab.event("shown"))


def test_a_run_that_makes_the_variable_anew_updates_the_open_tab_and_keeps_what_it_shows(
    person: Person,
) -> None:
    person.lab.run("n", "n = 6")
    person.lab.run("a", "sales = [{'city': chr(97 + i), 'price': i} for i in range(n)]")
    view = person.open()
    tab = person.tab(view)
    person.now(tab.ask("set", state={"sort": [{"column": 1, "descending": True}], "first_row": 2}))
    person.lab.run("n", "n = 9")
    news = person.now(tab.event("changed"))["view"]
    assert (news["rows"], news["version"]) == (9, 2)
    assert news["state"]["sort"] == [{"column": 1, "descending": True}]
    assert news["state"]["first_row"] == 2
    rows = person.now(tab.ask("rows", start=0, count=2, columns=[0], version=2))
    assert rows["rows"] == [["i"], ["h"]]


def test_a_value_changed_in_place_is_shown_when_its_cell_has_run_again(person: Person) -> None:
    person.lab.run("a", "cells = [{'x': 1}]")
    person.lab.run("b", "cells.append({'x': 2})")
    view = person.open("cells")
    assert person.read(view).rows == 2
    tab = person.tab(view)
    person.lab.run("b", "cells.append({'x': 2}); cells.append({'x': 3})")
    assert person.now(tab.event("changed"))["view"]["rows"] == 3


def test_a_change_that_nobody_saw_is_shown_when_its_cell_has_run_again(person: Person) -> None:
    """What is too large to be compared before and after each run; the cell's text does not say that it changes it."""
    person.lab.run("a", "big = [{'n': n} for n in range(60_000)]; small = [{'n': 1}]")
    person.lab.run("b", "getattr(big[30_000], 'up' + 'date')(n=-1); len(small)")
    big, small = person.open("big"), person.open("small")
    tab = person.tab(big)
    person.lab.run("b", "getattr(big[30_000], 'up' + 'date')(n=-2); len(small)")
    version = person.now(tab.event("changed"))["view"]["version"]
    rows = person.now(tab.ask("rows", start=30_000, count=1, columns=[0], version=version))["rows"]
    assert rows == [[-2]]
    assert person.read(small).version == 1


def test_a_run_that_has_nothing_to_do_with_the_variable_tells_nothing(person: Person) -> None:
    person.lab.run("a", FRAME)
    tab = person.tab(person.open())
    person.lab.run("b", "other = len(sales)")
    person.lab.run("c", "unrelated = 1")
    person.lab.run("a", FRAME)  # which makes it again
    assert person.now(tab.event("changed"))["view"]["version"] == 2


def test_a_deleted_variable_says_so_is_let_go_and_comes_back(person: Person) -> None:
    person.lab.run("k", "class Rows(list): pass")
    person.lab.run("a", "sales = Rows([{'x': 1}])")
    view = person.open()
    tab = person.tab(view)
    kept = weakref.ref(person.kernel.kernel.shell.user_ns["sales"])
    person.lab.run("a", "pass")
    assert person.now(tab.event("ended"))["ended"] == "deleted"
    assert person.read(view).ended == "deleted"
    assert person.rows(view)["error"]["code"] == "data_gone"
    person.lab.run("b", "1")
    gc.collect()
    assert kept() is None
    person.lab.run("a", "sales = Rows([{'x': 1}, {'x': 2}])")
    back = person.now(tab.event("changed"))["view"]
    assert (back["ended"], back["rows"]) == ("", 2)


def test_the_value_of_a_view_that_was_closed_is_let_go(person: Person) -> None:
    person.lab.run("k", "class Rows(list): pass")
    person.lab.run("a", "sales = Rows([{'x': 1}])")
    person.open()
    released = threading.Event()
    kept = weakref.ref(person.kernel.kernel.shell.user_ns["sales"], lambda _: released.set())
    assert person.kernel.kernel.views().close("sales") == 1
    person.lab.run("a", "pass")
    person.lab.run("b", "1")
    assert person.kernel.kernel.views().all() == []  # the thread of the views has come so far
    gc.collect()
    assert released.wait(10), kept()


def test_a_variable_that_is_no_table_any_more_says_what_it_is(person: Person) -> None:
    person.lab.run("a", FRAME)
    view = person.open()
    tab = person.tab(view)
    person.lab.run("a", "sales = 5")
    assert "int" in person.now(tab.event("ended"))["ended"]
    person.lab.run("a", FRAME)
    assert person.now(tab.event("changed"))["view"]["ended"] == ""


def test_agents_do_not_see_each_others_views_and_the_person_sees_all(person: Person) -> None:
    person.lab.run("a", FRAME)
    mine, other = person.open(session="claude#1"), person.open(session="claude#2")
    assert mine.description.view != other.description.view
    for request in (
        views.ReadView(view=other.description.view, session="claude#1"),
        views.SetView(view=other.description.view, session="claude#1", state=StateChange(search="a")),
        views.AskView(view=other.description.view, session="claude#1", request='{"id": 1, "do": "describe"}'),
        views.CloseView(view=other.description.view, session="claude#1"),
    ):
        assert person.lab.ask(request)["code"] == "no_such_view"
    (listed,) = person.ask(views.ListViews(session="claude#1"), list[ViewDescription])
    assert listed.view == mine.description.view
    assert person.lab.ask(views.ListViews(session="person"))["code"] == "bad_request"
    assert len(person.kernel.kernel.views().all()) == 2


def test_what_an_agent_sets_is_shown_as_the_agents_doing(person: Person) -> None:
    person.lab.run("a", FRAME)
    view = person.open()
    tab = person.tab(view)
    change = StateChange(
        sort=(SortKey(1, descending=True),), filters=(Filter(1, ">", 2),), widths={0: 120, 1: 80}
    )
    reply = person.lab.ask(
        views.SetView(view=view.description.view, session="claude#1", state=change, client="claude")
    )
    state = wire.decode_reply(reply, ViewDescription).state
    assert (state.by, state.widths) == ("agent", {0: 120, 1: 80})
    told = person.now(tab.event("state"))["state"]
    assert (told["by"], told["filters"]) == ("agent", [{"column": 1, "op": ">", "value": 2}])
    assert [row[1] for row in person.rows(view)["rows"]] == [5, 4, 3]
    assert person.read(view).matching == 3


def test_rows_are_read_while_a_cell_runs_and_say_that_it_may_change_them(person: Person) -> None:
    person.lab.run("a", FRAME)
    view = person.open()
    seen: list[Any] = []
    person.kernel.kernel.shell.user_ns["look"] = lambda: seen.append(person.rows(view))
    person.lab.run("b", "look()")
    person.lab.run("c", "look(); len(sales)")
    assert [len(answer["rows"]) for answer in seen] == [6, 6]
    assert [answer.get("unsettled", False) for answer in seen] == [False, True]


def test_a_relation_is_read_between_runs_alone_and_no_statement_of_a_cell_fails(person: Person) -> None:
    person.lab.run(
        "c",
        "import duckdb; con = duckdb.connect(); con.execute('CREATE TABLE t AS SELECT * FROM range(9) r(i)')",
    )
    person.lab.run("a", "rel = con.sql('SELECT * FROM t')")
    view = person.open("rel")
    assert view.description.rows == 9
    codes: list[str] = []
    refusal = views.OpenView(data="rel", session="claude#2", runs_code=True)
    person.kernel.kernel.shell.user_ns["look"] = lambda: codes.append(person.lab.ask(refusal).get("code", ""))
    # The connection has an open result while the other view is asked for
    person.lab.run("b", "open_result = con.execute('SELECT 1'); look(); ones = open_result.fetchall()")
    assert codes == ["kernel_busy"]
    assert person.lab.run("d", "ones").ok
    assert person.open("rel", session="claude#2").description.rows == 9


def test_a_relation_whose_connection_is_busy_keeps_its_older_rows_until_the_next_run(person: Person) -> None:
    person.lab.run("c", "import duckdb; con = duckdb.connect()")
    person.lab.run("a", "rel = con.sql('SELECT * FROM range(2)')")
    view = person.open("rel")
    tab = person.tab(view)
    refused = threading.Event()

    def refuse(_value: object) -> Any:
        refused.set()
        raise BridgeError("kernel_busy", "A cell runs.")

    between = person.kernel.kernel.views()._between_runs
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(between, "open", refuse)  # as if the next cell ran already
        person.lab.run("a", "rel = con.sql('SELECT * FROM range(3)')")
        assert person.kernel.run_until(refused.is_set)
        description = person.read(view)
        assert (description.ended, description.rows) == ("", 2)
    person.lab.run("b", "1")
    assert person.kernel.run_until(lambda: person.read(view).rows == 3)
    assert person.now(tab.event("changed"))["view"]["rows"] == 3


def test_the_persons_command_shows_a_relation_from_a_cell(person: Person) -> None:
    person.lab.run("c", "import duckdb; con = duckdb.connect(); rel = con.sql('SELECT * FROM range(4)')")
    assert "DuckDB relation, 4 rows by 1 column" in person.lab.run("v", "%marimo view rel").text


def test_what_a_page_asks_is_a_use_of_the_kernel_and_a_page_that_stands_open_is_none(person: Person) -> None:
    """A kernel of an agent's notebook ends itself when nobody uses it."""
    used: list[int] = []
    person.kernel.kernel.used = lambda: used.append(1)
    person.lab.run("a", FRAME)
    tab = person.tab(person.open())
    before = len(used)
    person.now(tab.ask("rows", start=0, count=1, columns=[0], version=1))
    assert len(used) > before
    before = len(used)
    (view,) = person.kernel.kernel.views().all()
    views = person.kernel.kernel.views()._thread.server.views  # type: ignore[union-attr]  # there is one
    assert views.unused_since(next(iter(views))) < 60
    assert len(used) == before, view


def test_requests_about_views_go_on_control(person: Person) -> None:
    reply = person.lab.ask(views.OpenView(data="sales", session="s"), channel="shell")
    assert reply["code"] == "bad_request"


def test_without_a_view_nothing_is_started(person: Person) -> None:
    assert person.ask(views.ListViews(session="s"), list[ViewDescription]) == []
    assert person.lab.ask(views.ReadView(view="abc", session="s"))["code"] == "no_such_view"
    assert person.kernel.kernel.views().all() == []
    assert person.kernel.kernel.views()._thread is None


def test_a_value_that_cannot_be_compared_is_shown_anew_and_holds_up_no_other_view(person: Person) -> None:
    person.lab.run("k", "class Rows(list):\n    def __len__(self): return 1 // self.good\n    good = 1")
    person.lab.run("a", "bad = Rows([{'x': 1}]); good = [{'x': 1}]")
    bad, good = person.open("bad"), person.open("good")
    tab, other = person.tab(good), person.tab(bad)
    person.lab.run("b", "Rows.good = 0; getattr(good, 'app' + 'end')({'x': 2})")
    assert person.now(tab.event("changed"))["view"]["rows"] == 2
    assert "ZeroDivisionError" in person.now(other.event("ended"))["ended"]


def test_many_short_runs_are_compared_with_what_is_shown_once_and_later(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comparison reads the data: after each of a thousand runs it would slow the next ones."""
    monkeypatch.setattr(kernel_views, "_COMPARED_AFTER", 3600.0)
    person.lab.run("a", FRAME)
    person.open()
    shown = person.kernel.kernel.views()
    assert shown._thread is not None
    compared: list[object] = []
    monkeypatch.setattr(shown._thread.server.control, "altered", compared.append)
    for _ in range(5):
        person.lab.run("x", "x = 1")
    assert len(shown.all()) == 1  # the thread of the views has come so far
    assert (len(shown._due), compared) == (1, [])


# The person's command


def test_the_persons_command_says_when_a_table_takes_long(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_open = threading.Event()

    def slow(value: Any) -> Any:
        assert may_open.wait(60)
        return open_value(value)

    monkeypatch.setattr(kernel_views, "open_value", slow)
    monkeypatch.setattr(kernel_views, "_PERSON_WAITS", 0.05)
    person.lab.run("a", FRAME)
    outcome = person.lab.run("v", "%marimo view sales")
    assert not outcome.ok
    assert "sales is still being read" in outcome.text
    may_open.set()
    monkeypatch.setattr(kernel_views, "_PERSON_WAITS", 60.0)
    assert "list of dicts, 6 rows" in person.lab.run("v", "%marimo view sales").text
    assert len(person.kernel.kernel.views().all()) == 1


def test_the_persons_command_shows_an_address_that_opens_the_view(person: Person) -> None:
    person.lab.run("a", FRAME)
    told = person.lab.run("v", "%marimo view sales").text
    address, shape, note = told.split("\n")
    assert shape == "list of dicts, 6 rows by 2 columns"
    assert note.startswith("It works once, on the kernel's machine (port ")
    browser = Browser(int(address.split(":")[2].partition("/")[0]))
    person.browsers.append(browser)
    assert person.now(browser.visit(address)).code == 200
    (view,) = person.kernel.kernel.views().all()
    person.now(browser.connect(view.view))
    assert "A tab shows it already" in person.lab.run("v", "%marimo view sales").text


def test_the_persons_command_lists_and_closes_views_also_of_agents(person: Person) -> None:
    person.lab.run("a", FRAME + "; other = [{'x': 1}]")
    assert person.lab.run("v", "%marimo view --list").text == "no view is open"
    tab = person.tab(person.open())
    person.open("other", session="claude#2")
    listed = person.lab.run("v", "%marimo view --list").text
    assert listed == "sales: list of dicts, 6 rows by 2 columns\nother: list of dicts, 1 row by 1 column"
    assert person.lab.run("v", "%marimo view sales --close").text == "closes the view of sales"
    assert person.now(tab.rest()) == 1000
    assert "No view shows sales" in person.lab.run("v", "%marimo view --close sales").text


@pytest.mark.parametrize("line", ["view", "view a b", "view --all", "view nothing", "view number"])
def test_what_cannot_be_viewed_is_told(person: Person, line: str) -> None:
    person.lab.run("a", "number = 1")
    assert not person.lab.run("v", f"%marimo {line}").ok


def test_an_agents_code_opens_no_view_for_the_person(person: Person) -> None:
    """The address would be in the answer to the agent, who has a tool that keeps it out."""
    person.lab.run("a", FRAME)
    agent = person.kernel.connect("agent")
    assert "the person's command" in agent.run("v", "%marimo view sales").text
    assert person.kernel.kernel.views().all() == []


def test_statistics_are_made_anew_after_a_run_that_may_have_changed_any_value(person: Person) -> None:
    person.lab.run("a", FRAME)
    view = person.open()
    tab = person.tab(view)
    (shown,) = person.kernel.kernel.views()._thread.server.views  # type: ignore[union-attr]  # it runs
    table: Any = shown.require(1)
    made, statistics = [], table.statistics

    def counted(*asked: Any) -> Any:
        made.append(asked)
        return statistics(*asked)

    table.statistics = counted
    for _ in range(2):
        person.now(tab.ask("statistics", column=1, version=1))
    assert len(made) == 1

    person.lab.run("b", "x = 1")
    deadline = time.monotonic() + 30
    while len(made) == 1 and time.monotonic() < deadline:  # the views hear of it after the reply
        person.now(tab.ask("statistics", column=1, version=1))
    assert len(made) == 2


@pytest.mark.parametrize("network", ["none", ("pypi.org",)])
def test_where_no_browser_reaches_the_kernel_the_person_is_told_so_and_a_host_still_shows_the_view(
    person: Person, network: Literal["none"] | tuple[str, ...]
) -> None:
    kernel = person.kernel.kernel
    person.lab.run("a", "sales = [{'city': 'Oslo'}]")
    kernel.bounds = Bounds(sandbox=Sandbox(network=network))
    for command in ("%marimo view sales", "%marimo open"):
        told = person.lab.run("v", command)
        assert not told.ok
        assert "No browser reaches pages of this kernel" in told.content["evalue"]
        assert "http" not in str(told.content)
    opened = person.open("sales")
    assert "No browser reaches" in opened.advice
    assert opened.description.rows == 1
    kernel.bounds = Bounds(sandbox=Sandbox(network="all"))
    assert "http://127.0.0.1:" in person.lab.run("v", "%marimo view sales").text
    assert person.open("sales").advice == ""
