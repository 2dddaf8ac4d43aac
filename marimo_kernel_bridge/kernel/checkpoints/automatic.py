"""Automatic checkpoints: what took long to make, written while nobody asks the kernel for anything.

Never by a fork: the children of a process whose threads compute can block it forever. `one_save` writes one of them.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.checkpoints import LONG
from marimo_kernel_bridge.kernel.checkpoints.between_cells import BetweenCells, finish, why_not
from marimo_kernel_bridge.kernel.checkpoints.one_save import OneSave, in_thread
from marimo_kernel_bridge.kernel.checkpoints.own_code import OwnCode
from marimo_kernel_bridge.kernel.checkpoints.pickling import OUT_OF_BAND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marimo_kernel_bridge.checkpoints.store import Store
    from marimo_kernel_bridge.kernel.checkpoints.choice import Mode
    from marimo_kernel_bridge.kernel.checkpoints.one_save import Host
    from marimo_kernel_bridge.kernel.checkpoints.refusals import Refusal
    from marimo_kernel_bridge.kernel.checkpoints.saving import Origin

_SHARE: Final = 0.1
"""The most time that writing may take, as a share of the time that the cells took to run."""
_FIRST_SPEED: Final = 200e6
"""Bytes per second that the disk takes, until that is measured."""


class AutomaticSaving:
    """Writes automatic checkpoints of a notebook. Main thread only."""

    def __init__(
        self, host: Host, store: Callable[[], Store], origin: Callable[[], Origin], mode: Mode
    ) -> None:
        self._host = host
        self._store = store
        self._origin = origin
        self.mode = mode
        self._task: asyncio.Task[None] | None = None
        self._committing = False
        self._finishing: asyncio.Future[None] | None = None
        self._due = False
        self._speed: float | None = None
        self.left: dict[str, tuple[Refusal, Mapping[str, float | None]]] = {}
        self.given_up = 0
        """Attempts that ended because a request came."""
        self.saved_at = 0.0
        """The monotonic time at which the last save began that kept anything."""

    def settled(self) -> None:
        """Begin to save if the run that is over has made something that is to be kept."""
        if self.mode == "off" or not self._host.notebook.runs.started:
            return
        least = LONG if self.mode == "costly" else 0.0
        longest = max((run.duration for run in self._host.notebook.runs.current.cells), default=0.0)
        if longest >= least and longest:
            self._save_when_idle()

    def _save_when_idle(self) -> None:
        self._due = True
        if not self.busy:
            self._task = asyncio.ensure_future(self._save_all_due())

    @property
    def busy(self) -> bool:
        """Whether anything is being written, or waits for that."""
        return self._task is not None and not self._task.done()

    def stop(self) -> None:
        """Give up what is being written."""
        if self._task is not None:
            self._task.cancel()

    async def _save_all_due(self) -> None:
        while self._due:
            self._due = False
            try:
                await self._save()
            except (BridgeError, MemoryError) as refusal:
                self._host.log.warning("No automatic checkpoint: %s", why_not(refusal))
            except Exception:
                self._host.log.exception(
                    "An automatic checkpoint failed. This is a bug in marimo_kernel_bridge."
                )

    async def _save(self) -> None:
        await self.finished()
        store, origin, begun = self._store(), self._origin(), time.monotonic()
        with store.saving(origin.shelf, "", "automatic") as saving:
            with OwnCode(self._host.interrupts) as own_code:
                manifest = await OneSave(self, self._host, saving, origin, own_code).run()
            if manifest is not None:
                self._committing = True
                try:
                    await in_thread(partial(saving.commit, manifest))
                finally:
                    self._committing = False
                self.saved_at = begun
        await asyncio.to_thread(store.collect)

    async def between_cells(self, seconds: float) -> None:
        """Save what can be saved before the next cell of a run begins, which waits so long at the most.

        The rest is saved when the kernel is idle. Does nothing while the last part of a checkpoint is written.
        """
        if self._committing or not (self._finishing is None or self._finishing.done()):
            return
        self.stop()
        store, begun = self._store(), time.monotonic()
        try:
            with ExitStack() as opened:
                origin = self._origin()
                saving = opened.enter_context(store.saving(origin.shelf, "", "automatic"))
                with OwnCode(self._host.interrupts) as own_code:
                    between = BetweenCells(
                        self, self._host.notebook, saving, origin, seconds, own_code=own_code
                    )
                    unfinished = await between.run()
                if unfinished is not None:
                    opened.pop_all()
                    last = partial(finish, saving, unfinished, store.collect, self._host.log)
                    # Begins at once: the next cell may block the event loop for hours.
                    self._finishing = asyncio.get_running_loop().run_in_executor(None, last)
                    if unfinished.whole:
                        self.saved_at = begun
        except (BridgeError, MemoryError) as refusal:
            self._host.log.warning("No automatic checkpoint: %s", why_not(refusal))
        except Exception:
            self._host.log.exception("An automatic checkpoint failed. This is a bug in marimo_kernel_bridge.")
        self._task = None
        self._save_when_idle()

    async def finished(self) -> None:
        """Wait until what was begun between two cells is written."""
        if self._finishing is not None:
            await asyncio.wait([self._finishing])  # who waits may be cancelled, but not what it waits for

    def wrote(self, size: int, seconds: float) -> None:
        """Note how fast the disk is."""
        if size >= OUT_OF_BAND and seconds > 0:
            self._speed = ((self._speed or _FIRST_SPEED) + size / seconds) / 2

    def is_worth(self, size: int, seconds: float) -> bool:
        """Return whether writing so much takes little of the time that it took to make it."""
        return self.mode == "all" or size / (self._speed or _FIRST_SPEED) <= _SHARE * seconds

    def seconds_to_write(self, size: int) -> float:
        """Return how long the disk takes for so many bytes, 0 if nothing is known of it yet."""
        return 0.0 if self._speed is None else size / self._speed
