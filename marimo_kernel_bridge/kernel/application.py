"""The application of the kernel process: its files, its sockets, its start and its end."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import zmq
from ipykernel.kernelapp import IPKernelApp
from traitlets import DottedObjectName, default

from marimo_kernel_bridge.kernel.messaging.jupyter_session import JupyterSession

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from marimo_kernel_bridge.protocol.black_box import Process
    from marimo_kernel_bridge.protocol.bounds import Bounds

_UNREAD: Final = 100_000  # iopub messages queued for a client that reads slowly; ZeroMQ drops further ones


class KernelApplication(IPKernelApp):
    """ipykernel's application, with sockets that a pool or a sandbox has opened, and a path that user code adds to."""

    outstream_class = DottedObjectName(
        "marimo_kernel_bridge.kernel.messaging.output_streams.CellStream", allow_none=True
    ).tag(config=True)
    on_listening: Callable[[], None] | None = None  # called once, when all sockets are open
    bounds: Bounds | None = None
    process: Process | None = None
    begun: datetime | None = None
    """When a pool forked this process, or a sandbox was entered: its sockets are open so soon that requests to a kernel before it may arrive."""
    opened: Mapping[int, int] = MappingProxyType({})  # sockets that listen already: ports and descriptors

    @default("session")
    def _session_default(self) -> JupyterSession:
        session = JupyterSession(parent=self)
        session.begun = self.begun
        return session

    def init_path(self) -> None:
        """Keep the notebook's folder off the path while the kernel starts and runs the user's startup files."""

    def start(self) -> None:
        """Run the kernel. The first code that is run adds the notebook's folder to the path.

        The control thread ends first of all. ipykernel ends that of iopub before it, and a control thread that publishes at that moment
        (its last status, the reply to a second request to shut down) waits without end for it, and the process for both.
        """
        if not self.ignore_cwd and self.shell is not None:
            self.shell.events.register("pre_execute", self._add_working_directory)
        try:
            super().start()
        finally:
            if self.control_thread is not None and self.control_thread.is_alive():
                self.control_thread.stop()
                self.control_thread.join()

    def _add_working_directory(self) -> None:
        from marimo_kernel_bridge.startup.import_path import add_working_directory  # noqa: PLC0415  # not used before

        assert self.shell is not None
        with suppress(ValueError):  # a subshell runs its first code at the same time
            self.shell.events.unregister("pre_execute", self._add_working_directory)
        add_working_directory()

    def write_connection_file(self, **kwargs: Any) -> None:
        """Write the connection file, but not over one with CurveZMQ's keys, which the client has written.

        ipykernel compares the keys as bytes with those in the file as text, and so always wrote the file again, while
        the client may read it. A client that gives keys also gives the ports.
        """
        if self.curve_publickey is None or not Path(self.abs_connection_file).exists():
            super().write_connection_file(**kwargs)

    def _try_bind_socket(self, s: zmq.Socket[Any], port: int) -> Any:
        if port in self.opened:
            from marimo_kernel_bridge.sandbox.handed_sockets import take  # noqa: PLC0415  # few kernels are in one

            take(s, self.opened[port])
        return super()._try_bind_socket(s, port)

    def init_heartbeat(self) -> None:
        """Open the last socket, and report that clients can connect."""
        if self.opened:
            from marimo_kernel_bridge.sandbox.handed_sockets import heartbeat_takes  # noqa: PLC0415  # few kernels are in one

            with heartbeat_takes(self.opened):
                super().init_heartbeat()
        else:
            super().init_heartbeat()
        if self.on_listening is not None:
            self.on_listening()

    def init_iopub(self, context: Any) -> None:
        # ZeroMQ's default of 1000 is quickly reached, because displays do not wait for the streams.
        context.setsockopt(zmq.SNDHWM, _UNREAD)  # for sockets that are created from now on
        super().init_iopub(context)
        context.sockopts.pop(zmq.SNDHWM)

    def init_control(self, context: Any) -> None:
        if self.opened:  # the debugger's own connection, which ipykernel makes to the address bound last
            self.shell_socket.bind("inproc://shell")
        super().init_control(context)
        self.shell_channel_thread = None  # the main thread reads the channel (kernel.messaging.shell_stream)

    def close(self) -> None:
        """Close all sockets."""
        if self.kernel is not None and not self.kernel.shell_stream.closed():
            self.kernel.shell_stream.close()
        super().close()
