"""The kernel's status: whether it is busy, how many requests wait, when it started. For any thread."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sized


class Notebook(Protocol):
    """The notebook session."""

    @property
    def running(self) -> tuple[str, float] | None: ...


class Scheduler(Protocol):
    """The scheduler of stale cells."""

    @property
    def running(self) -> bool: ...

    @property
    def due(self) -> bool: ...


class Interrupts(Protocol):
    """The handler of SIGINT."""

    @property
    def handling(self) -> bool: ...


class KernelStatus:
    """The status of the kernel for clients."""

    def __init__(
        self, notebook: Notebook, scheduler: Scheduler, queue: Sized, interrupts: Interrupts
    ) -> None:
        self.started_at = time.time()
        self._notebook = notebook
        self._scheduler = scheduler
        self._queue = queue
        self._interrupts = interrupts
        self.asks: str | None = None
        """The prompt with which running code waits for a person to type, None if it does not."""

    @contextmanager
    def asking(self, prompt: str) -> Iterator[None]:
        """Within this block, a person is asked to type."""
        self.asks = prompt
        try:
            yield
        finally:
            self.asks = None

    @property
    def busy(self) -> bool:
        """Whether a request is being handled or a cell runs."""
        return self._interrupts.handling or self._scheduler.running or self._notebook.running is not None

    @property
    def settling(self) -> bool:
        """Whether dependents will run, or outputs are held back."""
        return self._scheduler.due

    @property
    def queued(self) -> int:
        """The number of messages waiting on shell."""
        return len(self._queue)

    @property
    def working(self) -> bool:
        """Whether anything runs, or waits to."""
        return self.busy or self.settling or self.queued > 0
