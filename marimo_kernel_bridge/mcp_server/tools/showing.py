"""Addresses for the person: one has a code that lets its first user in, so it never is in an answer that a model sees.

Kernels say them, which may say anything: only an address of the form of our pages is shown, on this machine, where no other user
listens. What code of the kernel shows there, it could show in a page of ours as well.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

from mcp.shared.exceptions import NoBackChannelError

from marimo_kernel_bridge.client.port_owner import foreign_listener
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.arguments import can_show_address
from marimo_kernel_bridge.protocol import own_browser

if TYPE_CHECKING:
    from marimo_kernel_bridge.mcp_server.arguments import Ctx


async def show_address(ctx: Ctx, question: str, url: str) -> bool | None:
    """Have the person open an address. Return whether they do; None: neither their client nor a browser here can show it.

    The client asks them, if it can. Else their desktop's browser opens it, unless this server has clients elsewhere.
    Raises `BridgeError` not_allowed for an address that cannot be a page of ours.
    """
    port = own_browser.port_of_own_page(url)
    if port is None or await asyncio.to_thread(foreign_listener, "127.0.0.1", port) is not None:
        raise BridgeError(
            "not_allowed",
            "The kernel names an address that is no page of this package on this machine; it was not opened.",
            "Do not pass it on. Tell the person: code may have changed what this kernel answers.",
        )
    agreed = await _asked(ctx, question, url)
    local = ctx.request_context.request is None
    if agreed is None and local and await asyncio.to_thread(own_browser.show, url):
        return True
    return agreed


async def _asked(ctx: Ctx, question: str, url: str) -> bool | None:
    """Have the client show the person an address, which the model does not see. Return whether they opened it; None: it cannot."""
    if not can_show_address(ctx):
        return None
    try:
        return (await ctx.elicit_url(question, url, uuid.uuid4().hex)).action == "accept"
    except NoBackChannelError:  # in versions of the protocol in which servers send no requests
        return None
