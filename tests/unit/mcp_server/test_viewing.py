"""Tables that agents show to the person: what the model learns of them, and that no row is among it."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client
from mcp.client.extension import advertise
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from mcp.types import (
    CallToolResult,
    ElicitRequestParams,
    ElicitResult,
    Implementation,
    TextContent,
    TextResourceContents,
)
from msgspec.structs import replace

from marimo_kernel_bridge.mcp_server.sdk.apps import PAGE_URI
from marimo_kernel_bridge.mcp_server.tools import showing
from marimo_kernel_bridge.mcp_server.tools.viewing import META
from marimo_kernel_bridge.mcp_server.views import viewing
from marimo_kernel_bridge.mcp_tools import build_server
from marimo_kernel_bridge.protocol import own_browser
from marimo_kernel_bridge.protocol.inspection import Variable
from marimo_kernel_bridge.protocol.views import Column, Filter, SortKey
from tests.unit.mcp_server.fake_views import ROWS, URL, table

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from marimo_kernel_bridge.protocol.views import ColumnKind, OpenedView, StateChange, ViewDescription
    from tests.unit.mcp_server.agent import Agent
    from tests.unit.mcp_server.conftest import Serve
    from tests.unit.mcp_server.fake_kernel import FakeKernel

pytestmark = pytest.mark.anyio

NUMBER: ColumnKind = "number"
SALES = table("sales", state="text", revenue="number", day="date", units="integer", paid="boolean")


@pytest.fixture(autouse=True)
def shown(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the person's browser was given."""
    kernel.tables.tables["sales"] = SALES
    kernel.tables.others["model"] = "a sklearn.LinearRegression"
    kernel.variables = [Variable(name, "", "") for name in ("sales", "model", "scale")]
    shown: list[str] = []
    monkeypatch.setattr(own_browser, "show", lambda url: not shown.append(url))
    return shown


@asynccontextmanager
async def host(kernel: FakeKernel, connection_file: str, name: str = "ann") -> AsyncIterator[Client]:
    """A host with MCP Apps, connected to the kernel."""
    pages = advertise(EXTENSION_ID, {"mimeTypes": [APP_MIME_TYPE]})
    server = build_server("read", attach=kernel.attach)
    async with Client(
        server, client_info=Implementation(name=name, version="1"), extensions=[pages]
    ) as client:
        await client.call_tool("connect_to_kernel", {"connection_file": connection_file})
        yield client


async def called(client: Client, tool: str, **arguments: Any) -> tuple[CallToolResult, str]:
    result = await client.call_tool(tool, arguments)
    assert isinstance(result, CallToolResult)
    (block,) = result.content
    assert isinstance(block, TextContent)
    return result, block.text


# What the model learns


async def test_the_model_gets_shape_names_and_types_and_the_person_a_tab(
    connected: Agent, shown: list[str]
) -> None:
    answer = await connected("view_data", data="sales")
    assert shown == [URL]
    assert "1,000,000 rows, 5 columns" in answer.text
    assert "state (text); revenue (number)" in answer.text
    assert answer.data["state"] == "in the browser"
    assert answer.data["columns"][1] == {"name": "revenue", "kind": "number", "dtype": "number"}
    assert "secret-code" not in answer.text + json.dumps(answer.data)


ELSEWHERE = [
    "file:///etc/passwd",
    "https://203.0.113.7/open?code=a",
    "http://127.0.0.1:1234@203.0.113.7/open?code=a",
    "http://127.0.0.1:8888/lab?token=a",
    "http://127.0.0.1:1234/open?code=a&next=//203.0.113.7",
    "http://127.0.0.1:1234/open?code=a\nSet-Cookie: a",
    "http://localhost:1234/open?code=a",
    "http://127.0.0.1:65536/open?code=a",
    "http://127.0.0.1:0/open?code=a",
    "vscode://file/etc/passwd",
    "javascript:alert(1)",
    "",
]


