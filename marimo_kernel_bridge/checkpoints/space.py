"""The space that checkpoints take: which blobs are needed, what goes when the quota is exceeded, and who is at work.

Whoever saves or reads holds the lock with others; whoever deletes blobs holds it alone, or deletes none. So no clock decides
whether a blob is new, and a process that was killed holds nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.checkpoints.own_files import PARTIAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from marimo_kernel_bridge.checkpoints.manifest import Manifest

QUOTA: Final = 10_000_000_000
"""The most bytes of all checkpoints of a user, if the disk has more than ten times that."""
_DIGEST: Final = re.compile(rb'"((?:[0-9a-f]{32}){1,2})"')
_YOUNG: Final = 86_400.0
"""Seconds for which a blob is kept where there are no locks."""


@contextmanager
def at_work(folder: Path, *, alone: bool = False) -> Iterator[bool]:
    """Hold the lock of a folder. Yields whether it is held; `alone` does not wait for others."""
    descriptor = _opened(folder / "lock")
    try:
        yield descriptor is not None and _locked(descriptor, alone=alone)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _opened(path: Path) -> int | None:
    # O_NONBLOCK: a pipe of that name would be waited for
    flags = os.O_RDONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_CLOEXEC", 0)
    try:
        return os.open(path, flags, 0o600)
    except OSError:  # a disk that cannot be written
        return None


def _locked(descriptor: int, *, alone: bool) -> bool:
    if sys.platform == "win32":
        return True
    import fcntl  # noqa: PLC0415  # not on Windows

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
    except OSError:  # somebody has it, or the file system has no locks
        return False
    return True


def mentioned(body: bytes) -> frozenset[str]:
    """Return the digests that a manifest mentions, whether it can be trusted and read or not."""
    return frozenset(match.decode() for match in _DIGEST.findall(body))


def sweep(folder: Path, needed: frozenset[str]) -> int:
    """Delete the blobs that are not needed, and partial files. Only for who is alone. Returns the freed bytes."""
    going = [path for path in (folder / "blobs").glob("[0-9a-f]*") if path.name not in needed]
    going += [*folder.glob(f"{PARTIAL}*"), *folder.glob(f"*/{PARTIAL}*")]
    freed = 0
    for path in going:
        with suppress(OSError):  # of another user, say
            status = path.stat(follow_symlinks=False)
            if sys.platform == "win32" and time.time() - status.st_mtime < _YOUNG:
                continue
            path.unlink()
            freed += status.st_size
    return freed


def quota_of(folder: Path, taken: int) -> int:
    """Return the default quota: a tenth of what would be free without checkpoints, at most `QUOTA`."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return QUOTA
    return min(QUOTA, (free + taken) // 10)


def bytes_of(manifests: Iterable[Manifest]) -> int:
    """Return the bytes of the blobs of checkpoints together."""
    return sum({blob.digest: blob.size for each in manifests for blob in each.blobs()}.values())


def superfluous(shelves: Mapping[str, tuple[Manifest, ...]], quota: int) -> list[tuple[str, Manifest]]:
    """Return the automatic checkpoints to delete, by shelf, so that the rest is within the quota.

    The oldest go first, the newest one of each notebook last. `shelves` have the newest first.
    """
    kept = [(shelf, manifest) for shelf, manifests in shelves.items() for manifest in manifests]
    newest = {(shelf, manifests[0].number) for shelf, manifests in shelves.items() if manifests}
    candidates = sorted(
        (each for each in kept if each[1].kind == "automatic"),
        key=lambda each: ((each[0], each[1].number) in newest, each[1].at),
    )
    going: list[tuple[str, Manifest]] = []
    while candidates and bytes_of(manifest for _, manifest in kept) > quota:
        going.append(candidates.pop(0))
        kept.remove(going[-1])
    return going
