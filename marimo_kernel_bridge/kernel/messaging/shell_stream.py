"""The shell channel's socket, which any thread may use.

ZeroMQ lets threads share a socket if a lock guards each use. So each thread sends its replies directly, and a reader
thread can pass messages to subshells while a cell runs on the main thread. Owns the lock and the reader; the listener
decides which thread a message is for.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import zmq
from zmq.eventloop.zmqstream import ZMQStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from tornado.ioloop import IOLoop

    from marimo_kernel_bridge.kernel.messaging.requests import ReceivedFrames


class Listener(Protocol):
    """The receiver of the channel's messages."""

    def read(self, frames: list[Any]) -> ReceivedFrames:
        """Read a message; any thread."""
        ...

    def route(self, frames: ReceivedFrames) -> bool:
        """Take a message that is not for the main thread. Return whether it was taken; any thread."""
        ...

    def receive(self, frames: ReceivedFrames) -> Any:
        """Take a message for the main thread, in that thread."""
        ...


class ShellStream(ZMQStream):
    """The stream of the shell channel, which replaces ipykernel's."""

    def __init__(self, shell_socket: zmq.Socket[bytes], io_loop: IOLoop) -> None:
        self._lock = threading.RLock()
        self._reader: _Reader | None = None
        self._listener: Listener | None = None
        # What was read beside the main thread waits for it here; the pair of sockets wakes its loop, once for each.
        self._passed: deque[ReceivedFrames] = deque()
        self._to_main, from_reader = _pair(shell_socket.context)
        self._from_reader = ZMQStream(from_reader, io_loop)
        super().__init__(shell_socket, io_loop)
        self.getsockopt = self._getsockopt  # ZMQStream sets the socket's own on each instance

    @classmethod
    def replacing(cls, stream: ZMQStream) -> ShellStream:
        """Create one from a stream that is not in use yet."""
        stream.io_loop.remove_handler(stream.socket)
        return cls(stream.socket, stream.io_loop)

    def listen(self, listener: Listener) -> None:
        """Set the listener, which receives all further messages."""
        self._listener = listener
        self._from_reader.on_recv(lambda _wake_up: listener.receive(self._passed.popleft()), copy=False)

        def received(frames: list[Any]) -> Any:
            message = listener.read(frames)
            return None if listener.route(message) else listener.receive(message)

        self.on_recv(received, copy=False)

    def send_multipart(self, msg: Any, flags: int = 0, copy: bool = True, **_options: Any) -> None:  # type: ignore[override]  # noqa: FBT001, FBT002  # ZMQStream's signature, without a callback
        """Send now, from any thread."""
        with self._lock:
            self.socket.send_multipart(msg, flags, copy=copy)
            if not int(self.socket.events) & zmq.POLLIN:
                return
            # A send can take the signal that messages have arrived.
            if self._reader is None:
                self.io_loop.add_callback(self._handle_events, self.socket, 0)
            else:
                self.pass_on()

    def flush(self, flag: int = zmq.POLLIN | zmq.POLLOUT, limit: int | None = None) -> int:
        """Hand all that has arrived to the callback now; for the main thread."""
        with self._lock:
            if self._reader is not None:
                self.pass_on()
            handled = self._from_reader.flush(zmq.POLLIN, limit)
            if self._reader is None:
                handled += super().flush(flag, limit)
            return handled

    def read_beside(self, *, wanted: bool) -> None:
        """Read also while the main thread runs user code, or stop doing so."""
        with self._lock:
            reader = self._reader
            if wanted == (reader is not None):
                return
            if wanted:
                self._reader = _Reader(self._fd, self.pass_on)
                self._reader.start()
                self.pass_on()
                return
            self._reader = None
            self.io_loop.add_callback(self._handle_events, self.socket, 0)
        assert reader is not None
        reader.end()

    def close(self, linger: int | None = None) -> None:
        """Close the socket, after the main thread's loop has ended."""
        self.read_beside(wanted=False)
        self._to_main.close()
        self._from_reader.close()
        super().close(linger)

    def _handle_events(self, fd: Any, events: int) -> None:
        with self._lock:
            if self._reader is not None:
                self.pass_on()
                return
            self._from_reader.flush(zmq.POLLIN)
            super()._handle_events(fd, events)  # type: ignore[no-untyped-call]  # pyzmq has no type for it

    def pass_on(self) -> None:
        """Pass on all that has arrived; any thread."""
        with self._lock:
            while self._reader is not None and self._listener is not None and not self.socket.closed:
                try:
                    frames = self.socket.recv_multipart(zmq.NOBLOCK, copy=False)
                except zmq.Again:
                    return
                message = self._listener.read(frames)
                if not self._listener.route(message):
                    self._passed.append(message)
                    self._to_main.send(b"")

    def _getsockopt(self, option: int) -> Any:
        """Return a socket option; GUI event loops watch the descriptor."""
        beside = self._reader is not None and option == zmq.FD
        return (self._from_reader.socket if beside else self.socket).getsockopt(option)


class _Reader(threading.Thread):
    """Calls `read` whenever a descriptor shows that something has happened."""

    def __init__(self, descriptor: int, read: Callable[[], None]) -> None:
        super().__init__(name="Shell reader", daemon=True)
        self.pydev_do_not_trace = self.is_pydev_daemon_thread = True  # a debugger leaves it alone
        self._descriptor, self._read = descriptor, read
        self._ended, self._end = socket.socketpair()

    def run(self) -> None:
        with selectors.DefaultSelector() as selector, self._ended:
            selector.register(self._descriptor, selectors.EVENT_READ)
            selector.register(self._ended, selectors.EVENT_READ)
            while all(key.fileobj is not self._ended for key, _ in selector.select()):
                self._read()

    def end(self) -> None:
        self._end.close()
        self.join()


def _pair(context: zmq.Context[Any]) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
    """Return two connected sockets that hold any number of messages."""
    ends = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    for end in ends:
        end.set_hwm(0)
        end.linger = 0
    address = f"inproc://shell-{id(ends[0])}"
    ends[0].bind(address)
    ends[1].connect(address)
    return ends
