"""The checkpoints of one kernel's notebook, as a client asks for them. Requires an open link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from marimo_kernel_bridge.client.reads import require_reactive
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.checkpoints import CheckpointSaved, CheckpointSummary, Restored

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.link import KernelLink
    from marimo_kernel_bridge.client.reads import Reads

_BOUND: Final = 3600.0
"""Seconds: what runs ends first, and disks are slow."""
_T = TypeVar("_T")


class Checkpoints:
    """Reads, saves, restores and deletes checkpoints.

    Each request raises `BridgeError`: not_reactive, kernel_dead, kernel_silent, and the codes in its own docstring.
    """

    def __init__(self, link: KernelLink, reads: Reads, client_name: str) -> None:
        self._link = link
        self._reads = reads
        self._client_name = client_name

    async def summaries(self, *, verify: bool = False) -> list[CheckpointSummary]:
        """Return what there is, the newest first. `verify`: and whether all of its data is as it was saved."""
        bound = (_BOUND,) if verify else ()
        return await self._reads.ask(wire.ListCheckpoints(verify=verify), list[CheckpointSummary], *bound)

    async def save(self, name: str) -> CheckpointSaved:
        """Save the notebook's state under a name. Raises `BridgeError`: disk_full, not_writable, paused."""
        return await self._ask(wire.SaveCheckpoint(name=name, client=self._client_name), CheckpointSaved)

    async def restore(self, name: str | None = None, *, preview: bool = False) -> Restored:
        """Bring a checkpoint's values back, or say what would come back.

        Raises `BridgeError`: no_such_checkpoint, checkpoint_foreign, checkpoint_broken, checkpoint_other_python, paused.
        """
        request = wire.RestoreCheckpoint(name=name, preview=preview, client=self._client_name)
        return await self._ask(request, Restored)

    async def delete(self, name: str) -> None:
        """Delete a checkpoint. Raises `BridgeError`: no_such_checkpoint, paused."""
        await self._reads.ask(wire.DeleteCheckpoint(name=name, client=self._client_name), type(None), _BOUND)

    async def _ask(self, request: wire.SaveCheckpoint | wire.RestoreCheckpoint, kind: type[_T]) -> _T:
        require_reactive(self._link)
        reply = await self._link.ask("shell", wire.REQUEST, wire.encode_request(request), _BOUND)
        return wire.decode_reply(reply, kind)
