"""The registry's entries as values: a session, its kernel, and what is known of its file.

A session is a notebook's file and an entry. Its id is a digest of the file's path, so that two processes that open the same file
have the same session. Whether it is active is not in the entry: a kernel may end at any time, and its process tells.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from marimo_kernel_bridge.launch.sessions.processes import runs
from marimo_kernel_bridge.protocol.bounds import Bounds

if TYPE_CHECKING:
    from pathlib import Path

State = Literal["active", "suspended"]

FORMAT: Final = 1
DEFAULT_TTL: Final = 3600.0
"""Seconds without a request after which a session's kernel ends itself, unless its session says otherwise."""
_ID: Final = 10  # hexadecimal digits


class SessionKernel(msgspec.Struct, frozen=True):
    """The process of a session's kernel. `started` is as `processes.started` has it."""

    connection_file: str
    pid: int
    started: str

    @property
    def runs(self) -> bool:
        return runs(self.pid, self.started)


class Session(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One session. Times are seconds since the epoch.

    `why` says why it has no kernel. `saved` are digests of what the file may contain without somebody else having written it:
    what was written last, and, while it is being written, what comes next. Without an `interpreter` the kernelspec `marimo`
    is started. Each of its kernels is held to `bounds`.
    """

    id: str
    path: str
    name: str
    description: str = ""
    interpreter: str | None = None
    ttl: float = DEFAULT_TTL
    created: float
    used: float
    client: str = ""
    kernel: SessionKernel | None = None
    why: str = ""
    saved: tuple[str, ...] = ()
    bounds: Bounds = Bounds()
    format: int = FORMAT

    @property
    def state(self) -> State:
        return "active" if self.kernel is not None and self.kernel.runs else "suspended"

    @property
    def why_suspended(self) -> str:
        """Why it has no kernel; "" if nothing is known."""
        if not os.path.isfile(self.path):  # noqa: PTH113  # Path.is_file raises for what no system takes for a name
            return f"{self.path} is gone"
        if self.kernel is not None:
            return "its kernel ended"
        return self.why


def id_of(path: Path) -> str:
    """Return the id of the session of a notebook's file."""
    return hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:_ID]


def reopening(handle: str) -> str:
    """Return what an agent can do when the kernel of the session with this id has ended."""
    return f"open_notebook({handle!r}) starts a new kernel, if list_notebooks has it."


def is_id(text: str) -> bool:
    return len(text) == _ID and all(letter in "0123456789abcdef" for letter in text)


def digest(content: bytes) -> str:
    """Return the digest of a file's content, as entries have it."""
    return hashlib.sha256(content).hexdigest()
