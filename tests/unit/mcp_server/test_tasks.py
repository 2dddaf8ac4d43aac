"""Tasks without a server: what becomes of a call that is dropped, asks, breaks, or is long over."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Never

import pytest
from mcp import MCPError
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ClientCapabilities,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequiredResult,
    TextContent,
)

from marimo_kernel_bridge.mcp_server.sdk import tasks as mcp_tasks
from marimo_kernel_bridge.mcp_server.sdk.tasks import TaskContext, Tasks, _TaskParams, _UpdateParams

Tool = Callable[[Any], Awaitable[Any]]

pytestmark = pytest.mark.anyio

BOUND = 60.0
CONTEXT: Any = SimpleNamespace(
    protocol_version="2026-07-28",
    method="tools/call",
    lifespan_context=None,
    request=None,
    session=SimpleNamespace(client_capabilities=ClientCapabilities(extensions={Tasks.identifier: {}})),
)
DONE = CallToolResult(content=[TextContent(type="text", text="done")])
QUESTION = ElicitRequest(
    params=ElicitRequestFormParams(message="Sure?", requested_schema={"type": "object", "properties": {}})
)
YES = {"action": "accept", "content": {}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def tasks(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tasks]:
    monkeypatch.setattr(mcp_tasks, "AT_ONCE", 0)
    tasks = Tasks({"long"})
    yield tasks
    await tasks.close()


def calling(name: str = "long", **arguments: Any) -> CallToolRequestParams:
    return CallToolRequestParams(name=name, arguments=arguments)


async def begin(tasks: Tasks, tool: Tool, params: CallToolRequestParams | None = None) -> str:
    """Call a tool that is not over at once, and return the task's id."""
    go_on = asyncio.Event()

    async def late(ctx: object) -> Any:
        await go_on.wait()
        return await tool(ctx)

    task = await tasks.intercept_tool_call(params or calling(), CONTEXT, late)
    go_on.set()
    assert isinstance(task, dict)
    return str(task["taskId"])


async def get(tasks: Tasks, task_id: str) -> dict[str, Any]:
    return await tasks._get(CONTEXT, _TaskParams(task_id=task_id))


async def becomes(tasks: Tasks, task_id: str, status: str) -> dict[str, Any]:
    async with asyncio.timeout(BOUND):
        while (task := await get(tasks, task_id))["status"] != status:  # noqa: ASYNC110  # nothing else tells of it
            await asyncio.sleep(0)  # one turn of the loop
    return task


async def update(tasks: Tasks, task_id: str, **answers: object) -> Any:
    return await tasks._update(CONTEXT, _UpdateParams(task_id=task_id, input_responses=answers))


async def test_a_call_that_is_dropped_before_it_is_a_task_is_cancelled(
    tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_tasks, "AT_ONCE", BOUND)
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def tool(ctx: object) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    call = asyncio.create_task(tasks.intercept_tool_call(calling(), CONTEXT, tool))
    await begun.wait()
    call.cancel()
    async with asyncio.timeout(BOUND):
        with pytest.raises(asyncio.CancelledError):
            await call
    assert cancelled.is_set()
    assert not tasks._tasks


async def test_ids_of_tasks_cannot_be_guessed(tasks: Tasks) -> None:
    async def tool(ctx: object) -> CallToolResult:
        return DONE

    first, second = [await begin(tasks, tool) for _ in range(2)]
    assert first != second
    assert min(len(first), len(second)) >= 22


def called_by(name: str) -> Any:
    return SimpleNamespace(**vars(CONTEXT) | {"lifespan_context": name})


@pytest.mark.parametrize("method", ["get", "update", "cancel"])
async def test_a_task_is_read_answered_and_cancelled_by_its_owner_only(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(mcp_tasks, "AT_ONCE", 0)
    noted: list[tuple[str, str, str]] = []

    def note(ctx: Any, method: str, task_id: str, effect: str) -> None:
        assert task_id
        noted.append((ctx.lifespan_context, method, effect))

    tasks = Tasks({"long"}, owner=lambda ctx: str(ctx.lifespan_context), note=note)
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def tool(ctx: object) -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            stopped.set()

    task: Any = await tasks.intercept_tool_call(calling(), called_by("ann"), tool)
    await begun.wait()
    params = (
        _UpdateParams(task_id=task["taskId"], input_responses={})
        if method == "update"
        else _TaskParams(task_id=task["taskId"])
    )
    ask = getattr(tasks, f"_{method}")
    unknown = type(params)(**params.model_dump() | {"task_id": "nosuch"})
    refusals = []
    for asker, about in (("ben", params), ("ann", unknown)):
        with pytest.raises(MCPError) as refusal:
            await ask(called_by(asker), about)
        refusals.append(refusal.value.error)
    assert refusals[0] == refusals[1], "whether it exists is its owner's business"
    assert not stopped.is_set()
    assert (await ask(called_by("ann"), params))["resultType"] == "complete"
    assert noted == [
        ("ben", f"tasks/{method}", "refused: no such task"),
        ("ann", f"tasks/{method}", "refused: no such task"),
        ("ann", f"tasks/{method}", "ok"),
    ]
    await tasks.close()
    assert stopped.is_set()


async def test_polling_a_task_is_noted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_tasks, "AT_ONCE", 0)
    noted: list[tuple[str, ...]] = []
    tasks = Tasks({"long"}, note=lambda _, *noted_of: noted.append(noted_of))

    async def tool(ctx: object) -> None:
        await asyncio.Event().wait()

    task_id = await begin(tasks, tool)
    for _ in range(3):
        await get(tasks, task_id)
    assert noted == [("tasks/get", task_id, "ok")]
    await tasks.close()


