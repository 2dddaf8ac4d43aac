"""Cells that import what other cells have imported already: such an import defines nothing new.

An agent's `import pandas as pd` is no second definition of the notebook's `pd`: it binds the same object. Taken for
one it would supersede the cell with the notebook's imports, and run again all that reads them. Owns which cells share
imports; how the graph has them is for `graph`. Main thread only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from marimo_kernel_bridge.kernel.cells import Body, CellTable, Entry
    from marimo_kernel_bridge.kernel.notebook.imported_names import Import
    from marimo_kernel_bridge.runtime.interface import Runtime


class SharedImports:
    """The imports that cells which no notebook shows share with others."""

    def __init__(self, cells: CellTable, runtime: Runtime) -> None:
        self._cells = cells
        self._runtime = runtime
        self._sharers: dict[str, dict[str, Import]] = {}  # by name: which cells share it, and by which import

    def sharing(self, entry: Entry, body: Body) -> Body:
        """Return the body of a cell that no notebook shows, without the imports by which other cells have the same names.

        The cell uses these names instead of defining them again.
        """
        if entry.live or entry.address.dialect == "batch":
            return body
        from marimo_kernel_bridge.kernel.notebook.imported_names import without_imports  # noqa: PLC0415  # a client waits for the sockets

        whole = body.whole or body.code
        shared = frozenset(
            name for name, found in _imports_of(whole).items() if self._is_imported(entry, name, found)
        )
        code = without_imports(whole, shared) if shared else whole
        return body if code == body.code else replace(body, code=code, shared=shared, whole=whole)

    def _is_imported(self, entry: Entry, name: str, found: Import) -> bool:
        """Return whether other cells have a name by just this import, and it would bind what the name stands for."""
        owners = self._runtime.definers(name) - {entry.cell.cell_id}
        return (
            bool(owners)
            and all(self._imports(self._cells[owner], name, found) for owner in owners)
            and found.gives(self._runtime.values.get(name))
        )

    def _imports(self, owner: Entry, name: str, found: Import) -> bool:
        if owner.body is None or owner.cell.status not in {"ok", "error"}:
            return False
        return (
            _imports_of(owner.body.code).get(name) == found
            and owner.cell.cell_id not in self._runtime.stale()
        )

    def note(self, entry: Entry, body: Body) -> None:
        """Record what a cell shares with its new body, and no more with the one before."""
        for name in entry.body.shared if entry.body is not None else ():
            self._sharers.get(name, {}).pop(entry.cell.cell_id, None)
        for name in body.shared:
            self._sharers.setdefault(name, {})[entry.cell.cell_id] = _imports_of(body.whole)[name]

    def forget(self, cell_ids: Collection[str]) -> None:
        """Note that cells are gone from the notebook."""
        for sharers in self._sharers.values():
            for cell_id in sharers.keys() & set(cell_ids):
                del sharers[cell_id]

    def bound_otherwise(self, entry: Entry, code: str, name: str) -> list[str]:
        """Return the cells that share a name, and by their import bind it to something else than this cell does."""
        found = _imports_of(code).get(name)
        return [
            sharer
            for sharer, shared in self._sharers.get(name, {}).items()
            if sharer != entry.cell.cell_id and shared != found
        ]

    def rebound(self, entry: Entry, before: Mapping[str, object]) -> frozenset[str]:
        """Return the cells that read shared names, if a run has bound these to other objects, as after a reload."""
        values = self._runtime.values
        changed = [name for name, value in before.items() if values.get(name) is not value]
        owners = {owner for name in changed for owner in self._runtime.definers(name)}
        return self._runtime.descendants(*owners) - {entry.cell.cell_id}


def _imports_of(code: str) -> Mapping[str, Import]:
    from marimo_kernel_bridge.kernel.notebook.imported_names import imports_of  # noqa: PLC0415  # only agents' code needs it

    return imports_of(code)
