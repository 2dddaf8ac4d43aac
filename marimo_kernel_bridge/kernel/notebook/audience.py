"""What the front end that shows the running cell can do, for who makes outputs.

Quirks of front ends that change *what* is shown; how it gets there is `delivery.py`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marimo_kernel_bridge.kernel.front_ends import Dialect, Header
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession


class Audience:
    """Implements `runtime.notifications.Audience`."""

    def __init__(self, notebook: NotebookSession) -> None:
        self._notebook = notebook

    def _dialect(self) -> Dialect | None:
        entry = self._notebook.cells.get(self._notebook.running or "")
        return None if entry is None else entry.address.dialect

    def prefers_markdown(self) -> bool:
        """VS Code typesets formulas and colours code in Markdown, and neither in HTML."""
        return self._dialect() == "vscode"

    def updates_displays(self) -> bool:
        """Terminals only grow: jupyter-console and euporie drop `update_display_data`."""
        return self._dialect() != "terminal"

    def parent_of(self, cell_id: str) -> Header | None:
        """Return the header under which a cell's outputs are shown; any thread."""
        entry = self._notebook.cells.get(cell_id)
        if entry is None:
            return None
        return entry.address.parent if entry.delivery is None else entry.delivery.parent
