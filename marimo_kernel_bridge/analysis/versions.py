"""Versions of names in document order: who makes them, who reads them, and what each is to be called.

The heart of the analysis. A cell that binds a name again, or changes its object, makes a new version of the name;
cells below read the newest version above them, functions that which is in force where they are called.
"""

from __future__ import annotations

import ast
import builtins
import re
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.cycles import cycles
from marimo_kernel_bridge.analysis.edits import edit
from marimo_kernel_bridge.analysis.model import (
    Cell,
    Given,
    InForce,
    Version,
    definition,
    offset,
    simple_augmented,
)
from marimo_kernel_bridge.analysis.mutations import Known, Mutation, mutations
from marimo_kernel_bridge.analysis.name_uses import CellNames, Occurrence, read_cell
from marimo_kernel_bridge.analysis.naming import name_versions
from marimo_kernel_bridge.analysis.object_kinds import COPIED_BY_METHOD, USED_UP
from marimo_kernel_bridge.analysis.plan import CellPlan, CopyDefinition, Join, Note, Plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_NAMES_TOLD: Final = re.compile(r"\bhelp\(|\.__name__\b|\.__qualname__\b")
"""Where a notebook shows what a function is called."""
_BUILTINS: Final = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__"}
_FRAME_ATTRIBUTES: Final = frozenset(
    """iloc loc groupby describe dtypes head tail sort_values reset_index set_index dropna fillna isnull
    value_counts pivot_table iterrows to_csv columns nunique drop_duplicates""".split()  # noqa: SIM905  # a list of words
)


def analyse(given: Sequence[Given]) -> Plan:
    """Analyse cells in document order. Raises SyntaxError for a cell that is not Python."""
    return Analysis(given).plan()


