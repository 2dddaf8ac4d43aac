"""The writing of an automatic checkpoint between two cells of a long run, which leaves no idle time.

The next cell waits for it, a fiftieth of the time of the cells before it at the most. What takes longer to pickle or to write is left
out, and kept when the kernel is idle. Only what refers to no live value is written while the next cell runs already.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.checkpoints.capture import capture, capture_outputs
from marimo_kernel_bridge.kernel.checkpoints.choice import Choice, parts_of, size_of
from marimo_kernel_bridge.kernel.checkpoints.saving import encoded

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from marimo_kernel_bridge.checkpoints.manifest import Manifest, SavedBuffer
    from marimo_kernel_bridge.checkpoints.store import Saving
    from marimo_kernel_bridge.kernel.checkpoints.choice import Owner
    from marimo_kernel_bridge.kernel.checkpoints.own_code import OwnCode
    from marimo_kernel_bridge.kernel.checkpoints.pickling import PickledGroup
    from marimo_kernel_bridge.kernel.checkpoints.saving import Origin
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession

_OF_WHAT_IS_LEFT: Final = 0.5
"""One value may take so much of the time that is left: the others have a chance after it."""


@dataclass(frozen=True)
class Unfinished:
    """What is written but for the outputs and the manifest, which refer to no live value.

    `whole`: nothing was left out for want of time.
    """

    manifest: Manifest
    outputs: bytes
    whole: bool


class BetweenCells:
    """The writing of one checkpoint between two cells."""

    def __init__(
        self,
        owner: Owner,
        notebook: NotebookSession,
        saving: Saving,
        origin: Origin,
        seconds: float,
        *,
        own_code: OwnCode,
    ) -> None:
        """`seconds`: how long the next cell may wait."""
        self._owner = owner
        self._notebook = notebook
        self._saving = saving
        self._path = origin.notebook
        self._until = time.monotonic() + seconds
        self._value_until = self._until
        self._choice = Choice(
            owner,
            notebook,
            saving,
            origin,
            self._is_late,
            own_code=own_code,
            begin=self._begin_value,
            postpones=True,
        )

    async def run(self) -> Unfinished | None:
        """Write what there is time for; None if that is nothing. No cell runs meanwhile."""
        self._notebook.execution.graph.refresh_stale()
        captured = capture(self._notebook, self._path)
        while (group := await self._choice.next(captured)) is not None:
            if self._owner.seconds_to_write(size_of(group)) > self._left:
                self._choice.leave_out(group.names)
                continue
            blobs = await asyncio.to_thread(self._write, group)
            if blobs is None:
                self._choice.leave_out(group.names)
            else:
                self._choice.add(group, blobs, captured, self._choice.ran_of(group.names))
        manifest = self._choice.manifest(captured, None)
        if manifest is None:
            return None
        return Unfinished(manifest, encoded(capture_outputs(self._notebook)), self._choice.is_whole)

    def _write(self, group: PickledGroup) -> list[SavedBuffer] | None:
        """Write a group's parts; None if there is no time left. On another thread."""
        blobs: list[SavedBuffer] = []
        for data, raw in parts_of(group):
            begun, writing = time.monotonic(), self._saving.write(data, raw=raw)
            while (blob := writing.step()) is None:
                if self._left <= 0:
                    writing.discard()
                    return None
            self._owner.wrote(blob.size, time.monotonic() - begun)
            blobs.append(blob)
        return blobs

    @property
    def _left(self) -> float:
        return self._until - time.monotonic()

    def _begin_value(self) -> None:
        now = time.monotonic()
        self._value_until = now + (self._until - now) * _OF_WHAT_IS_LEFT

    def _is_late(self) -> bool:
        return time.monotonic() >= self._value_until


def finish(
    saving: Saving, unfinished: Unfinished, collect: Callable[[], object], log: logging.Logger
) -> None:
    """Write the outputs and the manifest, and close what was saved. On another thread, while a cell runs."""
    try:
        with saving:
            writing, manifest = saving.write(unfinished.outputs), unfinished.manifest
            while (outputs := writing.step()) is None:
                pass
            extras = msgspec.structs.replace(manifest.extras, outputs=outputs)
            saving.commit(msgspec.structs.replace(manifest, extras=extras))
        collect()
    except (BridgeError, MemoryError) as refusal:
        log.warning("No automatic checkpoint: %s", why_not(refusal))
    except Exception:
        log.exception("An automatic checkpoint failed. This is a bug in marimo_kernel_bridge.")


def why_not(refusal: BridgeError | MemoryError) -> str:
    """Return why there is no checkpoint, as a clause."""
    return str(refusal) or "no memory is left"
