"""Refused requests, each with a stable code.

Exceptions of user code are data, not one of these; any other exception is a bug. A `BridgeError` becomes an
error reply on the wire, a tool error in MCP and one line on the command line's stderr.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

ErrorCode = Literal[
    "no_such_cell",
    "no_such_run",
    "no_document",
    "document_changed",
    "no_such_edit",
    "no_such_ui_element",
    "no_such_variable",
    "no_such_view",
    "not_a_table",
    "ui_value_refused",
    "stale_version",
    "bad_request",
    "unsupported_version",
    "not_reactive",
    "not_offered",
    "not_connected",
    "not_allowed",
    "paused",
    "not_audited",
    "redaction_mark",
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
    "plugin_failed",
    "runtime_mismatch",
    "sandbox_unavailable",
    "not_installed",
    "no_such_checkpoint",
    "checkpoint_foreign",
    "checkpoint_broken",
    "checkpoint_other_python",
    "disk_full",
    "not_writable",
    "notebook_in_use",
    "too_many_sessions",
    "limit_exceeded",
    "limit_unavailable",
    "bad_data",
    "data_locked",
    "data_changed",
    "data_gone",
]

CODES: Final[frozenset[str]] = frozenset(get_args(ErrorCode))

MEANINGS: Final[dict[ErrorCode, tuple[str, str]]] = {
    "bad_data": (
        "The file is no table of its kind: broken, written in part, or of another kind than its name says.",
        "The message says what is wrong and where.",
    ),
    "bad_notebook": (
        "The file is not a readable notebook.",
        "Give a Python notebook that Jupyter opens.",
    ),
    "bad_request": (
        "The request is invalid; nothing was done.",
        "The message says what is wrong and what is valid.",
    ),
    "cell_not_converted": ("A cell could not be converted.", "The report names the cell and the reason."),
    "checkpoint_broken": (
        "The checkpoint is incomplete, was changed after it was saved, or has another format: nothing of it was loaded.",
        "Restore another one, or run the cells.",
    ),
    "checkpoint_foreign": (
        "The checkpoint belongs to another user or key, or others have access to its files: nothing of it was loaded.",
        "Restore one of your own, or run the cells.",
    ),
    "checkpoint_other_python": (
        "The checkpoint was saved by another minor version of Python.",
        "Start the kernel with that version, or run the cells.",
    ),
    "connection_file_foreign": (
        "The connection file belongs to another user, or other users can write to it: it is not used.",
        "Use a kernel of your own.",
    ),
    "connection_file_malformed": (
        "The file is not a connection file.",
        "`list_kernels` lists the valid ones.",
    ),
    "connection_file_missing": (
        "The connection file does not exist.",
        "`list_kernels` lists the existing ones.",
    ),
    "connection_file_stale": (
        "The kernel of this connection file has ended.",
        "`list_kernels` lists running kernels; ask the person to start the notebook.",
    ),
    "data_changed": (
        "The data was replaced or changed since the view was opened; nothing of it is shown.",
        "Open the view again.",
    ),
    "data_gone": (
        "The data of the view is no longer there: the variable or the file was deleted.",
        "Open a view of other data.",
    ),
    "data_locked": (
        "The file needs a password, or another program has locked it.",
        "The message says which.",
    ),
    "disk_full": (
        "The disk is full; nothing was written, and what was there before is unchanged.",
        "The message says where space is needed.",
    ),
    "document_changed": (
        "The person has changed a cell since you read it; nothing was done.",
        "The message has the present text. Read the cell again and repeat the change for that text.",
    ),
    "kernel_busy": (
        "The kernel is running code, and this needs an idle kernel.",
        "`kernel_status` shows the running request; call again later.",
    ),
    "kernel_dead": (
        "The kernel ended, or was restarted: its variables and cells are lost.",
        "After a restart, call again. Otherwise ask the person to start it.",
    ),
    "kernel_silent": (
        "The kernel does not answer. It may be starting, suspended, or in compiled code that blocks everything else.",
        "Wait and call `kernel_status`; do not repeat the request.",
    ),
    "limit_exceeded": (
        "A kernel has hit one of its limits, or more was asked for than the person lets kernels have.",
        "The message names the limit. Work on less, or ask for less.",
    ),
    "limit_unavailable": (
        "A limit that was asked for cannot be held here; nothing was started.",
        "The message says why, and what can hold it.",
    ),
    "no_such_cell": (
        "The kernel has no such cell.",
        "`list_cells` shows the ids. A cell is known once it has run.",
    ),
    "no_document": (
        "No front end has attached its document to this kernel.",
        "Ask the person to open the notebook in JupyterLab or VS Code with the extension; `doctor` says whether it is loaded.",
    ),
    "no_installer": (
        "The kernel's environment has neither pip nor uv.",
        "The person can add one (python -m ensurepip), or install the packages another way.",
    ),
    "no_such_checkpoint": (
        "The notebook has no checkpoint of this name.",
        "The message names the existing ones.",
    ),
    "no_such_kernelspec": (
        "No kernelspec of this name is installed.",
        "The message names the installed ones.",
    ),
    "no_such_edit": (
        "The kernel knows no such change or proposal: it is too old, or the kernel was restarted.",
        "`diff_since` shows the changes that are known.",
    ),
    "no_such_notebook": (
        "No running notebook has this path, or several do; or there is no such session.",
        "The message names the running notebooks; `list_kernels` shows all kernels, `list_notebooks` the sessions.",
    ),
    "no_such_run": (
        "No run of yours has this id, or it was discarded.",
        "`kernel_status` lists the runs in progress.",
    ),
    "no_such_ui_element": (
        "The variable does not hold a UI element.",
        "`list_variables` marks the ones that do.",
    ),
    "no_such_variable": (
        "The variable does not exist.",
        "The message names existing ones; `list_variables` lists all.",
    ),
    "no_such_view": (
        "There is no such view: it was closed, or what showed it has ended.",
        "`view_data` opens it again.",
    ),
    "not_a_table": (
        "The variable or file is no table that can be shown.",
        "The message says what it is, and which kinds are shown.",
    ),
    "not_allowed": (
        "The person does not permit agents to do this.",
        "Tell the person which permission it needs. Do not work around it.",
    ),
    "not_audited": (
        "The audit log cannot be written, so nothing was done.",
        "The person must repair the log's file.",
    ),
    "not_connected": ("No kernel is connected, or several are.", "`connect_to_kernel`, or give the handle."),
    "not_installed": (
        "A required package is not installed in the environment of marimo-kernel-bridge.",
        "The message names it and says how to install it.",
    ),
    "not_offered": (
        "marimo's own editor has no request for this, or no browser reaches the kernel's pages; nothing was done.",
        "The message says what to do instead.",
    ),
    "not_reactive": (
        "The kernel is not reactive: it has no graph of cells.",
        "Only running code and reading the status work.",
    ),
    "not_writable": (
        "A folder cannot be written.",
        "The message says which, and how to name another one.",
    ),
    "notebook_in_use": (
        "Another program has changed the notebook's file, or has the notebook open; the file was not written.",
        "The message names the program, if it is known, and the ways out.",
    ),
    "output_exists": ("The output file exists.", "Name another one, or allow overwriting."),
    "paused": (
        "The person has paused agents: only reading works.",
        "Ask the person before you try again.",
    ),
    "plugin_failed": (
        "A tool or resource of a plugin failed; the message names the plugin.",
        "It is the plugin's mistake, not yours: tell the person. Other tools are not affected.",
    ),
    "redaction_mark": (
        "The code contains a mark that stands for a secret, and would overwrite the secret; nothing was done.",
        "Leave that line to the person, or read the value at run time (`os.environ`).",
    ),
    "runtime_mismatch": (
        "The installed version of marimo is not supported.",
        "Install the version that the message names.",
    ),
    "sandbox_unavailable": (
        "This machine cannot bound the kernel as asked; nothing was started, and never is with less.",
        "The message says what is missing, and which engine or setting has it.",
    ),
    "server_refused": (
        "A Jupyter server cannot be reached, refuses the token, or has no such kernel.",
        "The message says which.",
    ),
    "stale_version": (
        "The cell has changed since it was read; nothing was changed.",
        "Read it again and repeat the edit.",
    ),
    "too_many_sessions": (
        "As many sessions have kernels as may have.",
        "`close_notebook` those that nobody needs now; they can be opened again.",
    ),
    "ui_value_refused": (
        "The UI element does not accept this value.",
        "The message describes the accepted values.",
    ),
    "too_large": (
        "The answer is larger than clients accept in one message.",
        "Request a part of it; the message says how.",
    ),
    "unsupported_version": (
        "The kernel and this server use different versions of the bridge protocol.",
        "Restart the kernel, or upgrade the older one.",
    ),
    "wrong_key": (
        "The kernel does not sign messages with the key in this connection file.",
        "`list_kernels` lists the current files.",
    ),
}
"""The meaning of each code, and what to do, for the documentation. The messages of actual errors are more specific."""


class BridgeError(Exception):
    """A request was refused.

    `code` is stable: programs may depend on it. `message` is a line that says what is wrong, `hint` a line that says what
    the caller can do next (may be empty).
    """

    def __init__(self, code: ErrorCode, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class AgentsPausedError(BridgeError):
    """The person has paused agents. `effect` is a clause that says what was not done."""

    def __init__(self, effect: str) -> None:
        super().__init__(
            "paused",
            f"The person has paused agents: {effect}.",
            "Reading still works. Ask the person to run `%marimo resume` in the notebook, or `marimo-kernel-bridge agents`; "
            "do not try again before that.",
        )


class WrongUsageError(BridgeError):
    """An invalid command line, independent of the files on disk."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("bad_request", message, hint)