class Analysis:
    """Visits cells in document order; see the module."""

    def __init__(self, given: Sequence[Given]) -> None:
        self.cells = [self._cell(index, each) for index, each in enumerate(given)]
        self.versions: dict[str, list[Version]] = {}
        self.current: dict[str, Version] = {}
        self._log: dict[str, list[tuple[int, Version]]] = {}  # what was current, with numbers for times
        self._time = 0
        self.requests: list[Join | CopyDefinition] = []
        self.plans = [CellPlan() for _ in given]
        self._known = Known(frames=self._frames())
        self._late: dict[str, dict[int, None]] = {}  # name -> cells whose functions read it
        for cell in self.cells:
            self._note_late(cell)
        self._every_name = frozenset(
            word for cell in self.cells for word in re.findall(r"[^\W\d]\w*", cell.given.source)
        )

    def _frames(self) -> frozenset[str]:
        return _frame_like(self.cells)

    def _cell(self, index: int, given: Given) -> Cell:
        return Cell(index, given, read_cell(given.source))

    def _note_late(self, cell: Cell) -> None:
        for each in cell.names.occurrences:
            if each.late and each.act == "load":
                self._late.setdefault(each.name, {})[cell.index] = None

    def plan(self) -> Plan:
        self._global_statements()
        for cell in self.cells:
            self._visit(cell)
        self._resolve_early_reads()
        self._resolve_late_reads()
        if not self.requests:
            self._break_cycles()
        quoted = {
            each.name for cell in self.cells for each in cell.names.occurrences if each.form == "quoted"
        }
        name_versions(self.versions, self._every_name, quoted)
        told = any(_NAMES_TOLD.search(cell.given.source) for cell in self.cells)
        for cell, plan in zip(self.cells, self.plans, strict=True):
            edit(cell, plan, names_told=told)
        return Plan(self.plans, self.requests)

    # Document order

    def _visit(self, cell: Cell) -> None:
        for mutation in mutations(cell.names.tree, self._known):
            for name in {mutation.name, *mutation.together}:
                cell.changed.setdefault(name, []).append(mutation)
        cell.incoming = InForce(self._log, self._time)
        names = [*cell.names.names, *(name for name in cell.changed if name not in cell.names.names)]
        for name in names:
            self._visit_name(cell, name)
        self._copy_together(cell)
        cell.outgoing = InForce(self._log, self._time)

    def _visit_name(self, cell: Cell, name: str) -> None:
        before = self.current.get(name)
        occurrences = cell.names.of(name)
        stores = [each for each in occurrences if each.act == "store" and not each.late]
        exposed = [each for each in occurrences if each.exposed and each.act == "load"]
        repeated = [each for each in stores if self._is_repeated_import(cell, each, before)]
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
        if any(each.act == "store" and each.late for each in occurrences) and name not in cell.made:
            self._make(cell, name, before if before is not None and before.cell != cell.index else None)

    def _is_repeated_import(self, cell: Cell, occurrence: Occurrence, before: Version | None) -> bool:
        statement = cell.names.tree.body[occurrence.statement]
        return (
            occurrence.origin is not None
            and before is not None
            and before.origin == occurrence.origin
            and before.certain
            and isinstance(statement, ast.Import | ast.ImportFrom)
        )

    def _store(
        self,
        cell: Cell,
        name: str,
        stores: list[Occurrence],
        exposed: list[Occurrence],
        before: Version | None,
    ) -> None:
        shadows = name in _BUILTINS and before is None
        certain = name in cell.names.bound_at_end or any(each.act == "delete" for each in cell.names.of(name))
        divided = all(
            load.order < store.order
            and not (load.looped and store.looped and load.statement == store.statement)
            for load in exposed
            for store in stores
            if not (store.augmented and load.start == store.start)
        )
        augmented = [each for each in stores if each.augmented]
        changed = [each for each in cell.changed.get(name, ()) if self._is_exposed(cell, each)]
        read_below = self._read_below(cell.index, {name})
        origins = {each.origin for each in stores}
        version = Version(
            name,
            cell.index,
            origin=origins.pop() if len(origins) == 1 else None,
            derived=bool(exposed and before is not None),
            temporary=all(each.temporary for each in stores),
            definition=_defines(cell.names, stores),
            certain=certain,
        )
        if shadows and (any(name in earlier.names.names for earlier in self.cells[: cell.index]) or exposed):
            self.versions.setdefault(name, []).append(Version(name, -1, readers={-2}))
        self._add(cell, version)
        if before is None or before.cell == -1:
            return
        if exposed and (not divided or changed or (augmented and simple_augmented(cell, name) is None)):
            cell.seeded[name] = self._seed(name, before, changed, augmented=bool(augmented))
        elif not certain and (read_below or exposed):
            cell.seeded[name] = "{}"
            before.readers.add(cell.index)
            version.derived = True

    def _seed(self, name: str, before: Version, changed: list[Mutation], *, augmented: bool) -> str:
        kind = self._kind(name, changed)
        if changed:
            return _copying(kind, changed) or "{}"
        if augmented and kind in COPIED_BY_METHOD:
            return "{}.copy()"
        if augmented and kind == "unknown" and not self._is_number(before):
            return "copy.copy({})"
        return "{}"

    def _is_number(self, version: Version) -> bool:
        """Tell whether a version is bound to what cannot change, so that `x += y` binds it anew."""
        if version.cell < 0:
            return False
        tree = self.cells[version.cell].names.tree
        values = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id == version.name for target in node.targets)
        ]
        return bool(values) and all(isinstance(value, ast.Constant) for value in values)

    def _add(self, cell: Cell, version: Version) -> None:
        self.versions.setdefault(version.name, []).append(version)
        cell.made[version.name] = version
        if not (cell.given.fails and version.name in self.current):
            self.current[version.name] = version
            self._log.setdefault(version.name, []).append((self._time, version))
            self._time += 1

    def _make(self, cell: Cell, name: str, before: Version | None) -> None:
        self._add(cell, Version(name, cell.index, derived=before is not None, temporary=False))

    # Changes of objects that other cells made

    def _is_exposed(self, cell: Cell, mutation: Mutation) -> bool:
        """Tell whether what is changed came from another cell."""
        for occurrence in cell.names.of(mutation.at.id):
            line, column = mutation.at.lineno, mutation.at.col_offset
            if occurrence.start == offset(cell.given.source, line, column):
                if mutation.at.id != mutation.name:  # a call that changes a global
                    return True
                return occurrence.exposed or bool(mutation.together)
        return mutation.how != "next"  # else a comprehension's own name

    def _kind(self, name: str, changed: Iterable[Mutation]) -> str:
        kinds = {each.kind if each.name == name else "unknown" for each in changed} or {
            self._known.kinds.get(name, "unknown")
        }
        kind = next(iter(kinds - {"unknown"}), "unknown") if len(kinds - {"unknown"}) <= 1 else "unknown"
        if kind == "unknown" and (any(each.how == "inplace" for each in changed)):
            return "frame"
        return kind

    def _change(self, cell: Cell, name: str, before: Version) -> None:
        changed = [each for each in cell.changed[name] if self._is_exposed(cell, each)]
        if not changed or before.cell in {cell.index, -1} or before.origin is not None:
            return
        own = [each for each in changed if each.name == name]
        kind = self._kind(name, changed)
        if kind == "value" and any(each.how == "nested" for each in changed):
            kind = "unknown"  # what is in a tuple may change
        read_below = self._read_below(cell.index, {name})
        others = before.readers - {cell.index}
        copied = all(each.name in cell.seeded for each in changed)
        if not own and not read_below and name not in cell.names.names and (copied or not others):
            return  # shares the changed object, but nobody looks
        repeatable = all(each.repeatable for each in changed)
        sharing = {other for each in changed for other in {each.name, *each.together}} - {name}
        seen = read_below or bool(others) or any(self._read_below(cell.index, {other}) for other in sharing)
        seen = seen or self._looks_at(cell, name, changed, before=True)
        if kind == "value" or (repeatable and not seen):
            return
        if kind == "plot" or any(each.how == "plot" for each in changed):
            self._join_with_maker(cell, name, before, "draws on what the other made")
            return
        if kind in USED_UP or any(each.how == "next" for each in changed):
            self._join_with_maker(cell, name, before, "moves on in what the other began")
            return
        copying = _copying(kind, changed)
        if copying is None and kind == "own" and others:
            copying = "copy.deepcopy({})"
        if copying is None and not read_below:
            return
        version = Version(name, cell.index, derived=True, temporary=False)
        before.readers.add(cell.index)
        self._add(cell, version)
        cell.seeded[name] = copying or "{}"
        partners = sorted(
            other
            for each in changed
            for other in {each.name, *each.together} - {name}
            if other in self.current
            and self.current[other].origin is None
            and self.current[other].cell != cell.index
            and other not in cell.made
        )
        shared = [
            other
            for other in partners
            if not cell.names.stores(other)
            and (self._read_below(cell.index, {other}) or self._looks_at(cell, other, changed))
        ]
        if shared:
            self._change_together(cell, sorted(set(shared)))

    def _looks_at(self, cell: Cell, name: str, changed: Sequence[Mutation], *, before: bool = False) -> bool:
        """Tell whether a cell reads an object that came from another one, not only to change it.

        With `before`, only what it reads before it changes it counts: that would be another thing when it runs again.
        """
        places = [
            offset(cell.given.source, each.at.lineno, each.at.col_offset)
            for each in changed
            if each.at.id == name
        ]
        first = min((offset(cell.given.source, each.statement.lineno, 0) for each in changed), default=0)
        return any(
            each.act == "load"
            and each.exposed
            and each.start not in places
            and (not before or each.start < first)
            for each in cell.names.of(name)
        )

    def _change_together(self, cell: Cell, shared: list[str]) -> None:
        """Several names stand for the object, or parts of it: they must still do so in their new versions."""
        for other in shared:
            before = self.current[other]
            if before.cell == -1:
                continue
            before.readers.add(cell.index)
            self._add(cell, Version(other, cell.index, derived=True, temporary=False))
            cell.seeded[other] = "{}"

    def _copy_together(self, cell: Cell) -> None:
        """Let names that stand for one object do so in their copies, too."""
        groups: list[set[str]] = []
        for mutation in (each for changes in cell.changed.values() for each in changes):
            group = {mutation.name, *mutation.together} & cell.seeded.keys()
            apart = [each for each in groups if not each & group]
            groups = [*apart, group.union(*(each for each in groups if each & group))]
        for group in groups:
            names = tuple(name for name in cell.seeded if name in group and name in cell.incoming)
            if len(names) > 1 and any(cell.seeded[name] != "{}" for name in names):
                cell.together.append((names, "copy.deepcopy"))

    def _join_with_maker(self, cell: Cell, name: str, before: Version, why: str) -> None:
        """Ask for one cell of all that see the object, from its maker to this one."""
        group = self._known.group(name)
        between = [
            index
            for index in range(before.cell + 1, cell.index)
            if group & {each.name for each in self.cells[index].names.occurrences if each.act == "load"}
        ]
        cells = (before.cell, *between, cell.index)
        self.requests.append(Join(cells, before.cell, f"`{name}`: one {why}"))

    def _read_below(self, index: int, names: set[str]) -> bool:
        for cell in self.cells[index + 1 :]:
            for name in list(names):
                for occurrence in cell.names.of(name):
                    if occurrence.act == "load" and (occurrence.exposed or occurrence.late):
                        return True
                if cell.names.stores(name) and name in cell.names.bound_at_end:
                    names = names - {name}
            if not names:
                return False
        return any(
            occurrence.late and occurrence.act == "load" and occurrence.name in names
            for cell in self.cells[: index + 1]
            for occurrence in cell.names.occurrences
        )

    # Reads that are not in document order

    def _resolve_early_reads(self) -> None:
        """Find names that are read above their first definition: saved out of order, or an error on purpose."""
        for cell in self.cells:
            for occurrence in cell.names.occurrences:
                name = occurrence.name
                if occurrence.exposed and name not in cell.incoming and self.versions.get(name):
                    first = self.versions[name][0]
                    if first.cell not in {-1, cell.index} and not first.name.startswith("_"):
                        first.readers.add(cell.index)
                        cell.incoming[name] = first
                        self.plans[cell.index].notes.append(
                            Note("other", f"it reads `{name}`, which only a cell below defines", warning=True)
                        )

    def _resolve_late_reads(self) -> None:
        for cell in self.cells:
            wanted = dict.fromkeys(
                (each.owner, each.name) for each in cell.names.occurrences if each.late and each.act == "load"
            )
            for owner, name in wanted:
                if self.versions.get(name):
                    self._resolve_late(cell, owner, name)

    def _resolve_late(self, cell: Cell, owner: str | None, name: str) -> None:
        if owner == name and name in cell.made:
            cell.late[owner, name] = cell.made[name]  # recursion
            return
        found: dict[Version, int] = {}
        callers = self._callers(cell, owner) if owner is not None else {cell.index: set()}
        for index, called in callers.items():
            version = self._in_force(self.cells[index], name, called)
            if version is not None and version.cell != -1:
                found.setdefault(version, index)
        if not found:
            version = cell.outgoing.get(name) or next(
                (each for each in self.versions[name] if each.cell > cell.index), None
            )
            if version is None or version.cell == -1:
                return
            found[version] = cell.index
        version = next(iter(found))
        if len(found) > 1 and owner is not None:
            other, at = list(found.items())[1]
            if other.cell != -1 and not self._asked_for(owner, at):
                self._define_again(cell, owner, at, f"it reads `{name}`, which has changed by then")
        version.readers.add(cell.index)
        cell.late[owner, name] = version

    def _define_again(self, cell: Cell, owner: str, at: int, why: str) -> None:
        if at == cell.index:
            return
        if definition(cell.names.tree, owner) is not None and owner in cell.made:
            self.requests.append(CopyDefinition(owner, cell.index, at, why))
        else:
            self.requests.append(Join(tuple(range(cell.index, at + 1)), cell.index, f"`{owner}`: {why}"))

    def _asked_for(self, owner: str, at: int) -> bool:
        return any(
            isinstance(each, CopyDefinition) and (each.name, each.target) == (owner, at)
            for each in self.requests
        )

    def _callers(self, cell: Cell, owner: str) -> dict[int, set[str]]:  # noqa: C901  # one case for each form
        """Return the cells that may call a function of `cell`, in document order, and the names they do it by."""
        made = cell.made.get(owner)
        if made is None:
            return {cell.index: set()}
        # Who stands for it: (version, name, whether by name only). A function that calls it by name calls whatever
        # has the name then; an object of a class keeps its class.
        start = (made, owner, False)
        carriers, waiting = {start}, [start]
        found: dict[int, set[str]] = {}
        while waiting:
            version, name, by_name = waiting.pop()
            for index in {*version.readers, version.cell}:
                reader = self.cells[index]
                loads = [
                    each
                    for each in reader.names.of(name)
                    if each.act == "load" and self._means(reader, each, version)
                ]
                if any(not each.late for each in loads) and (not by_name or self._has(index, owner, made)):
                    found.setdefault(index, set()).add(name)
                for holding in self._carried(reader, loads):
                    if (*holding, by_name) not in carriers:
                        carriers.add((*holding, by_name))
                        waiting.append((*holding, by_name))
            # Functions below and above that call it: their reads are not resolved yet, so go by names.
            for other in [self.cells[index] for index in self._late.get(name, ())]:
                for each in other.names.of(name):
                    holder = other.made.get(each.owner) if each.owner is not None else None
                    if each.late and each.act == "load" and each.owner and holder is not None:
                        carrier = (holder, each.owner, True)
                        if carrier not in carriers:
                            carriers.add(carrier)
                            waiting.append(carrier)
        return dict(sorted(found.items()))

    def _means(self, cell: Cell, load: Occurrence, version: Version) -> bool:
        if load.late or load.name in cell.seeded:
            return version in {cell.incoming.get(load.name), cell.made.get(load.name)}
        if load.exposed:
            return cell.incoming.get(load.name) is version
        return cell.made.get(load.name) is version

    def _has(self, index: int, name: str, version: Version) -> bool:
        cell = self.cells[index]
        return version in {cell.incoming.get(name), cell.made.get(name)}

    def _carried(self, cell: Cell, loads: list[Occurrence]) -> Iterator[tuple[Version, str]]:
        """Yield what a cell binds to a function, or to an object of a class, that it loads."""
        for load in loads:
            if load.late:
                continue
            definition = load.called and not self._is_class(load.name)
            for each in cell.names.occurrences:
                if (
                    each.act == "store"
                    and not each.late
                    and each.statement == load.statement
                    and not definition
                    and isinstance(cell.names.tree.body[each.statement], ast.Assign)
                    and each.name in cell.made
                ):
                    yield cell.made[each.name], each.name

    def _is_class(self, name: str) -> bool:
        return self._known.kinds.get(name) == "own"

    def _in_force(self, cell: Cell, name: str, called: set[str]) -> Version | None:
        """Return the version of a name when a cell calls functions by the names `called`."""
        made = cell.made.get(name)
        if made is None or cell.given.fails:
            return cell.incoming.get(name)
        if name in cell.seeded:
            return made
        stores = cell.names.stores(name)
        calls = [
            each.order
            for each in cell.names.occurrences
            if each.name in called and each.act == "load" and not each.late
        ]
        before = cell.incoming.get(name)
        if stores and calls and before is not None and before.cell != -1:
            first = min(each.order for each in stores)
            if max(calls) < first:
                return before
            if min(calls) < first:  # called before and after: the name must mean both, one after the other
                cell.seeded[name] = "{}"
                before.readers.add(cell.index)
        return made

    # Cycles

    def _break_cycles(self) -> None:
        upstream: dict[int, set[int]] = {cell.index: set() for cell in self.cells}
        for version in (each for versions in self.versions.values() for each in versions):
            for reader in version.readers:
                if version.cell >= 0 and reader >= 0 and reader != version.cell:
                    upstream[reader].add(version.cell)
        for cycle in cycles(upstream):
            self._break(cycle)

    def _break(self, cycle: list[int]) -> None:
        """Open a cycle: a function closes it that reads what a cell makes that calls it, so define it there."""
        inside = set(cycle)
        for index in cycle:
            cell = self.cells[index]
            for (owner, _), version in cell.late.items():
                if owner is None or version.cell not in inside or version.cell <= index:
                    continue
                callers = [each for each in self._callers(cell, owner) if each != index]
                body = cell.names.tree.body
                only_defines = all(
                    isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef) for node in body
                )
                if len(callers) == 1 and callers[0] > index and only_defines and len(cell.made) == 1:
                    why = f"`{owner}` is used only there, and reads what is made there"
                    self.requests.append(Join((index, callers[0]), callers[0], why))
                    return
                target = next((each for each in callers if each in inside and each >= version.cell), None)
                if target is not None and isinstance(definition(cell.names.tree, owner), ast.FunctionDef):
                    self.requests.append(
                        CopyDefinition(
                            owner, index, target, f"it reads `{version.name}`, which is made there"
                        )
                    )
                    return
        self.requests.append(Join(tuple(sorted(cycle)), min(cycle), "they depend on each other"))

    def _global_statements(self) -> None:
        """Join those who bind, call and read where a function has `global x`, which binds x when it is called."""
        for cell in self.cells:
            for occurrence in cell.names.occurrences:
                if not (occurrence.late and occurrence.act == "store"):
                    continue
                name, owner = occurrence.name, occurrence.owner
                involved = {cell.index} | {
                    other.index
                    for other in self.cells
                    if other.names.stores(name)
                    or any(each.act == "store" and each.late for each in other.names.of(name))
                }
                if len(involved) == 1:
                    continue
                involved |= {
                    other.index
                    for other in self.cells
                    if other.index > min(involved)
                    and any(each.name in {name, owner} for each in other.names.occurrences)
                }
                cells = tuple(sorted(involved))
                self.requests.append(Join(cells, cells[-1], f"`{owner}` binds the global `{name}`"))
                return

    # Names


