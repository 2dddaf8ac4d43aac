"""Programs that this package starts, none of which is the working directory's: its own interpreter, and those on PATH.

Command lines of the interpreter have `-P`: without it, `-m` and `-c` put the working directory first on `sys.path`, and
a `json.py` in a folder that somebody downloaded would run in place of Python's. A `PYTHONPATH` that ends in a colon does
that in spite of it.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from marimo_kernel_bridge.protocol.names import MODULE


def own_interpreter() -> str:
    """Return the path of this interpreter, for a process in a folder that has no modules."""
    return sys.executable


def python_command(*arguments: str) -> list[str]:
    """Return the command line that runs this interpreter with options or a script; nothing is imported from the working directory."""
    return [sys.executable, "-P", *arguments]


def python_environment() -> dict[str, str]:
    """Return this process's environment without what puts the working directory on Python's path: entries that are empty or relative."""
    environment = dict(os.environ)
    parts = environment.pop("PYTHONPATH", "").split(os.pathsep)
    if kept := [part for part in parts if os.path.isabs(part)]:  # noqa: PTH117
        environment["PYTHONPATH"] = os.pathsep.join(kept)
    return environment


def module_command(*arguments: str) -> list[str]:
    """Return the command line that runs this package's command line with this interpreter."""
    return python_command("-m", MODULE, *arguments)


def program_on_path(name: str, path: str | None = None) -> str | None:
    """Return a program on a search path, by default PATH; None if there is none, or the working directory's comes first.

    Windows looks there first, other systems where PATH has a relative or empty part.
    """
    found = shutil.which(name, path=path)
    if found is None or not Path(found).is_absolute():
        return None
    return None if Path(found).parent.resolve() == Path.cwd() else found
