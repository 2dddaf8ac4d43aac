"""The notebook's folder on `sys.path`: it is there for code of the user, not while the kernel starts.

A file of the folder, such as `zmq.py`, would otherwise run when the notebook is opened, in place of a module that the
kernel imports.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

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
