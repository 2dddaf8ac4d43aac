"""The capabilities of the front end that shows the running cell, for code that creates outputs.

Quirks of front ends that change *what* is shown; how it gets there is `outputs.delivery`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.kernel.cells import CellTable, Entry
    from marimo_kernel_bridge.kernel.front_ends import Header
    from marimo_kernel_bridge.protocol.names import Dialect
    from marimo_kernel_bridge.runtime.interface import LiveFrontEnd


class FrontEndCapabilities:
    """The capabilities of the front end of the cell that runs. Implements `runtime.display.output_areas.Audience`."""

    def __init__(
        self,
        cells: CellTable,
        running: Callable[[], tuple[str, float] | None],
        live: Callable[[Entry], LiveFrontEnd | None],
    ) -> None:
        """Make them for the cell that `running` returns, with the time since when it runs.

        `live` returns the pages with marimo's own front end that may show a cell.
        """
        self._cells = cells
        self._running = running
        self._live = live

    def _entry(self) -> Entry | None:
        running = self._running()
        return None if running is None else self._cells.get(running[0])

    def _dialect(self) -> Dialect | None:
        entry = self._entry()
        return None if entry is None else entry.address.dialect

    def live(self, cell_id: str) -> LiveFrontEnd | None:
        """Pages of JupyterLab and VS Code may have marimo's own front end. A thread may show something after its cell has run."""
        entry = self._cells.get(cell_id) or self._entry()
        return None if entry is None else self._live(entry)

    def prefers_markdown(self) -> bool:
        """VS Code typesets formulas and colors code in Markdown, and neither in HTML."""
        return self._dialect() == "vscode"

    def updates_displays(self) -> bool:
        """Terminals only grow: jupyter-console and euporie drop `update_display_data`."""
        return self._dialect() != "terminal"

    def parent_of(self, cell_id: str) -> Header | None:
        """Return the header under which a cell's outputs are shown; any thread."""
        entry = self._cells.get(cell_id)
        if entry is None:
            return None
        return entry.address.parent if entry.delivery is None else entry.delivery.parent
