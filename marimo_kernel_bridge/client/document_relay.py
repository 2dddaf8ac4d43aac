"""The relay between VS Code's extension, which cannot open a kernel's sockets, and the kernels of its notebooks.

Owns finding the kernel of each notebook that the extension watches, and passing on messages of the document protocol.
Knows nothing of their content. `relay_lines` defines the lines between the extension and this process.

A kernel belongs to a notebook by its own description. Two windows with the same file have a kernel each: of several, the
relay takes the one that its own parent process, the window's extension host, has started, else the newest.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self, assert_never

from marimo_kernel_bridge import __version__
from marimo_kernel_bridge.client import relay_lines as lines
from marimo_kernel_bridge.client.connection import connection_files, listens, read_connection, stale
from marimo_kernel_bridge.client.endpoint import open_channels
from marimo_kernel_bridge.client.link import KernelLink
from marimo_kernel_bridge.client.reads import Reads
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.document import DOCUMENT, DOCUMENT_PROTOCOL, DOCUMENT_REQUEST
from marimo_kernel_bridge.protocol.messages import encode_error
from marimo_kernel_bridge.protocol.names import kernel_id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from marimo_kernel_bridge.client.channels import Channels, Message
    from marimo_kernel_bridge.client.connection import Channel
    from marimo_kernel_bridge.client.endpoint import Endpoint
    from marimo_kernel_bridge.protocol.messages import Content

logger = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 15.0
"""Seconds between looks for the kernels of notebooks that have none. A look tries each connection file whose kernel is unknown."""

_ATTACH_BOUND: Final = 2.0
_ANSWER_BOUND: Final = 10.0
_AT_ONCE: Final = 8


@dataclass(eq=False)
class _Kernel:
    """A reactive kernel to which there is a link; the link's listener."""

    path: Path
    changed: int
    relay: Relay
    notebook: str | None = None
    own: bool = False
    link: KernelLink = field(init=False)
    reads: Reads = field(init=False)

    def on_message(self, channel: Channel, message: Message, *, asked: bool) -> None:
        del asked
        if channel == "iopub" and message.msg_type == DOCUMENT:
            self.relay.pass_on(self, message.content)

    def on_end(self, why: BridgeError) -> None:
        self.relay.lost(self, why)


