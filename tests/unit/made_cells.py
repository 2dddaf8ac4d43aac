"""Cells as the kernel lists them, made by hand."""

from typing import Any

from marimo_kernel_bridge.protocol.notebook import Cell


def made_cell(cell_id: str = "c", code: str = "", **facts: Any) -> Cell:
    """Return a cell that ran once without an error, where nothing else is said."""
    ran: dict[str, Any] = {
        "notebook_cell_id": None,
        "version": 1,
        "status": "ok",
        "stale": False,
        "execution_count": 1,
        "edited_by": "notebook",
        "last_run_by": None,
        "last_run_at": None,
        "duration": None,
        "error": None,
    }
    return Cell(cell_id=cell_id, code=code, **(ran | facts))
