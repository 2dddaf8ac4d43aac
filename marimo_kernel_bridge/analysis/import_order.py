"""The pass in document order of an import: who owns an object decides whether a cell may change a copy of it.

Only objects of known kinds that no other name reaches are copied. Cells that change any other object are joined with the
cell that makes it, if that joins few, and else ordered behind it.
"""

from __future__ import annotations

import ast
import builtins
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis import changes
from marimo_kernel_bridge.analysis.axes import SharedAxes
from marimo_kernel_bridge.analysis.joining import OPAQUE_KINDS, PLAIN_KINDS, Joining, given_to_calls
from marimo_kernel_bridge.analysis.model import PYTHON
from marimo_kernel_bridge.analysis.mutations import by_statement
from marimo_kernel_bridge.analysis.owners import OUTSIDE, Depth, Link, Owners
from marimo_kernel_bridge.analysis.ownership import Ownership
from marimo_kernel_bridge.analysis.syntax import stored
from marimo_kernel_bridge.analysis.versions import ITSELF, DocumentOrder

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marimo_kernel_bridge.analysis.document import Document
    from marimo_kernel_bridge.analysis.model import Cell, Version
    from marimo_kernel_bridge.analysis.mutation import Mutation
    from marimo_kernel_bridge.analysis.object_kinds import Kind
    from marimo_kernel_bridge.analysis.occurrence import Occurrence

_OF_PARTS: Final = frozenset({"nested", "call", "train"})
"""Mutations that may change parts of an object, not only the object itself."""
_PLAIN_RESULTS: Final = frozenset({"json.load", "json.loads"})


