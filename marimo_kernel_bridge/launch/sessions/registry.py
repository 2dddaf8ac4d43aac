"""The registry of sessions: a file for each, which several processes of this user read and write.

A file is replaced in one step, so that a reader finds an entry whole whenever a writer was killed. Who changes an entry holds the lock of that
session, an own file beside it, which the system releases when its holder ends.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import stat
import sys
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from jupyter_core.paths import jupyter_data_dir

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.locks import take
from marimo_kernel_bridge.launch.sessions.entries import FORMAT, Session, is_id
from marimo_kernel_bridge.notebooks.whole_files import DISK_FULL
from marimo_kernel_bridge.protocol.regular_files import read_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FOLDER_VARIABLE: Final = "MARIMO_KERNEL_BRIDGE_SESSIONS"
"""The environment variable that names another folder for the registry."""
_LARGEST: Final = 1_000_000  # bytes of an entry
# Made at the import, by one thread: msgspec crashes if two look at a class for the first time.
_SESSION: Final = msgspec.json.Decoder(Session)
_PAUSE: Final = 0.02
_LOCK_BOUND: Final = 90.0
"""Seconds to wait for somebody else who changes a session: starting a kernel takes a minute at most."""


def registry_folder() -> Path:
    """Return the folder of this user's registry."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named).expanduser() if named else Path(jupyter_data_dir(), "marimo_kernel_bridge", "sessions")


class Registry:
    """The sessions of a folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or registry_folder()

    def get(self, session_id: str) -> Session | None:
        """Return a session; None if there is none, or its file is not one that this user alone can write."""
        return _read(self._file(session_id)) if is_id(session_id) else None

    def all(self) -> list[Session]:
        """Return all sessions, the last used first."""
        try:
            names = os.listdir(self.folder)  # noqa: PTH208  # one call for a hundred files
        except OSError:
            return []
        found = [self.get(name.removesuffix(".json")) for name in names if name.endswith(".json")]
        return sorted(filter(None, found), key=lambda session: (-session.used, session.id))

    def put(self, session: Session) -> None:
        """Write an entry. Raises `BridgeError`: disk_full, not_writable."""
        target = self._file(session.id)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace(target, msgspec.json.encode(session))
        except OSError as error:
            raise not_written(target, error) from error

    def forget(self, session_id: str) -> None:
        """Remove an entry, and with it its lock, which the caller holds. Raises `BridgeError`: not_writable."""
        try:
            self._file(session_id).unlink(missing_ok=True)
            self._lock(session_id).unlink(missing_ok=True)
        except OSError as error:
            raise not_written(self._file(session_id), error) from error

    @asynccontextmanager
    async def changing(self, session_id: str) -> AsyncIterator[None]:
        """Hold the lock of a session. Raises `BridgeError`: notebook_in_use, disk_full, not_writable."""
        deadline = time.monotonic() + _LOCK_BOUND
        while (descriptor := self._locked(session_id)) is None:
            if time.monotonic() > deadline:
                raise BridgeError(
                    "notebook_in_use",
                    f"Another process has been changing the session {session_id} for {_LOCK_BOUND:.0f} s.",
                    "Call again later. list_notebooks shows its state.",
                )
            await asyncio.sleep(_PAUSE)
        try:
            yield
        finally:
            os.close(descriptor)

    def _locked(self, session_id: str) -> int | None:
        """Return the open lock of a session, None if somebody else has it."""
        path = self._lock(session_id)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise not_written(path, error) from error
        with suppress(OSError):  # the file was removed, or somebody else has it
            take(descriptor)
            if sys.platform == "win32" or os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)
        return None

    def _file(self, session_id: str) -> Path:
        return self.folder / f"{session_id}.json"

    def _lock(self, session_id: str) -> Path:
        return self.folder / f"{session_id}.lock"


def replace(target: Path, content: bytes) -> None:
    """Write a file that this user alone may read, in one step, whoever else writes it at the same time. Raises `OSError`."""
    neighbor = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(8)}.tmp")
    try:
        descriptor = os.open(neighbor, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123  # with a mode
            file.write(content)
        neighbor.replace(target)
    finally:
        neighbor.unlink(missing_ok=True)


def _read(path: Path) -> Session | None:
    try:
        status = path.lstat()
        if sys.platform != "win32" and (
            status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        ):
            return None
        session = _SESSION.decode(read_bytes(path, _LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
    return session if session.format == FORMAT and session.id == path.stem else None


def not_written(path: Path, error: OSError) -> BridgeError:
    """Return the refusal for a file that could not be written: it is as it was."""
    if error.errno in DISK_FULL:
        return BridgeError(
            "disk_full",
            f"There is no room for {path}; it was not changed.",
            "Ask the person to free space, then call again.",
        )
    return BridgeError(
        "not_writable",
        f"{path} cannot be written: {error.strerror}.",
        f"{FOLDER_VARIABLE} names another folder for the registry; a notebook needs a folder that can be written.",
    )
