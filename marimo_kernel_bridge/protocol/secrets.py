"""Secrets of a process: the values of environment variables with telling names, and of all variables in a `.env` file.

Used in the kernel for its environment (a notebook may load a `.env` at any time), and in the MCP process for its own.
The MCP server is responsible for keeping them from a model.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.protocol.inspection import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|PRIVATE|DSN|CONNECTION_STRING", re.IGNORECASE)
_LINE: Final = re.compile(r"""(?m)^[ \t]*+(?:export[ \t]++)?([A-Za-z_]\w*+)[ \t]*+=[ \t]*+([^\n]*+)$""")
_SHORTEST: Final = 8
_LARGEST_FILE: Final = 64 * 1024


def in_environment(environment: Mapping[str, str]) -> list[Secret]:
    """Return the variables with names that identify secrets."""
    return [
        Secret(name, value)
        for name, value in list(environment.items())
        if _NAME.search(name) and _could_be_secret(value)
    ]


def in_dotenv(directory: str) -> list[Secret]:
    """Return the values in a directory's `.env` file."""
    path = Path(directory) / ".env"
    try:
        text = path.read_text(errors="replace") if path.stat().st_size <= _LARGEST_FILE else ""
    except OSError:
        return []
    values = ((name, _unquoted(written.strip())) for name, written in _LINE.findall(text))
    return [Secret(name, value) for name, value in values if _could_be_secret(value)]


def _unquoted(written: str) -> str:
    quoted = len(written) > 1 and written[0] == written[-1] and written[0] in "\"'"
    return written[1:-1] if quoted else written


def _could_be_secret(value: str) -> bool:
    """Return False for words and paths, which also occur in texts without secrets."""
    return (
        len(value) >= _SHORTEST
        and not value.isalpha()
        and not value.isdigit()
        and not Path(value).is_absolute()
    )