def _copying(kind: str, changed: Sequence[Mutation]) -> str | None:  # noqa: PLR0911  # one case for each form
    """Return how to copy an object before it is changed; None if it cannot or need not be."""
    hows = {each.how for each in changed}
    if any(each.viewed for each in changed):
        return None
    if kind in {"live", "plot", "module", "value", "generator"}:
        return None
    if kind in COPIED_BY_METHOD and "nested" not in hows:
        return "{}.copy()" if kind != "list" or "call" not in hows else "copy.deepcopy({})"
    if kind == "frame":
        return "{}.copy()"
    if kind == "random":
        return "copy.deepcopy({})"
    if hows <= {"fit", "other"} or (
        hows <= {"attribute", "fit", "other"} and all(each.repeatable for each in changed)
    ):
        return None
    return "copy.deepcopy({})"


def _defines(names: CellNames, stores: list[Occurrence]) -> bool:
    return any(definition(names.tree, each.name) is not None for each in stores[:1])


def _frame_like(cells: Iterable[Cell]) -> frozenset[str]:
    """Return the names that are used as only pandas objects are."""
    return frozenset().union(*(frames_of(cell.names.tree) for cell in cells))


def frames_of(tree: ast.Module) -> frozenset[str]:
    """Return the names that one cell uses as only pandas objects are used."""
    return frozenset(
        node.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in _FRAME_ATTRIBUTES
        and isinstance(node.value, ast.Name)
    )
