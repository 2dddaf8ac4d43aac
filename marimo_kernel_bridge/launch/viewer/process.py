"""The viewer's process: views of files, control for those with its secret, and its end when nobody looks any more.

How it is started: `python -m marimo_kernel_bridge viewer-process FILE`, with the path of the file by which it is found. It belongs
to no terminal and to no process that started it, which waits until it closes its output.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import math
import os
import secrets
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from tornado import web

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.viewer import place
from marimo_kernel_bridge.launch.viewer.memory import Rests, have_one_arena
from marimo_kernel_bridge.protocol import view_requests as wire
from marimo_kernel_bridge.protocol.bridge_request import PROTOCOL
from marimo_kernel_bridge.protocol.decoding import Decoder
from marimo_kernel_bridge.protocol.replies import encode_error, encode_result
from marimo_kernel_bridge.viewing.advice import advice
from marimo_kernel_bridge.viewing.server.serving import IDLE, ViewServer
from marimo_kernel_bridge.viewing.server.site import Handler
from marimo_kernel_bridge.viewing.tables import open_file
from marimo_kernel_bridge.viewing.view import Data
from marimo_kernel_bridge.viewing.views import PERSON

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.protocol.messages import Result
    from marimo_kernel_bridge.protocol.replies import Content
    from marimo_kernel_bridge.viewing.server.site import Site
    from marimo_kernel_bridge.viewing.table import Table
    from marimo_kernel_bridge.viewing.view import View

_LOOK: Final = 1.0  # seconds between looks at the files
_LOOK_FOR_REST: Final = 0.5  # seconds
_FOLLOWED: Final = 90.0
"""Seconds after its last request for which the file of an App is followed: one in the background asks once a minute."""
_REST: Final = 10.0
"""Seconds between openings of a file that is written to all the time."""
_DECODER: Final = Decoder(
    "viewer", PROTOCOL, "request", "Stop the viewer (marimo-kernel-bridge view --stop) and call again."
)


class FileViewer:
    """Views of files on one event loop, and who may control them."""

    def __init__(self, secret: str, idle: float = IDLE) -> None:
        """Listen. Whoever knows `secret` has control. `idle`: seconds without a page or a request after which this ends."""
        self._secret = secret
        self._idle = idle
        self.ended = asyncio.Event()
        self.server = ViewServer(idle=idle, more_addresses=[("/control", _Control, {"viewer": self})])
        self._rests = Rests()
        self._used = time.monotonic()
        self._watching: dict[str, asyncio.Task[None]] = {}
        self._looks: WeakKeyDictionary[View, _Looked] = WeakKeyDictionary()
        self._loop = asyncio.get_running_loop()
        self._looking = self._loop.call_later(_LOOK, self._look)
        self._resting = self._loop.call_later(_LOOK_FOR_REST, self._rest)

    def admits(self, authorization: str | None) -> bool:
        """Return whether an `Authorization` header has the secret, compared in constant time."""
        return hmac.compare_digest((authorization or "").encode(), f"Bearer {self._secret}".encode())

    async def answer(self, body: bytes) -> Content:
        """Answer a request for control, in any case."""
        self._used = time.monotonic()
        try:
            try:
                content = json.loads(body)
            except (ValueError, RecursionError):
                raise BridgeError("bad_request", "The request is no JSON.") from None
            return encode_result(await self._answer(_DECODER.decode(content, wire.ViewerRequest)))
        except BridgeError as refusal:
            return encode_error(refusal)

    async def _answer(self, request: wire.ViewerRequest) -> Result:
        match request:
            case wire.OpenFile():
                return await self._open(request)
            case wire.StopViewer():
                self._loop.call_later(0, self.ended.set)  # after the reply
                return None
            case _:
                return await self.server.control.answer(
                    request, "person" if request.session == PERSON else "agent"
                )

    async def _open(self, request: wire.OpenFile) -> Result:
        path = Path(request.path)
        if not path.is_absolute():
            raise BridgeError("bad_request", f"{request.path:.100} is no absolute path.")
        make, title = partial(_opened, path, request.table, request.session), path.name
        if request.table:
            title = f"{title} {request.table}"
        data = Data(f"{path}\0{request.table}", title, "file")
        return await self.server.control.open(data, request.session, make, advice(self.server.port))

    # -- time -----------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Look after the files that somebody looks at, and end when that was long ago."""
        self._looking = self._loop.call_later(_LOOK, self._look)
        views = list(self.server.views)
        for view in views:
            is_seen = self.server.views.unused_since(view) < _FOLLOWED
            if is_seen and view.id not in self._watching:
                task = self._watching[view.id] = self._loop.create_task(self.follow(view))
                task.add_done_callback(partial(self._followed, view.id))
        unused = [time.monotonic() - self._used, *map(self.server.views.unused_since, views)]
        if min(unused) > self._idle:
            self.ended.set()

    def _rest(self) -> None:
        """Give memory back when there is nothing to do."""
        self._resting = self._loop.call_later(_LOOK_FOR_REST, self._rest)
        self._rests.look()

    def _followed(self, view_id: str, _task: object) -> None:
        del self._watching[view_id]

    async def follow(self, view: View) -> None:
        """Show what a file is now, if it is another one than before, or gone, or back again."""
        path, _, table = view.data.key.partition("\0")
        make = partial(_opened, Path(path), table, view.session)
        before = view.table
        look: Callable[[], str] = partial(_is_back, path) if before is None else before.altered
        state = await self.server.opening.run(look)
        if view.table is not before or not state:
            return
        if state == "gone":
            self.server.views.discard(view.end("the file is gone"))
            return
        looked = self._looks.setdefault(view, _Looked())
        if not looked.is_time(
            await self.server.opening.run(partial(_written, path)), is_loading=_loads(before)
        ):
            return
        try:
            async with self.server.control.turn(view.data.key, view.session):
                if view.table is before:
                    await self.server.control.renew(view, make)
        except BridgeError as error:  # it is being written: the next look is soon
            if error.code == "data_gone":
                self.server.views.discard(view.end("the file is gone"))
            return
        looked.opened_at = time.monotonic()

    async def close(self) -> None:
        """Close all views, and the server."""
        self._looking.cancel()
        self._resting.cancel()
        await self.server.close()


