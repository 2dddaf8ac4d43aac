"""Resources by their addresses, and who is told that one has changed."""

import asyncio
import base64
import inspect
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.types import BlobResourceContents, TextContent, TextResourceContents

from marimo_kernel_bridge.mcp_server.sdk.events import Events
from marimo_kernel_bridge.mcp_server.sdk.subscriptions import Subscriptions, Watch
from marimo_kernel_bridge.mcp_tools import TOOLS, build_server
from marimo_kernel_bridge.protocol.inspection import Variable, VariableContent
from marimo_kernel_bridge.protocol.names import METADATA_KEY
from marimo_kernel_bridge.protocol.notebook import RunReport
from tests.unit.mcp_server.agent import Agent
from tests.unit.mcp_server.fake_kernel import Execution, FakeKernel, Json, cell_run, stream

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning"),  # the older protocol is what is tested
]

BOUND = 60.0  # seconds


async def read(agent: Agent, uri: str) -> Any:
    (content,) = (await agent.client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    assert content.mime_type == "application/json"
    return json.loads(content.text)


async def test_resources_are_listed_with_what_they_are(agent: Agent) -> None:
    templates = (await agent.client.list_resource_templates()).resource_templates
    assert {template.uri_template for template in templates} == {
        "marimo://{kernel}/notebook",
        "marimo://{kernel}/history",
        "marimo://{kernel}/events{?since}",
        "marimo://{kernel}/events/{kind}{?since}",
        "marimo://{kernel}/death",
        "marimo://{kernel}/cells/{cell_id}{?offset}",
        "marimo://{kernel}/cells/{cell_id}/{output}.json",
        "marimo://{kernel}/cells/{cell_id}/{output}.png",
        "marimo://{kernel}/cells/{cell_id}/{output}.jpeg",
        "marimo://{kernel}/runs/{run_id}{?offset}",
        "marimo://{kernel}/variables/{variable}",
        "marimo://{kernel}/checkpoints",
        "marimo://views{?view}",
        *(f"marimo://{{kernel}}/notebook.{suffix}" for suffix in ("ipynb", "py", "md", "html")),
    }
    assert all(template.title and template.description for template in templates)


def test_the_variables_of_each_uri_are_what_its_function_takes_and_those_of_queries_can_be_left_out() -> None:
    for template in build_server()._resource_manager.list_templates():
        _, *taken = inspect.signature(template.fn).parameters.values()
        assert {parameter.name for parameter in taken} == set(template.parsed_template.variable_names)
        assert {parameter.annotation for parameter in taken} == {"str"}
        optional = {parameter.name for parameter in taken if parameter.default is not parameter.empty}
        assert optional >= set(template.parsed_template.query_variable_names)


async def test_the_notebook_its_history_cells_and_variables_are_read(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.add("aaaa", "x = 1", defines=("x",))
    kernel.add("bbbb", "print('x is', x)", stream("x is 1\n"))
    kernel.contents["x"] = VariableContent(Variable("x", "int", "1"))
    kernel.history = [RunReport("r1", ("aaaa",), "ada", finished=True, cells=(cell_run("aaaa"),))]
    notebook = await read(connected, "marimo://k1/notebook")
    assert [cell["cell_id"] for cell in notebook["cells"]] == ["aaaa", "bbbb"]
    cell = await read(connected, "marimo://k1/cells/bbbb")
    assert (cell["code"], cell["outputs"]) == ("print('x is', x)", "x is 1")
    assert (await read(connected, "marimo://k1/variables/x"))["summary"] == "1"
    (run,) = await read(connected, "marimo://k1/history")
    assert (run["client"], [ran["cell_id"] for ran in run["cells"]]) == ("ada", ["aaaa"])


async def test_long_outputs_are_read_in_pages(connected: Agent, kernel: FakeKernel) -> None:
    text = "".join(f"{number:07}" for number in range(60_000))
    kernel.add("aaaa", "print(text)", stream(text))
    uri, pages = (await connected("read_cell", cell_id="aaaa")).data["full"], ""
    while uri:
        page = await read(connected, uri)
        assert len(json.dumps(page)) < 200_000
        pages += page["outputs"]
        uri = page.get("next")
    assert pages == text
    kernel.executions["long"] = Execution((stream("x" * 9000),))
    run = await connected("execute_code", code="long", scratch=True)
    assert (await read(connected, run.data["full"]))["outputs"] == "x" * 9000


async def test_images_are_listed_and_read_whole(connected: Agent, kernel: FakeKernel) -> None:
    png = b"\x89PNG of whatever size"
    data = {"image/png": base64.b64encode(png).decode(), "application/vnd.x+json": {"a": 1}}
    kernel.add("aaaa", "figure", {"output_type": "display_data", "data": data, "metadata": {}})
    cell = await read(connected, "marimo://k1/cells/aaaa")
    assert cell["images"] == ["marimo://k1/cells/aaaa/0.png"]
    (content,) = (await connected.client.read_resource(cell["images"][0])).contents
    assert isinstance(content, BlobResourceContents)
    assert base64.b64decode(content.blob) == png
    output = await read(connected, "marimo://k1/cells/aaaa/0.json")
    assert output["data"] == {"application/vnd.x+json": {"a": 1}}


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("marimo://k99/notebook", "not_connected"),
        ("marimo://k1/cells/nosuch", "no_such_cell"),
        ("marimo://k1/cells/aaaa/7.json", "bad_request"),
        ("marimo://k1/cells/aaaa/0.png", "bad_request"),
        ("marimo://k1/cells/aaaa?offset=x", "bad_request"),
        (f"marimo://k1/cells/aaaa?offset={'9' * 5000}", "bad_request"),
        (f"marimo://k1/cells/aaaa/{'9' * 5000}.json", "bad_request"),
        ("marimo://k1/runs/nosuch", "no_such_run"),
    ],
)
async def test_a_resource_that_is_not_there_is_refused_with_the_reason(
    connected: Agent, kernel: FakeKernel, uri: str, code: str
) -> None:
    kernel.add("aaaa", "print(1)", stream("1"))
    with pytest.raises(MCPError, match=re.escape(f"[{code}]")):
        await connected.client.read_resource(uri)


