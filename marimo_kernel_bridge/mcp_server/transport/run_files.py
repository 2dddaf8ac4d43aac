"""The files by which clients of this user find a running server: its socket and its token.

In a folder of Jupyter's runtime directory that only its owner can enter. The folder may be shared by several machines, as
homes of a cluster are, so the names of the files have the machine's.
"""

from __future__ import annotations

import hashlib
import socket
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.own_sockets import bindable, private_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HAVE_SOCKETS: Final = hasattr(socket, "AF_UNIX")
"""Python has no Unix sockets on Windows."""


@dataclass(frozen=True)
class RunFiles:
    """The paths of the files of the server on one port."""

    socket_file: Path
    token: Path

    def connected(self) -> socket.socket | None:
        """Return a connection to the server, None if none listens. Raises `BridgeError`: bad_request."""
        if not HAVE_SOCKETS:
            return None
        path = str(bindable(self.socket_file))
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
        except OSError:
            connection.close()
            return None
        return connection

    @contextmanager
    def listening(self) -> Iterator[socket.socket | None]:
        """Bind the socket; remove both files at the end. Raises `BridgeError`: bad_request, if a server listens already."""
        if (running := self.connected()) is not None:
            running.close()
            raise BridgeError(
                "bad_request", "A server of yours serves on this port already.", "Choose another --port."
            )
        self._remove()  # of a server that was killed
        try:
            yield self._bound() if HAVE_SOCKETS else None
        finally:
            self._remove()

    def _bound(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.bind(str(self.socket_file))
            sock.listen(128)
        except OSError as error:
            sock.close()
            raise BridgeError(
                "bad_request", f"Cannot listen on {self.socket_file}: {error.strerror}."
            ) from error
        return sock

    def _remove(self) -> None:
        self.socket_file.unlink(missing_ok=True)
        self.token.unlink(missing_ok=True)


def run_files(port: int) -> RunFiles:
    """Return the paths of the files of the server on a port. Raises `BridgeError`: bad_request."""
    # A Mac's name depends on its network, and its home is its own.
    machine = "" if sys.platform == "darwin" else socket.gethostname()
    name = f"{hashlib.sha256(machine.encode()).hexdigest()[:8]}-{port}"
    try:
        path = private_directory("marimo-mcp") / f"{name}.sock"
    except OSError as error:
        hint = "Set JUPYTER_RUNTIME_DIR to a folder that you can write to."
        raise BridgeError(
            "bad_request", f"{error.filename} cannot be used: {error.strerror}.", hint
        ) from error
    return RunFiles(path, path.with_suffix(".token"))
