"""The decoding of the requests of our protocols."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from marimo_kernel_bridge.errors import BridgeError

_ONE_AT_A_TIME: Final = threading.Lock()
"""msgspec crashes if two threads look at a class for the first time."""


@dataclass(frozen=True)
class Decoder:
    """A decoder of a protocol's requests: a union of tagged structs, each with the protocol's version.

    `sender` is who sends them, and `hint` what to do where that uses another version.
    """

    protocol: str
    version: int
    sender: str
    hint: str

    def decode(self, content: object, kind: Any) -> Any:
        """Return the request that the content of a message has. Raises `BridgeError`: unsupported_version, bad_request."""
        version = content.get("protocol", self.version) if isinstance(content, dict) else self.version
        if version != self.version:
            raise BridgeError(
                "unsupported_version",
                f"This kernel uses version {self.version} of the {self.protocol} protocol, the {self.sender} {version!r}.",
                self.hint,
            )
        try:
            with _ONE_AT_A_TIME:
                return msgspec.convert(content, kind, str_keys=True)
        except (ValueError, RecursionError) as error:  # half of a surrogate pair is a ValueError
            raise BridgeError(
                "bad_request", f"Not a request of the {self.protocol} protocol: {error}."
            ) from error
