"""The writing of one automatic checkpoint: the main thread pickles, and a thread hashes and writes, a step at a time.

Whoever asks the kernel for something comes first. A value that a cell defines or uses which ran meanwhile is pickled anew, so
each group is as its cells' last run has left it, which is what their keys say.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from marimo_kernel_bridge.checkpoints.manifest import BlobStream
from marimo_kernel_bridge.kernel.checkpoints import LONG
from marimo_kernel_bridge.kernel.checkpoints.capture import capture, capture_outputs
from marimo_kernel_bridge.kernel.checkpoints.pickling import (
    OUT_OF_BAND,
    GivenUpError,
    PickledGroup,
    Pickling,
    Refusal,
)
from marimo_kernel_bridge.kernel.checkpoints.saving import encoded, lost_of, manifest_of, saved_group

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Mapping, Sequence

    from marimo_kernel_bridge.checkpoints.manifest import Manifest, SavedBuffer, SavedGroup
    from marimo_kernel_bridge.checkpoints.store import Saving
    from marimo_kernel_bridge.kernel.checkpoints.capture import Captured
    from marimo_kernel_bridge.kernel.checkpoints.saving import Origin
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession

Mode = Literal["costly", "all", "off"]

_QUIET: Final = 0.3
"""Seconds without a request before anything begins: who has just asked will ask again."""
_TRIES: Final = 5
"""Attempts for one value, after which it waits for a pause three times as long as the longest of them."""
_PATIENCE: Final = 3.0
_LOOK: Final = 0.004
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
    def log(self) -> logging.Logger: ...


class Owner(Protocol):
    """The automatic checkpoints of a notebook, one of which is written."""

    mode: Mode
    given_up: int

    def wrote(self, size: int, seconds: float) -> None: ...

    def is_worth(self, size: int, seconds: float) -> bool:
        """Return whether writing so much takes little of the time that it took to make it."""
        ...


@dataclass
class _Group:
    """A group that is written, and when the cells had run that make or use it."""

    saved: SavedGroup
    ran: Mapping[str, float | None]


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


class OneSave:
    """The writing of one automatic checkpoint."""

    def __init__(self, owner: Owner, host: Host, saving: Saving, origin: Origin) -> None:
        self._owner = owner
        self._host = host
        self._notebook = host.notebook
        self._saving = saving
        self._origin = origin
        self._looked = 0.0
        self._pickling = Pickling(self._notebook.runtime.values, self._give_up)
        self._groups: dict[tuple[str, ...], _Group] = {}
        self._lost: dict[str, Refusal] = {}
        self._known: dict[str, int] = {}  # values that were looked at, by name
        self._ran: dict[str, float | None] = {}
        self._attempts = _Attempts()
        self._outputs: SavedBuffer | None = None

    async def run(self) -> Manifest | None:
        """Write all groups, and return the manifest; None if there is nothing to keep."""
        while True:
            await self._quiet(self._attempts.pause)
            async with self._host.one_at_a_time:
                begun = time.monotonic()
                try:
                    captured = capture(self._notebook)
                    group = self._next(captured)
                except GivenUpError:
                    self._owner.given_up += 1
                    self._attempts.count += 1
                    self._attempts.longest = max(self._attempts.longest, time.monotonic() - begun)
                    continue
                self._attempts = _Attempts()
                if group is None and self._outputs is not None:
                    return self._manifest(captured)
                ran = {} if group is None else self._ran_of(group.names)
                outputs = b"" if group is not None else encoded(capture_outputs(self._notebook))
            if group is not None:
                await self._write(group, captured, ran)
            else:  # a cell that runs meanwhile has others: then they are those of a moment before
                self._outputs = await self._written(outputs, (), {})

    # -- what is kept ------------------------------------------------------------------------------------------------

    def _next(self, captured: Captured) -> PickledGroup | None:
        """Pickle the next group that is not written as it is now; None if all are. Raises `GivenUpError`."""
        wanted = self._wanted(captured)
        for name in [name for name in self._known if name not in wanted or self._ran_since(name)]:
            self._pickling.forget(name)
            del self._known[name]
        self._ran = self._runs()
        for name, value in wanted.items():
            if name not in self._known and name not in self._lost:
                refusal = self._pickling.look(name, value)
                if refusal is not None:
                    self._lost[name] = refusal
                else:
                    self._known[name] = id(value)
        groups = self._pickling.groups()
        self._groups = {
            names: group
            for names, group in self._groups.items()
            if names in groups and group.ran == self._ran_of(names)
        }
        for names in groups:
            if names in self._groups or names[0] in self._lost:
                continue
            pickled = self._pickling.pickled(names)
            if isinstance(pickled, Refusal):
                self._lost |= dict.fromkeys(names, pickled)
                continue
            size = len(pickled.stream) + sum(buffer.nbytes for buffer in pickled.buffers)
            if not self._owner.is_worth(size, self._seconds(names, captured)):
                reason = f"takes longer to write ({size / 1e6:,.0f} MB) than a tenth of what it took to make"
                self._lost |= dict.fromkeys(names, Refusal("", reason))
                continue
            return pickled
        return None

    def _wanted(self, captured: Captured) -> dict[str, object]:
        """Return the values to keep: of costly cells, and of those above, without which these would be stale."""
        if self._owner.mode == "all":
            return dict(captured.values)
        costly = self._costly(captured)
        cells = costly | self._notebook.runtime.ancestors(*costly) if costly else frozenset[str]()
        return {name: value for name, value in captured.values.items() if captured.makers[name] in cells}

    def _costly(self, captured: Captured) -> frozenset[str]:
        return frozenset(
            cell.cell_id for cell in captured.cells if cell.key and (cell.seconds or 0.0) >= LONG
        )

    def _seconds(self, names: Iterable[str], captured: Captured) -> float:
        """Return how long the costly cells took that would have to run again without these values."""
        makers = {captured.makers[name] for name in names}
        below = makers | self._notebook.runtime.descendants(*makers)
        return sum(
            cell.seconds or 0.0 for cell in captured.cells if cell.cell_id in below & self._costly(captured)
        )

    def _manifest(self, captured: Captured) -> Manifest | None:
        if not self._groups:
            return None
        groups = [group.saved for group in self._groups.values()]
        return manifest_of(
            self._notebook,
            self._saving,
            self._origin,
            captured,
            kind="automatic",
            groups=groups,
            lost=lost_of(self._lost, captured),
            outputs=self._outputs,
        )

    # -- what ran meanwhile ------------------------------------------------------------------------------------------

    def _runs(self) -> dict[str, float | None]:
        return {entry.cell.cell_id: entry.cell.last_run_at for entry in self._notebook.cells}

    def _ran_of(self, names: Sequence[str]) -> dict[str, float | None]:
        """Return when the cells ran that define or use names."""
        nodes, wanted = self._notebook.runtime.nodes(), set(names)
        return {
            entry.cell.cell_id: entry.cell.last_run_at
            for entry in self._notebook.cells
            if (node := nodes.get(entry.cell.cell_id)) is not None
            and not wanted.isdisjoint(node.names.defines | node.names.uses | node.names.local)
        }

    def _ran_since(self, name: str) -> bool:
        """Return whether a cell that defines or uses a name has run since the last look."""
        return any(self._ran.get(cell_id) != at for cell_id, at in self._ran_of([name]).items())

    # -- writing -----------------------------------------------------------------------------------------------------

    async def _write(self, group: PickledGroup, captured: Captured, ran: Mapping[str, float | None]) -> None:
        """Write a group, as long as no cell runs that makes or uses it."""
        small = len(group.stream) < OUT_OF_BAND
        blobs: list[SavedBuffer] = []
        parts = [
            *(() if small else ((group.stream, False),)),
            *((each, not group.offsets) for each in group.buffers),
        ]
        for data, raw in parts:
            blob = await self._written(data, group.names, ran, raw=raw)
            if blob is None:
                return
            blobs.append(blob)
        if small:
            saved = saved_group(group, self._saving.pack(group.stream), blobs, captured)
        else:
            stream = BlobStream(blobs[0].digest, blobs[0].size)
            saved = saved_group(group, stream, blobs[1:], captured)
        self._groups[group.names] = _Group(saved, ran)

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
            blob = await asyncio.to_thread(writing.step)
            spent += time.monotonic() - begun
            if blob is not None:
                self._owner.wrote(len(data) if isinstance(data, bytes) else data.nbytes, spent)
                return blob
            if self._host.queue.newest != newest:
                await self._quiet(_QUIET)
                newest = self._host.queue.newest
                async with self._host.one_at_a_time:
                    changed = self._ran_of(names) != ran
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
