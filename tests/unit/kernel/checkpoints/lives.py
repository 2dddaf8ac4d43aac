"""A notebook that outlives its kernel: the same front end and file, one kernel after another."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.checkpoints import CheckpointSaved, Restored
from marimo_kernel_bridge.protocol.notebook import CellWithOutputs, RunReport
from marimo_kernel_bridge.protocol.output_text import shown_text
from tests.unit.kernel.notebook_in_memory import KernelInMemory

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from marimo_kernel_bridge.protocol.names import Dialect
    from marimo_kernel_bridge.protocol.notebook import Cell
    from tests.unit.kernel.notebook_in_memory import FrontEnd


class Lives:
    """The kernels of one notebook. `lab` is the front end on the present one."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, dialect: Dialect = "lab") -> None:
        patch.setenv("MARIMO_KERNEL_BRIDGE_CHECKPOINTS", str(folder / "checkpoints"))
        patch.setenv("JPY_SESSION_NAME", str(folder / "notebook.ipynb"))
        self.path = folder / "notebook.ipynb"
        self._folder = folder
        self._dialect = dialect
        self.write_file({}, at=1.0)
        self._begin()

    def _begin(self) -> None:
        self.kernel = KernelInMemory(self._folder)
        self.lab: FrontEnd = self.kernel.connect(self._dialect)

    def die(self) -> None:
        """End the kernel without telling it, and start another one, which knows nothing."""
        self.kernel.close()
        self._begin()

    def close(self) -> None:
        self.kernel.close()

    def run(self, cells: dict[str, str]) -> None:
        """Run cells one after another; each may fail."""
        for key, code in cells.items():
            self.lab.run(key, code)
        self.lab.sync()

    def save(self, name: str = "saved") -> CheckpointSaved:
        reply = self.lab.ask(wire.SaveCheckpoint(name=name, client="claude"), "shell")
        return wire.decode_reply(reply, CheckpointSaved)

    def restore(self, name: str | None = None, *, preview: bool = False) -> Restored:
        request = wire.RestoreCheckpoint(name=name, preview=preview, client="claude")
        return wire.decode_reply(self.lab.ask(request, "shell"), Restored)

    def write_file(self, cells: dict[str, str], *, at: float | None = None) -> None:
        """Save the notebook's file, with these code cells, after all that was done before, or at another time."""
        common: dict[str, Any] = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": []}
        saved = [{**common, "id": key, "source": code} for key, code in cells.items()]
        notebook = {"cells": saved, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        self.path.write_text(json.dumps(notebook))
        saved_at = time.time() + 1 if at is None else at
        os.utime(self.path, (saved_at, saved_at))

    # -- looking ---------------------------------------------------------------------------------------------------

    @property
    def values(self) -> dict[str, Any]:
        """The namespace."""
        return self.kernel.kernel.notebook.runtime.values

    def cells(self) -> dict[str, Cell]:
        return self.lab.cells()

    def fresh(self) -> set[str]:
        """Return the cells, by the front end's id, that are as a run now would leave them."""
        return {key for key, cell in self.cells().items() if cell.status == "ok" and not cell.stale}

    def named(self, cell_ids: tuple[str, ...]) -> list[str]:
        """Return the front end's ids of cells."""
        keys = {cell.cell_id: key for key, cell in self.cells().items()}
        return [keys[cell_id] for cell_id in cell_ids]

    def why(self, restored: Restored) -> dict[str, str]:
        """Return why cells are stale, by the front end's ids."""
        keys = self.named(tuple(stale.cell_id for stale in restored.stale))
        return dict(zip(keys, [stale.why for stale in restored.stale], strict=True))

    def ran_by(self, key: str, code: str) -> list[str]:
        """Run a cell, and return the cells that ran because of it, in document order."""
        reply = self.lab.run(key, code)
        self.lab.sync()
        report = wire.decode_reply(self.lab.ask(wire.ReadRun(run_id=reply.msg_id)), RunReport)
        ran = {run.cell_id for run in report.cells if run.duration}
        return [name for name, cell in self.cells().items() if cell.cell_id in ran]

    def output(self, key: str) -> str:
        """Return the text that the kernel knows as a cell's output."""
        cell = wire.decode_reply(self.lab.ask(wire.ReadCell(cell_id=key)), CellWithOutputs)
        return shown_text(cell.outputs).strip()