class Relay:
    """The state of one relay process. `say` writes a line; `take` is called with each line of the extension."""

    def __init__(
        self,
        say: Callable[[lines.Said], None],
        open_channels: Callable[[Endpoint, str], Channels] = open_channels,
    ) -> None:
        self._say = say
        self._open_channels = open_channels
        self._kernels: dict[Path, _Kernel] = {}
        # Files of kernels that no watched notebook has, by the time of their last change.
        self._others: dict[Path, int] = {}
        self._watched: dict[str, _Kernel | None] = {}  # by the path that the extension uses
        self._asked: set[str] = set()  # those whose kernel is told again after the next look
        self._tasks: set[asyncio.Task[None]] = set()
        self._wanted = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._say(lines.Hello(version=__version__, document=DOCUMENT_PROTOCOL))
        self._start(self._look_on())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(kernel.link.close() for kernel in self._kernels.values()))

    def take(self, line: lines.Taken) -> None:
        """Handle a line of the extension; answers follow as lines."""
        match line:
            case lines.Watch():
                if line.notebook not in self._watched:
                    self._others.clear()  # one of them may be its kernel
                kernel = self._watched.setdefault(line.notebook, None)
                if kernel is None or not kernel.own:  # the window may have started one of its own since
                    self._asked.add(line.notebook)
                    self._wanted.set()
                else:  # the notebook was renamed, and is opened by its new name
                    self._say(lines.KernelSaid(notebook=line.notebook, kernel=kernel_id_of(kernel.path)))
            case lines.Unwatch():
                self._watched.pop(line.notebook, None)
            case lines.Renamed():
                # The kernel goes on describing itself by the name that the file had when it started.
                if line.before in self._watched:
                    kernel = self._watched[line.after] = self._watched.pop(line.before)
                    if kernel is not None:
                        kernel.notebook = line.after
            case lines.Ask():
                self._start(self._answer(line))
            case _:
                assert_never(line)

    def pass_on(self, kernel: _Kernel, order: Content) -> None:
        """Pass an order of a kernel on to the extension."""
        for notebook, of in self._watched.items():
            if of is kernel:
                self._say(lines.OrderSaid(notebook=notebook, order=order))

    def lost(self, kernel: _Kernel, why: BridgeError) -> None:
        """Forget a kernel that has ended. Its notebook may get another one, behind the same file or not."""
        self._drop(kernel)
        self._others.clear()
        for notebook in [notebook for notebook, of in self._watched.items() if of is kernel]:
            self._watched[notebook] = None
            self._say(lines.KernelSaid(notebook=notebook, kernel=None, problem=why.message))
        self._wanted.set()

    async def look(self) -> None:
        """Find the kernels of the notebooks that have none, or of which the extension has asked again."""
        asked, self._asked = self._asked, set()
        files = connection_files()
        self._others = {path: changed for path, changed in self._others.items() if path in files}
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def know(path: Path) -> None:
            async with at_once:
                await self._know(path)

        await asyncio.gather(*(know(path) for path in files))
        for notebook in [name for name, kernel in self._watched.items() if kernel is None or name in asked]:
            kernels = [kernel for path in files if (kernel := self._kernels.get(path)) is not None]
            found = [one for one in kernels if one.notebook is not None and _same(one.notebook, notebook)]
            if found:
                kernel = self._watched[notebook] = next((one for one in found if one.own), found[0])
                self._say(lines.KernelSaid(notebook=notebook, kernel=kernel_id_of(kernel.path)))
        watched = list(self._watched.values())
        for kernel in [
            one for one in self._kernels.values() if one.notebook is not None and one not in watched
        ]:
            self._drop(kernel)
            self._others[kernel.path] = kernel.changed

    async def _look_on(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            if None not in self._watched.values():
                await self._wanted.wait()
            if self._wanted.is_set():
                self._wanted.clear()
                pause = _FIRST_PAUSE
            try:
                await self.look()
            except OSError as error:  # of the runtime directory
                logger.warning("%s", error)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wanted.wait()
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _know(self, path: Path) -> None:
        """Attach to the kernel of a file, if it is a reactive one, and ask for its notebook until it knows it."""
        try:
            kernel = self._kernels.get(path) or await self._attached(path)
            if kernel is not None and kernel.notebook is None:
                description = await kernel.reads.describe()
                kernel.notebook, kernel.own = description.notebook, _is_of_our_parent(description.pid)
        except (BridgeError, OSError) as problem:
            logger.info("%s", problem)

    async def _attached(self, path: Path) -> _Kernel | None:
        """Attach to the kernel of a file; None if it is that of no watched notebook. Raises `BridgeError`, OSError."""
        changed = os.stat(path).st_mtime_ns  # noqa: PTH116  # one call, of a local folder
        if self._others.get(path) == changed:
            return None
        connection = read_connection(path)
        if not await listens(connection):
            raise stale(connection)
        kernel = _Kernel(path, changed, self)
        # Without a name, so that it does not count as an agent.
        kernel.link = KernelLink(self._open_channels(connection, ""), kernel)
        kernel.reads = Reads(kernel.link, "")
        try:
            await kernel.link.open(_ATTACH_BOUND)
        except BaseException:
            await kernel.link.close()
            raise
        if not kernel.link.info.reactive:
            await kernel.link.close()
            self._others[path] = changed
            return None
        self._kernels[path] = kernel
        return kernel

    def _kernel_of(self, notebook: str) -> _Kernel:
        kernel = self._watched.get(notebook)
        if kernel is None:
            raise BridgeError("no_such_notebook", f"No running kernel is that of {notebook}.")
        return kernel

    def _drop(self, kernel: _Kernel) -> None:
        if self._kernels.get(kernel.path) is kernel:
            del self._kernels[kernel.path]
        self._start(kernel.link.close())

    async def _answer(self, ask: lines.Ask) -> None:
        try:
            kernel = self._kernel_of(ask.notebook)
            reply = await kernel.link.ask("control", DOCUMENT_REQUEST, ask.content, _ANSWER_BOUND)
        except BridgeError as refusal:
            reply = encode_error(refusal)
        self._say(lines.ReplySaid(id=ask.id, reply=reply))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _same(one: str, other: str) -> bool:
    return os.path.normcase(os.path.realpath(one)) == os.path.normcase(os.path.realpath(other))


def _is_of_our_parent(pid: int) -> bool:
    """Return whether a process was started by this process's parent, directly or by another."""
    import psutil  # type: ignore[import-untyped]  # it has no types  # noqa: PLC0415  # slow to import

    try:
        return os.getppid() in {parent.pid for parent in psutil.Process(pid).parents()}
    except psutil.Error:  # ended, or on another machine
        return False