@pytest.mark.parametrize(
    "output",
    [
        {"output_type": "display_data", "data": {}, "metadata": 5},
        {"output_type": "display_data", "data": {}, "metadata": "notice"},
        {"output_type": "display_data", "data": 5},
        {"output_type": "display_data"},
        {"output_type": "stream", "name": "stdout", "text": 5},
        {"output_type": "error", "traceback": "x"},
        {"output_type": ["stream"]},
        {},
    ],
)
async def test_an_output_that_is_none_is_refused_with_a_code(
    connected: Agent, kernel: FakeKernel, output: Any
) -> None:
    kernel.add("aaaa", "1", output)
    assert (await connected("read_cell", cell_id="aaaa")).refused("unsupported_version")
    for uri in ("cells/aaaa", "cells/aaaa/0.json", "cells/aaaa/0.png", "notebook.ipynb"):
        with pytest.raises(MCPError, match=r"\[unsupported_version\]"):
            await connected.client.read_resource(f"marimo://k1/{uri}")


@pytest.mark.parametrize("data", ["abc", 5, ["a", 5], "é"])
async def test_an_image_that_is_none_is_refused_with_a_code(
    connected: Agent, kernel: FakeKernel, data: Any
) -> None:
    metadata = {METADATA_KEY: 5}
    kernel.add(
        "aaaa", "1", {"output_type": "display_data", "data": {"image/png": data}, "metadata": metadata}
    )
    with pytest.raises(MCPError, match=r"\[bad_request\]"):
        await connected.client.read_resource("marimo://k1/cells/aaaa/0.png")
    assert await read(connected, "marimo://k1/cells/aaaa")


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "zq81-HUSH-hush-99!")


@pytest.mark.usefixtures("secret")
async def test_secrets_are_kept_out_of_resources(kernel: FakeKernel, connected: Agent) -> None:
    kernel.add("aaaa", "print('zq81-HUSH-hush-99!')", stream("zq81-HUSH-hush-99!"))
    text = json.dumps(await read(connected, "marimo://k1/cells/aaaa"))
    assert "HUSH" not in text
    assert "<<redacted:SERVICE_TOKEN>>" in text


# Changes


