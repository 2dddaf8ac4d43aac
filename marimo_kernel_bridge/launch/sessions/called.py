"""Which sessions a name means, whichever argument it is given as.

It is an id, the name that the notebook was created with, its path, the end of its path, or a `file:` URI.

Rule 1: an id, and the path of a session's file, mean that session alone.
Rule 2: the path of another notebook that is there means no session, whatever it ends in.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.sessions.entries import id_of
from marimo_kernel_bridge.protocol.regular_files import LONGEST_PATH

if TYPE_CHECKING:
    from marimo_kernel_bridge.launch.sessions.entries import Session
    from marimo_kernel_bridge.launch.sessions.registry import Registry

_SUFFIX: Final = ".ipynb"
_MOST_NAMED: Final = 10


def sessions_called(registry: Registry, name: str) -> list[Session]:
    """Return the sessions that a name means, the last used first. Reads the registry's files."""
    from marimo_kernel_bridge.client.notebook_names import is_called, path_in  # noqa: PLC0415  # a server starts without it

    name, path = name.strip(), path_in(name)
    if not path or "\0" in path or len(path) > LONGEST_PATH:
        return []
    found = registry.get(name) or registry.get(id_of(Path(path)))
    if found is not None:
        return [found]
    if path.endswith(_SUFFIX) and os.path.isfile(path):  # noqa: PTH113  # Path.is_file raises for what no system takes for a name
        return []
    return [session for session in registry.all() if session.name == name or is_called(session.path, path)]


def the_session_called(registry: Registry, name: str) -> Session | None:
    """Return the only session that a name means, None if it means none. Raises `BridgeError` no_such_notebook if it means several."""
    found = sessions_called(registry, name)
    if len(found) > 1:
        listed = ", ".join(f"{session.id} ({session.path})" for session in found[:_MOST_NAMED])
        raise BridgeError(
            "no_such_notebook",
            f"{len(found)} notebooks are called {name[:200]!r}: {listed}.",
            "Give one's id or whole path.",
        )
    return found[0] if found else None
