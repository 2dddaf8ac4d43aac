"""The notebook's file: its path, and the settings and cell order that the kernel reads before a cell runs.

`notebook.document` parses the file. Read-only.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from marimo_kernel_bridge.kernel.notebook.document import NotebookDocument, read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marimo_kernel_bridge.kernel.notebook.document import Settings


class Order(Protocol):
    """The receiver of the document's order."""

    def arrange_saved(self, notebook_cell_ids: Sequence[str]) -> None: ...


class Notebook(Protocol):
    """The receiver of the document's settings and order."""

    @property
    def document(self) -> Order: ...

    def apply_settings(self, settings: Settings) -> None: ...


class NotebookFile:
    """The file that a front end names as its notebook, if it exists."""

    def __init__(self, names: Mapping[str, Any], notebook: Notebook) -> None:
        """`names` is the user's namespace, where VS Code stores the path some time after the start."""
        self._names = names
        self._notebook = notebook
        self._document = NotebookDocument()
        self._settings_read = False
        self.open_as: str | None = None
        """The path of the open document as its front end names it now: it may have been renamed. Any thread."""

    def path(self) -> str | None:
        """Return the path of the notebook, None if it is unknown. Any thread."""
        path = self._names.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
        candidates = [path] if isinstance(path, str) else []
        if self.open_as is not None:
            candidates = [*_places(self.open_as, *candidates), *candidates]
        found = next(filter(os.path.exists, candidates), None)
        return None if found is None else os.path.abspath(found)  # noqa: PTH100  # a path from the front end

    def read_settings(self) -> None:
        """Apply the notebook's settings once its path is known."""
        path = None if self._settings_read else self.path()
        if path is not None:
            self._settings_read = True
            self._notebook.apply_settings(read_settings(path))

    def read_order(self) -> None:
        """Arrange the cells if the notebook was saved with a different order."""
        path = self.path()
        order = None if path is None else self._document.new_order(path)
        if order is not None:
            self._notebook.document.arrange_saved(order)


def _places(path: str, started_as: str = "") -> list[str]:
    """Return where a file may be whose path a front end knows from its root folder, somewhere above the one of the start.

    JupyterLab puts a drive before the path, such as `RTC:`.
    """
    if os.path.isabs(path):  # noqa: PTH117  # a path from the front end
        return [path]
    path = path.rpartition(":")[2]
    if not path or not os.path.isabs(started_as):  # noqa: PTH117
        return []
    if started_as.endswith(os.sep + os.path.normpath(path)):
        return [started_as]
    return [str(folder / path) for folder in Path(started_as).parents]