@asynccontextmanager
async def subscribed(kernel: FakeKernel, connection_file: str, uri: str) -> AsyncIterator[asyncio.Queue[str]]:
    """Subscribe in the older protocol; gives the addresses that are told."""
    told: asyncio.Queue[str] = asyncio.Queue()

    async def heard(message: Any) -> None:
        told.put_nowait(str(message.params.uri))

    server = build_server(attach=kernel.attach)
    async with Client(server, mode="legacy", message_handler=heard) as client, asyncio.timeout(BOUND):
        await Agent(client)("connect_to_kernel", connection_file=connection_file)
        await client.subscribe_resource(uri)
        yield told


async def test_a_subscriber_of_the_older_protocol_is_told_what_the_person_changed(
    kernel: FakeKernel, connection_file: str
) -> None:
    kernel.add("aaaa", "x = 1", defines=("x",))
    async with subscribed(kernel, connection_file, "marimo://k1/variables/x") as told:
        end = kernel.somebody_else_runs("x = 2")
        kernel.add("aaaa", "x = 2", version=2, defines=("x",))
        end()
        assert await told.get() == "marimo://k1/variables/x"


async def test_a_listener_of_the_newer_protocol_is_told_too(connected: Agent, kernel: FakeKernel) -> None:
    kernel.add("aaaa", "x = 1", defines=("x",))
    wanted = ["marimo://k1/cells/aaaa", "marimo://k1/cells/nb-aaaa"]
    async with (
        connected.client.listen(resource_subscriptions=wanted) as events,
        asyncio.timeout(BOUND),
    ):
        end = kernel.somebody_else_runs("x = 2")
        kernel.add("aaaa", "x = 2", version=2, defines=("x",))
        end()
        told: set[str] = set()
        async for event in events:
            told.add(str(getattr(event, "uri")))  # noqa: B009  # events of other kinds have none
            if told == set(wanted):
                break


class Watched:
    """A kernel for a watch: its cells, and a way to say that something has happened."""

    handle, reactive = "k1", True

    def __init__(self) -> None:
        self.events = Events()
        self.looks = 0
        self.happened = lambda: None

    async def list_cells(self) -> list[Any]:
        self.looks += 1
        return []

    def call_on_change(self, callback: Any) -> None:
        self.happened = callback

    def call_on_happening(self, observe: Any) -> None:
        self.observe = observe

    def has_run(self, request_id: str) -> bool:
        return request_id == "ours"

    async def running_cell(self) -> str | None:
        return None


async def test_nobody_looks_for_changes_that_nobody_wants_to_know_of() -> None:
    watched = Watched()
    watch = Watch(watched, Subscriptions())
    for _ in range(3):
        watched.happened()
        await asyncio.sleep(0)
    watch.close()
    assert watched.looks == 0


async def test_a_look_of_another_client_is_no_change(kernel: FakeKernel, connection_file: str) -> None:
    """Else two agents that listen would keep each other busy."""
    async with subscribed(kernel, connection_file, "marimo://k1/notebook") as told:
        end = kernel.somebody_else_runs("x = 2")
        end()
        assert await told.get() == "marimo://k1/notebook"
        await kernel.heard()
        kernel.asked.clear()
        looked: Json = {"msg_id": "look", "msg_type": "marimo_bridge_read_request", "username": "ben"}
        for channels in kernel._channels:
            channels.publish(looked, "status", {"execution_state": "busy"})
            channels.publish(looked, "status", {"execution_state": "idle"})
        await kernel.heard()
        for _ in range(100):  # turns of the loop, in which a watch would look
            await asyncio.sleep(0)
        assert kernel.asked == []


# Prompts


@pytest.mark.parametrize("name", ["explore_notebook", "fix_errors", "make_reactive"])
async def test_prompts_name_the_notebook_and_tools_that_there_are(agent: Agent, name: str) -> None:
    prompts = {prompt.name: prompt for prompt in (await agent.client.list_prompts()).prompts}
    assert prompts[name].title
    assert prompts[name].description
    (message,) = (await agent.client.get_prompt(name, {"notebook": "penguins.ipynb"})).messages
    assert isinstance(message.content, TextContent)
    assert "connect_to_kernel(notebook='penguins.ipynb')" in message.content.text
    named = set(re.findall(r"\b[a-z]+_[a-z_]+\b", message.content.text)) - {"df_clean", "stale_version"}
    assert named <= {declaration.name for declaration in TOOLS}
