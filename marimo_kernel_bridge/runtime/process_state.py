"""Process state that marimo's Kernel replaces when it is created, and that IPython needs unchanged."""

from __future__ import annotations

import contextlib
import getpass
import sys
import webbrowser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def preserved() -> Iterator[None]:
    """Restore the password prompt, the function that opens browsers, and `sys.argv`, which marimo replaces."""
    saved_getpass, saved_open, saved_argv = getpass.getpass, webbrowser.open, sys.argv
    try:
        yield
    finally:
        getpass.getpass, webbrowser.open, sys.argv = saved_getpass, saved_open, saved_argv


def leave_imports_alone(glbls: dict[Any, Any]) -> None:
    """Do nothing, in place of marimo's function that makes a fake module `micropip` importable from user code."""
