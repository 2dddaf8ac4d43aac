"""The audit log: one line for each request of an agent to a server of this user, in two files of a limited size.

JSON lines in `marimo_kernel_bridge/audit.jsonl` in Jupyter's data directory, readable by this user only; older ones are in
`audit.1.jsonl`. Arguments are logged as a digest, because they may contain secrets. Each line ends in a digest of itself
and of the line before it, and a server looks whether its newest line is still there: lines that something removed or
changed leave a gap. Code of an agent can do what the user can, also rewrite a whole log, so it is a record of honest
agents, and no evidence against others.
"""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import json
import os
import re
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from jupyter_core.paths import jupyter_data_dir

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.regular_files import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DIGEST: Final = 16  # characters
_LARGEST: Final = 10_000_000
"""Bytes of a file before the next one begins: some 30,000 calls."""
_END: Final = re.compile(r', "chain": "([0-9a-f]{32})"\}\n')
_END_LENGTH: Final = 47
_TIME: Final = re.compile(r'\{"time": "([^"]{1,40})"')
_TRIES: Final = 40
_PAUSE: Final = 0.005
"""Seconds between tries to get at a log that another server writes; a line takes far less."""
_NO_LOCKS: Final = frozenset({errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK})
"""The errors of file systems that have no locks, as some of a network."""


def audit_path() -> Path:
    """Return the path of this user's log."""
    return Path(jupyter_data_dir()) / "marimo_kernel_bridge" / "audit.jsonl"


@dataclass(frozen=True)
class _Place:
    """Where a line ends: in which file, and behind how many bytes; its digest, and its time."""

    file: tuple[int, int]
    end: int
    chain: str
    time: str

    def is_in(self, descriptor: int) -> bool:
        """Whether the line is still there, in an open file."""
        status = os.fstat(descriptor)
        return (status.st_dev, status.st_ino) == self.file and _end_of(descriptor, self.end) == self.chain


