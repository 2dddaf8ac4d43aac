"""Names in a sandbox's folders that other programs would run or follow, and that are not there: code must not make them.

Only what is there can be kept from being written. So each gets an empty folder, which is only read inside, and which is removed
when the last kernel that holds it ends. One that was killed leaves it to the next kernel in that folder.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MODE: Final = 0o500
_TRIES: Final = 10
_CANNOT_BE_MADE: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR})
"""Code, which has the rights of this user, cannot make it, either."""
_NO_LOCKS: Final = frozenset({errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL})
"""What file systems without locks say: Lustre without its option `flock`, some of FUSE and of virtual machines."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class _Held:
    """A placeholder: the open folder that it is in, its name, and itself, open and locked."""

    folder: int
    name: str
    opened: int


@dataclass
class Placeholders:
    """What this process holds."""

    paths: list[str] = field(default_factory=list)
    held: list[_Held] = field(default_factory=list)

    def descriptors(self) -> set[int]:
        """Return what has to stay open."""
        return {descriptor for each in self.held for descriptor in (each.folder, each.opened)}

    def give_back(self) -> None:
        """Remove those that no other kernel holds."""
        for each in self.held:
            with suppress(OSError):
                fcntl.flock(each.opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(each.opened, each.folder, each.name):
                    os.rmdir(each.name, dir_fd=each.folder)
        self.leave()

    def leave(self) -> None:
        """Hold nothing more in this process; another one, which has the same descriptors, still does."""
        descriptors = self.descriptors()
        self.held.clear()  # the numbers may soon be those of others
        for descriptor in descriptors:
            with suppress(OSError):
                os.close(descriptor)


def put(names_in: Mapping[str, Iterable[str]]) -> Placeholders:
    """Make placeholders for the names that are not in the folders that they are to be in. Raises `BridgeError`: sandbox_unavailable."""
    made = Placeholders()
    try:
        for path, names in names_in.items():
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                for name in names:
                    if (opened := _placeholder(folder, name)) is not None:
                        made.paths.append(f"{path}/{name}")
                        made.held.append(_Held(folder, name, opened))
            finally:
                if folder not in made.descriptors():  # by it code reaches what mounts keep
                    os.close(folder)
    except OSError as error:
        made.give_back()
        raise BridgeError(
            "sandbox_unavailable",
            f"What other programs would run cannot be kept from being made in the folder: {error}; nothing was started.",
            "The disk or the quota is full: make room for a few empty folders."
            if error.errno in _FULL
            else "",
        ) from error
    return made


def _placeholder(folder: int, name: str) -> int | None:
    """Return a placeholder, open and locked; None where something else is, or where none can be made. Raises `OSError`."""
    for _ in range(_TRIES):
        made = False
        try:
            os.mkdir(name, _MODE, dir_fd=folder)  # in the folder that is open
            made = True
        except FileExistsError:
            pass
        except OSError as error:
            if error.errno in _CANNOT_BE_MADE:
                return None
            raise
        with suppress(FileNotFoundError):  # another kernel has removed it meanwhile
            if not _is_placeholder(os.lstat(name, dir_fd=folder)):
                return None
            opened = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                _share(opened)
                is_at = _is_at(opened, folder, name)
                is_empty = not os.listdir(opened)  # noqa: PTH208  # by its descriptor
            except OSError:
                os.close(opened)
                if made:
                    with suppress(OSError):
                        os.rmdir(name, dir_fd=folder)
                raise
            if is_at and is_empty:
                return opened
            os.close(opened)
            if is_at:
                return None
    raise OSError(errno.EAGAIN, f"{name} comes and goes")


def _share(opened: int) -> None:
    """Lock a placeholder, as other kernels may. Where there are no locks nobody knows who else holds it, and so it stays. Raises `OSError`."""
    try:
        fcntl.flock(opened, fcntl.LOCK_SH)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def is_one(path: str) -> bool:
    """Return whether a placeholder is at a path: of another kernel, which removes it when it ends, or of one that was killed."""
    try:
        return _is_placeholder(os.lstat(path)) and not os.listdir(path)  # noqa: PTH208
    except OSError:
        return False


def _is_placeholder(status: os.stat_result) -> bool:
    return (
        stat.S_ISDIR(status.st_mode)
        and stat.S_IMODE(status.st_mode) == _MODE
        and status.st_uid == os.getuid()
    )


def _is_at(opened: int, folder: int, name: str) -> bool:
    """Return whether an open folder is still what is at a name."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(opened), os.lstat(name, dir_fd=folder))
    return False
