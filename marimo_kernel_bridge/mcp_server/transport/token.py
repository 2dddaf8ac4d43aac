"""The token of the MCP server over HTTP: a file that only its owner can read.

Created once, for all servers and clients of this user; after the file is deleted, the next server creates another one.
Anyone with the token can run code as this user, so a file that others can read is refused, not repaired: they may have
read it already. The token is never in a log, a repr or a message.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from jupyter_core.paths import jupyter_data_dir

from marimo_kernel_bridge.errors import BridgeError

_BYTES: Final = 32
_SHORTEST: Final = 32  # characters; generated tokens have 43
_LONGEST: Final = 1024


@dataclass(frozen=True)
class Token:
    """A bearer token and its file."""

    path: Path
    value: str = field(repr=False)

    def admits(self, authorization: str | None) -> bool:
        """Return whether an `Authorization` header has the token, compared in constant time."""
        scheme, _, credentials = (authorization or "").partition(" ")
        given = credentials.strip().encode()
        return scheme.lower() == "bearer" and hmac.compare_digest(given, self.value.encode())


def token_path() -> Path:
    return Path(jupyter_data_dir(), "marimo-kernel-bridge", "mcp-token")


def read_or_make_token() -> Token:
    """Return this user's token. Raises `BridgeError`: bad_request, if its file is unsafe or cannot be used."""
    path = token_path()
    try:
        if not path.is_symlink() and not path.exists():
            _make(path)
        return Token(path, _read(path))
    except OSError as error:
        raise BridgeError(
            "bad_request",
            f"The token cannot be kept in {path}: {error.strerror}.",
            "Set JUPYTER_DATA_DIR to a folder that you can write to.",
        ) from error


def _make(path: Path) -> None:
    """Write a new token; if another server was faster, keep its token."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # mkstemp creates the file with mode 0600. The link publishes it with its content, or fails if the name exists.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".mcp-token-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(_BYTES) + "\n")
        with suppress(FileExistsError):
            Path(path).hardlink_to(temporary)
    finally:
        Path(temporary).unlink()


def _read(path: Path) -> str:
    # O_NONBLOCK: opening a fifo of that name must not block before fstat reports its type.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        _judge(path, os.fstat(file.fileno()))
        text = file.read(_LONGEST + 1)
    value = text.decode("ascii", "replace").strip()
    if not (_SHORTEST <= len(value) <= _LONGEST and value.isprintable() and " " not in value):
        raise _unsafe(path, f"it contains no token of {_SHORTEST} characters or more")
    return value


def _judge(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _unsafe(path, "it is not a regular file")
    if sys.platform == "win32":  # user ids and modes have no meaning on Windows
        return
    if status.st_uid != os.getuid():
        raise _unsafe(path, f"it belongs to user id {status.st_uid}, and we run as {os.getuid()}")
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _unsafe(path, f"other users can reach it (mode {stat.S_IMODE(status.st_mode):o})")


def _unsafe(path: Path, why: str) -> BridgeError:
    return BridgeError(
        "bad_request",
        f"The token in {path} is not used: {why}.",
        "Delete the file: the next start makes a new token, and clients need a new --print-config.",
    )
