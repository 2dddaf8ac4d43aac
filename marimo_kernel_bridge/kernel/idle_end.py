"""The end of a kernel that nobody has used for some time, as kernels of sessions have it.

A request is a use, from its arrival to its end, and so are dependents that run after it. A connection is none: a window that is
left open keeps no kernel. One that nobody uses soon after its start ends early: whoever started it was killed before others
could know of it.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    import logging
    from collections.abc import Awaitable, Callable, Iterator
    from contextlib import AbstractContextManager

    from marimo_kernel_bridge.kernel.messaging.jupyter_session import JupyterSession
    from marimo_kernel_bridge.kernel.messaging.requests import ReceivedMessage
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession


FIRST_USE: Final = 60.0
"""Seconds within which a new kernel is used: its server lets it know the notebook's cells as soon as it answers."""


class Timers(Protocol):
    """The timers of an event loop, as tornado's `IOLoop` has them."""

    def call_later(self, delay: float, callback: Callable[[], Any]) -> object: ...


class IdleEnd:
    """A watch over the time since the last use, on a clock that nobody sets. Any thread may use it."""

    def __init__(
        self,
        ttl: float,
        timers: Timers,
        busy: Callable[[], bool],
        end: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
        *,
        first_use: float = FIRST_USE,
    ) -> None:
        self._ttl = ttl
        self._left = min(ttl, first_use)  # until somebody uses it
        self._timers = timers
        self._busy = busy
        self._end = end
        self._clock = clock
        self._uses: set[object] = set()  # those under way; threads of subshells add to it, too
        self._used = clock()
        timers.call_later(self._left, self._look)

    @contextmanager
    def use(self) -> Iterator[None]:
        """Use the kernel, and count from the end of that on."""
        use = object()
        self._uses.add(use)
        self._left = self._ttl
        try:
            yield
        finally:
            self._uses.discard(use)
            self._used = self._clock()

    def _look(self) -> object:
        """End, or look again later. Returns what the loop is to wait for."""
        if self._uses or self._busy():
            self._used, self._left = self._clock(), self._ttl
        left = self._used + self._left - self._clock()
        if left > 0:
            return self._timers.call_later(left, self._look)
        return self._end()


class Status(Protocol):
    """The kernel's status."""

    @property
    def working(self) -> bool: ...


class Checkpoints(Protocol):
    """The checkpoints of the notebook."""

    def save_before_end(self) -> Awaitable[None]: ...


class Host(Protocol):
    """The parts of the kernel that its end uses."""

    control_stream: Any

    @property
    def io_loop(self) -> Timers: ...

    @property
    def log(self) -> logging.Logger: ...

    @property
    def session(self) -> JupyterSession: ...

    @property
    def notebook(self) -> NotebookSession: ...

    @property
    def status(self) -> Status: ...

    @property
    def checkpointing(self) -> Checkpoints: ...

    def shutdown_request(self, stream: Any, ident: Any, parent: Any) -> Any:
        """Shut the kernel down. In the control thread."""
        ...


class OwnEnd:
    """The end of a kernel by itself, some seconds after its last use."""

    def __init__(self, host: Host, ttl: float, limit: float = 0.0) -> None:
        """`ttl` is a session's, which somebody uses as soon as it has started it, `limit` any kernel's; 0: none. The lower holds."""
        self._host = host
        self._ttl = min(filter(None, (ttl, limit)))
        first_use = FIRST_USE if ttl else limit
        self._idle = IdleEnd(
            self._ttl, host.io_loop, lambda: host.status.working, self._end, first_use=first_use
        )

    def use_of(self, message: ReceivedMessage | None) -> AbstractContextManager[None]:
        """Return the context of a request, which keeps the kernel from ending itself. Being looked for does not."""
        if message is None or _only_looks(message):
            return nullcontext()
        return self._idle.use()

    def used(self) -> None:
        """Note a use that is no request: what a page of a view asks for. A page that only stands open is none."""
        with self._idle.use():
            pass

    async def _end(self) -> None:
        """Save, and end as if a client had shut the kernel down, which tells those that are connected."""
        host = self._host
        host.log.info("Nobody has used this kernel for %g s: it ends.", self._ttl)
        if host.notebook.loaded:
            await host.checkpointing.save_before_end()
        parent = host.session.msg("shutdown_request", {"restart": False})
        control = host.control_stream
        control.io_loop.add_callback(host.shutdown_request, control, [b""], parent)


def _only_looks(message: ReceivedMessage) -> bool:
    """Whether a request asks for no more than what kernel there is, as lists of kernels do."""
    content = message["content"]
    return message["header"]["msg_type"] == "kernel_info_request" or (
        isinstance(content, dict) and content.get("op") == "describe"
    )
