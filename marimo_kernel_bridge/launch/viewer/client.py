"""A client of the viewer of files: finds its process, starts it where none runs, and asks for views.

Blocks; `mcp_server` calls it in threads. The secret goes to the process that the file names, and to nobody else's port.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.viewer.place import (
    ADDRESS,
    Process,
    locked,
    place,
    running,
    started_meanwhile,
)
from marimo_kernel_bridge.protocol import view_requests as wire
from marimo_kernel_bridge.protocol.own_python import module_command, python_environment
from marimo_kernel_bridge.protocol.replies import decode_reply
from marimo_kernel_bridge.protocol.views import OpenedView, ViewAnswer, ViewDescription

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.protocol.views import StateChange

COMMAND: Final = "viewer-process"
_START_BOUND: Final = 180.0  # seconds: on a machine that has much else to do; a failure is noticed at once
_ANSWER_BOUND: Final = 600.0  # seconds: opening a file on a slow disk
_STOP_BOUND: Final = 10.0  # seconds: one that does not answer is killed
_END_BOUND: Final = 60.0  # seconds, after which it is ended from outside
_PAUSE: Final = 0.02
_LONGEST: Final = 32_000_000
"""Bytes of an answer: the names of 10,000 columns are some, and the rows for an App less."""
_LOG_LINES: Final = 3


_T = TypeVar("_T")


class Viewer:
    """The viewer's process, for those who may control it."""

    def __init__(self, process: Process) -> None:
        self.process = process

    @classmethod
    def running(cls) -> Viewer | None:
        """Return the viewer of this user and interpreter, if it runs or is being started. Raises `BridgeError`: bad_request."""
        path = place()
        process = running(path) or started_meanwhile(path)
        return None if process is None else cls(process)

    @classmethod
    def started(cls, start: Callable[[Path, int], Process] | None = None) -> Viewer:
        """Return the viewer, started if need be; once, whoever else does so. Raises `BridgeError`: bad_request."""
        path = place()
        process = running(path)
        if process is None:
            with locked(path) as lock:
                process = running(path) or (start or _start)(path, lock)
        return cls(process)

    def open_view(self, path: Path | str, session: str, table: str = "") -> OpenedView:
        """Open a file, by its absolute path, or find the view of this session. Raises `BridgeError`."""
        request = wire.OpenFile(path=os.path.abspath(path), session=session, table=table)  # noqa: PTH100  # links stay
        try:
            return self._ask(request, OpenedView)
        except BridgeError as error:
            if error.code != "no_such_view":
                raise
        self.process = Viewer.started().process  # it has just ended, by itself
        return self._ask(request, OpenedView)

    def read_view(self, view: str, session: str) -> ViewDescription:
        """Describe a view. Raises `BridgeError`: no_such_view."""
        return self._ask(wire.ReadView(view=view, session=session), ViewDescription)

    def list_views(self, session: str) -> list[ViewDescription]:
        """Describe the views of a session."""
        return self._ask(wire.ListViews(session=session), list[ViewDescription])

    def set_view(self, view: str, session: str, change: StateChange) -> ViewDescription:
        """Set what a view shows. Raises `BridgeError`: no_such_view, bad_request."""
        return self._ask(wire.SetView(view=view, session=session, state=change), ViewDescription)

    def close_view(self, view: str, session: str) -> None:
        """Close a view and its pages. Raises `BridgeError`: no_such_view."""
        self._ask(wire.CloseView(view=view, session=session), NoneType)

    def ask_view(self, view: str, session: str, request: str) -> ViewAnswer:
        """Answer a request of a page without a socket. Raises `BridgeError`: no_such_view."""
        return self._ask(wire.AskView(view=view, session=session, request=request), ViewAnswer)

    def stop(self) -> None:
        """Close all views and end the process. Raises `BridgeError`: bad_request, if it does not end."""
        with suppress(BridgeError):  # it ends already, or does not answer
            self._ask(wire.StopViewer(), NoneType, _STOP_BOUND)
        if not self._ends():
            with suppress(OSError):  # it has ended meanwhile
                os.kill(self.process.pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
            if not self._ends():
                raise BridgeError("bad_request", f"The process {self.process.pid} does not end.")

    def _ends(self) -> bool:
        """Wait until the process has ended; return whether it has."""
        deadline = time.monotonic() + _END_BOUND
        while self.process.runs:
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE)
        return True

    def _ask(self, request: wire.ViewerRequest, kind: type[_T], bound: float = _ANSWER_BOUND) -> _T:
        ended = BridgeError(
            "no_such_view", "The viewer has ended, and its views with it.", "Open the file again."
        )
        if not self.process.runs:
            raise ended
        connection = http.client.HTTPConnection(ADDRESS, self.process.port, timeout=bound)
        try:
            connection.request(
                "POST",
                "/control",
                json.dumps(_builtins(request)),
                {"Authorization": f"Bearer {self.process.secret}", "Content-Type": "application/json"},
            )
            answer = connection.getresponse()
            body = answer.read(_LONGEST + 1)
            if len(body) > _LONGEST:
                raise BridgeError(
                    "too_large",
                    f"The answer of the viewer is longer than {_LONGEST:,} bytes.",
                    "The names of the columns are too long, or there are too many.",
                )
            content = json.loads(body) if answer.status == http.client.OK else None
        except (OSError, http.client.HTTPException, ValueError, RecursionError):
            raise ended from None
        finally:
            connection.close()
        if not isinstance(content, dict):
            raise ended
        return decode_reply(content, kind)


def _builtins(request: wire.ViewerRequest) -> Any:
    import msgspec  # noqa: PLC0415  # with the first request

    return msgspec.to_builtins(request)


def _start(path: Path, lock: int) -> Process:
    """Start the process, which belongs to no terminal and outlives this one. Raises `BridgeError`: bad_request.

    It holds its output until it can be found, or fails. It has the lock as well, which so outlives this process: who looks
    for a viewer waits for one that starts.
    """
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(  # noqa: S603  # our own command
            module_command(COMMAND, str(path), *([] if sys.platform == "win32" else [str(lock)])),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=Path(sys.executable).anchor,
            env=python_environment(),
            **_detached(lock),
        )
        assert child.stdout is not None, "it is a pipe"
        waiting = threading.Thread(target=child.stdout.read, name="start of the viewer", daemon=True)
        waiting.start()
        waiting.join(_START_BOUND)
        process = running(path)
        if process is None:
            _end(child)
            log.seek(0)
            lines = log.read(100_000).decode(errors="replace").strip().split("\n")[-_LOG_LINES:]
            raise BridgeError(
                "bad_request", "The viewer did not start.", " | ".join(line.strip() for line in lines if line)
            )
        child.stdout.close()
        if sys.platform != "win32":
            child.wait()  # it has forked, and ended
    return process


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a process that does not come up, and the one that it has forked."""
    with suppress(OSError):  # they have ended
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _detached(lock: int) -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True, "pass_fds": (lock,)}
