"""Process state that marimo's Kernel replaces when it is created, and that IPython needs unchanged."""

from __future__ import annotations

import contextlib
import getpass
import sys
import webbrowser
from typing import TYPE_CHECKING, Any

from marimo_kernel_bridge.startup.import_path import CHANGING, add_folders

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def preserved() -> Iterator[None]:
    """Restore the password prompt, the function that opens browsers, `sys.argv`, and `sys.path`, which marimo changes.

    It puts the notebook's folder first on the path, where its modules would take the place of Python's.
    """
    saved_getpass, saved_open, saved_argv = getpass.getpass, webbrowser.open, sys.argv
    with CHANGING:
        saved_path = sys.path.copy()
        try:
            yield
        finally:
            getpass.getpass, webbrowser.open, sys.argv = saved_getpass, saved_open, saved_argv
            sys.path[:] = saved_path


def add_to_path(folders: object) -> None:
    """Let user code import from the folders of marimo's setting `pythonpath`, after all other modules."""
    if isinstance(folders, list):
        add_folders(folder for folder in folders if isinstance(folder, str))


def leave_imports_alone(glbls: dict[Any, Any]) -> None:
    """Do nothing, in place of marimo's function that makes a fake module `micropip` importable from user code."""
