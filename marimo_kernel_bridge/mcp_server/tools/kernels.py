"""The tools for kernels: list, connect, start, control and disconnect."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final, Literal

from mcp.types import CallToolResult  # noqa: TC002  # the SDK looks at annotations
from pydantic import Field

from marimo_kernel_bridge.mcp_server.answers.kernels import (
    Disconnected,
    KernelControlled,
    KernelList,
    KernelspecLine,
    KernelspecList,
    KernelState,
)
from marimo_kernel_bridge.mcp_server.arguments import (
    Ctx,
    HomePath,
    KernelArg,
    LimitsArg,
    SandboxArg,
    attached_to,
    caller,
    client_name,
    kernels_of,
)
from marimo_kernel_bridge.mcp_server.named_endpoints import endpoint_of, needed_for
from marimo_kernel_bridge.mcp_server.sdk.schemas import Without
from marimo_kernel_bridge.mcp_server.tool import tool
from marimo_kernel_bridge.mcp_server.tools.call_result import answer
from marimo_kernel_bridge.mcp_server.views.kernels import is_idle, kernel_list, kernel_state
from marimo_kernel_bridge.mcp_server.views.sessions import restarted
from marimo_kernel_bridge.mcp_server.which_kernel import joined, only_one

_OF_OLDER: Final = ("front_end", "stale", "working_on", "our_runs")
"""What is never said of a kernel that was just started."""
_IN_WORDS: Final = ("death", "memory")
"""What `KernelState.in_words` has in its warnings."""


@tool("List running kernels", needs="read", reads=True)
async def list_kernels(ctx: Ctx) -> Annotated[CallToolResult, KernelList]:
    """List running kernels, Jupyter's and marimo's, with their notebooks."""
    from marimo_kernel_bridge.client.discovery import find_kernels  # noqa: PLC0415  # urllib is slow to import
    from marimo_kernel_bridge.client.marimo_editor.host import running_notebooks  # noqa: PLC0415  # likewise

    kernels = kernels_of(ctx)
    running, in_marimo = await asyncio.gather(find_kernels(), running_notebooks())
    return answer(kernel_list(running, in_marimo, kernels, client_name(ctx)), kernels.redactor)


@tool("List kernels that can be started", needs="read", reads=True, listed_from="all", in_sandbox=True)
async def list_kernelspecs(ctx: Ctx) -> Annotated[CallToolResult, KernelspecList]:
    """List what start_kernel can start."""
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


@tool("Connect to kernel", needs=needed_for, idempotent=True)
async def connect_to_kernel(
    ctx: Ctx,
    *,
    connection_file: Annotated[
        HomePath | None,
        Field(description="Name or kernel id from list_kernels, or a path."),
    ] = None,
    notebook: Annotated[
        str | None,
        Field(description="Or an open notebook: its path, or the end of it."),
    ] = None,
    server_url: Annotated[
        str | None,
        Field(
            description="Of a Jupyter server elsewhere, or of a JupyterHub user's, with notebook or a kernel id."
        ),
    ] = None,
    token: Annotated[
        str | None,
        Field(description="The server's, unless configured."),
    ] = None,
) -> Annotated[CallToolResult, KernelState, Without(_IN_WORDS)]:
    """Attach to a running kernel beside the person, the only one without arguments; returns its handle. Starts none: else ask the person."""
    kernels, agent = kernels_of(ctx), caller(ctx)
    if connection_file is notebook is server_url is token is None:
        endpoint = await only_one(kernels, agent)
    else:
        endpoint = await endpoint_of(connection_file, notebook, server_url, token)
    attached = await joined(kernels, endpoint, agent, look_again=True)
    return answer((await kernel_state(attached)).in_words(), attached.redactor)


@tool("Start kernel", needs="all", in_sandbox=True)
async def start_kernel(
    ctx: Ctx,
    *,
    kernelspec: Annotated[
        str | None, Field(description="From list_kernelspecs; else the reactive one.")
    ] = None,
    interpreter: Annotated[
        HomePath | None,
        Field(description="Or a Python, or an environment, with marimo-kernel-bridge."),
    ] = None,
    directory: Annotated[HomePath | None, Field(description="Its working directory.")] = None,
    limits: LimitsArg = None,
    sandbox: SandboxArg = None,
) -> Annotated[CallToolResult, KernelState, Without((*_OF_OLDER, *_IN_WORDS))]:
    """Start a kernel that no notebook shows and that ends with this server. Only where the person asked; else join theirs."""
    from marimo_kernel_bridge.client.discovery import notebooks_by_kernel  # noqa: PLC0415  # urllib is slow to import

    kernels = kernels_of(ctx)
    bounds, where = kernels.ceilings.asked(limits, sandbox), kernels.ceilings.place(directory)
    await kernels.ceilings.require_known(interpreter)
    attached = await kernels.start(kernelspec, where, interpreter, client_name(ctx), bounds)
    open_elsewhere = sorted((await notebooks_by_kernel()).values())
    state = await kernel_state(attached, not_of=tuple(open_elsewhere))
    return answer(state.in_words(), attached.redactor)


@tool("Interrupt, restart or shut down a kernel", needs="all", destroys=True, in_sandbox=True, joins=False)
async def control_kernel(
    ctx: Ctx,
    *,
    action: Annotated[
        Literal["interrupt", "restart", "shut_down"],
        Field(description="The last two lose all variables."),
    ],
    kernel: KernelArg = None,
) -> Annotated[CallToolResult, KernelControlled]:
    """Interrupt, restart or shut down a kernel for everybody. Only where the person asked; interrupt_run stops your own runs."""
    attached = attached_to(ctx, kernel)
    await attached.require_not_paused()
    kernels = kernels_of(ctx)
    if action == "interrupt" and await is_idle(attached):
        message = "It is idle: no code is running, and nothing was interrupted."
        return answer(KernelControlled(attached.handle, action, message), attached.redactor)
    if action == "restart" and attached.saver is not None:
        message = await restarted(kernels, attached.saver.session_id, client_name(ctx))
        return answer(KernelControlled(attached.handle, action, message), attached.redactor)
    message = await kernels.control(attached, action)
    if action == "shut_down":
        await kernels.disconnect(attached)
    return answer(KernelControlled(attached.handle, action, message), attached.redactor)


@tool("Kernel status", needs="read", reads=True)
async def kernel_status(ctx: Ctx, *, kernel: KernelArg = None) -> Annotated[CallToolResult, KernelState]:
    """Whether it is idle, busy (whose code, since when, waiting for input), silent or dead."""
    attached = attached_to(ctx, kernel)
    return answer(await kernel_state(attached), attached.redactor)


@tool("Disconnect from a kernel", needs="read", idempotent=True, joins=False)
async def disconnect_kernel(ctx: Ctx, *, kernel: KernelArg = None) -> Annotated[CallToolResult, Disconnected]:
    """Detach; the kernel and what runs in it go on."""
    attached = attached_to(ctx, kernel)
    await kernels_of(ctx).disconnect(attached)
    left = [run.run_id for run in attached.listed_runs if not run.over]
    going_on = f" Runs that go on in it: {', '.join(left)}." if left else ""
    return answer(
        Disconnected(attached.handle, f"Disconnected from {attached.handle}; the kernel runs on.{going_on}"),
        attached.redactor,
    )