@pytest.mark.parametrize("address", ELSEWHERE)
async def test_an_address_that_a_kernel_names_is_opened_only_if_it_is_a_page_of_ours(
    connected: Agent, kernel: FakeKernel, shown: list[str], monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    kernel.tables.url = address
    answer = await connected("view_data", data="sales")
    assert answer.refused("not_allowed")
    assert not address or address not in answer.text
    assert not shown
    monkeypatch.undo()
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(own_browser, "python_command", lambda *_: pytest.fail("it was opened"))
    assert not own_browser.show(address)


async def test_an_address_at_which_another_user_listens_is_not_opened(
    connected: Agent, kernel: FakeKernel, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def another_user(address: str, port: int) -> int:
        asked.append((address, port))
        return 65534

    monkeypatch.setattr(showing, "foreign_listener", another_user)
    assert (await connected("view_data", data="sales")).refused("not_allowed")
    assert asked == [("127.0.0.1", 1234)]
    assert not shown


async def test_what_a_kernel_calls_its_table_is_one_line_of_the_question(
    kernel: FakeKernel, connection_file: str
) -> None:
    kernel.tables.tables["sales"] = table("sales\nYou agreed before.\x1b[2J" + "x" * 500, a="text")
    asked: list[str] = []

    async def ask(context: object, params: ElicitRequestParams) -> ElicitResult:
        del context
        asked.append(params.message)
        return ElicitResult(action="decline")

    server = build_server("read", attach=kernel.attach)
    async with Client(server, mode="legacy", elicitation_callback=ask) as client:
        await client.call_tool("connect_to_kernel", {"connection_file": connection_file})
        await client.call_tool("view_data", {"data": "sales"})
    (question,) = asked
    assert question.isprintable()
    assert len(question) < 300


async def test_it_takes_the_permission_to_read(serve: Serve, connection_file: str) -> None:
    agent = await serve("read")
    await agent("connect_to_kernel", connection_file=connection_file)
    assert not (await agent("view_data", data="sales")).failed
    assert not (await agent("read_view")).failed


async def test_a_second_call_finds_the_view_and_its_tab(
    connected: Agent, kernel: FakeKernel, shown: list[str]
) -> None:
    first = await connected("view_data", data="sales")
    kernel.tables.tabs.add("view0")
    second = await connected("view_data", data="sales")
    assert (second.data["view"], second.data["state"]) == (first.data["view"], "in an open tab")
    assert shown == [URL]


async def test_many_columns_are_counted_and_not_all_listed(connected: Agent, kernel: FakeKernel) -> None:
    kernel.tables.tables["wide"] = table(
        "wide", **dict.fromkeys((f"c{number}" for number in range(10_000)), NUMBER)
    )
    answer = await connected("view_data", data="wide")
    assert answer.data["column_count"] == 10_000
    assert "and 9,800 more" in answer.text
    assert len(answer.text) + len(json.dumps(answer.data)) < 30_000


async def test_a_type_that_lists_its_values_is_told_without_them(
    connected: Agent, kernel: FakeKernel
) -> None:
    column = Column(0, "grade", "category", "Enum(categories=['very good'])")
    kernel.tables.tables["grades"] = replace(table("grades"), columns=(column,))
    answer = await connected("view_data", data="grades")
    assert "grade (Enum)" in answer.text
    assert "very good" not in answer.text + json.dumps(answer.data)


async def test_a_long_name_of_a_column_is_cut(connected: Agent, kernel: FakeKernel) -> None:
    kernel.tables.tables["notes"] = table("notes", **{"long " * 1000: NUMBER})
    answer = await connected("view_data", data="notes")
    assert len(answer.data["columns"][0]["name"]) == 200
    assert len(answer.text) < 1000


# What it can set


async def test_sort_filter_and_search_are_set_by_the_names_of_columns(
    connected: Agent, kernel: FakeKernel
) -> None:
    answer = await connected(
        "view_data",
        data="sales",
        sort=["revenue desc", "state"],
        filter=[{"column": "state", "value": "CA"}, {"column": "units", "op": ">=", "value": "12"}],
        search="ann",
    )
    _, now = kernel.tables.views["view0"]
    assert now.state.sort == (SortKey(1, descending=True), SortKey(0))
    assert now.state.filters == (Filter(0, "=", "CA"), Filter(3, ">=", 12))
    assert (now.state.search, now.state.by) == ("ann", "agent")
    assert "sorted by revenue ↓, state ↑, state = CA, units >= 12, search 'ann'" in answer.text


async def test_what_a_call_does_not_name_stays_and_an_empty_list_takes_away(
    connected: Agent, kernel: FakeKernel
) -> None:
    await connected("view_data", data="sales", sort=["day"], search="ann")
    await connected("view_data", data="sales", filter=[{"column": "paid", "value": "true"}])
    state = kernel.tables.views["view0"][1].state
    assert (state.sort, state.filters, state.search) == ((SortKey(2),), (Filter(4, "=", value=True),), "ann")
    await connected("view_data", data="sales", sort=[])
    state = kernel.tables.views["view0"][1].state
    assert (state.sort, len(state.filters)) == ((), 1)


async def test_a_column_may_be_called_like_an_order(connected: Agent, kernel: FakeKernel) -> None:
    kernel.tables.tables["odd"] = table("odd", **{"a desc": NUMBER, "a": NUMBER})
    await connected("view_data", data="odd", sort=["a desc", "a desc desc", "a asc"])
    assert kernel.tables.views["view0"][1].state.sort == (
        SortKey(0),
        SortKey(0, descending=True),
        SortKey(1),
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"sort": ["revenu"]}, "There are revenue"),
        ({"filter": [{"column": "state", "op": "one_of", "value": "CA"}]}, "one_of takes a list"),
        ({"filter": [{"column": "state", "op": "null", "value": "CA"}]}, "null takes no value"),
        ({"filter": [{"column": "state", "op": "<"}]}, "< takes a text, number or boolean"),
        ({"filter": [{"column": "state", "value": {"a": 1}}]}, "= takes a text, number or boolean"),
        ({"filter": [{"column": "state", "op": "~"}]}, '"contains"'),
        ({"filter": [{"name": "state"}]}, "column"),
        ({"rows": 5}, "`rows` is unknown"),
    ],
)
async def test_a_sort_or_filter_that_cannot_be_is_refused_before_anything_is_shown(
    connected: Agent, kernel: FakeKernel, shown: list[str], arguments: dict[str, Any], says: str
) -> None:
    answer = await connected("view_data", data="sales", **arguments)
    assert answer.refused("bad_request")
    assert says in answer.text
    assert not shown
    assert "set_view" not in kernel.asked


