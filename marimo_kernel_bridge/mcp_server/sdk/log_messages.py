"""Output of a run as log messages, as it comes, for clients that ask for them.

A client of the older protocol asks once, by `logging/setLevel`; one of the newer with each request, in its `_meta`. Nobody gets any
unasked: a host may show them to a model.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final, get_args

from mcp import MCPDeprecationWarning
from mcp.types import EmptyResult, LoggingLevel, SetLevelRequestParams
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

from marimo_kernel_bridge.mcp_server.sdk.subscriptions import connection_of

if TYPE_CHECKING:
    from mcp.server import MCPServer
    from mcp.server.context import ServerRequestContext

LOGGER: Final = "marimo-kernel-bridge/run"
LEVEL: Final[LoggingLevel] = "info"
_LEVELS: Final[tuple[LoggingLevel, ...]] = get_args(LoggingLevel)
_ASKED: Final = "marimo-kernel-bridge/level"


def serve_log_levels(server: MCPServer[Any]) -> None:
    """Serve `logging/setLevel`."""

    async def set_level(ctx: ServerRequestContext[Any, Any], params: SetLevelRequestParams) -> EmptyResult:
        connection_of(ctx).state[_ASKED] = params.level
        return EmptyResult()

    lowlevel = server._lowlevel_server  # noqa: SLF001  # MCPServer has no public API for it
    lowlevel.add_request_handler("logging/setLevel", SetLevelRequestParams, set_level)


def wanted(ctx: ServerRequestContext[Any, Any]) -> bool:
    """Whether the client has asked for messages of the level of output; in the newer protocol, the SDK knows."""
    if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
        return True
    level = connection_of(ctx).state.get(_ASKED)
    return level in _LEVELS and _LEVELS.index(level) <= _LEVELS.index(LEVEL)


async def send_output(ctx: ServerRequestContext[Any, Any], run_id: str, text: str) -> None:
    """Send a piece of a run's output, without secrets, if the client asked for it."""
    if not wanted(ctx):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        sending = ctx.session.send_log_message(
            LEVEL,
            {"kind": "output", "run_id": run_id, "text": text},
            logger=LOGGER,
            related_request_id=ctx.request_id,
        )
    await sending
