"""Automatic checkpoints: what took long to make, written while nobody asks the kernel for anything.

Never by a fork: the children of a process whose threads compute can block it for ever. `one_save` writes one of them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.checkpoints import LONG
from marimo_kernel_bridge.kernel.checkpoints.one_save import OneSave
from marimo_kernel_bridge.kernel.checkpoints.pickling import OUT_OF_BAND

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.checkpoints.store import Store
    from marimo_kernel_bridge.kernel.checkpoints.one_save import Host, Mode
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
        self._due = False
        self._speed = _FIRST_SPEED
        self.given_up = 0
        """Attempts that ended because a request came."""

    def settled(self) -> None:
        """Begin to save if the run that is over has made something that is to be kept."""
        if self.mode == "off" or not self._host.notebook.runs.started:
            return
        least = LONG if self.mode == "costly" else 0.0
        longest = max((run.duration for run in self._host.notebook.runs.current.cells), default=0.0)
        if longest >= least and longest:
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
            except BridgeError as refusal:
                self._host.log.warning("No automatic checkpoint: %s", refusal)
            except Exception:
                self._host.log.exception(
                    "An automatic checkpoint failed. This is a bug in marimo_kernel_bridge."
                )

    async def _save(self) -> None:
        store, origin = self._store(), self._origin()
        with store.saving(origin.shelf, "", "automatic") as saving:
            one = OneSave(self, self._host, saving, origin)
            manifest = await one.run()
            if manifest is not None:
                await asyncio.to_thread(saving.commit, manifest)
        await asyncio.to_thread(store.collect)

    def wrote(self, size: int, seconds: float) -> None:
        """Note how fast the disk is."""
        if size >= OUT_OF_BAND and seconds > 0:
            self._speed = (self._speed + size / seconds) / 2

    def is_worth(self, size: int, seconds: float) -> bool:
        """Return whether writing so much takes little of the time that it took to make it."""
        return self.mode == "all" or size / self._speed <= _SHARE * seconds
