"""The names by which people and programs call a notebook: a path, the end of one, or a `file:` URI. Pure, but for `~` and links."""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import unquote, urlsplit

from marimo_kernel_bridge.protocol.regular_files import LONGEST_PATH

_LONGEST_NAME: Final = 3 * LONGEST_PATH
"""Characters of a path in an address, where each may be `%41`. What is longer names nothing."""
_HERE: Final = frozenset({"", "localhost"})
_TO_HOME: Final = re.compile(r"~(?:[/\\]|$)" if os.name == "nt" else r"~(?:/|$)")


def path_in(text: str) -> str:
    """Return the path in a name: that of a `file:` URI of this machine, `~` as the home directory, else the text itself."""
    text = text.strip()
    if len(text) > _LONGEST_NAME:
        return text
    if text[:5].lower() == "file:":
        try:
            parts = urlsplit(text)
        except ValueError:  # half an IPv6 address
            return text
        if (parts.hostname or "") in _HERE and "\0" not in (path := unquote(parts.path)):
            return _without_drive_slash(path)
    return at_home(text)


def at_home(path: str) -> str:
    """Return a path in which `~` is this user's home directory.

    `~name` is not looked up: whoever may only read would learn from the answers which users this machine has.
    """
    return os.path.expanduser(path) if _TO_HOME.match(path) else path  # noqa: PTH111  # Path's changes what is no path


def is_called(path: str, name: str, *, looks: bool = True) -> bool:
    """Whether a notebook at `path` is meant by a name, as `path_in` returns it: by its whole path or the end of it.

    `looks`: links in `path` may be followed. Not in what a kernel says of itself: looking at a path reaches what is mounted there.
    """
    if max(len(path), len(name)) > LONGEST_PATH:
        return False
    end = "/" + name.removeprefix("./").lstrip("/")
    if f"/{path.lstrip('/')}".endswith(end):
        return True
    if "\0" in name + path or not os.path.isabs(path):  # noqa: PTH117  # a server elsewhere has other paths
        return False
    # Through a link, or from the working directory on: `../orders.ipynb`.
    return os.path.realpath(name) == (os.path.realpath(path) if looks else os.path.normpath(path))


def _without_drive_slash(path: str) -> str:
    return path[1:] if os.name == "nt" and path[2:3] == ":" else path
