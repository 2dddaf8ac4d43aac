"""The person's browser, which shows an address that nobody else may see."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final

from marimo_kernel_bridge.protocol.own_python import python_command, python_environment

_OURS: Final = re.compile(r"http://127\.0\.0\.1:([1-9][0-9]{0,4})/(?:open)?\?code=[A-Za-z0-9_-]{1,200}")
"""The form of the addresses of pages of this package: a view's, and the editor's."""
_LAST_PORT: Final = 65_535

_OPEN: Final = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"
_BOUND: Final = 20.0  # seconds
_READ_BY: Final = 30.0  # seconds after which a browser has read the file


def port_of_own_page(url: str) -> int | None:
    """Return the port of an address of the form that pages of this package have, on this machine's loopback; None for any other.

    A kernel says it, and may say any. What listens there may be code of the kernel: that draws in it what it likes.
    """
    found = _OURS.fullmatch(url)
    return int(found[1]) if found is not None and int(found[1]) <= _LAST_PORT else None


def show(url: str) -> bool:
    """Open an address of that form in the browser of this desktop. Return whether there is one that did.

    By a file of this user's alone, which leads there: other users see the arguments of processes. A process of its own, because
    standard output is the protocol's.
    """
    if port_of_own_page(url) is None or not _has_desktop():
        return False
    folder = tempfile.TemporaryDirectory(prefix="marimo-open-")  # of this user alone
    page = Path(folder.name) / "open.html"
    page.write_text(f'<meta http-equiv="refresh" content="0; url={html.escape(url)}">', encoding="utf-8")
    silent = subprocess.DEVNULL
    try:
        command = python_command("-c", _OPEN, page.as_uri())
        done = subprocess.run(  # noqa: S603  # our own command
            command,
            stdin=silent,
            stdout=silent,
            stderr=silent,
            timeout=_BOUND,
            check=False,
            env=python_environment(),
        )
        opened = done.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        opened = False
    cleaning = threading.Timer(_READ_BY if opened else 0.0, folder.cleanup)
    cleaning.daemon = True
    cleaning.start()
    return opened


def _has_desktop() -> bool:
    if "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform in {"darwin", "win32"} or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
