"""The notebook's folder on `sys.path`: it is there for code of the user, not while the kernel starts.

A file of the folder, such as `zmq.py`, would otherwise run when the notebook is opened, in place of a module that the
kernel imports.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

CHANGING: Final = threading.RLock()
"""Held where other packages change `sys.path` for a moment: marimo as its kernel is made, debugpy as it is imported.

On two threads at once, one would remove what the other has added.
"""


_OF_SETTINGS: Final[set[str]] = set()
"""Folders on the path that settings name: a `pyproject.toml` of the notebook's folder may, and so whoever made that."""


def add_folders(folders: Iterable[str]) -> None:
    """Let code of the user import from folders that settings name, after all other modules."""
    new = [folder for folder in folders if folder not in sys.path]
    _OF_SETTINGS.update(new)
    sys.path += new


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
    """Stands in the place of `PathFinder`, and finds modules for some threads as if the working directory and folders of settings were not on the path."""

    invalidate_caches = staticmethod(PathFinder.invalidate_caches)
    find_distributions = staticmethod(PathFinder.find_distributions)

    def __init__(self) -> None:
        self._blocks: Counter[int] = Counter()
        self._changing = threading.Lock()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is None and threading.get_ident() in self._blocks:
            path = [entry for entry in sys.path if entry and entry not in _OF_SETTINGS]
        return PathFinder.find_spec(name, path, target)

    def enter(self) -> None:
        with self._changing:
            self._blocks[threading.get_ident()] += 1
            _replace_finder(PathFinder, self)

    def leave(self) -> None:
        thread = threading.get_ident()
        with self._changing:
            self._blocks[thread] -= 1
            if not self._blocks[thread]:
                del self._blocks[thread]
            if not self._blocks:
                _replace_finder(self, PathFinder)

    def keep_own(self) -> None:
        """In a process that was forked, forget the blocks of threads that it does not have."""
        thread = threading.get_ident()
        own = self._blocks[thread]
        self._changing = threading.Lock()  # which such a thread may have held
        self._blocks = Counter({thread: own} if own else ())
        if not own:
            _replace_finder(self, PathFinder)


def _replace_finder(one: object, other: Any) -> None:
    """Replace a finder in its place: other threads may be going through the list, and code of the user may hold it."""
    finders = sys.meta_path
    for place, finder in enumerate(finders):
        if finder is one:
            finders[place] = other


_INSTALLED: Final = _Installed()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_INSTALLED.keep_own)


@contextmanager
def own_imports() -> Iterator[None]:
    """Let imports of this block, on this thread alone, find no module of the working directory or of a folder that settings name.

    Code of the user may run meanwhile.

    For what the kernel imports later, when somebody only looks: who opens a notebook of others runs none of its folder's files.
    """
    if "" not in sys.path and not _OF_SETTINGS:
        yield
        return
    _INSTALLED.enter()
    try:
        yield
    finally:
        _INSTALLED.leave()
