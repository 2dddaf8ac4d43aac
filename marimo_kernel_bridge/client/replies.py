"""Parsing of the bridge protocol's replies.

Owns the part that all replies have in common: the kernel's secrets, which observers get before the result is returned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from marimo_kernel_bridge.protocol import messages as wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marimo_kernel_bridge.protocol.inspection import Secret
    from marimo_kernel_bridge.protocol.messages import Content

_T = TypeVar("_T")


class Replies:
    """A parser of replies with observers of the secrets in them."""

    def __init__(self) -> None:
        self._observers: list[Callable[[Sequence[Secret]], None]] = []

    def on_secrets(self, callback: Callable[[Sequence[Secret]], None]) -> None:
        """Call `callback` with the secrets in each reply."""
        self._observers.append(callback)

    def parse(self, content: Content, kind: type[_T]) -> _T:
        """Return a reply's result. Raises the `BridgeError` that it carries, or unsupported_version."""
        result = wire.decode_reply(content, kind)
        secrets = wire.secrets_in(content)
        for observer in self._observers:
            observer(secrets)
        return result
