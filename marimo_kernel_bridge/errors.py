"""Requests that are refused, each with a stable code.

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
    "no_installer",
    "too_large",
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
    "not_installed",
]

CODES: Final[frozenset[str]] = frozenset(get_args(ErrorCode))

MEANINGS: Final[dict[ErrorCode, tuple[str, str]]] = {
    "bad_notebook": (
        "The file is no notebook that can be read.",
        "Give a Python notebook that Jupyter opens.",
    ),
    "bad_request": (
        "The request makes no sense; nothing was done.",
        "The message names what is wrong and what is valid.",
    ),
    "cell_not_converted": ("A cell could not be carried over.", "The report names the cell and why."),
    "connection_file_foreign": (
        "The connection file is another user's, or others can write it: it is not used.",
        "Use a kernel of your own.",
    ),
    "connection_file_malformed": ("The file is no connection file.", "`list_kernels` has those that are."),
    "connection_file_missing": (
        "There is no such connection file.",
        "`list_kernels` has those that there are.",
    ),
    "connection_file_stale": (
        "The kernel of this connection file has ended.",
        "`list_kernels` has those that run; ask the person to start the notebook.",
    ),
    "kernel_busy": (
        "The kernel runs code, and this needs it free.",
        "`kernel_status` tells whose; call again later.",
    ),
    "kernel_dead": (
        "The kernel ended, or was restarted: its variables and cells are lost.",
        "After a restart call again. Else ask the person to start it.",
    ),
    "kernel_silent": (
        "The kernel does not answer. It may be starting, suspended, or in compiled code that lets nothing else run.",
        "Wait and ask `kernel_status`; do not send the same again.",
    ),
    "no_such_cell": (
        "The kernel knows no such cell.",
        "`list_cells` has the ids. A cell is known once it has run.",
    ),
    "no_installer": (
        "The kernel's environment has neither pip nor uv.",
        "The person can add one (python -m ensurepip), or installs in their own way.",
    ),
    "no_such_kernelspec": ("No kernel of this name is installed.", "The message names those that are."),
    "no_such_notebook": (
        "No running notebook has this path, or several have.",
        "The message names those that there are; `list_kernels` has all kernels.",
    ),
    "no_such_run": (
        "No run of yours has this id, or it is long over.",
        "`kernel_status` lists those that are not over.",
    ),
    "no_such_ui_element": ("The variable holds no UI element.", "`list_variables` marks those that do."),
    "no_such_variable": (
        "There is no such variable.",
        "The message names similar ones; `list_variables` has all.",
    ),
    "not_allowed": (
        "The person does not let agents do this.",
        "Tell the person which permission it needs. Do not work around it.",
    ),
    "not_audited": (
        "The audit log cannot be written, so nothing is done.",
        "The person must repair the log's file.",
    ),
    "not_connected": ("No kernel is connected, or several are.", "`connect_to_kernel`, or give the handle."),
    "not_installed": (
        "What this needs is not installed beside marimo-kernel-bridge.",
        "The message names it, and how to install it.",
    ),
    "not_reactive": (
        "The kernel is a plain one, without a graph of cells.",
        "Only running code and status work there.",
    ),
    "output_exists": ("The file to be written exists.", "Name another one, or have it overwritten."),
    "paused": (
        "The person has paused agents: reading works.",
        "Ask the person; do not try again before that.",
    ),
    "runtime_mismatch": ("The marimo that is installed is not supported.", "Install the one that is named."),
    "server_refused": (
        "A Jupyter server cannot be reached, refuses the token, or has no such kernel.",
        "The message tells which.",
    ),
    "stale_version": (
        "The cell has changed since it was read; nothing was changed.",
        "Read it again and repeat the edit.",
    ),
    "ui_value_refused": ("The UI element does not take this value.", "The message tells what it takes."),
    "too_large": (
        "The answer is larger than clients take in one message.",
        "Ask for a part of it; the message says how.",
    ),
    "unsupported_version": (
        "The kernel and this server speak different versions of the bridge.",
        "Restart the kernel, or upgrade the older one.",
    ),
    "wrong_key": (
        "The kernel does not sign with the key of this connection file.",
        "`list_kernels` has the files that fit.",
    ),
}
"""What each code means, and what to do: for the documentation. An error itself says more."""


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


class AgentsPausedError(BridgeError):
    """The person has paused agents in this notebook. `effect` says what was not done."""

    def __init__(self, effect: str) -> None:
        super().__init__(
            "paused",
            f"The person has paused agents in this notebook: {effect}.",
            "Reading still works. Ask the person to run `%marimo resume`; do not try again before that.",
        )


class WrongUsageError(BridgeError):
    """A command line that makes no sense, whatever is on disk."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("bad_request", message, hint)
