"""What the server says of itself and of changes: lists, their age, completions, events by kind, output as it comes."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client, MCPError
from mcp.types import (
    INVALID_PARAMS,
    PromptReference,
    ResourceTemplateReference,
    TextResourceContents,
)

from marimo_kernel_bridge.mcp_server.sdk.events import KEPT, Events, kind_of_change
from marimo_kernel_bridge.mcp_server.tools import run_waiting
from marimo_kernel_bridge.mcp_tools import build_server
from marimo_kernel_bridge.protocol.inspection import Variable
from tests.unit.mcp_server.agent import Agent
from tests.unit.mcp_server.fake_kernel import Execution, FakeKernel, stream

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning"),  # the older protocol is tested as well
]

BOUND = 60.0
ERAS = ["auto", "legacy"]


# What the server says of itself


@pytest.mark.parametrize("mode", ERAS)
async def test_only_the_list_that_changes_is_declared_to_change(kernel: FakeKernel, mode: Any) -> None:
    async with Client(build_server(attach=kernel.attach), mode=mode) as client:
        declared = client.server_capabilities
        assert declared is not None
        assert declared.resources is not None
        assert (declared.resources.list_changed, declared.resources.subscribe) == (True, True)
        assert declared.tools is not None
        assert declared.prompts is not None
        assert not declared.tools.list_changed
        assert not declared.prompts.list_changed
        assert declared.completions is not None
        assert declared.logging is not None


async def test_the_server_has_a_description_and_an_icon_that_loads_nothing(agent: Agent) -> None:
    info = agent.client.server_info
    assert info is not None
    assert info.description
    assert info.icons is not None
    (icon,) = info.icons
    assert icon.src.startswith("data:image/svg+xml,")
    assert len(icon.src) < 600, "the newer protocol sends it with each answer"


async def test_lists_that_stay_the_same_may_be_kept_for_an_hour(agent: Agent) -> None:
    hour = 3_600_000
    assert (await agent.client.list_tools()).ttl_ms == hour
    assert (await agent.client.list_prompts()).ttl_ms == hour
    assert (await agent.client.list_resource_templates()).ttl_ms == hour
    assert not (await agent.client.list_resources()).ttl_ms


@pytest.mark.parametrize("notebook", ["x" * 1001, "a\nb", "a\0b"])
async def test_a_prompt_takes_a_name_of_a_notebook_and_no_text_of_any_length(
    agent: Agent, notebook: str
) -> None:
    with pytest.raises(MCPError, match="at most 1,000 characters") as refusal:
        await agent.client.get_prompt("explore_notebook", {"notebook": notebook})
    assert refusal.value.error.code == INVALID_PARAMS
    assert (await agent.client.get_prompt("explore_notebook", {"notebook": "x" * 1000})).messages


# The list of resources


async def uris(client: Client) -> set[str]:
    listed = {str(resource.uri) for resource in (await client.list_resources()).resources}
    return {uri for uri in listed if uri.startswith("marimo:")}


async def test_the_list_of_resources_has_what_is_attached_and_each_can_be_read(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.add("aaaa", "x = 1")
    listed = (await connected.client.list_resources()).resources
    shown = {str(one.uri): one for one in listed if str(one.uri).startswith("marimo:")}
    assert {"marimo://k1/notebook", "marimo://k1/events", "marimo://k1/notebook.py"} <= shown.keys()
    assert shown["marimo://k1/notebook"].title == "The notebook: kernel-fake.json"
    for uri in ("notebook", "history", "events", "death", "notebook.ipynb"):
        assert (await connected.client.read_resource(f"marimo://k1/{uri}")).contents
    await connected("disconnect_kernel")
    assert await uris(connected.client) == set()


async def test_of_a_plain_kernel_there_is_what_happens_and_how_it_died(
    agent: Agent, kernel: FakeKernel, connection_file: str
) -> None:
    kernel.reactive = False
    await agent("connect_to_kernel", connection_file=connection_file)
    assert await uris(agent.client) == {"marimo://k1/events", "marimo://k1/death"}


async def test_a_listener_of_the_newer_protocol_is_told_that_the_list_changed(
    agent: Agent, connection_file: str
) -> None:
    async with agent.client.listen(resources_list_changed=True) as events, asyncio.timeout(BOUND):
        await agent("connect_to_kernel", connection_file=connection_file)
        async for event in events:
            assert type(event).__name__ == "ResourcesListChanged"
            break
    assert "marimo://k1/notebook" in await uris(agent.client)


async def test_a_client_of_the_older_protocol_that_knows_the_list_is_told_of_its_own_changes(
    kernel: FakeKernel, connection_file: str
) -> None:
    heard: dict[str, list[str]] = {"ann": [], "ben": []}
    server = build_server(attach=kernel.attach)

    def hears(name: str) -> Any:
        async def hear(message: Any) -> None:
            heard[name].append(message.method)

        return hear

    async with Client(server, mode="legacy", message_handler=hears("ann")) as ann, asyncio.timeout(BOUND):
        agent = Agent(ann)
        await agent("connect_to_kernel", connection_file=connection_file)
        assert heard["ann"] == [], "it has not asked for the list"
        await ann.list_resources()
        await agent("disconnect_kernel")
        await ann.list_resources()
        assert heard["ann"] == ["notifications/resources/list_changed"]


# Completions


async def completed(agent: Agent, uri: str, name: str, typed: str, **given: str) -> list[str]:
    answer = await agent.client.complete(
        ResourceTemplateReference(uri=uri), {"name": name, "value": typed}, given or None
    )
    assert len(answer.completion.values) <= 100
    return answer.completion.values


CELL = "marimo://{kernel}/cells/{cell_id}{?offset}"


async def test_kernels_cells_variables_outputs_kinds_and_runs_are_completed(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.add("aaaa", "x = 1", stream("1"), stream("2"))
    kernel.add("bbbb", "y = 2")
    kernel.variables = [Variable("orders", "pandas.DataFrame", ""), Variable("other", "int", "1")]
    assert await completed(connected, CELL, "kernel", "") == ["k1"]
    assert await completed(connected, CELL, "cell_id", "", kernel="k1") == ["aaaa", "bbbb"]
    assert await completed(connected, CELL, "cell_id", "B") == ["bbbb"]
    variable = "marimo://{kernel}/variables/{variable}"
    assert await completed(connected, variable, "variable", "o", kernel="k1") == ["orders", "other"]
    assert await completed(connected, variable, "variable", "der", kernel="k1") == ["orders"]
    output = "marimo://{kernel}/cells/{cell_id}/{output}.json"
    assert await completed(connected, output, "output", "", kernel="k1", cell_id="aaaa") == ["0", "1"]
    events = "marimo://{kernel}/events/{kind}{?since}"
    assert await completed(connected, events, "kind", "e", kernel="k1") == ["executing", "error", "completed", "state_changed"]  # fmt: skip
    run = (await connected("execute_code", code="1")).data["run_id"]
    runs = "marimo://{kernel}/runs/{run_id}{?offset}"
    assert await completed(connected, runs, "run_id", "", kernel="k1") == [run]


async def test_completions_are_at_most_a_hundred_and_say_how_many_there_are(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.variables = [Variable(f"x{number}", "int", "") for number in range(300)]
    ref = ResourceTemplateReference(uri="marimo://{kernel}/variables/{variable}")
    completion = (await connected.client.complete(ref, {"name": "variable", "value": "x"})).completion
    assert (len(completion.values), completion.total, completion.has_more) == (100, 300, True)


async def test_what_cannot_be_listed_completes_to_nothing(
    agent: Agent, kernel: FakeKernel, audit_log: Path
) -> None:
    assert await completed(agent, CELL, "cell_id", "", kernel="k9") == []
    assert await completed(agent, CELL, "nonsense", "") == []
    assert await completed(agent, CELL, "kernel", "x" * 100_000) == []
    assert await completed(agent, "file:///{path}", "kernel", "") == []
    assert kernel.asked == []
    noted = audit_log.read_text()  # noqa: ASYNC240  # some lines
    assert '"tool": "completion of cell_id"' in noted
    assert '"effect": "refused: not_connected"' in noted


async def test_the_notebook_of_a_prompt_is_completed(agent: Agent) -> None:
    ref = PromptReference(name="explore_notebook")
    answer = await agent.client.complete(ref, {"name": "notebook", "value": ""})
    assert answer.completion.values == []  # none runs; `test_which_kernel` has some


# Events


def changed(status: str, at: float | None = 1.0, old: tuple[str, float | None] | None = ("ok", 0.0)) -> str:
    kernel = FakeKernel()
    before = None if old is None else kernel.add("aaaa", "1", status=old[0], last_run_at=old[1])
    return kind_of_change(before, kernel.add("aaaa", "1", status=status, last_run_at=at))


def test_a_change_of_a_cell_has_a_kind() -> None:
    assert changed("running") == "executing"
    assert changed("ok") == changed("ok", old=None) == "completed"
    assert changed("error") == changed("refused") == changed("interrupted") == "error"
    assert changed("ok", 0.0) == changed("cancelled") == "state_changed"
    assert kind_of_change(FakeKernel().add("aaaa", "1"), None) == "state_changed"


def test_events_are_bounded_and_output_that_follows_output_is_one() -> None:
    events = Events()
    for number in range(10):
        events.of_request("output", "r1", "x" * 1000, float(number), ours=True)
    (only,) = events.since(0)
    assert (only.number, only.at, len(only.client)) == (10, 9.0, 40)
    events.of_request("output", "r2", "", 0, ours=False)
    assert [event.request_id for event in events.since(0)] == ["r1", "r2"]
    for _ in range(2 * KEPT):
        events.of_cell("completed", "aaaa", "", 0)
    assert len(list(events.since(0))) == KEPT
    assert list(events.since(events.newest)) == []


async def read(agent: Agent, uri: str) -> dict[str, Any]:
    (content,) = (await agent.client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    told: dict[str, Any] = json.loads(content.text)
    return told


async def test_events_name_their_kind_and_what_to_read(connected: Agent, kernel: FakeKernel) -> None:
    kernel.executions["print(1)"] = Execution((stream("1\n"),))
    run = (await connected("execute_code", code="print(1)")).data["run_id"]
    told = await read(connected, "marimo://k1/events")
    ours = [event for event in told["events"] if event.get("run_id") == run]
    assert [event["kind"] for event in ours] == ["executing", "output", "completed"]
    assert ours[0]["read"] == f"marimo://k1/runs/{run}"
    assert (await read(connected, f"marimo://k1/events?since={told['newest']}"))["events"] == []
    kinds = {event["kind"] for event in (await read(connected, "marimo://k1/events/output"))["events"]}
    assert kinds == {"output"}
    for wrong in ("events/nonsense", "events?since=x", f"events?since={'9' * 40}"):
        with pytest.raises(MCPError, match=r"\[bad_request\]"):
            await connected.client.read_resource(f"marimo://k1/{wrong}")


async def test_a_failing_request_ends_in_an_error(connected: Agent, kernel: FakeKernel) -> None:
    failure = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []}
    kernel.executions["fail"] = Execution((failure,))
    await connected("execute_code", code="fail")
    kinds = [event["kind"] for event in (await read(connected, "marimo://k1/events"))["events"]]
    assert kinds == ["executing", "output", "error"]


@pytest.mark.parametrize("mode", ERAS)
async def test_who_subscribes_to_a_kind_is_told_of_it_while_a_run_goes_on(
    kernel: FakeKernel, connection_file: str, mode: Any
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def hear(message: Any) -> None:
        if mode == "legacy" and message.method == "notifications/resources/updated":
            heard.put_nowait(str(message.params.uri))

    kernel.executions["slow"] = Execution(held=True)
    async with (
        Client(build_server(attach=kernel.attach), mode=mode, message_handler=hear) as client,
        asyncio.timeout(BOUND),
    ):
        agent = Agent(client)
        await agent("connect_to_kernel", connection_file=connection_file)
        run = (await agent("execute_code", code="slow", timeout=0)).data["run_id"]
        wanted = ["marimo://k1/events/output", f"marimo://k1/runs/{run}", "marimo://k1/events/completed"]

        async def told(kernel_does: Any, *expected: str) -> None:
            kernel_does()
            await kernel.heard()
            assert {await heard.get() for _ in expected} == set(expected)

        if mode == "legacy":
            for uri in wanted:
                await client.subscribe_resource(uri)
            await told(lambda: kernel.prints("more\n"), *wanted[:2])
            await told(kernel.release, wanted[2])
            return
        async with client.listen(resource_subscriptions=wanted) as events:

            async def follow() -> None:
                async for event in events:
                    heard.put_nowait(str(getattr(event, "uri")))  # noqa: B009  # events of other kinds have none

            following = asyncio.create_task(follow())
            await told(lambda: kernel.prints("more\n"), *wanted[:2])
            await told(kernel.release, wanted[2])
            following.cancel()


async def test_who_unsubscribes_hears_no_more(kernel: FakeKernel, connection_file: str) -> None:
    heard: list[str] = []

    async def hear(message: Any) -> None:
        heard.append(str(message.params.uri))

    async with Client(build_server(attach=kernel.attach), mode="legacy", message_handler=hear) as client:
        agent = Agent(client)
        await agent("connect_to_kernel", connection_file=connection_file)
        for uri in ("marimo://k1/notebook", "marimo://k1/history"):
            await client.subscribe_resource(uri)
        await client.unsubscribe_resource("marimo://k1/notebook")
        end = kernel.somebody_else_runs("x = 2")
        end()
        async with asyncio.timeout(BOUND):
            while not heard:  # noqa: ASYNC110  # the handler tells of nothing
                await asyncio.sleep(0)
        assert set(heard) == {"marimo://k1/history"}


async def test_subscriptions_of_a_client_are_limited(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marimo_kernel_bridge.mcp_server.sdk.subscriptions.MOST_SUBSCRIPTIONS", 2)
    async with Client(build_server(attach=kernel.attach), mode="legacy") as client:
        for name in "ab":
            await client.subscribe_resource(f"marimo://k1/variables/{name}")
        for uri in ("marimo://k1/variables/c", "x" * 3000):
            with pytest.raises(MCPError, match="at most 2 resources"):
                await client.subscribe_resource(uri)


# Output as it comes


@pytest.mark.parametrize(
    ("mode", "level", "asked"),
    [("legacy", None, False), ("legacy", "info", True), ("legacy", "error", False), ("auto", None, False), ("auto", "debug", True)],
)  # fmt: skip
async def test_output_comes_as_log_messages_to_who_asks_for_them(
    kernel: FakeKernel, connection_file: str, mode: Any, level: Any, asked: bool
) -> None:
    logged: list[Any] = []

    async def log(params: Any) -> None:
        logged.append((params.level, params.logger, params.data))

    kernel.executions["print"] = Execution((stream("one\n"), stream("two")))
    modern: dict[str, Any] = {"log_level": level} if mode == "auto" else {}
    server = build_server(attach=kernel.attach)
    async with Client(server, mode=mode, logging_callback=log, **modern) as client:
        if mode == "legacy" and level is not None:
            await client.set_logging_level(level)
        agent = Agent(client)
        await agent("connect_to_kernel", connection_file=connection_file)
        run = (await agent("execute_code", code="print")).data["run_id"]
        await client.list_tools()
    data = {"kind": "output", "run_id": run, "text": "one\ntwo"}
    assert logged == ([("info", "marimo-kernel-bridge/run", data)] if asked else [])


async def told_of(connected: Agent, kernel: FakeKernel, *pieces: str) -> list[str]:
    """Run code that prints pieces, each after the progress on the one before; return what was reported."""
    waiting = list(pieces)
    told: list[str] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        del progress, total
        told.append((message or "").partition(": ")[2])
        if waiting:
            kernel.prints(waiting.pop(0))
        elif kernel.busy:
            kernel.release()

    kernel.executions["slow"] = Execution((stream("begun\n"),), held=True)
    arguments = {"code": "slow", "timeout": BOUND}
    await connected.client.call_tool("execute_code", arguments, progress_callback=heard)
    return told


async def test_progress_has_all_new_lines_and_says_how_much_it_leaves_out(
    connected: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_waiting, "_OUTPUT_EVERY", 0.01)
    lines = "".join(f"line {number}\n" for number in range(100))
    told = await told_of(connected, kernel, lines, "x" * 5000 + "\n")
    assert told[0] == "begun"
    assert told[1] == lines.strip()
    assert told[2] == f"[… 3,000 characters …]{'x' * 2000}"


async def test_progress_has_a_line_that_does_not_end(
    connected: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_waiting, "_OUTPUT_EVERY", 0.01)
    monkeypatch.setattr(run_waiting, "_LINE_BOUND", 0.01)
    told = await told_of(connected, kernel, "\r10 % ", "\r20 % ")
    assert told == ["begun", "10 %", "20 %"]
