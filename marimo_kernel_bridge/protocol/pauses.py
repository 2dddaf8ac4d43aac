"""The person's pauses of agents, as files: they hold over restarts of kernels and servers, and bind both.

One file for each pause, in `marimo_kernel_bridge/paused` of Jupyter's data directory. A pause has the name of what is
paused: the path of a notebook, the id of a kernel without one, or `EVERYTHING`. A file is looked for each time, so that
a pause holds at once, whoever made it.
"""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jupyter_core.paths import jupyter_data_dir

from marimo_kernel_bridge.protocol.regular_files import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

EVERYTHING: Final = "everything"
_LONGEST: Final = 5000
_DECIDE: Final = tuple(
    """JUPYTER_DATA_DIR JUPYTER_PLATFORM_DIRS JUPYTER_CONFIG_DIR JUPYTER_NO_CONFIG XDG_DATA_HOME HOME USERPROFILE
    HOMEDRIVE HOMEPATH APPDATA LOCALAPPDATA""".split()  # noqa: SIM905  # a list of words
)
"""The variables that decide where Jupyter's data directory is, which takes long to be asked for in each call."""


def pause(name: str) -> None:
    """Pause agents. Raises OSError."""
    path = _file(name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        os.write(descriptor, name.encode(errors="surrogateescape"))
    finally:
        os.close(descriptor)


def resume(name: str) -> bool:
    """Let agents go on; return whether they were paused under this name. Raises OSError."""
    try:
        _file(name).unlink()
    except FileNotFoundError:
        return False
    return True


def paused(*names: str | None) -> bool:
    """Return whether agents are paused everywhere or under one of these names."""
    return any(os.path.lexists(_file(name)) for name in (EVERYTHING, *names) if name)


def pauses() -> list[str]:
    """Return the names of all pauses."""
    folder = _folder()
    try:
        files = os.listdir(folder)  # noqa: PTH208  # takes half the time, in each call
    except OSError:
        return []
    return sorted(_names(Path(folder, file) for file in files))


def of_notebook(path: str) -> str:
    """Return the name of a pause of a notebook."""
    return os.path.realpath(path)


def _names(paths: Iterable[Path]) -> Iterable[str]:
    for path in paths:
        try:
            yield read_bytes(path, _LONGEST).decode(errors="surrogateescape")
        except OSError:  # ended in the meantime
            continue


def _folder() -> Path:
    return _folder_in(tuple(map(os.environ.get, _DECIDE)))


@lru_cache(maxsize=1)
def _folder_in(_environment: tuple[str | None, ...]) -> Path:
    return Path(jupyter_data_dir(), "marimo_kernel_bridge", "paused")


def _file(name: str) -> Path:
    return _folder() / hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:32]