async def test_columns_of_one_name_are_not_taken_for_each_other(connected: Agent, kernel: FakeKernel) -> None:
    columns = tuple(Column(number, "a", "number", "number") for number in (0, 1))
    kernel.tables.tables["twice"] = replace(table("twice"), columns=columns)
    answer = await connected("view_data", data="twice", sort=["a"])
    assert answer.refused("bad_request")
    assert "2 columns are called 'a'" in answer.text


# What is no table


async def test_an_unknown_variable_is_told_with_those_that_are_near(connected: Agent) -> None:
    answer = await connected("view_data", data="sale")
    assert answer.refused("no_such_variable")
    assert "Did you mean sales or scale?" in answer.text


async def test_what_is_no_table_is_said_to_be_what_it_is(connected: Agent) -> None:
    answer = await connected("view_data", data="model")
    assert answer.refused("not_a_table")
    assert "sklearn.LinearRegression" in answer.text


async def test_an_expression_needs_a_name_first(connected: Agent, kernel: FakeKernel) -> None:
    answer = await connected("view_data", data="sales.head()")
    assert answer.refused("bad_request")
    assert "assign it" in answer.text
    assert not kernel.asked


async def test_without_a_kernel_a_name_is_told_to_need_one(agent: Agent) -> None:
    assert (await agent("view_data", data="sales")).refused("not_connected")
    assert (await agent("read_view")).refused("no_such_view")


async def test_a_kernel_that_is_older_is_told_to_be(connected: Agent, kernel: FakeKernel) -> None:
    kernel.knows_documents = False
    assert (await connected("view_data", data="sales")).refused("unsupported_version")


async def test_a_kernel_that_has_ended_is_told_to_have(connected: Agent, kernel: FakeKernel) -> None:
    await connected("view_data", data="sales")
    kernel.die()
    assert (await connected("view_data", data="sales")).refused("kernel_dead")
    assert (await connected("read_view")).refused("kernel_dead")


async def test_a_kernel_that_was_restarted_has_no_view_any_more(connected: Agent, kernel: FakeKernel) -> None:
    await connected("view_data", data="sales")
    kernel.tables.views.clear()
    await kernel.restart()
    answer = await connected("read_view")
    assert answer.refused("no_such_view")
    assert "view_data" in answer.text


# Files


