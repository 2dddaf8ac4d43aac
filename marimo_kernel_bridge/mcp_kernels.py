"""The kernels that one MCP server is attached to, by handle: the server's lifespan value.

A handle (`k1`) is short, for a model to repeat; it names a kernel, and proves nothing. There is no current kernel:
with one attached the handle may be left out, with several it must be given.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marimo_kernel_bridge.connection import read_connection
from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from pathlib import Path

    from marimo_kernel_bridge.kernel_client import KernelClient


@dataclass
class Attached:
    """A kernel, and what its user was told of it."""

    handle: str
    client: KernelClient
    restarts_told: int = 0

    def news(self) -> str:
        """Say once that the kernel was restarted; empty otherwise."""
        if self.client.restarts == self.restarts_told:
            return ""
        self.restarts_told = self.client.restarts
        return "The kernel was restarted since the last call: all variables and cells from before are lost."

    async def require_known(self) -> None:
        """Refuse once to run code in a kernel of whose restart the caller does not know.

        The code was made for variables that are gone. Raises `BridgeError`: kernel_dead, kernel_silent.
        """
        await self.client.require_alive()
        if news := self.news():
            raise BridgeError(
                "kernel_dead", f"{news} Nothing was run.", "Call again to run in the new, empty kernel."
            )


class Kernels:
    """Attached kernels. Safe to use from concurrent tool calls."""

    def __init__(self) -> None:
        self._attached: dict[str, Attached] = {}
        self._made = 0
        self._connecting = asyncio.Lock()

    def at(self, path: Path) -> Attached | None:
        """Return the kernel attached through this connection file."""
        return next((one for one in self._attached.values() if one.client.connection.path == path), None)

    async def connect(self, connection_file: str, client_name: str) -> Attached:
        """Attach, or return the attachment that is there and alive.

        Raises `BridgeError`: connection_file_*, wrong_key, kernel_silent.
        """
        from marimo_kernel_bridge.kernel_client import KernelClient  # noqa: PLC0415  # a server starts without ZMQ

        connection = read_connection(connection_file)
        async with self._connecting:
            known = self.at(connection.path)
            if known is not None:
                if known.client.connection == connection and await known.client.liveness() == "alive":
                    return known
                await self._detach(known)
            client = await KernelClient.attach(connection, client_name)
            self._made += 1
            attached = Attached(f"k{self._made}" if known is None else known.handle, client)
            self._attached[attached.handle] = attached
            return attached

    def get(self, handle: str | None) -> Attached:
        """Return an attached kernel. Raises `BridgeError`: not_connected."""
        if handle is None and len(self._attached) == 1:
            return next(iter(self._attached.values()))
        attached = None if handle is None else self._attached.get(handle)
        if attached is not None:
            return attached
        if not self._attached:
            raise BridgeError(
                "not_connected",
                "No kernel is connected.",
                "Call list_kernels, then connect_to_kernel with a connection file from there.",
            )
        handles = ", ".join(
            f"{one.handle} ({one.client.connection.path.name})" for one in self._attached.values()
        )
        wanted = (
            "Several kernels are connected" if handle is None else f"No kernel is connected as {handle!r}"
        )
        raise BridgeError("not_connected", f"{wanted}: {handles}.", "Pass one of these handles as `kernel`.")

    async def disconnect(self, attached: Attached) -> None:
        """Detach from a kernel, which goes on."""
        async with self._connecting:
            await self._detach(attached)

    async def close(self) -> None:
        """Detach from all."""
        for attached in list(self._attached.values()):
            await self.disconnect(attached)

    async def _detach(self, attached: Attached) -> None:
        self._attached.pop(attached.handle, None)
        await attached.client.close()
