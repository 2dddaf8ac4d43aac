"""A notebook on a kernel that this process starts: its cells run, and what its page shows then."""

from __future__ import annotations

import asyncio
import subprocess
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.client.client import KernelClient
from marimo_kernel_bridge.client.connection import read_connection
from marimo_kernel_bridge.client.front_end import opened, started_kernel
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.names import KERNELSPEC

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from marimo_kernel_bridge.client.front_end import FrontEnd
    from marimo_kernel_bridge.importing.verifying.outputs import Outputs

LONGEST_CELL: Final = 1800.0
"""The time limit of one cell in seconds."""
_SETTING: Final = "setting"
"""The cell that says how the kernel runs the notebook."""
_PAUSE: Final = 0.02

Page = dict[str, "Outputs"]
"""The outputs of each cell, by its id."""


class TimeIsUpError(Exception):
    """The time that the checks have is over."""


@dataclass(frozen=True)
class Deadline:
    """The end of the time that checks have, on the clock of `time.monotonic`."""

    at: float

    @classmethod
    def within(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    @property
    def left(self) -> float:
        """Seconds that are left. Raises `TimeIsUpError`."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeIsUpError
        return min(left, LONGEST_CELL)


class RunningNotebook:
    """A notebook on this package's kernel: running a cell also runs what depends on it."""

    def __init__(self, front_end: FrontEnd, client: KernelClient, codes: Mapping[str, str]) -> None:
        self._front_end = front_end
        self._client = client
        self.codes = dict(codes)

    async def run(self, cell: str, code: str, bound: float) -> None:
        """Run a cell and what depends on it. Raises `TimeIsUpError`."""
        try:
            async with asyncio.timeout(bound):
                await self._front_end.run(cell, code, bound=bound)
                await self._quiet()
        except (TimeoutError, BridgeError) as error:
            if isinstance(error, BridgeError) and error.code != "kernel_silent":
                raise
            raise TimeIsUpError from error

    async def _quiet(self) -> None:
        while (state := await self._client.reads.describe()).busy or state.settling or state.queued:  # noqa: ASYNC110  # of another process
            await asyncio.sleep(_PAUSE)

    def page(self) -> Page:
        """Return what the cells show."""
        cells = self._front_end.cells
        return {cell: list(cells[cell].log.outputs()) if cell in cells else [] for cell in self.codes}

    async def observed(self) -> dict[str, str]:
        """Return what runs have shown of cells, as statements for the analysis."""
        return {each.notebook_cell_id or "": each.text for each in await self._client.reads.observations()}

    async def lazily(self) -> None:
        """Leave dependents stale: only the cells that are asked for run."""
        await self._front_end.run(_SETTING, "%marimo lazy")

    async def stale(self) -> frozenset[str]:
        """Return the cells that are marked stale."""
        cells = await self._client.reads.list_cells()
        return frozenset(cell.notebook_cell_id or "" for cell in cells if cell.stale)


@asynccontextmanager
async def running(folder: Path, codes: Mapping[str, str], *, strict: bool) -> AsyncIterator[RunningNotebook]:
    """Open a notebook on a new kernel; with `strict`, by marimo's own rules. Raises `BridgeError`."""
    async with AsyncExitStack() as stack:
        manager = await stack.enter_async_context(started_kernel(KERNELSPEC, folder, subprocess.DEVNULL))
        front_end = await stack.enter_async_context(opened(manager))
        client = await stack.enter_async_context(
            await KernelClient.attach(read_connection(manager.connection_file), "verify", redacted=False)
        )
        if strict:
            await front_end.run(_SETTING, "%marimo strict")
        yield RunningNotebook(front_end, client, codes)


async def original(folder: Path, codes: Mapping[str, str], done: Callable[[str], object]) -> Page:
    """Run a notebook under ipykernel. `done` is called after each cell. Raises `BridgeError`."""
    async with started_kernel("python3", folder, subprocess.DEVNULL) as manager, opened(manager) as front_end:
        for cell, code in codes.items():
            await front_end.run(cell, code, bound=LONGEST_CELL)
            done(cell)
        return _page(front_end)


async def original_again(folder: Path, codes: Mapping[str, str], deadline: Deadline) -> Page:
    """Run a notebook under ipykernel, and then each cell once more, from last to first. Return what these show.

    So a cell does not find newly made what a cell above it makes: a connection that a cell below has closed stays closed.

    Raises `BridgeError`, `TimeIsUpError`.
    """
    async with started_kernel("python3", folder, subprocess.DEVNULL) as manager, opened(manager) as front_end:
        for cell, code in [*codes.items(), *reversed(list(codes.items()))]:
            bound = deadline.left
            try:
                async with asyncio.timeout(bound):
                    await front_end.run(cell, code, bound=bound)
            except TimeoutError as error:
                raise TimeIsUpError from error
        return _page(front_end)


def _page(front_end: FrontEnd) -> Page:
    return {cell: list(shown.log.outputs()) for cell, shown in front_end.cells.items()}
