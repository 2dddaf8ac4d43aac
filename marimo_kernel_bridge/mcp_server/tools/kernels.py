"""The tools for kernels: list, connect, start, control and disconnect."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from mcp.types import CallToolResult  # noqa: TC002  # the SDK looks at annotations
from pydantic import Field

from marimo_kernel_bridge.client.jupyter_server import JupyterServer, ServerKernel
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.kernels import (
    Disconnected,
    KernelControlled,
    KernelList,
    KernelspecLine,
    KernelspecList,
    KernelState,
)
from marimo_kernel_bridge.mcp_server.arguments import Ctx, KernelArg, attached_to, client_name, kernels_of
from marimo_kernel_bridge.mcp_server.sdk.schemas import Without
from marimo_kernel_bridge.mcp_server.tool import Arguments, Tier, tool
from marimo_kernel_bridge.mcp_server.tools.call_result import answer
from marimo_kernel_bridge.mcp_server.views.kernels import kernel_list, kernel_state
from marimo_kernel_bridge.mcp_server.views.own_places import is_within
from marimo_kernel_bridge.mcp_server.views.sessions import restarted

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.endpoint import Endpoint

_OF_OLDER: Final = ("front_end", "stale", "working_on", "our_runs")
"""What is never said of a kernel that was just started."""
_OF_DEATH: Final = ("death", "memory")


@tool("List running kernels", needs="read", reads=True)
async def list_kernels(ctx: Ctx) -> Annotated[CallToolResult, KernelList]:
    """List the kernels that run here, Jupyter's and marimo's: which are reactive, and which notebook each belongs to."""
    from marimo_kernel_bridge.client.discovery import find_kernels  # noqa: PLC0415  # urllib is slow to import
    from marimo_kernel_bridge.client.marimo_editor.host import running_notebooks  # noqa: PLC0415  # likewise

    kernels = kernels_of(ctx)
    running, in_marimo = await asyncio.gather(find_kernels(), running_notebooks())
    return answer(kernel_list(running, in_marimo, kernels, client_name(ctx)), kernels.redactor)


@tool("List kernels that can be started", needs="read", reads=True)
async def list_kernelspecs(ctx: Ctx) -> Annotated[CallToolResult, KernelspecList]:
    """List the kernels that can be started here, each with the interpreter that it runs in."""
    from marimo_kernel_bridge.launch.kernelspecs import installed  # noqa: PLC0415  # slow to import, not needed at the server's start

    return answer(
        KernelspecList(
            tuple(
                KernelspecLine(spec.name, spec.display_name, spec.language, spec.interpreter, spec.reactive)
                for spec in await asyncio.to_thread(installed)
            )
        ),
        kernels_of(ctx).redactor,
    )


def _of_connection(arguments: Arguments) -> Tier:
    """Return read for kernels and servers that the person has on this machine or configured, run for any other address.

    And run for connection files elsewhere than Jupyter and the server are, which are not looked at: whether there is one,
    and what is in it, is not for who may only read.
    """
    from marimo_kernel_bridge.client.connection import candidates, locate, read_connection, runtime_dir  # noqa: PLC0415  # a server starts without it
    from marimo_kernel_bridge.client.discovery import runs_here  # noqa: PLC0415  # urllib is slow to import

    url, file = arguments.get("server_url"), arguments.get("connection_file")
    try:
        if url is not None:
            server = JupyterServer.at(url, arguments.get("token"))
            return "read" if server.configured or runs_here(server) else "run"
        if file is None:
            return "read"
        known = [runtime_dir(), Path.cwd()]
        places = candidates(file) if "/" in file or os.sep in file else [locate(file)]
        if not all(is_within(Path(os.path.realpath(place)), known) for place in places):
            return "run"
        return "read" if read_connection(file).expected else "run"
    except BridgeError:  # the call itself says why
        return "read"


@tool("Connect to a kernel", needs=_of_connection, idempotent=True)
async def connect_to_kernel(
    ctx: Ctx,
    *,
    connection_file: Annotated[
        str | None,
        Field(description="File name from list_kernels, a kernel id, or the path of a connection file."),
    ] = None,
    notebook: Annotated[
        str | None,
        Field(description="Path of an open notebook, or the end of it, instead of connection_file."),
    ] = None,
    server_url: Annotated[
        str | None,
        Field(
            description="Address of a Jupyter server elsewhere, a page on it, or a JupyterHub user's server (https://hub/user/NAME/); with notebook, or a kernel id as connection_file, unless it has one kernel."
        ),
    ] = None,
    token: Annotated[
        str | None,
        Field(
            description="The server's token, unless it is in server_url or this MCP server was configured with it."
        ),
    ] = None,
) -> Annotated[CallToolResult, KernelState, Without(_OF_DEATH)]:
    """Attach to a running kernel, beside the person who uses it. Returns the handle for the other tools.

    Give connection_file or notebook for a kernel on this machine. Starts no kernel: if there is none, ask the person.
    """
    endpoint = await _endpoint(connection_file, notebook, server_url, token)
    attached = await kernels_of(ctx).connect(endpoint, client_name(ctx))
    attached.notebook = await _notebook_of(endpoint)
    return answer(await kernel_state(attached), attached.redactor)


async def _endpoint(
    connection_file: str | None, notebook: str | None, server_url: str | None, token: str | None
) -> Endpoint:
    """Return the endpoint that the arguments name. Raises `BridgeError`."""
    from marimo_kernel_bridge.client.connection import read_connection  # noqa: PLC0415  # a server starts without it
    from marimo_kernel_bridge.client.marimo_editor.host import NOTEBOOK_ID, notebook_called  # noqa: PLC0415  # likewise

    if connection_file is not None and notebook is not None:
        raise BridgeError(
            "bad_request", "Give one of connection_file and notebook.", "list_kernels has both."
        )
    in_marimo = server_url or (connection_file or "" if NOTEBOOK_ID.match(connection_file or "") else "")
    if in_marimo and (found := await notebook_called(in_marimo)) is not None:
        return found
    if server_url is not None:
        server = JupyterServer.at(server_url, token)
        if notebook is None and connection_file is None:
            notebook = server.notebook
        if notebook is not None:
            kernel_id, path = await server.kernel_of_notebook(notebook)
            return ServerKernel(server, kernel_id, path)
        return ServerKernel(server, connection_file or await server.only_kernel())
    if token is not None:
        raise BridgeError("bad_request", "A token is for a server: server_url is missing.", "")
    if notebook is not None:
        return await _of_notebook(notebook)
    if connection_file is None:
        raise BridgeError(
            "bad_request", "Which kernel? Give connection_file or notebook.", "list_kernels shows them."
        )
    return read_connection(connection_file)


async def _of_notebook(notebook: str) -> Endpoint:
    """Return the kernel of a notebook, in Jupyter or in marimo's own editor. Raises `BridgeError`."""
    from marimo_kernel_bridge.client.connection import read_connection  # noqa: PLC0415  # a server starts without it
    from marimo_kernel_bridge.client.discovery import connection_file_of  # noqa: PLC0415  # urllib is slow to import
    from marimo_kernel_bridge.client.marimo_editor.host import how_to_join, notebook_called  # noqa: PLC0415  # likewise

    try:
        return read_connection(await connection_file_of(notebook))
    except BridgeError as refusal:
        if refusal.code != "no_such_notebook":
            raise
        if (found := await notebook_called(notebook)) is not None:
            return found
        hint = how_to_join(notebook)
        raise BridgeError(refusal.code, refusal.message, f"{refusal.hint} {hint}".strip()) from None


