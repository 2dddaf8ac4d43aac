"""The token of the MCP server over HTTP, in a file that only its owner can read.

Each start of a server makes a new one. A client that sends it to a program which listens on the port of a server that has
ended gives away nothing: no server accepts it any more. `kept_token` is for a person who prefers one that stays. Anyone with
the token can run code as this user. It is never in a log, a repr or a message.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.launch.own_files import read_or_make, replace, unusable

if TYPE_CHECKING:
    from pathlib import Path

_BYTES: Final = 32
_SHORTEST: Final = 32  # characters; generated tokens have 43
_LONGEST: Final = 1024


@dataclass(frozen=True)
class Token:
    """A bearer token and its file."""

    path: Path
    value: str = field(repr=False)

    def admits(self, authorization: str | None) -> bool:
        """Return whether an `Authorization` header has the token, compared in constant time."""
        scheme, _, credentials = (authorization or "").partition(" ")
        given = credentials.strip().encode()
        return scheme.lower() == "bearer" and hmac.compare_digest(given, self.value.encode())


def new_token(path: Path) -> Token:
    """Make a token and write it to a file for clients. Raises `BridgeError`: bad_request."""
    value = secrets.token_urlsafe(_BYTES)
    replace(path, value)
    return Token(path, value)


def kept_token(path: Path) -> Token:
    """Return the token of a file, which is made if there is none. Raises `BridgeError`: bad_request."""
    value = read_or_make(path, lambda: secrets.token_urlsafe(_BYTES))
    if not (_SHORTEST <= len(value) <= _LONGEST and value.isprintable() and " " not in value):
        raise unusable(path, f"it contains no token of {_SHORTEST} characters or more")
    return Token(path, value)
