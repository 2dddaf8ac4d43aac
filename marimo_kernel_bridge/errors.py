"""Requests that cannot be honoured, each with a stable code.

What user code raises is data, never one of these; a bug is any other exception. A `BridgeError` becomes an
error reply on the wire, a tool error in MCP and one line on the command line's stderr.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

ErrorCode = Literal[
    "no_such_cell",
    "no_such_run",
    "no_such_ui_element",
    "no_such_variable",
    "ui_value_refused",
    "stale_version",
    "bad_request",
    "unsupported_version",
    "not_reactive",
    "not_connected",
    "not_allowed",
    "paused",
    "not_audited",
    "no_such_kernelspec",
    "no_such_notebook",
    "server_refused",
    "connection_file_missing",
    "connection_file_malformed",
    "connection_file_foreign",
    "connection_file_stale",
    "wrong_key",
    "kernel_busy",
    "kernel_dead",
    "kernel_silent",
    "bad_notebook",
    "cell_not_converted",
    "output_exists",
    "runtime_mismatch",
]

CODES: Final[frozenset[str]] = frozenset(get_args(ErrorCode))


class BridgeError(Exception):
    """A request was refused.

    `code` is stable: programs may match on it. `message` is one line that says what is wrong, `hint` one line
    that says what the caller can do next (may be empty).
    """

    def __init__(self, code: ErrorCode, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()