async def test_of_too_many_tasks_the_next_call_is_answered_itself_and_those_over_are_dropped(
    tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_tasks, "MOST_TASKS", 2)
    monkeypatch.setattr(mcp_tasks, "MOST_OVER", 1)
    ends = asyncio.Event()

    async def tool(ctx: object) -> CallToolResult:
        await ends.wait()
        return DONE

    async def quick(ctx: object) -> CallToolResult:
        return DONE

    first, second = [await begin(tasks, tool) for _ in range(2)]
    assert await tasks.intercept_tool_call(calling(), CONTEXT, quick) is DONE
    ends.set()
    for task_id in (first, second):
        await becomes(tasks, task_id, "completed")
    third = await begin(tasks, quick)
    assert len(tasks._tasks.keys() & {first, second}) == 1
    await becomes(tasks, third, "completed")


async def test_a_task_asks_and_goes_on_when_all_is_answered(tasks: Tasks) -> None:
    params = calling()

    async def tool(ctx: object) -> Any:
        if params.input_responses is None:
            return InputRequiredResult(input_requests={"a": QUESTION, "b": QUESTION}, request_state="asked")
        assert params.request_state == "asked"
        answers = {key: getattr(answer, "action", None) for key, answer in params.input_responses.items()}
        assert answers == {
            "a": "accept",
            "b": "accept",
        }
        return DONE

    task_id = await begin(tasks, tool, params)
    waiting = await becomes(tasks, task_id, "input_required")
    assert set(waiting["inputRequests"]) == {"a", "b"}
    await update(tasks, task_id, a=YES, unknown={"ignored": True})
    assert set((await get(tasks, task_id))["inputRequests"]) == {"b"}
    with pytest.raises(MCPError):
        await update(tasks, task_id, b={"nonsense": 1})
    assert (await get(tasks, task_id))["status"] == "input_required"
    await update(tasks, task_id, b=YES)
    over = await becomes(tasks, task_id, "completed")
    assert over["result"]["content"][0]["text"] == "done"


async def test_a_task_that_waits_for_an_answer_can_be_cancelled(tasks: Tasks) -> None:
    async def tool(ctx: object) -> Any:
        return InputRequiredResult(input_requests={"a": QUESTION})

    task_id = await begin(tasks, tool)
    await becomes(tasks, task_id, "input_required")
    await tasks._cancel(CONTEXT, _TaskParams(task_id=task_id))
    assert "inputRequests" not in await becomes(tasks, task_id, "cancelled")


async def test_a_bug_in_a_task_is_logged_and_ends_it(tasks: Tasks, caplog: pytest.LogCaptureFixture) -> None:
    async def tool(ctx: object) -> Never:
        raise KeyError("secret")

    over = await becomes(tasks, await begin(tasks, tool), "failed")
    assert over["error"] == {"code": -32603, "message": "Internal error"}
    assert "KeyError" in caplog.text


async def test_only_tasks_that_are_over_are_dropped_and_only_when_their_time_is(
    tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = asyncio.Event()

    async def short(ctx: object) -> CallToolResult:
        return DONE

    async def endless(ctx: object) -> CallToolResult:
        await go_on.wait()
        return DONE

    over, works = await begin(tasks, short), await begin(tasks, endless)
    await becomes(tasks, over, "completed")
    await begin(tasks, endless)
    assert {over, works} <= tasks._tasks.keys()
    monkeypatch.setattr(mcp_tasks, "KEPT", timedelta(0))
    await begin(tasks, endless)
    assert over not in tasks._tasks
    assert works in tasks._tasks
    go_on.set()


async def test_a_task_waits_as_long_as_its_run_unless_the_caller_chose_a_timeout(
    tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def waits(**arguments: Any) -> object:
        async def tool(ctx: object) -> Any:
            return {"waits": isinstance(ctx, TaskContext)}

        monkeypatch.setattr(mcp_tasks, "AT_ONCE", BOUND)
        answer = await tasks.intercept_tool_call(calling(**arguments), CONTEXT, tool)
        assert isinstance(answer, dict)
        return answer["waits"]

    assert await waits() is True
    assert await waits(timeout=5) is False
