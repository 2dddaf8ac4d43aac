"""The notebook's file: where it is, and what the kernel takes from it before a cell runs.

How the file is read is `notebook.document`'s business. Reads only.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

from marimo_kernel_bridge.kernel.notebook.document import NotebookDocument, read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marimo_kernel_bridge.kernel.notebook.document import Settings


class Notebook(Protocol):
    """What takes the settings and the order of the document."""

    def apply_settings(self, settings: Settings) -> None: ...

    def arrange(self, notebook_cell_ids: Sequence[str]) -> None: ...


class NotebookFile:
    """The file that a front end says it shows, if it says so truthfully."""

    def __init__(self, names: Mapping[str, Any], notebook: Notebook) -> None:
        """`names` are the user's: VS Code puts the path there, some time after the start."""
        self._names = names
        self._notebook = notebook
        self._document = NotebookDocument()
        self._settings_read = False

    def path(self) -> str | None:
        """Return where the notebook is, None if that is not known; any thread."""
        path = self._names.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
        return os.path.abspath(path) if isinstance(path, str) and os.path.exists(path) else None  # noqa: PTH100, PTH110  # a path from outside

    def read_settings(self) -> None:
        """Apply the notebook's own settings, once its place is known."""
        path = None if self._settings_read else self.path()
        if path is not None:
            self._settings_read = True
            self._notebook.apply_settings(read_settings(path))

    def read_order(self) -> None:
        """Arrange the cells if the notebook was saved with another order."""
        path = self.path()
        order = None if path is None else self._document.new_order(path)
        if order is not None:
            self._notebook.arrange(order)
