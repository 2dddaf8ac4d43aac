"""The notebook's folder on `sys.path`: it is there for code of the user, not while the kernel starts.

A file of the folder, such as `zmq.py`, would otherwise run when the notebook is opened, in place of a module that the
kernel imports.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec

CHANGING: Final = threading.RLock()
"""Held where other packages change `sys.path` for a moment: marimo as its kernel is made, debugpy as it is imported.

On two threads at once, one would remove what the other has added.
"""


def add_working_directory() -> None:
    """Let imports find modules of the working directory, unless `PYTHONSAFEPATH` is set.

    It comes where IPython puts it: after the standard library, before installed packages. IPython itself adds nothing
    in an interpreter that was started with `-P`, as the kernel is.
    """
    if "" in sys.path or (os.environ.get("PYTHONSAFEPATH") and not sys.flags.ignore_environment):
        return
    folders = [os.path.basename(folder) for folder in sys.path]  # noqa: PTH119  # entries need not be paths
    installed = next(
        (place for place, name in enumerate(folders) if name in {"site-packages", "dist-packages"}), 0
    )
    sys.path.insert(installed, "")


@contextmanager
def without_working_directory() -> Iterator[None]:
    """Let imports of this block find no module of the working directory, also after code of the user has run."""
    if "" not in sys.path:
        yield
        return
    place = sys.path.index("")
    del sys.path[place]
    try:
        yield
    finally:
        sys.path.insert(place, "")


class _Installed:
    """Finds modules for one thread as if the working directory were not on the path."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: object = None
    ) -> ModuleSpec | None:
        """Find a module. Raises `ModuleNotFoundError`: no other finder is asked, which would look into the folder."""
        if path is not None or threading.get_ident() != self._thread:
            return None
        del target
        for finder in sys.meta_path:
            if finder is PathFinder:
                found = PathFinder.find_spec(name, [entry for entry in sys.path if entry])
            else:
                found = None if finder is self else finder.find_spec(name, None)
            if found is not None:
                return found
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextmanager
def own_imports() -> Iterator[None]:
    """Let imports of this block, on this thread alone, find no module of the working directory: code of the user may run meanwhile.

    For what the kernel imports later, when somebody only looks: who opens a notebook of others runs none of its folder's files.
    """
    if "" not in sys.path:
        yield
        return
    finder = _Installed()
    # New lists: another thread may be going through the one that there is.
    sys.meta_path = [finder, *sys.meta_path]
    try:
        yield
    finally:
        sys.meta_path = [one for one in sys.meta_path if one is not finder]