class AuditLog:
    """A log file that only this user can read."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or audit_path()
        self._newest: _Place | None = None
        """The newest line of this process."""

    @property
    def older(self) -> Path:
        """The file with the lines before those of the log."""
        return self.path.with_name(f"{self.path.stem}.1{self.path.suffix}")

    def write(self, fields: Mapping[str, Any]) -> None:
        """Append a line, with the time first. Raises `BridgeError`: not_audited."""
        now = _now()
        try:
            descriptor = self._locked()
            try:
                self._append(descriptor, now, {"time": now, **fields})
            finally:
                os.close(descriptor)
        except OSError as error:
            raise BridgeError(
                "not_audited",
                f"The audit log {self.path} cannot be written ({error.strerror}); nothing was done.",
                "Ask the person to make it writable. Reading still works.",
            ) from None

    def problems(self) -> list[str]:
        """Return what is wrong with the chain of lines, a sentence each; [] for a whole log. Raises OSError."""
        found: list[str] = []
        chain: str | None = None
        for path in (self.older, self.path):
            if os.path.lexists(path):
                for number, (line, after, said) in enumerate(_lines(path), 1):
                    at = f"{path.name}, line {number}"
                    if said is None or after is None:
                        found.append(f"{at}: not a line that this version wrote.")
                    elif number == 1 and path == self.path and after != (chain or ""):
                        found.append(f"{at}: the lines before it are gone.")
                    elif _chained(after if number == 1 else chain or after, line) != said:
                        found.append(
                            f"{at}: it or the line before it was changed, or lines between are gone."
                        )
                    elif '"gap": true' in line:
                        found.append(f"{at}: a server found here that lines that it had written were gone.")
                    chain = said
        return found

    def _append(self, descriptor: int, now: str, fields: dict[str, Any]) -> None:
        size = os.fstat(descriptor).st_size
        last = _end_of(descriptor, size) if size else None
        if size == 0 or (self._newest is not None and not self._newest.is_in(descriptor)):
            with self._open_older() as older:
                there = None if older is None else older.fileno()
                if size == 0:
                    last = None if there is None else _end_of(there, os.fstat(there).st_size)
                    fields["after"] = last or ""
                if self._newest is not None and (there is None or not self._newest.is_in(there)):
                    # Servers that began two files since have removed it by right.
                    first = (
                        None if there is None else _TIME.match(_read(there, 0, 100).decode(errors="replace"))
                    )
                    fields |= {} if first is not None and first[1] > self._newest.time else {"gap": True}
        line = json.dumps(fields, ensure_ascii=False).encode(errors="replace").decode()
        chain = _chained(last or "", line)
        start = "" if size == 0 or _read(descriptor, size - 1, 1) == b"\n" else "\n"  # the disk was full
        # A single write: a line is there or not, unless the disk is full.
        whole = f'{start}{line[:-1]}, "chain": "{chain}"}}\n'.encode()
        if os.write(descriptor, whole) < len(whole):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        status = os.fstat(descriptor)
        self._newest = _Place((status.st_dev, status.st_ino), status.st_size, chain, now)

    @contextmanager
    def _open_older(self) -> Iterator[BinaryIO | None]:
        try:
            file = self.older.open("rb")
        except OSError:
            yield None
            return
        with file:
            yield file

    def _locked(self) -> int:
        """Return the open log, which no other server writes until it is closed. Raises OSError."""
        for _ in range(_TRIES):
            descriptor = self._open()
            if _lock(descriptor):
                status = os.fstat(descriptor)
                is_log = os.path.lexists(self.path) and os.path.samestat(status, self.path.lstat())
                if is_log and status.st_size < _LARGEST:
                    return descriptor
                if sys.platform == "win32":  # renames no open file
                    os.close(descriptor)
                    descriptor = -1
                if is_log:
                    self.path.replace(self.older)
            else:
                time.sleep(_PAUSE)
            if descriptor >= 0:
                os.close(descriptor)
        raise OSError(errno.EAGAIN, "another process holds it")

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        flags |= getattr(os, "O_BINARY", 0)  # Windows writes "\r\n" otherwise
        try:
            descriptor = os.open(self.path, flags, 0o600)
        except FileNotFoundError:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path, flags, 0o600)
        if sys.platform != "win32" and os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
        return descriptor


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


def _lock(descriptor: int) -> bool:
    """Lock a file until it is closed; return False if somebody else has it. Not everywhere are there such locks."""
    if sys.platform != "win32":
        import fcntl  # noqa: PLC0415  # not on Windows

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
    return True


def _chained(before: str, line: str) -> str:
    return hashlib.sha256(f"{before}\n{line}".encode()).hexdigest()[:32]


def _end_of(descriptor: int, end: int) -> str | None:
    """Return the digest with which a line ends behind so many bytes; None if none does."""
    found = _END.fullmatch(_read(descriptor, max(0, end - _END_LENGTH), _END_LENGTH).decode(errors="replace"))
    return found[1] if found is not None else None


def _read(descriptor: int, start: int, length: int) -> bytes:
    os.lseek(descriptor, start, os.SEEK_SET)
    return os.read(descriptor, length)


def _lines(path: Path) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield each line without its digest, the digest before it if it is the first of a file (else ""), and its own."""
    content = read_bytes(path, 2 * _LARGEST).decode(errors="replace")
    for number, whole in enumerate(content.split("\n")[:-1]):
        found = _END.search(f"{whole}\n")
        line = whole[: found.start()] + "}" if found is not None else whole
        after = re.search(r', "after": "([0-9a-f]*)"', line) if number == 0 else None
        yield (
            line,
            after[1] if after is not None else (None if number == 0 else ""),
            found[1] if found else None,
        )


def digest(arguments: Mapping[str, Any]) -> str:
    """Return a digest of a call's arguments; equal arguments have equal digests."""
    text = json.dumps(arguments, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:_DIGEST]
