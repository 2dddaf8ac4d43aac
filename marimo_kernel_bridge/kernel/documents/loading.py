"""The cells of the notebook's document that the kernel does not know: a new kernel knows none until they run.

They are read from the open document, else from the file as it was last saved. Runs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.cells import Address
from marimo_kernel_bridge.kernel.documents.open_documents import MOST_CELLS, MOST_TEXT
from marimo_kernel_bridge.kernel.notebook.document import read_code
from marimo_kernel_bridge.protocol.checkpoints import DocumentLoaded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marimo_kernel_bridge.kernel.documents.document_requests import DocumentRequests
    from marimo_kernel_bridge.kernel.front_ends import Header
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession

_VSCODE: Final = "vscode-notebook-cell:"


class File(Protocol):
    """The notebook's file."""

    def path(self) -> str | None: ...


class Shell(Protocol):
    """The shell, for its namespace."""

    @property
    def user_ns(self) -> Mapping[str, object]: ...


class Host(Protocol):
    """The parts of the kernel that the loading of a document uses."""

    @property
    def notebook(self) -> NotebookSession: ...

    @property
    def documents(self) -> DocumentRequests: ...

    @property
    def file(self) -> File: ...

    @property
    def shell(self) -> Shell: ...


def load_document(host: Host, header: Header) -> DocumentLoaded:
    """Register the code cells that the kernel does not know, stale and held. `header` is that of the request.

    Raises `BridgeError`: no_document, bad_notebook, too_large.
    """
    source: Literal["page", "file"] = "page"
    path = host.file.path()
    document = host.documents.shared.open.active()
    if document is not None:
        shown = document.cells.values()
        code: list[tuple[str | None, str]] = [(cell.key, cell.code) for cell in shown if cell.type == "code"]
    else:
        source, code = "file", _saved(path)
    in_vscode = "__vsc_ipynb_file__" in host.shell.user_ns or any(
        (key or "").startswith(_VSCODE) for key, _ in code
    )
    # VS Code's ids are of one session: its next request for a cell with the same text takes the cell over.
    address = Address("vscode" if in_vscode else "lab", header, header.get("session", ""))
    return DocumentLoaded(host.notebook.edits.load(code, address), source, path)


def load_newer(host: Host, header: Header, *, saved: bool) -> tuple[str, ...] | None:
    """Register the document's cells if it is open, or its file was `saved` since; return which. None: it is not newer."""
    if not saved and host.documents.shared.open.active() is None:
        return None
    try:
        return load_document(host, header).cells
    except BridgeError:  # the checkpoint has the cells
        return None


def _saved(path: str | None) -> list[tuple[str | None, str]]:
    if path is None or not path.endswith(".ipynb"):
        raise BridgeError(
            "no_document",
            "The kernel knows no notebook: no front end has attached a document, and no file is known.",
            "Ask the person to open the notebook, or add the cells with edit_cells.",
        )
    code = read_code(path)
    if code is None:
        raise BridgeError("bad_notebook", f"{path} is no readable notebook.", "Nothing was loaded.")
    if len(code) > MOST_CELLS or sum(len(text) for _, text in code) > MOST_TEXT:
        raise BridgeError(
            "too_large", f"{path} has more than {MOST_CELLS} cells or {MOST_TEXT} characters.", "Split it."
        )
    return code
