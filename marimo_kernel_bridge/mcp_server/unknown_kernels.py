"""Refusals of calls that do not say which kernel they mean, or name one that nobody has: they name those that run here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.sessions.called import sessions_called

if TYPE_CHECKING:
    from marimo_kernel_bridge.launch.sessions.entries import Session
    from marimo_kernel_bridge.mcp_server.attachments import Kernels
    from marimo_kernel_bridge.mcp_server.callers import Caller

_MOST_NAMED: Final = 10


def _ended_sessions(kernels: Kernels, named: str) -> list[Session]:
    """Return the sessions without a kernel that a name means."""
    return [one for one in sessions_called(kernels.sessions.registry, named) if one.state != "active"]


async def not_said(number: int) -> BridgeError:
    """Return the refusal of a call that does not say which of several kernels it means."""
    names = await names_of_running()
    if not names:
        return BridgeError(
            "not_connected",
            "No kernel is connected." if number == 0 else "The call does not say which kernel it means.",
            "Call list_kernels, then connect_to_kernel with a connection file from there, and pass its handle as `kernel`.",
        )
    return BridgeError(
        "not_connected",
        f"Which kernel? There are: {_listed(names)}.",
        "Pass one of these names as `kernel`, or a handle from connect_to_kernel.",
    )


async def none_called(kernels: Kernels, named: str, caller: Caller) -> BridgeError:
    """Return the refusal of a name that no kernel has."""
    own = [
        f"{attached.handle} ({attached.called})"
        for attached in kernels.of(caller.name)
        if not attached.hidden and caller.in_session
    ]
    names = own + await names_of_running()
    if ended := await asyncio.to_thread(_ended_sessions, kernels, named):
        return BridgeError(
            "not_connected",
            f"The notebook {named[:200]!r} has no kernel now.",
            f"open_notebook({ended[0].id!r}) starts one.",
        )
    return BridgeError(
        "not_connected",
        f"No kernel is connected as {named[:200]!r}, and none that runs here is called so.",
        f"There are: {_listed(names)}. Pass one of these names as `kernel`."
        if names
        else "Call list_kernels, then connect_to_kernel with a connection file from there.",
    )


async def names_of_running() -> list[str]:
    """Return a name for each kernel that runs here: its notebook's path, else that of its connection file."""
    from marimo_kernel_bridge.client.discovery import find_kernels  # noqa: PLC0415  # urllib is slow to import
    from marimo_kernel_bridge.client.marimo_editor.host import running_notebooks  # noqa: PLC0415  # likewise

    files, in_marimo = await asyncio.gather(find_kernels(), running_notebooks())
    names = [found.notebook or found.path.name for found in files if _may_run(found.problem)]
    return [*names, *(notebook.path or notebook.notebook_id for notebook in in_marimo)]


def _may_run(problem: BridgeError | None) -> bool:
    return problem is None or problem.code == "kernel_silent"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
