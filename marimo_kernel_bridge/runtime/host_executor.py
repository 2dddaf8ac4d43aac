"""The execution of a cell's body by the host, as IPython would. Does not decide which cells run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from marimo._runtime.context import safe_get_context
from marimo._runtime.exceptions import MarimoRuntimeException
from marimo._runtime.executor import resolve_executor as marimos_resolve_executor

from marimo_kernel_bridge.protocol.names import IMPLEMENTATION

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from marimo._ast.cell import CellImpl
    from marimo._runtime.executor import Executor

    from marimo_kernel_bridge.runtime.interface import Outcome


class HostExecutor:
    """An implementation of marimo's extension point for running a cell's body."""

    name = IMPLEMENTATION

    def __init__(self, execute: Callable[[str], Awaitable[Outcome]]) -> None:
        self._execute = execute

    def execute_cell(self, cell: CellImpl, glbls: dict[str, Any]) -> Any:
        raise NotImplementedError("the reactive kernel runs cells in an event loop only")

    async def execute_cell_async(self, cell: CellImpl, glbls: dict[str, Any]) -> Any:  # noqa: ARG002  # marimo's signature; the host shares the namespace
        outcome = await self._execute(cell.cell_id)
        if isinstance(outcome.error, asyncio.CancelledError):
            raise outcome.error  # control flow for marimo, which turns it into an interrupt
        if outcome.error is not None and not outcome.expected:
            # marimo distinguishes user errors from its own by this wrapper, and reads the cause.
            raise MarimoRuntimeException from outcome.error
        return outcome.value


def resolve_executor() -> Executor:
    """Return the executor of the kernel that the current context belongs to.

    marimo looks up its executor among the entry points on each run, which takes 6 ms, and an entry point of this package
    would apply to every marimo process in the environment.
    """
    executor = getattr(getattr(safe_get_context(), "_kernel", None), "host_executor", None)
    return executor if isinstance(executor, HostExecutor) else marimos_resolve_executor()