async def _notebook_of(endpoint: Endpoint) -> str | None:
    from marimo_kernel_bridge.client.connection import Connection  # noqa: PLC0415  # a server starts without it

    if isinstance(endpoint, ServerKernel):
        return endpoint.notebook
    if not isinstance(endpoint, Connection):
        return endpoint.path
    from marimo_kernel_bridge.client.discovery import notebooks_by_kernel  # noqa: PLC0415  # urllib is slow to import

    return (await notebooks_by_kernel()).get(endpoint.kernel_id)


@tool("Start a kernel", needs="all")
async def start_kernel(
    ctx: Ctx,
    *,
    kernelspec: Annotated[
        str | None, Field(description="A name from list_kernelspecs. Without, marimo: the reactive one.")
    ] = None,
    interpreter: Annotated[
        str | None,
        Field(
            description="Instead of kernelspec, a Python that has marimo-kernel-bridge, or its environment's directory."
        ),
    ] = None,
    directory: Annotated[
        str | None, Field(description="Its working directory; without, the server's own.")
    ] = None,
) -> Annotated[CallToolResult, KernelState, Without((*_OF_OLDER, *_OF_DEATH))]:
    """Start a new kernel that no notebook shows, and connect to it. Only where the person asked for one.

    To work in a person's notebook connect to its kernel instead. The new kernel ends with this server.
    """
    from marimo_kernel_bridge.client.discovery import notebooks_by_kernel  # noqa: PLC0415  # urllib is slow to import

    attached = await kernels_of(ctx).start(kernelspec, directory, interpreter, client_name(ctx))
    open_elsewhere = sorted((await notebooks_by_kernel()).values())
    return answer(await kernel_state(attached, not_of=tuple(open_elsewhere)), attached.redactor)