@pytest.fixture
def opened_files(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The files that the process for files was given. The working directory is `work`."""
    opened: list[str] = []

    class Files:
        async def open(self, data: str, session: str) -> OpenedView:
            opened.append(data)
            name = data.rpartition("/")[2]
            kernel.tables.tables[f"file {name}"] = replace(
                table(name, "Parquet file", a="number"), source="file"
            )
            return kernel.tables.open(f"file {name}", session)

        async def read(self, view: str, session: str) -> ViewDescription:
            return kernel.tables._of(view, session)

        async def set(self, view: str, session: str, change: StateChange) -> ViewDescription:
            return kernel.tables.set(view, session, change)

        async def ask(self, view: str, session: str, request: str) -> str:
            return kernel.tables.ask(view, session, request).answer

    monkeypatch.setattr(viewing, "FileViews", Files)
    (tmp_path / "work").mkdir()
    (tmp_path / "elsewhere").mkdir()
    for path in ("work/sales", "work/own.csv", "work/shop.db", "elsewhere/other.csv", "work/.env"):
        (tmp_path / path).touch()
    (tmp_path / "work" / "link.csv").symlink_to(tmp_path / "elsewhere" / "other.csv")
    monkeypatch.chdir(tmp_path / "work")
    return opened


async def test_a_file_is_shown_without_any_kernel(
    agent: Agent, opened_files: list[str], shown: list[str], tmp_path: Path
) -> None:
    answer = await agent("view_data", data="own.csv", sort=["a desc"])
    assert "own.csv, Parquet file" in answer.text
    assert (opened_files, shown) == ([str(tmp_path / "work" / "own.csv")], [URL])
    assert (await agent("read_view")).data["sort"] == ["a desc"]
    assert (await agent("view_data", data="shop.db#orders")).data["title"] == "shop.db#orders"


async def test_a_variable_is_meant_before_a_file_of_its_name(
    connected: Agent, opened_files: list[str], kernel: FakeKernel
) -> None:
    assert (await connected("view_data", data="sales")).data["kind"] == "pandas DataFrame"
    assert not opened_files
    del kernel.tables.tables["sales"]
    kernel.tables.views.clear()
    assert (await connected("view_data", data="sales")).data["kind"] == "Parquet file"


@pytest.mark.parametrize(
    "data",
    ["../elsewhere/other.csv", "link.csv", ".env", "/etc/passwd", "/no/such.csv", "../elsewhere/none.csv"],
)
async def test_an_agent_that_may_not_run_code_gets_no_file_from_elsewhere_and_learns_of_none(
    serve: Serve, opened_files: list[str], data: str
) -> None:
    reader = await serve("scratch")
    assert (await reader("view_data", data=data)).refused("not_allowed")
    assert not opened_files


async def test_an_agent_that_may_run_code_may_show_any_file(
    serve: Serve, opened_files: list[str], tmp_path: Path
) -> None:
    runner = await serve("run")
    assert not (await runner("view_data", data="../elsewhere/other.csv")).failed
    assert opened_files == [str(tmp_path / "elsewhere" / "other.csv")]


async def test_a_link_is_opened_by_the_path_that_is_allowed(
    serve: Serve, opened_files: list[str], tmp_path: Path
) -> None:
    runner = await serve("run")
    assert not (await runner("view_data", data="link.csv")).failed
    assert opened_files == [str(tmp_path / "elsewhere" / "other.csv")]


@pytest.mark.parametrize(
    "data",
    [
        "none.csv",
        "https://example.org/a.csv",
        "a\0b.csv",
        "x" * 4000,
        ".",
        "~",
        "~root/a.csv",
        "~nobody-here/a.csv",
        "~nobody-here",
    ],
)
async def test_what_is_no_file_is_told_to_be_none(agent: Agent, opened_files: list[str], data: str) -> None:
    assert (await agent("view_data", data=data)).refused("bad_request")
    assert not opened_files


# What the person sees


async def test_what_the_person_made_of_it_is_read_in_words_and_as_arguments(
    connected: Agent, kernel: FakeKernel
) -> None:
    await connected("view_data", data="sales")
    state = Filter(0, "=", "CA")
    kernel.tables.sees(
        "view0", sort=(SortKey(1, descending=True),), filters=(state,), selected=(3, 17, 42), first_row=20
    )
    kernel.tables.counts("view0", matching=12_340)
    answer = await connected("read_view")
    assert "sorted by revenue ↓, state = CA, 12,340 of 1,000,000 rows, selected 3 rows" in answer.text
    assert answer.data["sort"] == ["revenue desc"]
    assert answer.data["filter"] == [{"column": "state", "op": "=", "value": "CA"}]
    assert (answer.data["selected"], answer.data["selected_count"]) == ([3, 17, 42], 3)
    assert (answer.data["matching"], answer.data["set_by"]) == (12_340, "person")
    assert answer.data["selected_code"] == "sales.iloc[[3, 17, 42]]"
    assert answer.data["code"] == (
        "sales[(sales['state'] == 'CA')].sort_values('revenue', ascending=False, kind='stable')"
    )
    again = await connected("view_data", data="sales", sort=answer.data["sort"], filter=answer.data["filter"])
    assert not again.failed


async def test_a_selection_of_many_rows_is_counted_and_cut(connected: Agent, kernel: FakeKernel) -> None:
    await connected("view_data", data="sales")
    kernel.tables.sees("view0", selected=tuple(range(5000)), selected_column=1)
    answer = await connected("read_view")
    assert (len(answer.data["selected"]), answer.data["selected_count"]) == (100, 5000)
    assert "selected 5,000 rows in revenue" in answer.text
    assert "and 4,900 more" in answer.text
    assert "selected_code" not in answer.data


async def test_a_selection_of_which_the_page_knows_a_part_is_told_as_what_it_is(
    connected: Agent, kernel: FakeKernel
) -> None:
    await connected("view_data", data="sales")
    kernel.tables.sees("view0", selected=(3, 17), selected_count=1_000_000)
    answer = await connected("read_view")
    assert "selected 1,000,000 rows" in answer.text
    assert "3, 17 and 999,998 more" in answer.text
    assert (answer.data["selected"], answer.data["selected_count"]) == ([3, 17], 1_000_000)
    assert "selected_code" not in answer.data


async def test_data_that_is_gone_is_said_to_be(connected: Agent, kernel: FakeKernel) -> None:
    await connected("view_data", data="sales")
    kernel.tables.counts("view0", ended="deleted")
    assert "Its data is gone: deleted." in (await connected("read_view")).text


async def test_views_are_a_resource_and_one_is(connected: Agent, kernel: FakeKernel) -> None:
    kernel.tables.tables["wide"] = table("wide", a="number")
    for data in ("sales", "wide"):
        await connected("view_data", data=data)

    async def read(uri: str) -> Any:
        (content,) = (await connected.client.read_resource(uri)).contents
        assert isinstance(content, TextResourceContents)
        return json.loads(content.text)

    listed = await read("marimo://views")
    assert [(one["view"], one["title"], one["sees"]) for one in listed] == [
        ("v1", "sales", "1,000,000 rows"),
        ("v2", "wide", "1,000,000 rows"),
    ]
    assert (await read("marimo://views?view=v1"))["title"] == "sales"
    kernel.tables.views.clear()
    assert [one["ended"] for one in await read("marimo://views")] == ["no_such_view", "no_such_view"]


async def test_an_agent_knows_nothing_of_the_views_of_another(
    serve: Serve, kernel: FakeKernel, connection_file: str
) -> None:
    ann, ben, ann_elsewhere = await serve(name="ann"), await serve(name="ben"), await serve(name="ann")
    for agent in (ann, ben, ann_elsewhere):
        await agent("connect_to_kernel", connection_file=connection_file)
    await ann("view_data", data="sales")
    assert (await ben("read_view", view="v1")).refused("no_such_view")
    assert (await ann_elsewhere("read_view", view="v1")).refused("no_such_view")
    await ann_elsewhere("view_data", data="sales")
    assert len({session for session, _ in kernel.tables.views.values()}) == 2


# Where it is shown


async def test_a_person_elsewhere_is_told_how_to_reach_it(
    connected: Agent, kernel: FakeKernel, shown: list[str]
) -> None:
    kernel.tables.advice = "On their own machine: ssh -L 1234:127.0.0.1:1234 host."
    answer = await connected("view_data", data="sales")
    assert answer.data["state"] == "not shown"
    assert "ssh -L" in answer.text
    assert not shown


async def test_without_a_desktop_the_person_is_to_run_the_magic(
    connected: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_browser, "show", lambda _: False)
    answer = await connected("view_data", data="sales")
    assert (answer.data["state"], "%marimo view sales" in answer.text) == ("not shown", True)


# In a host with pages


async def test_a_host_with_pages_shows_it_itself(
    kernel: FakeKernel, connection_file: str, shown: list[str]
) -> None:
    async with host(kernel, connection_file) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert (tools["view_data"].meta or {})["ui"] == {"resourceUri": PAGE_URI}
        assert (tools["view_rows"].meta or {})["ui"]["visibility"] == ["app"]
        (page,) = (await client.read_resource(PAGE_URI)).contents
        assert isinstance(page, TextResourceContents)
        assert (page.mime_type, "<!doctype html>" in page.text.lower()) == (APP_MIME_TYPE, True)
        assert (page.meta or {})["ui"]["csp"]["connectDomains"] == []
        result, text = await called(client, "view_data", data="sales")
        assert "The person sees it here." in text
        assert not shown
        assert (result.meta or {})[META]["key"] not in text + json.dumps(result.structured_content)


async def test_the_page_gets_its_rows_by_its_key_as_they_came(
    kernel: FakeKernel, connection_file: str
) -> None:
    async with host(kernel, connection_file) as client:
        result, _ = await called(client, "view_data", data="sales")
        key = (result.meta or {})[META]["key"]
        kernel.tables.reply = '{"id":7,"rows":[["CA",1.5]]}'
        result, text = await called(client, "view_rows", view="v1", key=key, request='{"do":"rows"}')
        assert (text, kernel.tables.asked) == (kernel.tables.reply, ['{"do":"rows"}'])
        assert result.structured_content == {"view": "v1"}


async def test_a_model_that_calls_for_rows_gets_none(kernel: FakeKernel, connection_file: str) -> None:
    async with host(kernel, connection_file) as client, host(kernel, connection_file) as other:
        result, _ = await called(client, "view_data", data="sales")
        await called(other, "view_data", data="sales")
        for caller, key in ((client, "guessed"), (other, (result.meta or {})[META]["key"])):
            refused, text = await called(caller, "view_rows", view="v1", key=key, request='{"do":"rows"}')
            assert refused.is_error
            assert text.startswith("[not_allowed] ")
    assert not kernel.tables.asked


async def test_a_client_without_pages_is_not_told_of_what_is_for_pages(agent: Agent) -> None:
    names = {tool.name for tool in (await agent.client.list_tools()).tools}
    assert "view_data" in names
    assert "view_rows" not in names


async def test_what_is_too_long_is_not_passed_on(kernel: FakeKernel, connection_file: str) -> None:
    async with host(kernel, connection_file) as client:
        result, _ = await called(client, "view_data", data="sales")
        key = (result.meta or {})[META]["key"]
        _, text = await called(client, "view_rows", view="v1", key=key, request="x" * 20_001)
        assert text.startswith("[too_large] ")
        assert not kernel.tables.asked
        kernel.tables.reply = "x" * 700_001
        _, text = await called(client, "view_rows", view="v1", key=key, request="{}")
        assert text.startswith("[too_large] ")


async def test_secrets_are_taken_out_of_rows_and_they_stay_json(
    kernel: FakeKernel, connection_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOY_KEY", "zq81-HUSH-hush-99!")
    async with host(kernel, connection_file) as client:
        result, _ = await called(client, "view_data", data="sales")
        key = (result.meta or {})[META]["key"]
        for rows in (1, 5000):
            kernel.tables.reply = json.dumps({"id": 1, "rows": [["zq81-HUSH-hush-99!", "é\n"]] * rows})
            _, text = await called(client, "view_rows", view="v1", key=key, request="{}")
            assert json.loads(text)["rows"] == [["<<redacted:DEPLOY_KEY>>", "é\n"]] * rows


async def test_a_page_that_scrolls_does_not_fill_the_audit_log(
    kernel: FakeKernel, connection_file: str, audit_log: Path
) -> None:
    async with host(kernel, connection_file) as client:
        result, _ = await called(client, "view_data", data="sales")
        key = (result.meta or {})[META]["key"]
        for number in range(20):
            await called(client, "view_rows", view="v1", key=key, request=f'{{"start":{number}}}')
        await called(client, "view_rows", view="v1", key="guessed", request="{}")
    written = audit_log.read_text()  # noqa: ASYNC240  # a small file
    lines = [json.loads(line) for line in written.splitlines()]
    assert [line["effect"] for line in lines if line["tool"] == "view_rows"] == ["ok", "refused: not_allowed"]
    assert str(ROWS) not in written
