"""The writing of one automatic checkpoint: the main thread pickles, and a thread hashes and writes, a step at a time.

Whoever asks the kernel for something comes first. What is written is `choice`'s.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from marimo_kernel_bridge.kernel.checkpoints.capture import capture, capture_outputs
from marimo_kernel_bridge.kernel.checkpoints.choice import Choice, parts_of
from marimo_kernel_bridge.kernel.checkpoints.pickling import GivenUpError, PickledGroup
from marimo_kernel_bridge.kernel.checkpoints.saving import encoded

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping, Sequence

    from marimo_kernel_bridge.checkpoints.manifest import Manifest, SavedBuffer
    from marimo_kernel_bridge.checkpoints.store import Saving
    from marimo_kernel_bridge.kernel.checkpoints.capture import Captured
    from marimo_kernel_bridge.kernel.checkpoints.choice import Owner
    from marimo_kernel_bridge.kernel.checkpoints.own_code import Interrupts, OwnCode
    from marimo_kernel_bridge.kernel.checkpoints.saving import Origin
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession

T = TypeVar("T")

_QUIET: Final = 0.3
"""Seconds without a request before anything begins: who has just asked will ask again."""
_TRIES: Final = 5
"""Attempts for one value, after which it waits for a pause three times as long as the longest of them."""
_PATIENCE: Final = 3.0
_LOOK: Final = 0.001
"""Seconds between two looks at whether a request waits."""


class Queue(Protocol):
    """The queue of requests on shell."""

    @property
    def newest(self) -> float:
        """The monotonic time at which the last request arrived."""
        ...

    def any_wait(self) -> bool: ...


class Host(Protocol):
    """The parts of the kernel that automatic checkpoints use."""

    @property
    def notebook(self) -> NotebookSession: ...

    @property
    def queue(self) -> Queue: ...

    @property
    def one_at_a_time(self) -> asyncio.Lock:
        """The lock that requests on the main thread hold."""
        ...

    @property
    def interrupts(self) -> Interrupts: ...

    @property
    def log(self) -> logging.Logger: ...


@dataclass
class _Attempts:
    """The attempts to pickle: how many were given up in a row, and how long the longest took."""

    count: int = 0
    longest: float = 0.0

    @property
    def pause(self) -> float:
        """The seconds without a request before the next attempt."""
        return (
            _QUIET
            if self.count < _TRIES
            else max(_QUIET, _PATIENCE * self.longest * (self.count - _TRIES + 1))
        )


async def in_thread(work: Callable[[], T]) -> T:
    """Return what work returns that is done in a thread. Who is cancelled meanwhile waits for its end: it has files open."""
    doing = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        raise


class OneSave:
    """The writing of one automatic checkpoint."""

    def __init__(self, owner: Owner, host: Host, saving: Saving, origin: Origin, own_code: OwnCode) -> None:
        self._owner = owner
        self._host = host
        self._notebook = host.notebook
        self._saving = saving
        self._path = origin.notebook
        self._looked = 0.0
        self._choice = Choice(owner, host.notebook, saving, origin, self._give_up, own_code=own_code)
        self._attempts = _Attempts()
        self._outputs: SavedBuffer | None = None

    async def run(self) -> Manifest | None:
        """Write all groups, and return the manifest; None if there is nothing to keep."""
        while True:
            await self._quiet(self._attempts.pause)
            async with self._host.one_at_a_time:
                begun = time.monotonic()
                try:
                    captured = capture(self._notebook, self._path)
                    group = await self._choice.next(captured)
                except GivenUpError:
                    self._owner.given_up += 1
                    self._attempts.count += 1
                    self._attempts.longest = max(self._attempts.longest, time.monotonic() - begun)
                    continue
                self._attempts = _Attempts()
                if group is None and self._outputs is not None:
                    return self._choice.manifest(captured, self._outputs)
                ran = {} if group is None else self._choice.ran_of(group.names)
                outputs = b"" if group is not None else encoded(capture_outputs(self._notebook))
            if group is not None:
                await self._write(group, captured, ran)
            else:  # a cell that runs meanwhile has others: then they are those of a moment before
                self._outputs = await self._written(outputs, (), {})

    # -- writing -----------------------------------------------------------------------------------------------------

    async def _write(self, group: PickledGroup, captured: Captured, ran: Mapping[str, float | None]) -> None:
        """Write a group, as long as no cell runs that makes or uses it."""
        blobs: list[SavedBuffer] = []
        for data, raw in parts_of(group):
            blob = await self._written(data, group.names, ran, raw=raw)
            if blob is None:
                return
            blobs.append(blob)
        self._choice.add(group, blobs, captured, ran)

    async def _written(
        self,
        data: memoryview | bytes,
        names: Sequence[str],
        ran: Mapping[str, float | None],
        *,
        raw: bool = False,
    ) -> SavedBuffer | None:
        """Write a blob a step at a time in a thread; None if a cell ran meanwhile that makes or uses it."""
        writing, newest = self._saving.write(data, raw=raw), self._host.queue.newest
        begun, spent = 0.0, 0.0
        while True:
            begun = time.monotonic()
            blob = await in_thread(writing.step)
            spent += time.monotonic() - begun
            if blob is not None:
                self._owner.wrote(len(data) if isinstance(data, bytes) else data.nbytes, spent)
                return blob
            if self._host.queue.newest != newest:
                await self._quiet(_QUIET)
                newest = self._host.queue.newest
                async with self._host.one_at_a_time:
                    changed = self._choice.ran_of(names) != ran
                if changed:
                    writing.discard()
                    return None

    async def _quiet(self, seconds: float) -> None:
        """Wait until no request has come for so long."""
        while (  # noqa: ASYNC110  # a request may still be in the socket, which nothing tells
            left := self._host.queue.newest + seconds - time.monotonic()
        ) > 0 or self._host.queue.any_wait():
            await asyncio.sleep(max(left, 0.01))

    def _give_up(self) -> bool:
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return False
        self._looked = now
        return self._host.queue.any_wait()
