"""The sessions of this user, as tools create, open, close and forget them.

Owns what happens to registry, files and kernels, each under the session's lock, so that two servers start no second kernel. Attaches to
none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from marimo_kernel_bridge.client.notebook_names import at_home
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.sessions import connection_copies
from marimo_kernel_bridge.launch.sessions.called import the_session_called
from marimo_kernel_bridge.launch.sessions.entries import DEFAULT_TTL, Session, digest, id_of, is_id
from marimo_kernel_bridge.launch.sessions.registry import Registry
from marimo_kernel_bridge.notebooks.ipynb import read_notebook
from marimo_kernel_bridge.notebooks.nbformat_json import serialized
from marimo_kernel_bridge.notebooks.whole_files import write_whole
from marimo_kernel_bridge.protocol.bounds import NO_BOUNDS, Bounds
from marimo_kernel_bridge.protocol.regular_files import LARGEST_NOTEBOOK, LONGEST_PATH, pinned, read_bytes

if TYPE_CHECKING:
    from marimo_kernel_bridge.launch.sessions.entries import SessionKernel
    from marimo_kernel_bridge.notebooks.nbformat_json import DocumentJSON

MOST_ACTIVE: Final = 200
"""Kernels of sessions at one time: each needs 35 MB, and four connections of each server that uses it."""
_SUFFIX: Final = ".ipynb"

StartKernel = Callable[[Session], Awaitable["SessionKernel"]]
"""A function that starts the kernel of a session. Raises `BridgeError`."""


FindKernel = Callable[[Session], Awaitable["tuple[SessionKernel, bool] | None"]]
"""A function that finds a kernel of a session that no entry has, and says whether anything is in it."""


class EndKernel(Protocol):
    """A function that ends the kernel of a session."""

    async def __call__(self, kernel: SessionKernel, *, asked: bool) -> None: ...


@dataclass(frozen=True)
class Wanted:
    """What a new session is to be."""

    name: str
    folder: str | None = None
    description: str = ""
    interpreter: str | None = None
    ttl: float = DEFAULT_TTL
    client: str = ""
    bounds: Bounds = NO_BOUNDS


async def end_kernel(kernel: SessionKernel, *, asked: bool) -> None:
    """End the kernel of a session; `asked`: it was told to end itself, and gets some time for that."""
    from marimo_kernel_bridge.launch.sessions.kernels import end  # noqa: PLC0415  # a server starts without jupyter_client

    await end(kernel, asked=asked)


async def start_kernel(session: Session) -> SessionKernel:
    """Start the kernel of a session. Raises `BridgeError`."""
    from marimo_kernel_bridge.launch.sessions.kernels import start  # noqa: PLC0415  # a server starts without jupyter_client

    return await start(session)


async def find_kernel(session: Session) -> tuple[SessionKernel, bool] | None:
    """Return a kernel of a session that runs though no entry has it, and whether anything is in it."""
    from marimo_kernel_bridge.client.connection import marked_files  # noqa: PLC0415  # with jupyter_core

    if not await asyncio.to_thread(marked_files, session.id):
        return None
    from marimo_kernel_bridge.launch.sessions.kernels import find  # noqa: PLC0415  # a server starts without jupyter_client

    return await find(session)


@dataclass(frozen=True)
class KernelFunctions:
    """The functions that start, end and find the kernels of sessions."""

    start: StartKernel = start_kernel
    end: EndKernel = end_kernel
    find: FindKernel = find_kernel


class Sessions:
    """The sessions in a registry. `folder` is where new notebooks go; without, the working directory.

    `root` is a folder in which new notebooks must be as they are written; code of agents may move what is in it.
    `most` is how many kernels there may be at one time, `others()` of them without a session; None: `MOST_ACTIVE` of sessions.
    """

    def __init__(
        self,
        registry: Registry | None = None,
        folder: Path | None = None,
        kernels: KernelFunctions | None = None,
        *,
        root: Path | None = None,
        most: int | None = None,
        others: Callable[[], int] = lambda: 0,
    ) -> None:
        self._registry = registry
        self._folder, self._root = folder, root
        self._kernels = kernels or KernelFunctions()
        self._most, self._others = most, others

    @property
    def registry(self) -> Registry:
        """The registry; where it is depends on the environment of the first use."""
        if self._registry is None:
            self._registry = Registry()
        return self._registry

    def named(self, notebook: str) -> Session:
        """Return the session that a name means (`the_session_called`). Raises `BridgeError`: no_such_notebook."""
        found = the_session_called(self.registry, notebook)
        if found is not None:
            return found
        raise BridgeError(
            "no_such_notebook",
            f"There is no session {notebook[:200]!r}.",
            "list_notebooks shows them. open_notebook takes the path of any .ipynb.",
        )

    def path_of(self, wanted: Wanted) -> Path:
        """Return where the notebook of a new session goes. Raises `BridgeError`: bad_request, output_exists."""
        stem = wanted.name.removesuffix(_SUFFIX)
        if (
            not stem.isprintable()
            or not stem.strip(" .")
            or stem != stem.strip(" .")
            or set("/\\:") & set(stem)
        ):
            raise BridgeError(
                "bad_request",
                f"{wanted.name[:200]!r} is no name of a notebook; nothing was created.",
                "A name without a folder: penguins.",
            )
        try:
            folder = Path(at_home(wanted.folder)) if wanted.folder is not None else self._folder or Path.cwd()
            if not _is_path(str(folder)) or not folder.is_dir():
                raise BridgeError(
                    "bad_request", f"There is no folder {str(folder)[:200]!r}; nothing was created.", ""
                )
            path = folder.resolve() / f"{stem}{_SUFFIX}"
            exists = path.exists()
        except OSError as error:  # a name that is too long, a folder that was deleted or may not be entered
            raise BridgeError(
                "bad_request",
                f"The notebook has no place: {error.strerror}; nothing was created.",
                "Choose a shorter name, or a folder that exists and can be written.",
            ) from error
        if exists:
            raise BridgeError(
                "output_exists",
                f"{path} exists; nothing was created.",
                "open_notebook opens it. Or choose another name.",
            )
        return path

    async def create(self, path: Path, document: DocumentJSON, wanted: Wanted) -> Session:
        """Write a new notebook and its entry. Raises `BridgeError`: output_exists, disk_full, not_writable."""
        content = await asyncio.to_thread(_written, document)
        now = time.time()
        session = Session(
            id=id_of(path),
            path=str(path),
            name=path.stem,
            description=wanted.description,
            interpreter=wanted.interpreter,
            ttl=wanted.ttl,
            created=now,
            used=now,
            client=wanted.client,
            bounds=wanted.bounds,
            saved=(digest(content),),
        )
        async with self.registry.changing(session.id):
            try:
                with pinned(path, self._root) as place:
                    await asyncio.to_thread(write_whole, place, content, overwrite=False)
            except BridgeError as refusal:
                if refusal.code != "bad_request":
                    raise
                hint = "Choose a folder that can be written, on a disk that has hard links."
                raise BridgeError(
                    "not_writable", f"{refusal.message} Nothing was created.", hint
                ) from refusal
            try:
                self.registry.put(session)
            except BridgeError:
                await asyncio.to_thread(_unlink_unchanged, session)
                raise
        return session

    async def taken_back(self, session: Session) -> None:
        """Forget a new notebook whose kernel did not start, with its file, unless somebody has written to that."""
        with suppress(BridgeError):
            async with self.registry.changing(session.id):
                known = self.registry.get(session.id)
                if known is not None and known.kernel is not None:
                    await self._kernels.end(known.kernel, asked=False)
                await asyncio.to_thread(_unlink_unchanged, session)
                self.registry.forget(session.id)

    async def adopt(self, path: Path, client: str, ttl: float = DEFAULT_TTL) -> Session:
        """Return the session of an existing notebook, a new one if it has none. Raises `BridgeError`: bad_notebook, ..."""
        real = await asyncio.to_thread(path.resolve)
        if real.suffix != _SUFFIX:
            raise BridgeError(
                "bad_notebook", f"{real} is no .ipynb.", "import_notebook and export_notebook convert others."
            )
        await asyncio.to_thread(read_notebook, real)
        now = time.time()
        async with self.registry.changing(id_of(real)):
            known = self.registry.get(id_of(real))
            if known is not None:
                return known
            session = Session(
                id=id_of(real), path=str(real), name=real.stem, ttl=ttl, created=now, used=now, client=client
            )
            self.registry.put(session)
            return session

    async def opened(
        self,
        session_id: str,
        client: str,
        interpreter: str | None = None,
        *,
        may_start: bool = True,
        bounds: Bounds = NO_BOUNDS,
    ) -> tuple[Session, bool]:
        """Return a session with a kernel that runs, and whether that was started now, within `bounds` and the session's own.

        Raises `BridgeError`: no_such_notebook, too_many_sessions, no_such_kernelspec, bad_request, kernel_dead, ...
        """
        registry = self.registry
        async with registry.changing(session_id):
            session = self.named(session_id)
            if session.state == "active":
                return session, False
            if not may_start:  # it ended since the permission was looked at
                raise BridgeError(
                    "not_allowed",
                    "The notebook's kernel has ended, and starting one needs the permission 'all'.",
                    "Only the person can change that: marimo-kernel-bridge mcp --allow all. Do not work around it.",
                )
            await asyncio.to_thread(self.require_room)
            session = msgspec.structs.replace(
                session,
                interpreter=interpreter or session.interpreter,
                bounds=session.bounds.stricter(bounds),
            )
            try:
                content = await asyncio.to_thread(_content, session)
                found = await self._kernels.find(session)
                kernel, used = found or (await self._kernels.start(session), False)
            except BridgeError as refusal:
                registry.put(msgspec.structs.replace(session, kernel=None, why=refusal.message))
                raise
            session = msgspec.structs.replace(
                session, kernel=kernel, why="", used=time.time(), client=client, saved=(digest(content),)
            )
            try:
                registry.put(session)
            except BridgeError:  # nobody would find the kernel
                await self._kernels.end(kernel, asked=False)
                raise
            await asyncio.to_thread(connection_copies.keep, registry.folder, session)
            return session, not used

    async def closed(self, session_id: str, why: str, *, asked: bool) -> Session:
        """End the kernel of a session, if it has one; `asked`: it was told to end itself."""
        async with self.registry.changing(session_id):
            session = self.named(session_id)
            if session.kernel is not None:
                await self._kernels.end(session.kernel, asked=asked)
            connection_copies.forget(self.registry.folder, session_id)
            session = msgspec.structs.replace(session, kernel=None, why=why, used=time.time())
            self.registry.put(session)
            return session

    async def deleted(self, session: Session, *, file: bool) -> None:
        """Forget a session, whose kernel was ended; with `file`, delete its notebook. Raises `BridgeError`."""
        async with self.registry.changing(session.id):
            if file:
                try:
                    await asyncio.to_thread(Path(session.path).unlink, missing_ok=True)
                except OSError as error:
                    raise BridgeError(
                        "bad_request",
                        f"{session.path} cannot be deleted: {error.strerror}; the session is still there.",
                        "Without file=true it is forgotten, and the file stays.",
                    ) from error
            self.registry.forget(session.id)
            connection_copies.forget(self.registry.folder, session.id)

    def require_room(self) -> None:
        """Raise `BridgeError` too_many_sessions if there may be no more kernels."""
        running = sum(session.state == "active" for session in self.registry.all())
        most = MOST_ACTIVE
        if self._most is not None:
            most, running = self._most, running + self._others()
        if running >= most:
            raise BridgeError(
                "too_many_sessions",
                f"{most} {'session has its kernel' if most == 1 else 'sessions have kernels'}, as many as may have; nothing was "
                "started.",
                "close_notebook those that nobody needs now; their kernels also end by themselves when nobody uses them.",
            )


def _written(document: DocumentJSON) -> bytes:
    return serialized(document).encode()


def _content(session: Session) -> bytes:
    """Return the content of a session's file. Raises `BridgeError`: no_such_notebook."""
    try:
        return read_bytes(session.path, LARGEST_NOTEBOOK)
    except OSError as error:
        raise BridgeError(
            "no_such_notebook",
            f"{session.path} cannot be read: {error.strerror}; no kernel was started.",
            "If it was moved, open_notebook takes its new path; delete_notebook forgets the session.",
        ) from error


def _unlink_unchanged(session: Session) -> None:
    """Remove a session's file if nobody has written to it."""
    with suppress(OSError):
        if digest(read_bytes(session.path, LARGEST_NOTEBOOK)) in session.saved:
            Path(session.path).unlink()


def _is_path(text: str) -> bool:
    return bool(text) and "\0" not in text and len(text) <= LONGEST_PATH and not is_id(text)
