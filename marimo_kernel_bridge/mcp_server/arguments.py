"""Arguments that many tools share, and lookups from a call's context: the calling agent and the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from mcp.server.mcpserver import Context
from pydantic import AfterValidator, Field

from marimo_kernel_bridge.client.notebook_names import at_home
from marimo_kernel_bridge.mcp_server.attachments import Kernels
from marimo_kernel_bridge.mcp_server.callers import caller_of

if TYPE_CHECKING:
    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.mcp_server.callers import Caller


def _in_home(path: str) -> str:
    """Return a path in which `~` is this user's home directory. Raises ValueError for `~name/`, which no call is told to know or not."""
    expanded = at_home(path)
    if expanded.startswith("~") and "/" in expanded:
        raise ValueError(
            "~ is your own home directory only. Give the whole path; one in a folder of that name begins with ./"
        )
    return expanded


HomePath = Annotated[str, AfterValidator(_in_home)]
"""A path of a file, a folder or a program; those of notebooks and kernels are read with their other names (`which_kernel`)."""

Ctx = Context[Kernels, Any]  # the second parameter is the transport's request, which no tool reads

KernelArg = Annotated[
    str | None,
    Field(description="Handle or notebook, if several."),
]
CellsArg = Annotated[list[str], Field(max_length=1000, description="Ids from list_cells.")]
TimeoutArg = Annotated[
    float,
    Field(ge=0, le=600, description="Seconds to wait (30)."),
]
BudgetArg = Annotated[int, Field(ge=200, le=100_000, description="Length of the answer.")]
LimitsArg = Annotated[
    dict[str, Any] | None,
    Field(
        description="memory, file_size, temporary: '2GB'; cell_seconds, cpu_seconds, idle_seconds: '30s'; processes, open_files."
    ),
]
SandboxArg = Annotated[
    dict[str, Any] | None,
    Field(description="{}: only its folder, no network. May have network: all or [hosts]; files: read."),
]
AsInStart = Annotated[dict[str, Any] | None, Field(description="As in start_kernel.")]
OffsetArg = Annotated[int, Field(ge=0, description="Where to read on.")]

WAIT: Final = 30.0
BUDGET: Final = 8000
LIST_BUDGET: Final = 20_000


def kernels_of(ctx: Ctx) -> Kernels:
    """Return the kernels that the server is attached to."""
    return ctx.request_context.lifespan_context


def caller(ctx: Ctx) -> Caller:
    """Return the agent that calls."""
    return caller_of(ctx.request_context)


def client_name(ctx: Ctx) -> str:
    """Return the agent's name from its host with what tells it apart from others of that name."""
    return caller(ctx).name


def can_ask(ctx: Ctx) -> bool:
    """Whether the client supports elicitation, which asks its user a question."""
    capabilities = ctx.client_capabilities
    asking = capabilities.elicitation if capabilities is not None else None
    return asking is not None and (asking.form is not None or asking.url is None)


def can_show_address(ctx: Ctx) -> bool:
    """Whether the client can have its user open an address that the model does not see."""
    capabilities = ctx.client_capabilities
    asking = capabilities.elicitation if capabilities is not None else None
    return asking is not None and asking.url is not None


def attached_to(ctx: Ctx, handle: str | None) -> Attached:
    """Return the kernel of a call. Raises `BridgeError`: not_connected."""
    return kernels_of(ctx).get(handle, client_name(ctx))


async def to_run_in(ctx: Ctx, handle: str | None) -> Attached:
    """Return the kernel of a call that runs code, unless the kernel restarted without the caller knowing."""
    attached = attached_to(ctx, handle)
    await attached.require_known()
    return attached
