"""The document of a running notebook, to which cells are added, and the pass over it in document order.

Differs from the analysis of an import: any version may get readers later, and cells cannot be joined.
"""

from __future__ import annotations

from marimo_kernel_bridge.analysis import changes
from marimo_kernel_bridge.analysis.document import Document
from marimo_kernel_bridge.analysis.model import PYTHON, Cell, Version
from marimo_kernel_bridge.analysis.versions import ITSELF, DocumentOrder


class _Readers(set[int]):
    """The set of cells that read a version, which records new ones."""

    def __init__(self, version: Version, record: list[tuple[Version, int]]) -> None:
        super().__init__(version.readers)
        self._version, self._record = version, record

    def add(self, reader: int) -> None:
        if reader not in self:
            self._record.append((self._version, reader))
        super().add(reader)


class LiveDocument(Document):
    """A document to which cells are added. Records new readers of versions in `new_readers`."""

    def __init__(self, frames: frozenset[str]) -> None:
        super().__init__(frames=frames)
        self.new_readers: list[tuple[Version, int]] = []

    def add(self, cell: Cell, version: Version) -> None:
        version.readers = _Readers(version, self.new_readers)
        super().add(cell, version)


class LiveOrder(DocumentOrder):
    """The pass in document order where cells may still be added below, and cells cannot be joined."""

    def __init__(self, document: Document) -> None:
        super().__init__(document)
        self.draws_on: dict[int, set[str]] = {}  # by cell

    def visit(self, cell: Cell) -> None:
        super().visit(cell)
        for name in cell.seeded:
            is_live = self.document.facts.kind(name) == "live"
            if name in cell.incoming and any(
                mutation.viewed or (is_live and mutation.how == "attribute" and not mutation.repeatable)
                for mutation in cell.changed.get(name, ())
            ):  # no copy preserves the link between a view and its array, or a thread
                self.draws_on.setdefault(cell.index, set()).add(name)

    def read_below(self, index: int, name: str) -> bool:  # noqa: ARG002  # cells may still be added
        return True

    def visit_name(self, cell: Cell, name: str) -> None:
        before = self.document.current.get(name)
        super().visit_name(cell, name)
        made = cell.made.get(name)
        if made is not None and made.derived and before is not None and before.cell != cell.index:
            before.readers.add(cell.index)  # includes functions with `global`, which may never be called
        if before is None or before.cell in {PYTHON, cell.index}:
            return
        if name in cell.made:
            if cell.names.stores(name) and self._draws_before_it_binds(cell, name):
                before.readers.add(cell.index)
                cell.seeded[name] = ITSELF
                self.draws_on.setdefault(cell.index, set()).add(name)
            return
        deleted = any(use.act == "delete" and use.exposed for use in cell.names.of(name))
        rebound = any(
            mutation.name == name and mutation.how == "call" and mutation.at.id != name
            for mutation in cell.changed.get(name, ())
        )
        if deleted or (rebound and before.origin is None):
            before.readers.add(cell.index)
            self.document.add(cell, Version(name, cell.index, derived=True, temporary=False))
            cell.seeded.setdefault(name, "{}")

    def _draws_before_it_binds(self, cell: Cell, name: str) -> bool:
        """Return whether a cell that binds a name anew first draws on what a cell above made."""
        mutated = [each for each in cell.changed.get(name, ()) if changes.is_of_another_cell(cell, each)]
        kind = changes.kind_of_changed(name, mutated, {})
        return bool(mutated) and changes.manner(kind, mutated, "") == "drawn on"

    def join_with_maker(self, cell: Cell, name: str, before: Version, why: str) -> None:  # noqa: ARG002  # the signature of the superclass
        """Order a cell after the cells whose plot or iterator it continues."""
        for other in sorted(self.document.facts.group(name)):
            drawn = self.document.current.get(other)
            if (
                drawn is None
                or drawn.cell in {PYTHON, cell.index}
                or drawn.origin is not None
                or other in cell.made
            ):
                continue
            drawn.readers.add(cell.index)
            self.document.add(cell, Version(other, cell.index, derived=True, temporary=False))
            cell.seeded[other] = "{}"
            self.draws_on.setdefault(cell.index, set()).add(other)
