"""Marks in place of secrets, in what an agent or a plugin sends back: as code they would replace the secret."""

from __future__ import annotations

from typing import Any

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.redaction import has_mark


def require_no_mark(value: Any) -> None:  # JSON, or objects with fields
    """Raise `BridgeError` redaction_mark if there is a mark in arguments or code."""
    if has_mark(value):
        raise mark_refused()


def mark_refused() -> BridgeError:
    """Return the refusal of code with a mark."""
    return BridgeError(
        "redaction_mark",
        "The arguments hold a mark <<redacted:...>> that stands for a secret; as code it would replace the secret.",
        "Leave that line to the person, or read the value at run time (os.environ).",
    )
