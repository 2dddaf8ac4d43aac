"""What marimo's Kernel changes in the process when it is made, and IPython needs as it was."""

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
    """Restore what marimo replaces: prompts for passwords, opening browsers, the command line."""
    saved_getpass, saved_open, saved_argv = getpass.getpass, webbrowser.open, sys.argv
    try:
        yield
    finally:
        getpass.getpass, webbrowser.open, sys.argv = saved_getpass, saved_open, saved_argv


def leave_imports_alone(glbls: dict[Any, Any]) -> None:
    """Do not pretend that there is a module `micropip`: marimo does by code that it runs in the user's namespace."""
