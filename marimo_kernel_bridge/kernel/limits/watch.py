"""The watch over the time of cells and the kernel's CPU time.

A cell that runs too long is interrupted, from another thread, and so is one that runs when the CPU time is used up. C code lets
no other thread run and takes no interrupt: so a timer of `faulthandler`, which needs neither, ends the process after some grace,
and writes down where it was. Code of a cell can stop that timer; it cannot raise the limit of CPU time.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from marimo_kernel_bridge.kernel.limits.hits import grace, hit_by, told
from marimo_kernel_bridge.kernel.messaging.sigint import interrupt_main_thread
from marimo_kernel_bridge.protocol.bounds import Exceeded
from marimo_kernel_bridge.protocol.deaths import CPU_IS_USED_UP

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import IO

    from marimo_kernel_bridge.protocol.bounds import Limits


class Timers(Protocol):
    """The timers of an event loop in a thread that runs while cells do."""

    def call_later(self, delay: float, callback: Callable[[], Any]) -> object: ...

    def add_callback(self, callback: Callable[[], Any]) -> None:
        """Call a function in the loop's thread; any thread."""
        ...


class Interrupts(Protocol):
    """The handler of SIGINT."""

    def on_sigint(self, signum: int, frame: FrameType | None, /) -> None: ...

    def fall_due(self) -> None: ...

    def take_due(self) -> bool: ...


class LimitWatch:
    """Watches what runs on the main thread. For the main thread, except `look` and `_look`."""

    def __init__(
        self,
        limits: Limits,
        interrupts: Interrupts,
        timers: Timers,
        crash: IO[bytes],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`crash` is a file in which the end of the process is noted."""
        self._limits, self._interrupts, self._timers, self._crash = limits, interrupts, timers, crash
        self._clock = clock
        self._lock = threading.Lock()
        self._until: float | None = None  # when what runs is to be interrupted
        self._looking = False  # a timer will look
        self._exceeded = ""
        self._cpu_is_used_up = False

    def watch_cpu(self) -> None:
        """Watch the kernel's CPU time, once in the process's life."""
        if self._limits.cpu_seconds is None or not hasattr(signal, "SIGXCPU"):
            return
        signal.signal(signal.SIGXCPU, self._on_sigxcpu)
        # Python's handlers run between two instructions of Python: C code never gets there, but leaves a trace by this.
        faulthandler.register(signal.SIGXCPU, self._crash, all_threads=False, chain=True)
        os.register_at_fork(after_in_child=_leave_to_system)

    def begins(self) -> None:
        """Note that code begins to run."""
        self._exceeded = ""
        if self._cpu_is_used_up:
            self._exceeded = "cpu_seconds"
            self._interrupts.fall_due()
        seconds = self._limits.cell_seconds
        if seconds is None:
            return
        faulthandler.dump_traceback_later(seconds + grace(self._limits), exit=True, file=self._crash)
        with self._lock:
            self._until = self._clock() + seconds
            starts, self._looking = not self._looking, True
        if starts:
            self._timers.add_callback(self._look)

    def ends(self) -> None:
        """Note that it has ended."""
        if self._limits.cell_seconds is None:
            return
        faulthandler.cancel_dump_traceback_later()
        with self._lock:
            late, self._until = self._until is None, None
        if late and not self._cpu_is_used_up:
            self._interrupts.take_due()  # it came as the code ended: not for what runs next

    def exceeded(self, error: BaseException | None) -> Exceeded | None:
        """Return, once, the limit that the running code has hit; `error` is what it failed with, if it did."""
        name, self._exceeded = self._exceeded, ""
        if not name and error is not None:
            name = hit_by(error, self._limits)
        return Exceeded(name, told(name, self._limits)) if name else None

    def look(self) -> None:
        """Look at the CPU time, for the case that it is used by threads that never get a signal. Any thread."""
        most = self._limits.cpu_seconds
        if most is not None and time.process_time() >= most:
            self._note_cpu()

    def _look(self) -> None:
        """Interrupt what has run too long, or look again when it will have."""
        with self._lock:
            left = 0.0 if self._until is None else self._until - self._clock()
            if self._until is not None and left <= 0:
                self._until, self._exceeded = None, "cell_seconds"
                interrupt_main_thread()  # with the lock: not after `ends`
            self._looking = left > 0
        if left > 0:
            self._timers.call_later(left, self._look)

    def _on_sigxcpu(self, signum: int, frame: FrameType | None) -> None:
        self._exceeded = "cpu_seconds"
        self._note_cpu()
        self._interrupts.on_sigint(signum, frame)

    def _note_cpu(self) -> None:
        if not self._cpu_is_used_up:
            self._cpu_is_used_up = True
            self._crash.write(CPU_IS_USED_UP)
            self._crash.flush()


def _leave_to_system() -> None:
    """Let a child that user code has forked end when its own CPU time is used up."""
    faulthandler.unregister(signal.SIGXCPU)
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
