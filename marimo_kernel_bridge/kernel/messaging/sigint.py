"""The kernel's handling of SIGINT: it raises `KeyboardInterrupt` in user code, and nowhere else.

An interrupt during bookkeeping of this package or of marimo would leave the graph half changed. So an interrupt that
arrives while a cell is registered, between two cells, or while marimo is imported, is deferred until the next body
begins, which then ends at once. Owns the signal handler; knows no sockets.

An interrupt that arrives while the process forks is sent again afterwards: Python discards exceptions in functions that
run before or after a fork (`os.register_at_fork`), and `logging`, which acquires and releases its lock in such
functions, would keep it locked.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from marimo_kernel_bridge.runtime.interface import Runtime

_OWN = __name__.partition(".")[0]
_PAUSE = 0.001
_PATIENCE = 1.0  # seconds after which a second interrupt is raised wherever it comes: something hangs
LOADING = (
    30.0  # the same while marimo is imported, which takes seconds on a busy machine and must not be cut off
)


def leave_out_handler(error: KeyboardInterrupt) -> None:
    """Cut a traceback where the signal came, in user code, so that it does not show the handler."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        if traceback.tb_next.tb_frame.f_code is Interrupts.on_sigint.__code__:
            traceback.tb_next = None
        traceback = traceback.tb_next


def interrupt_main_thread() -> None:
    """Send the main thread an interrupt, as from the keyboard. Any thread."""
    if hasattr(signal, "pthread_kill"):
        main = threading.main_thread().ident
        assert main is not None, "it runs"
        signal.pthread_kill(main, signal.SIGINT)
    else:  # Windows
        _thread.interrupt_main()


def on_main_thread() -> bool:
    """Return whether this is the thread on which Python runs signal handlers, and the kernel cells."""
    return threading.current_thread() is threading.main_thread()


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_own(frame: FrameType | None) -> bool:
    """Return whether code of this package runs, which would be left half done."""
    return frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == _OWN


class Interrupts:
    """The handler of SIGINT and its state. For the main thread, where Python runs signal handlers."""

    def __init__(self, runtime: Callable[[], Runtime | None] = lambda: None) -> None:
        """`runtime` returns the notebook's runtime, None as long as it is not loaded."""
        self._runtime = runtime
        self.handling = False  # a request
        self._in_body = self._in_values = self._ends_values = False
        self._asking = False
        self._forking = self._resending = False
        self._deferring = 0
        self._due_since: float | None = None
        self._patience = _PATIENCE

    def take_signal(self) -> None:
        """Handle SIGINT here, whatever handler user code has set before; nothing on another thread."""
        if on_main_thread():
            signal.signal(signal.SIGINT, self.on_sigint)

    def request_begins(self) -> None:
        """Note that a request is being handled, so that user code may run; nothing on another thread."""
        if on_main_thread():
            self.take_signal()
            self.handling = True

    def request_ends(self) -> None:
        """Note that no request is being handled any more; nothing on another thread."""
        if on_main_thread():
            self.take_signal()
            self.handling = False

    @contextmanager
    def left_to_python(self) -> Iterator[None]:
        """Leave SIGINT to Python's own handler: a runner of coroutines like trio handles it only there."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            yield
        finally:
            self.take_signal()

    def on_sigint(self, _signum: int, frame: FrameType | None) -> None:
        """Handle the signal."""
        if self._is_forking(frame):
            if not self._resending:
                self._resending = True
                _thread.start_new_thread(self._resend, ())  # takes no lock, which a hook may have
            return
        in_code_of_others = self._in_values and not _is_own(frame)
        if self._ends_values:
            self._end_values(raises=in_code_of_others)
            return
        runtime = self._runtime()
        runs = runtime is not None and runtime.running
        # Also cancels what waits for its turn, and a body that awaits: that one must not be raised in.
        raises = runtime.interrupt() if runtime is not None and runs else True
        if self._in_body:
            if raises:
                raise KeyboardInterrupt
        elif in_code_of_others:
            if runs or self._deferring:
                self._defer()
            raise KeyboardInterrupt
        elif runs or self._deferring:
            self._defer()
        elif self.handling and not self._asking:
            raise KeyboardInterrupt

    def _end_values(self, *, raises: bool) -> None:
        self._ends_values = False
        if raises:
            raise KeyboardInterrupt

    def watch_forks(self) -> None:
        """Keep interrupts out of what runs before and after a fork; once, when libraries have registered theirs."""
        if hasattr(os, "register_at_fork"):  # not on Windows; the last one comes first before, and last after
            os.register_at_fork(
                before=self._fork_begins,
                after_in_parent=self._fork_is_over,
                after_in_child=self._fork_is_over_in_child,
            )

    def _fork_begins(self) -> None:
        if on_main_thread():
            self._forking = True

    def _fork_is_over(self) -> None:
        if on_main_thread():
            self._forking = False

    def _fork_is_over_in_child(self) -> None:
        self._forking = self._resending = False

    def _is_forking(self, frame: FrameType | None) -> bool:
        """Return whether the main thread, which is at `frame`, is in or between what runs before and after a fork."""
        own = {self._fork_begins.__code__, self._fork_is_over.__code__, self._fork_is_over_in_child.__code__}
        return self._forking or any(caller.f_code in own for caller in _stack(frame))

    def _resend(self) -> None:
        """Send the signal again as soon as the main thread has forked; in a thread."""
        main = threading.main_thread().ident
        assert main is not None, "it runs"
        while self._is_forking(sys._current_frames()[main]):  # noqa: SLF001  # Python's only name for it
            time.sleep(_PAUSE)
        self._resending = False
        signal.pthread_kill(main, signal.SIGINT)

    def _defer(self) -> None:
        now = time.monotonic()
        if self._due_since is None:
            self._due_since = now
        elif now - self._due_since > self._patience:
            self._due_since = None
            raise KeyboardInterrupt

    @contextmanager
    def deferred(self, patience: float = _PATIENCE) -> Iterator[None]:
        """Keep interrupts for the next body; a second one for at least `patience` seconds after the first."""
        outer, self._patience = self._patience, max(self._patience, patience)
        self._deferring += 1
        try:
            yield
        finally:
            self._deferring -= 1
            self._patience = outer
            if not self._deferring:
                self._due_since = None

    @contextmanager
    def body(self) -> Iterator[None]:
        """Raise interrupts: user code runs."""
        outer, self._in_body = self._in_body, True
        try:
            yield
        finally:
            self._in_body = outer

    @contextmanager
    def in_values(self) -> Iterator[None]:
        """Raise interrupts in code of others that values call while no cell runs, as when they are pickled; never in ours.

        The run that goes on after it is interrupted, too.
        """
        self._in_values = True
        try:
            yield
        finally:
            self._in_values = False

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Raise none meanwhile in code of others, which is that of messages: one would be lost between its socket and its queue."""
        outer, self._in_values, self._asking = self._in_values, False, True
        try:
            yield
        finally:
            self._in_values, self._asking = outer, False

    def end_values(self) -> None:
        """Raise an interrupt in such code, and nowhere else. Any thread."""
        self._ends_values = True
        interrupt_main_thread()

    def fall_due(self) -> None:
        """Interrupt the next body as soon as it begins."""
        self._due_since = time.monotonic()

    def take_due(self) -> bool:
        """Return, once, whether the body that begins now is to be interrupted immediately."""
        due, self._due_since = self._due_since is not None, None
        return due
