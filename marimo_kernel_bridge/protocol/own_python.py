"""Command lines of this process's own interpreter.

Each has `-P`: without it, `-m` and `-c` put the working directory first on `sys.path`, and a `json.py` in a folder that
somebody downloaded would run in place of Python's. No other module builds such a command line.
"""

from __future__ import annotations

import sys

from marimo_kernel_bridge.protocol.names import MODULE


def own_interpreter() -> str:
    """Return the path of this interpreter, for a process in a folder that has no modules."""
    return sys.executable


def python_command(*arguments: str) -> list[str]:
    """Return the command line that runs this interpreter with options or a script; nothing is imported from the working directory."""
    return [sys.executable, "-P", *arguments]


def module_command(*arguments: str) -> list[str]:
    """Return the command line that runs this package's command line with this interpreter."""
    return python_command("-m", MODULE, *arguments)
