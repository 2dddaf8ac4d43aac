"""The execution of a request's code by IPython, and the content of the `execute_reply`.

Owns the call of `run_cell` and what its result becomes on the wire. Does not know cells' dependencies: `cell_requests`
prepares a request's cell, and `shell` runs the bodies of cells.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult

from marimo_kernel_bridge.kernel import notices
from marimo_kernel_bridge.protocol.output_log import error_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager

    from marimo_kernel_bridge.kernel.cells import Entry
    from marimo_kernel_bridge.kernel.ipython.shell import ReactiveShell
    from marimo_kernel_bridge.kernel.messaging.sigint import Interrupts
    from marimo_kernel_bridge.protocol.bounds import Exceeded
    from marimo_kernel_bridge.protocol.messages import Content


class Requests(Protocol):
    """The requests that run a cell, as far as code execution uses them."""

    @property
    def requested(self) -> Entry | None:
        """The cell whose request is being handled on the main thread."""
        ...

    def refuse_if_unparsed(self, entry: Entry, code: str) -> None: ...

    def end(self, entry: Entry, execution_count: int | None) -> None: ...

    async def before_reply(self, entry: Entry) -> None: ...


class Host(Protocol):
    """The kernel, as far as code execution uses it."""

    @property
    def interrupts(self) -> Interrupts: ...

    def input_from_front_end(self, *, allowed: bool) -> AbstractContextManager[None]: ...

    def cancel_on_sigint(self, task: asyncio.Future[Any]) -> AbstractContextManager[None]:
        """Cancel `task` if SIGINT arrives within the context."""
        ...

    def note_waiting(self) -> None:
        """Record which queued requests an error aborts, before the error is reported."""
        ...


class CodeExecution:
    """Runs the code of every `execute_request`: cells, hidden requests, and requests on control or in a subshell."""

    def __init__(
        self,
        shell: ReactiveShell,
        requests: Requests,
        host: Host,
        exceeded: Callable[[BaseException | None], Exceeded | None],
    ) -> None:
        """`exceeded` returns the limit that the code which has just run has hit; its argument is the exception that ended it."""
        self._shell = shell
        self._requests = requests
        self._host = host
        self._exceeded = exceeded

    async def execute(
        self,
        code: str,
        *,
        silent: bool,
        store_history: bool,
        user_expressions: dict[str, str] | None,
        allow_stdin: bool,
        cell_meta: dict[str, Any] | None,
        cell_id: str | None,
    ) -> Content:
        """Run code and return the content of the reply."""
        shell, requests = self._shell, self._requests
        beside = not _on_main_thread()  # a request on control or in a subshell
        entry = None if beside else requests.requested
        shell._last_traceback = None
        shell._last_traceback_during_displayhook = False
        options = {
            "store_history": store_history and not beside,  # else it would replace the running cell's entry
            "silent": silent,
            "cell_id": cell_id,
            "cell_meta": cell_meta,
        }
        result = None
        try:
            with self._host.input_from_front_end(allowed=allow_stdin):
                result = await self._run(entry, code, options)
            if entry is not None:
                requests.refuse_if_unparsed(entry, code)
        finally:
            if entry is not None:
                requests.end(entry, None if result is None else result.execution_count)
        if entry is not None:
            await requests.before_reply(entry)
        elif not (beside or silent):
            self._tell_limit(result)
        return self._reply_content(result, user_expressions)

    def _tell_limit(self, result: Any) -> None:
        """Show which limit code outside of the cells has hit; cells show it themselves."""
        exceeded = self._exceeded(result.error_in_exec)
        if exceeded is not None:
            content = notices.exceeded(exceeded.told)
            self._shell.display_pub.publish(content["data"], content["metadata"])

    async def _run(self, entry: Entry | None, code: str, options: dict[str, Any]) -> Any:
        shell = self._shell
        problem = None
        try:
            transformed = shell.transform_cell(code)
        except Exception:  # noqa: BLE001  # a user's transformer may raise anything; IPython shows it
            transformed, problem = code, sys.exc_info()
        parsed = {"transformed_cell": transformed, "preprocessing_exc_tuple": problem}
        if entry is None and not (shell.awaits_asyncio and shell.should_run_async(code, **parsed)):
            return shell.run_cell(code, **options)
        running: Awaitable[Any] = shell.run_cell_async(code, **options, **parsed)
        cancelling: AbstractContextManager[None] = nullcontext()
        # A cell needs no task: marimo's scheduler cancels it, and a task would have its own context variables.
        if entry is None and _on_main_thread():
            running = task = asyncio.ensure_future(running)
            cancelling = self._host.cancel_on_sigint(task)
        result = None
        with cancelling:
            try:
                result = await running
            except Exception as error:  # noqa: BLE001  # e.g. code too deep to parse, or a broken transformer
                info = ExecutionInfo(code, options["store_history"], options["silent"], True, None)  # noqa: FBT003
                result = ExecutionResult(info)
                result.error_in_exec = error
                shell.showtraceback(running_compiled_code=True)
            finally:
                shell.tell_executed(result)
                if not options["silent"]:
                    shell.events.trigger("post_run_cell", result)
        return result

    def _reply_content(self, result: Any, user_expressions: dict[str, str] | None) -> Content:
        shell = self._shell
        error = result.error_before_exec or result.error_in_exec
        if error is None and shell._last_traceback_during_displayhook:
            error = shell.shown_error  # raised by a value's `__repr__`
        count = result.execution_count or shell.execution_count - 1
        content: Content = {"status": "ok", "execution_count": count}
        if error is not None:
            content |= {
                "status": "error",
                "ename": type(error).__name__,
                "evalue": error_text(error),
                "traceback": shell._last_traceback or [],
                "user_expressions": {},
            }
            self._host.note_waiting()
        else:
            with self._host.interrupts.body():
                content["user_expressions"] = shell.user_expressions(user_expressions or {})
        payloads: Any = shell.payload_manager
        content["payload"] = payloads.read_payload()
        payloads.clear_payload()
        return content


def _on_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
