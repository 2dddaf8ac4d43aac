"""Versions of names in document order: which cell makes each, and which cells read it.

A cell that binds a name again, or changes its object, makes a new version of the name. Cells below read the newest
version above them. What functions read when they are called is for `late_reads`; what versions are called, for
`naming`.
"""

from __future__ import annotations

import ast
import builtins
from functools import cached_property
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis import changes
from marimo_kernel_bridge.analysis.model import PYTHON, Cell, Version, definition, simple_augmented
from marimo_kernel_bridge.analysis.mutations import mutations
from marimo_kernel_bridge.analysis.object_kinds import COPIED_BY_METHOD
from marimo_kernel_bridge.analysis.plan import Join
from marimo_kernel_bridge.analysis.reads_below import ReadsBelow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.analysis.document import Document
    from marimo_kernel_bridge.analysis.mutation import Mutation
    from marimo_kernel_bridge.analysis.name_uses import CellNames
    from marimo_kernel_bridge.analysis.object_kinds import Kind
    from marimo_kernel_bridge.analysis.occurrence import Occurrence

_BUILTINS: Final = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__"}
ITSELF: Final = "{}"
"""The initial value of a version that is bound to the object of the previous one."""


class DocumentOrder:
    """The pass over cells in document order that makes versions and records their readers."""

    def __init__(self, document: Document) -> None:
        self.document = document

    def visit(self, cell: Cell) -> None:
        """Add the versions that a cell makes; all cells before it must have been visited."""
        for mutation in self.mutations_of(cell):
            for name in dict.fromkeys((mutation.name, *sorted(mutation.together))):
                cell.changed.setdefault(name, []).append(mutation)
        cell.incoming = self.document.in_force()
        names = [*cell.names.names, *(name for name in cell.changed if name not in cell.names.names)]
        for name in names:
            self.visit_name(cell, name)
        self.copy_together(cell)
        cell.outgoing = self.document.in_force()

    def mutations_of(self, cell: Cell) -> list[Mutation]:
        """Return the mutations by a cell, and record what it binds."""
        return mutations(cell.names.tree, self.document.facts)

    def visit_name(self, cell: Cell, name: str) -> None:
        before = self.document.current.get(name)
        occurrences = cell.names.of(name)
        stores = [use for use in occurrences if use.act == "store" and not use.late]
        exposed = [use for use in occurrences if use.exposed and use.act == "load"]
        repeated = [use for use in stores if _is_repeated_import(cell, use, before)]
        if stores and len(repeated) == len(stores):
            cell.repeated_imports += repeated
            assert before is not None
            before.readers.add(cell.index)
            return
        if before is not None and exposed:
            before.readers.add(cell.index)
        if stores:
            self._store(cell, name, stores, exposed, before)
        elif before is not None and name in cell.changed:
            self._change(cell, name, before)
        if any(use.act == "store" and use.late for use in occurrences) and name not in cell.made:
            derived = before is not None and before.cell != cell.index
            self.document.add(cell, Version(name, cell.index, derived=derived, temporary=False))

    # Cells below

    def read_below(self, index: int, name: str) -> bool:
        """Return whether a cell below, or a function when it is called, reads a name."""
        return self._reads_below.of(index, name)

    @cached_property
    def _reads_below(self) -> ReadsBelow:
        return ReadsBelow(self.document.cells)

    def join_with_maker(self, cell: Cell, name: str, before: Version, why: str) -> None:
        """Request to join all cells that see the object, from its maker to this one."""
        group = self.document.facts.group(name)
        between = [
            index
            for index in range(before.cell + 1, cell.index)
            if group & {use.name for use in self.document.cells[index].names.occurrences if use.act == "load"}
        ]
        cells = (before.cell, *between, cell.index)
        self.document.requests.append(Join(cells, before.cell, f"`{name}`: one {why}"))

    # Bindings

    def _store(
        self,
        cell: Cell,
        name: str,
        stores: Sequence[Occurrence],
        exposed: Sequence[Occurrence],
        before: Version | None,
    ) -> None:
        certain = name in cell.names.bound_at_end or any(use.act == "delete" for use in cell.names.of(name))
        origins = {use.origin for use in stores}
        version = Version(
            name,
            cell.index,
            origin=origins.pop() if len(origins) == 1 else None,
            derived=bool(exposed and before is not None),
            temporary=all(use.temporary for use in stores),
            definition=_defines(cell.names, stores),
            certain=certain,
        )
        if name in _BUILTINS and before is None and (exposed or self._is_mentioned_above(cell, name)):
            self.document.add_builtin(name)
        self.document.add(cell, version)
        if before is None or before.cell == PYTHON:
            return
        start = self._start_of_bound(cell, name, stores, exposed, before)
        if start is not None:
            cell.seeded[name] = start
        elif not certain and (exposed or self.read_below(cell.index, name)):
            cell.seeded[name] = ITSELF
            before.readers.add(cell.index)
            version.derived = True

    def _is_mentioned_above(self, cell: Cell, name: str) -> bool:
        return any(name in above.names.names for above in self.document.cells[: cell.index])

    def _start_of_bound(
        self,
        cell: Cell,
        name: str,
        stores: Sequence[Occurrence],
        exposed: Sequence[Occurrence],
        before: Version,
    ) -> str | None:
        """Return the initial value of a version that a cell binds, if it must start with the previous object."""
        mutated = changes.exposed(cell, name)
        augmented = any(use.augmented for use in stores)
        owned = not augmented or self._is_owned(cell, name)
        written_out = not augmented or (simple_augmented(cell, name) is not None and owned)
        if not exposed or (is_divided(stores, exposed) and not mutated and written_out):
            return None
        kind = self._kind(name, mutated)
        if mutated:
            return self._copy_of(cell, name, kind, mutated) or ITSELF
        if augmented and kind in COPIED_BY_METHOD and owned:
            return self._copy_by_method(name, kind) or ITSELF
        if augmented and kind == "unknown" and owned and not self._is_number(before):
            return "copy.copy({})"  # what has `+=` can be copied
        return ITSELF

    # What an analysis that knows the owners of objects decides differently.

    def _is_owned(self, cell: Cell, name: str) -> bool:  # noqa: ARG002  # overridden
        """Return whether a cell may augment a copy of the object, as nothing else reaches it."""
        return True

    def _kind(self, name: str, mutated: Sequence[Mutation]) -> Kind:
        return changes.kind_of_changed(name, mutated, self.document.facts.kinds)

    def _copy_of(self, cell: Cell, name: str, kind: Kind, mutated: Sequence[Mutation]) -> str | None:  # noqa: ARG002  # overridden
        """Return how to copy an object before a cell changes it, None if it is not copied."""
        return changes.copy_of(kind, mutated)

    def _copy_by_method(self, name: str, kind: Kind) -> str | None:  # noqa: ARG002  # overridden
        """Return how to copy an object that a cell augments, None if it is not copied."""
        return "{}.copy()"

    def _is_number(self, version: Version) -> bool:
        """Return whether a version is bound to an immutable object, so that `x += y` binds another object."""
        if version.cell < 0:
            return False
        values = [
            node.value
            for node in ast.walk(self.document.cells[version.cell].names.tree)
            if isinstance(node, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id == version.name for target in node.targets)
        ]
        return bool(values) and all(isinstance(value, ast.Constant) for value in values)

    # Mutations of objects that other cells made

    def _change(self, cell: Cell, name: str, before: Version) -> None:
        mutated = changes.exposed(cell, name)
        if not mutated or before.cell in {cell.index, PYTHON} or before.origin is not None:
            return
        kind = changes.kind_of_changed(name, mutated, self.document.facts.kinds)
        if kind == "value" and any(mutation.how == "nested" for mutation in mutated):
            kind = "unknown"  # the items of a tuple may be mutable
        copy = changes.copy_of(kind, mutated)
        manner = changes.manner(kind, mutated, copy)
        match changes.DECISIONS[manner][self._readers(cell, name, before, mutated)]:
            case "join":
                self.join_with_maker(cell, name, before, changes.WHY_JOINED[manner])
            case "copy":
                self._derive(cell, name, before, copy or changes.DEEP)
                self._derive_sharing(cell, name, mutated)
            case "order":
                self._derive(cell, name, before, ITSELF)
                self._derive_sharing(cell, name, mutated)
            case "nothing":
                pass

    def _readers(
        self, cell: Cell, name: str, before: Version, mutated: Sequence[Mutation]
    ) -> changes.Readers:
        below = self.read_below(cell.index, name)
        above = bool(before.readers - {cell.index})
        by_its_name = name in cell.names.names or any(mutation.name == name for mutation in mutated)
        copied = all(mutation.name in cell.seeded for mutation in mutated)
        if not by_its_name and not below and (copied or not above):
            return "nobody"  # it shares the mutated object
        if all(mutation.repeatable for mutation in mutated) and not (
            below
            or above
            or changes.looks_at(cell, name, mutated, before=True)
            or any(self.read_below(cell.index, other) for other in _sharing(name, mutated))
        ):
            return "nobody"
        return changes.readers(above=above, below=below)

    def _derive(self, cell: Cell, name: str, before: Version, start: str) -> None:
        before.readers.add(cell.index)
        self.document.add(cell, Version(name, cell.index, derived=True, temporary=False))
        cell.seeded[name] = start

    def _derive_sharing(self, cell: Cell, name: str, mutated: Sequence[Mutation]) -> None:
        """Make new versions of the names that refer to the mutated object, or to parts of it, and must still do so."""
        current = self.document.current
        shared = [
            other
            for other in sorted(_sharing(name, mutated))
            if other in current
            and current[other].origin is None
            and current[other].cell not in {cell.index, PYTHON}
            and other not in cell.made
            and not cell.names.stores(other)
            and (self.read_below(cell.index, other) or changes.looks_at(cell, other, mutated))
        ]
        for other in shared:
            self._derive(cell, other, current[other], ITSELF)

    def copy_together(self, cell: Cell) -> None:
        """Record the names that refer to one object, so that their copies do too."""
        groups: list[set[str]] = []
        for mutation in (mutation for mutated in cell.changed.values() for mutation in mutated):
            group = {mutation.name, *mutation.together} & cell.seeded.keys()
            apart = [other for other in groups if not other & group]
            groups = [*apart, group.union(*(other for other in groups if other & group))]
        for group in groups:
            names = tuple(name for name in cell.seeded if name in group and name in cell.incoming)
            if len(names) > 1 and any(cell.seeded[name] != ITSELF for name in names):
                cell.together.append((names, "copy.deepcopy"))


def _is_repeated_import(cell: Cell, occurrence: Occurrence, before: Version | None) -> bool:
    return (
        occurrence.origin is not None
        and before is not None
        and before.origin == occurrence.origin
        and before.certain
        and isinstance(cell.names.tree.body[occurrence.statement], ast.Import | ast.ImportFrom)
    )


def is_divided(stores: Sequence[Occurrence], exposed: Sequence[Occurrence]) -> bool:
    """Return whether a cell reads the previous version only before it binds its own."""
    return all(
        load.order < store.order and not (load.looped and store.looped and load.statement == store.statement)
        for load in exposed
        for store in stores
        if not (store.augmented and load.start == store.start)
    )


def _sharing(name: str, mutated: Sequence[Mutation]) -> set[str]:
    return {other for mutation in mutated for other in (mutation.name, *mutation.together)} - {name}


def _defines(names: CellNames, stores: Sequence[Occurrence]) -> bool:
    return any(definition(names.tree, use.name) is not None for use in stores[:1])
