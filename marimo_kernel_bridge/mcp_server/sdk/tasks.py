"""Long tool calls as MCP tasks: the extension `io.modelcontextprotocol/tasks`, for clients that declare it.

https://modelcontextprotocol.io/seps/2663: a call that takes longer than a moment is answered with a task, which
continues if the connection is lost. The client polls it (tasks/get), answers its questions (tasks/update), or cancels it
(tasks/cancel), which stops the run in the kernel. Other clients, and those of the older protocol, get the answer of the
call itself.

Owns the tasks, their states, and whose they are: a client reads, answers and cancels its own only. Its name is not enough, as
many programs have the same one and requests over HTTP have no session, so a task's id cannot be guessed. Independent of what the
tools do.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver.server import require_client_extension
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp.types import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    ErrorData,
    InputRequiredResult,
    InputResponse,
    InputResponses,
    RequestParams,
)
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, TypeAdapter, ValidationError

from marimo_kernel_bridge.mcp_server.answers.size_limit import fit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from mcp.server.context import CallNext, HandlerResult

Status = Literal["working", "input_required", "completed", "failed", "cancelled"]

AT_ONCE: Final = 0.5
"""Seconds within which a call is answered as usual: most code is quick, and a task costs the client more calls."""

KEPT: Final = timedelta(hours=1)
"""The minimum time after its start for which a task can be polled. A task in progress is never dropped."""

logger = logging.getLogger(__name__)

_POLL: Final = timedelta(seconds=1)

MOST_TASKS: Final = 200
"""Tasks in progress, of all clients together; a further call is answered when it is over, as without tasks."""

MOST_OVER: Final = 200
"""Tasks that are over and kept; of more, those that ended first are dropped."""


@dataclass(kw_only=True)
class TaskContext(ServerRequestContext[Any, Any]):
    """The context of a call that runs as a task, without a connection: it may take as long as its run."""


class _TaskParams(RequestParams):
    task_id: str


class _UpdateParams(_TaskParams):
    input_responses: dict[str, Any]  # only answers to open questions are read, and parsed at that time


_ANSWER: Final[TypeAdapter[InputResponse]] = TypeAdapter(InputResponse)


class Note(Protocol):
    """A function that records a request about a task."""

    def __call__(
        self, ctx: ServerRequestContext[Any, Any], method: str, task_id: str, effect: str
    ) -> None: ...


@dataclass
class Task:
    """A tool call in progress. `asked` are its open questions, `answers` the answers received so far."""

    owner: str
    began: datetime
    changed: datetime
    task_id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    status: Status = "working"
    outcome: dict[str, Any] = field(default_factory=dict)  # JSON: `result` or `error`
    asked: dict[str, Any] = field(default_factory=dict)  # JSON: requests by id
    answers: InputResponses = field(default_factory=dict)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    call: asyncio.Future[HandlerResult] | None = None
    work: asyncio.Task[None] | None = None
    polled: bool = False

    @property
    def over(self) -> bool:
        return self.status in {"completed", "failed", "cancelled"}

    def become(self, status: Status, **outcome: Any) -> None:  # JSON
        self.status, self.outcome, self.changed = status, outcome, datetime.now(UTC)

    def as_json(self) -> dict[str, Any]:
        return {
            "taskId": self.task_id,
            "status": self.status,
            "createdAt": self.began.isoformat(),
            "lastUpdatedAt": self.changed.isoformat(),
            "ttlMs": _milliseconds(KEPT),
            "pollIntervalMs": _milliseconds(_POLL),
        }


class Tasks(Extension):
    """The tasks of a server. Answers calls of the named tools with a task unless they finish quickly."""

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(
        self,
        tools: Collection[str],
        owner: Callable[[ServerRequestContext[Any, Any]], str] = lambda _: "",
        note: Note = lambda *_: None,
    ) -> None:
        """`owner` returns whose a request is; `note` records requests about tasks."""
        self._tools = frozenset(tools)
        self._owner = owner
        self._note = note
        self._tasks: dict[str, Task] = {}

    def methods(self) -> Sequence[MethodBinding]:
        """Serve the methods tasks/get, tasks/update and tasks/cancel."""
        versions = frozenset(MODERN_PROTOCOL_VERSIONS)
        return (
            MethodBinding("tasks/get", _TaskParams, self._get, versions),
            MethodBinding("tasks/update", _UpdateParams, self._update, versions),
            MethodBinding("tasks/cancel", _TaskParams, self._cancel, versions),
        )

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """Answer a call with its result if it finishes quickly, else with a task."""
        if params.name not in self._tools or not self._wanted(ctx) or self._full:
            return await call_next(ctx)
        # A timeout from the caller is kept. Without one, a task ends when its run does.
        if "timeout" not in (params.arguments or {}):
            ctx = TaskContext(**vars(ctx))
        call = asyncio.ensure_future(call_next(ctx))
        try:
            done, _ = await asyncio.wait({call}, timeout=AT_ONCE)
        except asyncio.CancelledError:
            call.cancel()
            await asyncio.wait({call})
            raise
        if done:
            return call.result()
        task = self._add(self._owner(ctx))
        task.call = call
        task.work = asyncio.create_task(self._carry_on(task, call, params, ctx, call_next))
        return {"resultType": "task", **task.as_json()}

    async def close(self) -> None:
        """Cancel all tasks, and wait until their runs have stopped."""
        work = [work for task in self._tasks.values() for work in (task.call, task.work) if work is not None]
        for call in work:
            call.cancel()
        if work:
            await asyncio.wait(work)

    def _wanted(self, ctx: ServerRequestContext[Any, Any]) -> bool:
        capabilities = ctx.session.client_capabilities
        declared = capabilities.extensions if capabilities else None
        return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS and self.identifier in (declared or {})

    @property
    def _full(self) -> bool:
        return sum(not task.over for task in self._tasks.values()) >= MOST_TASKS

    def _add(self, owner: str) -> Task:
        now = datetime.now(UTC)
        over = sorted((task for task in self._tasks.values() if task.over), key=lambda task: task.changed)
        old = {task.task_id for task in over if now - task.began >= KEPT} | {
            task.task_id for task in over[: max(0, len(over) - MOST_OVER)]
        }
        self._tasks = {task_id: task for task_id, task in self._tasks.items() if task_id not in old}
        task = Task(owner, now, now)
        self._tasks[task.task_id] = task
        return task

    async def _carry_on(
        self,
        task: Task,
        call: asyncio.Future[HandlerResult],
        params: CallToolRequestParams,
        ctx: ServerRequestContext[Any, Any],
        call_next: CallNext,
    ) -> None:
        try:
            result = await call
            while isinstance(result, InputRequiredResult):
                await _ask(task, result, params)
                result = await call_next(ctx)
        except asyncio.CancelledError:
            task.become("cancelled")
        except MCPError as error:
            task.become("failed", error=_dump(error.error))
        except Exception:
            logger.exception("A task of %s raised an unexpected exception.", params.name)
            task.become("failed", error={"code": INTERNAL_ERROR, "message": "Internal error"})
        else:
            task.become("completed", result=fit(_dump(result)))

    async def _get(self, ctx: ServerRequestContext[Any, Any], params: _TaskParams) -> dict[str, Any]:
        task = self._find(ctx, params, "tasks/get")
        if not task.polled:
            task.polled = True
            self._note(ctx, "tasks/get", task.task_id, "ok")
        asked = {"inputRequests": task.asked} if task.status == "input_required" else {}
        return {"resultType": "complete", **task.as_json(), **asked, **task.outcome}

    async def _update(self, ctx: ServerRequestContext[Any, Any], params: _UpdateParams) -> dict[str, Any]:
        task = self._find(ctx, params, "tasks/update")
        self._note(ctx, "tasks/update", task.task_id, "ok")
        for key, answer in params.input_responses.items():
            if key in task.asked:
                task.answers[key] = _parse_answer(key, answer)
                del task.asked[key]
        if not task.asked:
            task.answered.set()
        return {"resultType": "complete"}

    async def _cancel(self, ctx: ServerRequestContext[Any, Any], params: _TaskParams) -> dict[str, Any]:
        task = self._find(ctx, params, "tasks/cancel")
        self._note(ctx, "tasks/cancel", task.task_id, "ok")
        for work in (task.call, task.work):  # the second may not have begun to wait for the first
            if work is not None:
                work.cancel()
        return {"resultType": "complete"}

    def _find(self, ctx: ServerRequestContext[Any, Any], params: _TaskParams, method: str) -> Task:
        require_client_extension(ctx, self.identifier)
        _check_header(ctx, params.task_id)
        task = self._tasks.get(params.task_id)
        if task is None or task.owner != self._owner(
            ctx
        ):  # one answer for both: whether it exists is its owner's business
            self._note(ctx, method, params.task_id, "refused: no such task")
            raise MCPError(
                code=INVALID_PARAMS,
                message="There is no such task. The server may have been restarted; read_run finds runs by their run_id.",
            )
        return task


async def _ask(task: Task, question: InputRequiredResult, params: CallToolRequestParams) -> None:
    """Wait until the client has answered all questions of a tool, and add the answers to the call."""
    task.asked = {key: _dump(request) for key, request in (question.input_requests or {}).items()}
    task.answers = {}
    task.answered.clear()
    if task.asked:
        task.become("input_required")
        await task.answered.wait()
        task.become("working")
    # The tool's handler reads the same params object when it is called again.
    params.input_responses, params.request_state = task.answers, question.request_state


def _parse_answer(key: str, answer: object) -> InputResponse:
    try:
        return _ANSWER.validate_python(answer)
    except ValidationError as error:
        raise MCPError(code=INVALID_PARAMS, message=f"This is not a valid answer to {key!r}.") from error


def _check_header(ctx: ServerRequestContext[Any, Any], task_id: str) -> None:
    """Require the header by which HTTP proxies route (SEP-2243) to match the request."""
    name = None if ctx.request is None else ctx.request.headers.get(MCP_NAME_HEADER)
    if name is not None and decode_header_value(name) != task_id:
        raise MCPError(code=HEADER_MISMATCH, message=f"{MCP_NAME_HEADER} is not the request's taskId.")


def _dump(value: HandlerResult | ErrorData) -> dict[str, Any]:
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True, mode="json", exclude_none=True)
    return value or {}


def _milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