@tool("Interrupt, restart or shut down a kernel", needs="all", destroys=True)
async def control_kernel(
    ctx: Ctx,
    *,
    action: Annotated[
        Literal["interrupt", "restart", "shut_down"],
        Field(
            description="interrupt stops whatever runs, the person's too; restart and shut_down lose all variables."
        ),
    ],
    kernel: KernelArg = None,
) -> Annotated[CallToolResult, KernelControlled]:
    """Interrupt, restart or shut down a kernel, for everybody who uses it. Only where the person asked for it.

    interrupt_run stops a run of your own. Restarting needs who started the kernel: its Jupyter server, or this one.
    """
    attached = attached_to(ctx, kernel)
    await attached.require_not_paused()
    kernels = kernels_of(ctx)
    if action == "restart" and attached.saver is not None:
        message = await restarted(kernels, attached.saver.session_id, client_name(ctx))
        return answer(KernelControlled(attached.handle, action, message), attached.redactor)
    message = await kernels.control(attached, action)
    if action == "shut_down":
        await kernels.disconnect(attached)
    return answer(KernelControlled(attached.handle, action, message), attached.redactor)


@tool("Kernel status", needs="read", reads=True)
async def kernel_status(ctx: Ctx, *, kernel: KernelArg = None) -> Annotated[CallToolResult, KernelState]:
    """Return whether a kernel is idle, busy (with whose request, since when), silent or dead, and which runs are open."""
    attached = attached_to(ctx, kernel)
    return answer(await kernel_state(attached), attached.redactor)


@tool("Disconnect from a kernel", needs="read", idempotent=True)
async def disconnect_kernel(ctx: Ctx, *, kernel: KernelArg = None) -> Annotated[CallToolResult, Disconnected]:
    """Detach from a kernel. The kernel, its variables and whatever runs in it go on."""
    attached = attached_to(ctx, kernel)
    await kernels_of(ctx).disconnect(attached)
    left = [run.run_id for run in attached.client.runs.ours if not run.over]
    going_on = f" Runs that go on in it: {', '.join(left)}." if left else ""
    return answer(
        Disconnected(attached.handle, f"Disconnected from {attached.handle}; the kernel runs on.{going_on}"),
        attached.redactor,
    )