@dataclass
class _Looked:
    """What the last look at a changed file has seen, and when it was opened last."""

    written: object = None
    opened_at: float = -math.inf

    def is_time(self, written: object, *, is_loading: bool) -> bool:
        """Return whether to open it: at once, but again only when it rests or some time has passed, and nothing of it loads."""
        rests, self.written = written == self.written, written
        return rests or (not is_loading and time.monotonic() - self.opened_at >= _REST)


def _written(path: str) -> object:
    with suppress(OSError):
        found = Path(path).stat()
        return found.st_ino, found.st_size, found.st_mtime_ns
    return None


def _loads(table: Table | None) -> bool:
    progress = None if table is None else table.progress
    return progress is not None and progress.what != "failed"


def _opened(path: Path, table: str, session: str) -> Table:
    """Open a file. An agent's path was real when it was allowed: a link that came later is not followed."""
    if session != PERSON and Path(os.path.realpath(path)) != path:
        raise BridgeError("data_gone", f"There is no file {path} any more: it is behind a link.")
    return open_file(path, table)


def _is_back(path: str) -> str:
    return "changed" if Path(path).is_file() else ""


class _Control(Handler):
    """The address for control. No page may ask here, even one of ours: browsers say where they come from."""

    def initialize(self, site: Site, viewer: FileViewer | None = None) -> None:
        assert viewer is not None, "the address has one"
        super().initialize(site)
        self.viewer = viewer

    def prepare(self) -> None:
        super().prepare()
        headers = self.request.headers
        if "Origin" in headers or not self.viewer.admits(headers.get("Authorization")):
            raise web.HTTPError(403)

    async def post(self) -> None:
        self.finish(await self.viewer.answer(self.request.body))


async def serve(path: Path, idle: float = IDLE, started: Callable[[], object] = lambda: None) -> None:
    """Be the viewer that a file names, until nobody needs it any more."""
    secret = secrets.token_urlsafe(32)
    viewer = FileViewer(secret, idle)
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):  # Windows
        loop.add_signal_handler(signal.SIGTERM, viewer.ended.set)
    place.publish(path, viewer.server.port, secret)
    started()
    try:
        await viewer.ended.wait()
    finally:
        place.withdraw(path)
        await viewer.close()


def _warm() -> None:
    """Import what opens files, while whoever started this has not yet asked for one."""
    from marimo_kernel_bridge.viewing.tables import duck, files  # noqa: F401, PLC0415  # not before the process can be found

    duck.warm()


def _can_be_found(lock: int | None) -> None:
    """Tell whoever started this, and let the next one look for it."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    if lock is not None:
        os.close(lock)
    threading.Thread(target=_warm, name="imports", daemon=True).start()


def main(arguments: list[str]) -> None:
    """Run the process: FILE, and the descriptor of the lock under which it starts."""
    if hasattr(os, "fork") and os.fork():  # who starts the viewer does not wait for its end
        os._exit(0)
    with suppress(AttributeError, ValueError, OSError):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.chdir(Path(sys.executable).anchor)  # no folder is held
    have_one_arena()
    lock = int(arguments[1]) if len(arguments) > 1 else None
    asyncio.run(serve(Path(arguments[0]), started=partial(_can_be_found, lock)))
    os._exit(0)  # a thread that still reads holds nothing up