class ImportOrder(DocumentOrder):
    """The pass in document order that knows owners."""

    def __init__(self, document: Document) -> None:
        super().__init__(document)
        document.facts.thorough = True
        self.ownership = Ownership(document.facts)
        self._axes = SharedAxes(document.facts)
        self._joining = Joining(document, self.ownership)
        self._before = Owners()  # as the cell that is visited begins
        self._copied_together: list[tuple[str, set[str]]] = []  # in the cell that is visited
        self._alive: dict[str, bool] = {}  # what `_is_alive` has found for the cell that is visited
        self._made_of: dict[str, frozenset[str]] = {}  # what names were connected with when they were bound
        self._copies_own = False  # objects of the notebook's classes, too

    def visit(self, cell: Cell) -> None:
        for name in cell.names.names:
            first = cell.names.of(name)[0]
            if first.act == "delete" and first.exposed and hasattr(builtins, name):
                self.document.restore_builtin(name)  # below `del list`, `list` is Python's
        super().visit(cell)

    # What a cell changes

    def mutations_of(self, cell: Cell) -> list[Mutation]:
        self._before = self.ownership.owners.copy()
        self._copied_together = []
        self._alive = {}
        result: list[Mutation] = []
        body = cell.names.tree.body
        for statement, found in zip(body, by_statement(body, self.document.facts), strict=True):
            self.ownership.read(statement)
            self._axes.read(statement)
            result += [self._with_sharing(mutation) for mutation in found]
            for name in _bound_by(statement):
                self._made_of[name] = frozenset(self.ownership.owners.connected(name))
        return result

    def _with_sharing(self, mutation: Mutation) -> Mutation:
        """Return a mutation together with the other names whose objects it changes."""
        if mutation.how in {"plot", "next"}:
            return mutation
        if axes := self._axes.changed_with(mutation):
            return replace(mutation, together=mutation.together | axes, held=True)
        owners, name = self.ownership.owners, mutation.name
        of_opaque = self.document.facts.kind(name) in OPAQUE_KINDS
        seen = owners.holders(name)
        if mutation.how == "nested":
            seen = {**owners.connected(name), **seen}
        elif mutation.how in {"call", "other"}:
            seen = {
                **{other: link for other, link in owners.connected(name).items() if link is Link.SHOWN},
                **seen,
            }
        kinds = OPAQUE_KINDS | PLAIN_KINDS if mutation.how == "nested" else OPAQUE_KINDS
        also = {
            other
            for other, link in seen.items()
            if link is Link.SHOWN or (of_opaque and self.document.facts.kind(other) in kinds)
        }
        if mutation.how in {"train", "call"}:
            also |= {other for other in self._made_of.get(name, ()) if self._is_opaque(other)}
            also |= {other for other in owners.holders(name) if self._is_opaque(other)}
        elif mutation.how == "fit":
            also |= {other for other in owners.held_by(name) if self.document.facts.is_estimator(other)}
        also -= {OUTSIDE, name}
        also = {other for other in also if self.document.facts.kind(other) not in {"module", "generator"}}
        return replace(mutation, together=mutation.together | also)

    def _is_opaque(self, name: str) -> bool:
        return self.document.facts.kind(name) in OPAQUE_KINDS

    # What becomes of it

    def _change(self, cell: Cell, name: str, before: Version) -> None:
        mutated = changes.exposed(cell, name)
        if not mutated or before.cell in {cell.index, PYTHON} or before.origin is not None:
            return
        kind = self._kind(name, mutated)
        if kind == "value" and (
            self._before.is_linked(name) or any(each.how == "nested" for each in mutated)
        ):
            kind = "unknown"  # the items of a tuple may be mutable
        copy = self._copy_of(cell, name, kind, mutated)
        manner = changes.manner_by_owner(kind, mutated, copy)
        match changes.DECISIONS[manner][self._readers(cell, name, before, mutated)]:
            case "copy":
                self._derive(cell, name, before, copy or ITSELF)
                self._derive_copied_with(cell, name)
            case "join" if manner != "unowned" or self._joining.suits(cell, name, before, mutated):
                self.join_with_maker(cell, name, before, changes.WHY_JOINED[manner])
            case "join" if self._copy_of_own(cell, name, kind, mutated) is not None:
                self._derive(cell, name, before, changes.DEEP)
            case "order" | "join":
                self._derive(cell, name, before, ITSELF)
                self._derive_sharing(cell, name, mutated)
            case "nothing":
                pass

    def _derive_copied_with(self, cell: Cell, name: str) -> None:
        """Derive the versions of the other names whose objects are copied together with that of a name."""
        for other in sorted(self._others_copied_with(cell, name) - cell.made.keys()):
            self._derive(cell, other, self.document.current[other], ITSELF)

    def _kind(self, name: str, mutated: Sequence[Mutation]) -> Kind:
        kind = changes.kind_of_changed(name, mutated, self.document.facts.kinds)
        through_others = all(mutation.name != name for mutation in mutated)
        return self.document.facts.kind(name) if kind == "unknown" and through_others else kind

    def _start_of_bound(
        self,
        cell: Cell,
        name: str,
        stores: Sequence[Occurrence],
        exposed: Sequence[Occurrence],
        before: Version,
    ) -> str | None:
        start = super()._start_of_bound(cell, name, stores, exposed, before)
        if start is not None and start != ITSELF:  # what the cell reads by another name must see the change
            self._derive_copied_with(cell, name)
        return ITSELF if start is None and name in _read_lazily(cell.names.tree) else start

    def _is_owned(self, cell: Cell, name: str) -> bool:
        return not self._seen_by(cell, name, self._before.holders(name))

    def _copy_by_method(self, name: str, kind: Kind) -> str | None:
        return "copy.copy({})" if kind == "frame" else self._copied(name, kind, ())

    def _copy_of(self, cell: Cell, name: str, kind: Kind, mutated: Sequence[Mutation]) -> str | None:
        """Return how to copy an object before a cell changes it; None if it has other owners, or it cannot be told."""
        template = self._copied(name, kind, mutated)
        if template is None:
            return None
        of_parts = self._before.depth(name) > Depth.FLAT and self._is_of_parts(name, mutated)
        shared = self._before.component(name) if of_parts else self._before.holders(name)
        seen_by = self._seen_by(cell, name, shared)
        if seen_by <= self._before.exact(name):
            return template
        together = {name, *seen_by}
        for component in {self._before.component(each) for each in seen_by}:
            if not together >= self._seen_by(cell, name, component):
                return None
        if not all(map(self._is_plain, together)):
            return None
        if not all(self._is_copied_along(cell, each) for each in seen_by):
            return None
        self._copied_together.append((name, seen_by))
        return changes.DEEP

    def _copy_of_own(self, cell: Cell, name: str, kind: Kind, mutated: Sequence[Mutation]) -> str | None:
        """Return how to copy an object of a class of the notebook, where more cells change it than are joined."""
        if kind != "own":
            return None
        self._copies_own = True
        try:
            return self._copy_of(cell, name, kind, mutated)
        finally:
            self._copies_own = False

    def _others_copied_with(self, cell: Cell, name: str) -> set[str]:
        """Return the names that get a version with a name's copy; others that share it are decided for themselves."""
        exact = self._seen_by(cell, name, self._before.exact(name))
        exact = {other for other in exact if self._is_copied_along(cell, other)}
        return exact.union(*(others for first, others in self._copied_together if first == name))

    def _is_copied_along(self, cell: Cell, name: str) -> bool:
        current = self.document.current.get(name)
        if current is None or current.origin is not None or current.cell == PYTHON:
            return False
        return not cell.names.stores(name) and (current.cell != cell.index or name in cell.seeded)

    def _is_of_parts(self, name: str, mutated: Sequence[Mutation]) -> bool:
        """Return whether mutations may change parts of a name's object, not only the object itself."""
        same = {name, *self.ownership.owners.exact(name)}
        return any(mutation.how in _OF_PARTS or mutation.name not in same for mutation in mutated)

    def _copied(self, name: str, kind: Kind, mutated: Sequence[Mutation]) -> str | None:  # noqa: PLR0911  # one case for each kind
        """Return how to copy an object that has no other owner; None if its kind is not known well enough."""
        if any(each.held for each in mutated):
            return None
        facts, depth = self.document.facts, self._before.depth(name)
        hows = {mutation.how for mutation in mutated}
        if kind == "frame":
            of_pandas = facts.origins.get(name, "").startswith("pandas.")
            known = of_pandas or (
                _OTHER_FRAMES.isdisjoint(facts.packages()) and (name in facts.frames or hows)
            )
            shallow = "{}.copy(deep=False)" if facts.copies_on_write else "{}.copy()"
            return shallow if known and "augmented" not in hows else "copy.copy({})" if known else None
        if kind == "array":
            return "{}.copy()" if not facts.origins.get(name, "").startswith(_MAPPED) else None
        if kind in {"list", "dict", "set"}:
            if depth <= Depth.FLAT or not self._is_of_parts(name, mutated):
                return "{}.copy()"
            return changes.DEEP if depth <= Depth.PLAIN else None
        if kind == "random":
            return changes.DEEP
        if kind == "unknown" and hows and self.document.facts.is_estimator(name):
            # A clone keeps the parameters: `set_params` is one of the others. `partial_fit` goes on with what was learned.
            return changes.CLONE if "fit" in hows <= {"fit", "other"} else changes.DEEP
        return changes.DEEP if self._is_plain(name) and hows else None

    def _is_plain(self, name: str) -> bool:
        """Return whether an object is a list, a dictionary or a set of such and of values, made in the notebook."""
        facts = self.document.facts
        function = name in facts.effects or name in self.ownership.habits
        if self._copies_own and facts.kind(name) == "own" and not function:
            of_class = self.ownership.habits.get(facts.classes.get(name, ""))
            return of_class is not None and of_class.plain and self._before.depth(name) <= Depth.PLAIN
        known = (facts.kind(name) in PLAIN_KINDS and not function) or facts.origins.get(
            name
        ) in _PLAIN_RESULTS
        return known and name != OUTSIDE and self._before.depth(name) <= Depth.PLAIN

    def _seen_by(self, cell: Cell, name: str, shared: Iterable[str]) -> set[str]:
        """Return those of the names that share an object whose value is still looked at: in a cell, or below it."""
        return {
            other for other in shared if other != name and (other == OUTSIDE or self._is_alive(cell, other))
        }

    def _is_alive(self, cell: Cell, name: str) -> bool:
        if name not in self._alive:
            self._alive[name] = self._is_looked_at(cell, name)
        return self._alive[name]

    def _is_looked_at(self, cell: Cell, name: str) -> bool:
        if any(use.act == "load" and (use.exposed or use.late) for use in cell.names.of(name)):
            return True
        return not cell.names.stores(name) and self.read_below(cell.index, name)

    # Joining

    def given(self, cell: Cell) -> frozenset[str]:
        """Return the names of objects that the calls of a cell may change without a trace in the text."""
        return frozenset(name for name in given_to_calls(cell.names.tree) if self._is_opaque(name))

    def join_with_maker(self, cell: Cell, name: str, before: Version, why: str) -> None:
        self._joining.request(cell, name, before, why)

    # Copies of several names

    def copy_together(self, cell: Cell) -> None:
        groups = [
            ({name, *self._before.exact(name)}, how) for name, how in cell.seeded.items() if how != ITSELF
        ]
        groups = [({name, *others}, "copy.deepcopy") for name, others in self._copied_together] + groups
        done: set[str] = set()
        for group, how in groups:
            names = tuple(each for each in cell.seeded if each in group and each in cell.incoming)
            if len(names) > 1 and done.isdisjoint(names):
                cell.together.append((names, how))
                done.update(names)


_OTHER_FRAMES: Final = frozenset({"polars", "xarray", "dask", "modin", "cudf", "pyspark", "vaex", "ibis"})
"""Packages whose frames are used like those of pandas and copied otherwise."""
_MAPPED: Final = ("numpy.memmap", "numpy.load", "numpy.frombuffer", "numpy.asarray", "numpy.asanyarray")


def _read_lazily(tree: ast.Module) -> set[str]:
    """Return the names that generators read which a cell keeps, and which it may advance below other bindings of these names."""
    kept = [node.value for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    lazy = [
        part
        for value in kept
        if isinstance(value, ast.GeneratorExp)
        for part in (value.elt, *(test for each in value.generators for test in each.ifs))
    ]
    return {node.id for part in lazy for node in ast.walk(part) if isinstance(node, ast.Name)}


def _bound_by(statement: ast.stmt) -> list[str]:
    targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
    return [name for target in targets if target is not None for name in stored(target)]
