"""Who calls: the agent's name, as its host gives it, and the session that tells it apart from others of that name.

Many programs keep their library's default name, so a name identifies nobody. Over stdio a server has one client; over the socket
each connection is a session; over HTTP the protocols with `initialize` have sessions. The protocol of 2026-07-28 has none over HTTP:
there each request stands alone, and nothing in it tells which requests come from one program (neither name nor token does, and a
proxy may put several programs on one connection). So what such a call means follows from what it names, never from what an
earlier request has done.

The name is that of the first `initialize` of a connection. Whatever a later one says, what the client has attached to and started stays
its own, and the person and the audit log know it by one name.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.mcp_server.sdk.subscriptions import connection_of
from marimo_kernel_bridge.mcp_server.transport.own_clients import CONNECTION
from marimo_kernel_bridge.protocol.names import agent_name

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

_SHORT_NAME: Final = 31
"""Characters of a name that leave room for six of a session: kernels cut names to 40."""
_FIRST_NAME: Final = "marimo-kernel-bridge.name"
"""Where a connection's state has its first name, if it has been initialized again."""
_MARK: Final = re.compile(r" \([0-9a-f]{6}\)$")


@dataclass(frozen=True)
class Caller:
    """A client of this server. Its `name` tells the person who ran a cell, and is another one in each session."""

    name: str
    in_session: bool = True
    """Whether requests of this name come from one program: what one of them attached to, the next one means."""

    @property
    def program(self) -> str:
        """The name without what tells sessions apart."""
        return _MARK.sub("", self.name)


def mark_of(session: str) -> str:
    """Return what a session adds to the names of its clients."""
    return f"({hashlib.sha256(session.encode()).hexdigest()[:6]})"


def caller_of(ctx: ServerRequestContext[Any, Any]) -> Caller:
    """Return who sent a request."""
    params = ctx.session.client_params
    name = params.client_info.name if params is not None else ""
    name = connection_of(ctx).state.get(_FIRST_NAME, name)
    session = CONNECTION.get() if ctx.request is None else ctx.request.headers.get("mcp-session-id")
    if ctx.request is None and not session:
        return Caller(agent_name(name))
    # Nobody is called what a session makes of a name.
    own = agent_name(name.replace("(", " ").replace(")", " "))
    if not session:
        return Caller(own, in_session=False)
    return Caller(f"{own[:_SHORT_NAME].strip()} {mark_of(session)}")


async def begin_session(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Keep the name of a client that initializes again, and detach what a session over HTTP is attached to when it ends.

    Many clients open one for each call. Server middleware.
    """
    if ctx.method == "initialize":
        connection = connection_of(ctx)
        if (known := connection.client_params) is not None:
            connection.state.setdefault(_FIRST_NAME, known.client_info.name)
        elif connection.session_id is not None:
            connection.exit_stack.callback(ctx.lifespan_context.end_session, connection.session_id)
    return await call_next(ctx)
