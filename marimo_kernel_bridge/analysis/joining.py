"""The joining of a cell with the one that makes an object that it changes, where that joins few cells.

`import_order` decides which cells cannot get a copy of the object; here is which cells then become one.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis import known_calls
from marimo_kernel_bridge.analysis.owners import OUTSIDE, Link
from marimo_kernel_bridge.analysis.plan import Join
from marimo_kernel_bridge.analysis.versions import ITSELF

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marimo_kernel_bridge.analysis.document import Document
    from marimo_kernel_bridge.analysis.model import Cell, Version
    from marimo_kernel_bridge.analysis.mutation import Mutation
    from marimo_kernel_bridge.analysis.ownership import Ownership

OPAQUE_KINDS: Final = frozenset({"unknown", "own", "live"})
PLAIN_KINDS: Final = frozenset({"list", "dict", "set", "value"})  # a tuple, say
_MOST_ADJACENT, _MOST_AROUND = 4, 3
"""The most cells of the notebook that become one: if none between them reads the object, and if some do."""
_MOST_TRAINING: Final = 5
"""The same for a cell that goes on with what joined cells have begun, as with the training of a model."""
_GOING_ON: Final = frozenset({"train", "call"})
"""Mutations that begin such a thing, and go on with it."""


class Joining:
    """The choice of the cells that become one."""

    def __init__(self, document: Document, ownership: Ownership) -> None:
        self._document = document
        self._ownership = ownership

    def suits(self, cell: Cell, name: str, before: Version, mutated: Sequence[Mutation]) -> bool:
        """Return whether a cell is joined with the maker of an object that it changes, rather than ordered behind it."""
        connected = self._connected(name, mutated)
        if before.derived and self._document.cells[before.cell].seeded.get(name) == ITSELF:
            return False  # it does not make the object
        between = self._between(cell, before, connected)
        if OUTSIDE in connected and not self._is_all_that_runs(cell, before, between):
            return False  # what else sees it must not see the change before its place
        cells = [self._document.cells[index] for index in (before.cell, *between, cell.index)]
        if any(each.given.fails for each in cells):
            return False
        if self._is_moved_past_changes(cell, before, between):
            return False
        most = _MOST_AROUND if between else _MOST_ADJACENT
        begun = cells[0].changed.get(name, ())
        if any(each.how in _GOING_ON for each in begun) and any(each.how in _GOING_ON for each in mutated):
            most = _MOST_TRAINING
        return sum(each.given.parts for each in cells) <= most

    def request(self, cell: Cell, name: str, before: Version, why: str) -> None:
        """Request to join all cells that see the object, from its maker to this one."""
        group = {name, *self._document.facts.group(name)}
        group |= {other for each in cell.changed.get(name, ()) for other in (each.name, *each.together)}
        shown = (_link_names(self._ownership.owners.connected(each)) for each in group)
        between = self._between(cell, before, group.union(*shown))
        cells = (before.cell, *between, cell.index)
        self._document.requests.append(Join(cells, before.cell, f"`{name}`: one {why}"))

    def _is_all_that_runs(self, cell: Cell, before: Version, between: Sequence[int]) -> bool:
        """Return whether all cells between two that are joined are joined, too, or call nothing."""
        others = (self._document.cells[index] for index in range(before.cell + 1, cell.index))
        return not any(_calls_something(each.names.tree) for each in others if each.index not in between)

    def _is_moved_past_changes(self, cell: Cell, before: Version, between: Sequence[int]) -> bool:
        """Return whether a cell in between, which is not joined, may change what the joined ones use."""
        used = {
            use.name
            for index in (before.cell, *between, cell.index)
            for use in self._document.cells[index].names.occurrences
            if self._document.facts.kind(use.name) in OPAQUE_KINDS | PLAIN_KINDS
        }
        return any(
            not used.isdisjoint(given_to_calls(self._document.cells[index].names.tree))
            for index in range(before.cell + 1, cell.index)
            if index not in between
        )

    def _connected(self, name: str, mutated: Iterable[Mutation]) -> set[str]:
        names = {name, *self._document.facts.group(name)}
        names |= {other for mutation in mutated for other in (mutation.name, *mutation.together)}
        return names.union(*(self._ownership.owners.connected(each) for each in names))

    def _between(self, cell: Cell, before: Version, names: Iterable[str]) -> list[int]:
        """Return the cells between two that load one of some names, or a function that reads one."""
        known = self._with_functions(names)
        return [
            index
            for index in range(before.cell + 1, cell.index)
            if any(use.act == "load" for name in known for use in self._document.cells[index].names.of(name))
        ]

    def _with_functions(self, names: Iterable[str]) -> set[str]:
        found, waiting = set(names), list(names)
        while waiting:
            name = waiting.pop()
            for index in self._document.late_readers.get(name, ()):
                uses = self._document.cells[index].names.of(name)
                owners = {use.owner for use in uses if use.late and use.act == "load" and use.owner}
                waiting += owners - found
                found |= owners
        return found


def _link_names(links: Mapping[str, Link]) -> set[str]:
    """Return the names of links that the text shows."""
    return {name for name, link in links.items() if link is Link.SHOWN and name != OUTSIDE}


def _calls_something(tree: ast.Module) -> bool:
    passive = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef
    active = [statement for statement in tree.body if not isinstance(statement, passive)]
    return any(isinstance(node, ast.Call) for statement in active for node in ast.walk(statement))


def given_to_calls(tree: ast.Module) -> set[str]:
    """Return the names that a cell gives to calls which may change them, or calls a method of."""
    names: set[str] = set()
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    statements = [statement for statement in tree.body if not isinstance(statement, definitions)]
    for call in (node for statement in statements for node in ast.walk(statement)):
        if not isinstance(call, ast.Call):
            continue
        if isinstance(call.func, ast.Name) and known_calls.BUILTINS.get(call.func.id) == "new":
            continue
        inside = [*call.args, *(keyword.value for keyword in call.keywords)]
        inside += [call.func.value] if isinstance(call.func, ast.Attribute) else []
        names |= {node.id for part in inside for node in ast.walk(part) if isinstance(node, ast.Name)}
    return names
