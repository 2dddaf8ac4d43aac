"""The audit log: one line for each request of an agent to a server of this user. Append-only.

JSON lines in `marimo_kernel_bridge/audit.jsonl` in Jupyter's data directory, readable by this user only. Arguments
are logged as a digest, because they may contain secrets. This process never changes a line; code of an agent can do what the
user can, so the log is a record of honest agents only.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jupyter_core.paths import jupyter_data_dir

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Mapping

_DIGEST: Final = 16  # characters


def audit_path() -> Path:
    """Return the path of this user's log."""
    return Path(jupyter_data_dir()) / "marimo_kernel_bridge" / "audit.jsonl"


class AuditLog:
    """A log file that only this user can read."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or audit_path()

    def write(self, fields: Mapping[str, Any]) -> None:
        """Append a line, with the time first. Raises `BridgeError`: not_audited."""
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, **fields}, ensure_ascii=False) + "\n"
        try:
            descriptor = self._open()
            try:
                os.write(
                    descriptor, line.encode(errors="replace")
                )  # a single write, so that lines of two servers do not mix
            finally:
                os.close(descriptor)
        except OSError as error:
            raise BridgeError(
                "not_audited",
                f"The audit log {self.path} cannot be written ({error.strerror}); nothing was done.",
                "Ask the person to make it writable. Reading still works.",
            ) from None

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        try:
            descriptor = os.open(self.path, flags, 0o600)
        except FileNotFoundError:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path, flags, 0o600)
        if sys.platform != "win32" and os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
        return descriptor


def digest(arguments: Mapping[str, Any]) -> str:
    """Return a digest of a call's arguments; equal arguments have equal digests."""
    text = json.dumps(arguments, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:_DIGEST]
