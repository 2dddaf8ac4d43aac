"""Reads that do not follow document order: before the first definition, and by functions when they are called.

Works on cells that `versions` has visited. Finds the cells that may call a function, and the version of a global that
the function reads in each.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.kept_functions import put_into
from marimo_kernel_bridge.analysis.model import PYTHON, definition
from marimo_kernel_bridge.analysis.plan import CopyDefinition, Join, Note
from marimo_kernel_bridge.analysis.syntax import is_generator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from marimo_kernel_bridge.analysis.document import Document
    from marimo_kernel_bridge.analysis.model import Cell, Version
    from marimo_kernel_bridge.analysis.occurrence import Occurrence

    _Carrier = tuple[Version, str, bool]
    """A holder of a function: a version, its name, and whether it refers to the function by name only.

A function that calls another one by name calls its current version; an object of a class keeps its class."""


_STATELESS: Final = frozenset(
    """shown_as dataclass total_ordering contextmanager asynccontextmanager staticmethod classmethod property wraps
    no_grad inference_mode enable_grad errstate overload override final""".split()  # noqa: SIM905  # a list of words
)
"""Decorators that make the same of a second definition. Compilers do not: they keep the globals of their first call."""
_MOST_JOINED: Final = 4
"""The most cells of the notebook that become one because a class, which has to be written twice otherwise, reads a change."""


class LateReads:
    """The pass over a visited document that resolves reads which do not follow its order."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._through_results: set[int] = (
            set()
        )  # callers, by what the function that was asked for last has made

    def resolve_early(self) -> None:
        """Resolve reads of names that only a cell below defines: the notebook ran out of order, or fails on purpose."""
        versions = self._document.versions
        for cell in self._document.cells:
            for use in cell.names.occurrences:
                name = use.name
                if not use.exposed or name in cell.incoming or not versions.get(name):
                    continue
                first = versions[name][0]
                if first.cell not in {PYTHON, cell.index} and not name.startswith("_"):
                    first.readers.add(cell.index)
                    cell.incoming[name] = first
                    text = f"it reads `{name}`, which only a cell below defines"
                    cell.notes.append(Note("other", text, warning=True))

    def resolve(self) -> None:
        """Resolve the reads of functions to the versions in force where the functions are called.

        For a function that reads more than one version, add a request that it is defined again.
        """
        for cell in self._document.cells:
            late = dict.fromkeys(
                (use.owner, use.name) for use in cell.names.occurrences if use.late and use.act == "load"
            )
            for owner, name in late:
                if self._document.versions.get(name):
                    self._resolve(cell, owner, name)

    def _resolve(self, cell: Cell, owner: str | None, name: str) -> None:
        if owner == name and name in cell.made:
            cell.late[owner, name] = cell.made[name]  # recursion
            return
        cells = self._document.cells
        places: dict[Version, int] = {}  # the first cell in which each version is read
        callers = self.callers(cell, owner) if owner is not None else {cell.index: set()}
        lazy = self._is_lazy(cell, owner)
        for index, called in callers.items():
            version = self._first_of(cells[index], self.in_force(cells[index], name, called, lazy=lazy))
            if version is not None and version.cell != PYTHON:
                places.setdefault(version, index)
        if not places:
            version = cell.outgoing.get(name) or next(
                (later for later in self._document.versions[name] if later.cell > cell.index), None
            )
            if version is None or version.cell == PYTHON:
                return
            places[version] = cell.index
        version = next(iter(places))
        if len(places) > 1 and owner is not None:
            _, at = list(places.items())[1]
            if owner not in callers[at] and at in self._through_results:
                cells_between = tuple(
                    range(cell.index, at + 1)
                )  # what it has made reads the name that it knows
                why = f"`{owner}`: what it makes reads `{name}`, which has changed by then"
                self._document.requests.append(Join(cells_between, cell.index, why))
            elif not self._is_requested(owner, at):
                self._request_definition(cell, owner, at, f"it reads `{name}`, which has changed by then")
        version.readers.add(cell.index)
        cell.late[owner, name] = version

    def _first_of(self, cell: Cell, version: Version | None) -> Version | None:
        """Return the first version of the object that a cell changes in place: `rows_1 = rows` orders the cell already."""
        while version is not None and version.cell == cell.index and _is_same_object(cell, version):
            version = cell.incoming.get(version.name)
            if version is None or version.cell == PYTHON:
                return None
            cell = self._document.cells[version.cell]
        return version

    def _request_definition(self, cell: Cell, owner: str, at: int, why: str) -> None:
        if at == cell.index:
            return
        requests = self._document.requests
        node = definition(cell.names.tree, owner)
        between = range(cell.index, at + 1)
        again = node is not None and owner in cell.made and not self._keeps_state(node)
        if again and (isinstance(node, ast.ClassDef) or (node is not None and node.decorator_list)):
            again = sum(self._document.cells[index].given.parts for index in between) > _MOST_JOINED
        if again:
            requests.append(CopyDefinition(owner, cell.index, at, why))
        else:
            requests.append(Join(tuple(between), cell.index, f"`{owner}`: {why}"))

    def _keeps_state(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
        """Return whether a second definition may differ: a decorator has a cache or a registry, or a default changes."""
        names = (each.func if isinstance(each, ast.Call) else each for each in node.decorator_list)
        if any(getattr(name, "attr", getattr(name, "id", "")) not in _STATELESS for name in names):
            return True
        effects = self._document.facts.effects.get(node.name)
        return effects is not None and bool(effects.defaults)

    def _is_requested(self, owner: str, at: int) -> bool:
        return any(
            isinstance(request, CopyDefinition) and (request.name, request.target) == (owner, at)
            for request in self._document.requests
        )

    # Who calls a function

    def callers(self, cell: Cell, owner: str) -> dict[int, set[str]]:
        """Return the cells that may call a function of `cell`, in document order, and the names that they call."""
        made = cell.made.get(owner) or cell.outgoing.get(owner)
        if made is None or made.cell == PYTHON or made.origin is not None:
            return {cell.index: set()}
        start = (made, owner, False)
        carriers, waiting = {start}, [start]
        callers: dict[int, set[str]] = {}
        made_by: set[Version] = set()  # what functions have returned that have others in them
        self._through_results = set()
        while waiting:
            carrier = waiting.pop()
            version, name, by_name = carrier
            makes = self._makes_functions(version, name)
            for index in {*version.readers, version.cell}:
                reader = self._document.cells[index]
                loads = [
                    use for use in reader.names.of(name) if use.act == "load" and _means(reader, use, version)
                ]
                if any(not use.late for use in loads) and (not by_name or _calls(reader, owner, made, loads)):
                    callers.setdefault(index, set()).add(name)
                    if version in made_by:
                        self._through_results.add(index)
                for held in self._held(reader, loads, makes=makes):
                    if makes or version in made_by:
                        made_by.add(held[0])
                    _take((*held, by_name), carriers, waiting)
            for holder in self._functions_that_load(name):
                _take(holder, carriers, waiting)
        return dict(sorted(callers.items()))

    def _functions_that_load(self, name: str) -> Iterator[_Carrier]:
        """Yield functions in any cell that load a name. Matches by name, because their reads are not resolved yet."""
        for index in self._document.late_readers.get(name, ()):
            cell = self._document.cells[index]
            for use in cell.names.of(name):
                holder = cell.made.get(use.owner) if use.owner is not None else None
                if use.late and use.act == "load" and use.owner and holder is not None:
                    yield holder, use.owner, True

    def _makes_functions(self, version: Version, name: str) -> bool:
        """Return whether a function has others in it, which it may return. On a live kernel, runs show what those read."""
        if not self._document.facts.thorough or version.cell == PYTHON:
            return False
        node = definition(self._document.cells[version.cell].names.tree, name)
        inner = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
        return isinstance(node, ast.FunctionDef) and any(
            isinstance(part, inner) for part in ast.walk(node) if part is not node
        )

    def _held(self, cell: Cell, loads: Sequence[Occurrence], *, makes: bool) -> Iterator[tuple[Version, str]]:
        """Yield the versions that a cell binds to a function, or to an object of a class, that it loads.

        `makes`: what the function returns counts as well, and what it decorates.
        """
        for load in loads:
            result_only = load.called and self._document.facts.kinds.get(load.name) != "own" and not makes
            if load.late or result_only:
                continue
            statement = cell.names.tree.body[load.statement]
            if makes and isinstance(statement, ast.FunctionDef) and statement.name in cell.made:
                yield cell.made[statement.name], statement.name
            for use in cell.names.occurrences:
                if (
                    use.act == "store"
                    and not use.late
                    and use.statement == load.statement
                    and isinstance(cell.names.tree.body[use.statement], ast.Assign)
                    and use.name in cell.made
                ):
                    yield cell.made[use.name], use.name
            for name, part in put_into(statement):
                holder = cell.outgoing.get(name)
                of_notebook = holder is not None and holder.cell != PYTHON and holder.origin is None
                if holder is not None and of_notebook and getattr(part, "id", "") == load.name:
                    yield holder, name

    # What a function reads there

    def _is_lazy(self, cell: Cell, owner: str | None) -> bool:
        """Return whether a function reads names below its call, too: a generator. On a live kernel, runs show that."""
        if owner is None or not self._document.facts.thorough:
            return False
        node = definition(cell.names.tree, owner)
        return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and is_generator(node)

    def in_force(self, cell: Cell, name: str, called: set[str], *, lazy: bool = False) -> Version | None:
        """Return the version of a name at the time when a cell calls functions by the names `called`.

        `lazy`: they read it later.
        """
        made = cell.made.get(name)
        if made is None or cell.given.fails:
            return cell.incoming.get(name)
        if name in cell.seeded:
            return made
        stores = cell.names.stores(name)
        calls = [
            use.order
            for use in cell.names.occurrences
            if use.name in called and use.act == "load" and not use.late
        ]
        before = cell.incoming.get(name)
        if stores and calls and before is not None and before.cell != PYTHON:
            first = min(use.order for use in stores)
            if max(calls) < first and not lazy:
                return before
            if min(calls) < first:  # called before and after the binding: the name has both versions in turn
                cell.seeded[name] = "{}"
                before.readers.add(cell.index)
        return made


def _take(carrier: _Carrier, carriers: set[_Carrier], waiting: list[_Carrier]) -> None:
    if carrier not in carriers:
        carriers.add(carrier)
        waiting.append(carrier)


def _means(cell: Cell, load: Occurrence, version: Version) -> bool:
    if load.late or load.name in cell.seeded:
        return _has(cell, load.name, version)
    if load.exposed:
        return cell.incoming.get(load.name) is version
    return cell.made.get(load.name) is version


def _calls(cell: Cell, name: str, version: Version, loads: Sequence[Occurrence]) -> bool:
    """Return whether functions that a cell loads may call a version of another one, which they know by its name."""
    made = cell.made.get(name)
    stores = cell.names.stores(name)
    if made is None or made is version or not stores or name in cell.seeded:
        return _has(cell, name, version)
    first = min(use.order for use in stores)
    return cell.incoming.get(name) is version and any(use.order < first and not use.late for use in loads)


def _has(cell: Cell, name: str, version: Version) -> bool:
    return version in {cell.incoming.get(name), cell.made.get(name)}


def _is_same_object(cell: Cell, version: Version) -> bool:
    """Return whether a version is the object of the version before it."""
    name = version.name
    return cell.made.get(name) is version and cell.seeded.get(name) == "{}" and not cell.names.stores(name)
