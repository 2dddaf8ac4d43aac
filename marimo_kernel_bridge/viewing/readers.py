"""The threads that read tables, and how much of the interpreter they take while a cell runs.

They are daemons: a query that takes long holds up no end of a process. What nobody waits for any more is not begun.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, TypeVar

from marimo_kernel_bridge.viewing.behind import set_behind

if TYPE_CHECKING:
    from collections.abc import Callable

SHARE: Final = 0.015
"""The part of the time that reads may take while a cell runs. The cell waits for them: Python runs one thread at a time."""
_LONGEST_REST: Final = 1.0  # seconds
_STEP: Final = 0.1  # seconds between looks whether the cell has ended
_GOES_FIRST: Final = 1.0
"""Seconds for which a read waits at most for those that go first: they may take long."""

_T = TypeVar("_T")
_Work = tuple["asyncio.Future[Any]", "Callable[[], Any]"]


class Pace:
    """The rests between reads, so that the kernel's cells are not slower while somebody scrolls.

    Counts the processor time of the threads that read, and of the loop's. A read is not interrupted: the rest comes after it, and
    has a limit.
    """

    def __init__(
        self,
        busy: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        soon: Callable[[], bool] = lambda: False,
    ) -> None:
        """`busy` returns whether a cell runs, `soon` whether one may be about to; any thread."""
        self._busy = busy
        self._soon = soon
        self._clock = clock
        self._free_at = 0.0

    def rest(self, *, hurried: bool = False) -> float:
        """Return the seconds to wait before the next read; for one that is `hurried` only a cell that runs matters."""
        waits = self._busy() or (not hurried and self._soon())
        return max(0.0, self._free_at - self._clock()) if waits else 0.0

    async def wait(self, *, hurried: bool = False) -> None:
        """Wait until a read may begin."""
        while (rest := self.rest(hurried=hurried)) > 0:  # noqa: ASYNC110  # cells run in another thread
            await asyncio.sleep(min(rest, _STEP))

    def spent(self, seconds: float) -> None:
        """Note the processor time of a read. Any thread."""
        now = self._clock()
        self._free_at = min(max(now, self._free_at) + seconds / SHARE, now + _LONGEST_REST)


class Readers:
    """A few threads, started when there is something to read. For one event loop."""

    def __init__(
        self,
        name: str,
        count: int,
        pace: Pace | None = None,
        *,
        hurried: bool = False,
        before: Readers | None = None,
        leaves_later_to: Readers | None = None,
    ) -> None:
        """`hurried`: between two cells nothing here rests.

        `before` begin nothing while something is read here. `leaves_later_to` do what reads here leave for later; else that has threads
        of its own.
        """
        self._name = name
        self._count = count
        self._pace = pace
        self._hurried = hurried
        self._waiting: SimpleQueue[_Work | None] = SimpleQueue()
        self._threads = 0
        self._turn = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop_time = time.thread_time()
        self._behind = leaves_later_to
        self._first: list[Readers] = []
        """What is read there goes first: nothing is begun here meanwhile."""
        if before is not None:
            before._first.append(self)  # noqa: SLF001  # of this class
        self._reading = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self, act: Callable[[], _T]) -> _T:
        """Run a function in one of the threads, when it is its turn."""
        self._reading += 1
        self._idle.clear()
        try:
            return await self._run(act)
        finally:
            self._reading -= 1
            if not self._reading:
                self._idle.set()

    async def _run(self, act: Callable[[], _T]) -> _T:
        if self._pace is not None:
            async with self._turn:
                self._pace.spent(self._since_the_last())
                await self._pace.wait(hurried=self._hurried)
        await self._let_pass()
        if self._threads < self._count:
            self._threads += 1
            threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._waiting.put((future, act))
        return await future

    async def _let_pass(self) -> None:
        """Wait for what goes first, for a time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOES_FIRST):
                while busy := [one for one in self._first if one._reading]:  # noqa: SLF001  # of this class
                    await busy[0]._idle.wait()  # noqa: SLF001  # of this class

    def _since_the_last(self) -> float:
        """Return the processor time of the loop's own thread since the last read: requests and answers cost some, too."""
        now = time.thread_time()
        taken, self._loop_time = now - self._loop_time, now
        return taken

    def later(self, act: Callable[[], object], after: float) -> None:
        """Run a function in one of the threads in some seconds, for nobody who waits. In a thread of other readers of the same loop."""

        async def read() -> None:
            with suppress(Exception):  # it is for whoever asks for the result to know
                await self.run(act)

        def begin() -> None:
            task = loop.create_task(read())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        loop = self._loop
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(loop.call_later, after, begin)

    def stop(self) -> None:
        """End the threads when they have read what they read now."""
        for _ in range(self._threads):
            self._waiting.put(None)
        self._threads = 0

    def _work(self) -> None:
        if self._behind is not None:
            set_behind(self._behind.later)
        while (work := self._waiting.get()) is not None:
            if not work[0].cancelled():
                self._do(*work)
            del work  # keeps nothing of the data while this waits

    def _do(self, future: asyncio.Future[Any], act: Callable[[], Any]) -> None:
        result, failure = None, None
        before = time.thread_time()
        try:
            result = act()
        except BaseException as error:  # noqa: BLE001  # objects of the user may raise anything
            failure = error
        if self._pace is not None:
            self._pace.spent(time.thread_time() - before)
        with suppress(RuntimeError):  # the loop is closed
            future.get_loop().call_soon_threadsafe(_resolve, future, result, failure)


def _resolve(future: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if future.cancelled():
        return
    if failure is None:
        future.set_result(result)
    elif isinstance(failure, Exception) and not isinstance(failure, StopIteration):
        future.set_exception(failure)
    else:
        future.set_exception(RuntimeError(f"{type(failure).__name__}: {failure}"))
