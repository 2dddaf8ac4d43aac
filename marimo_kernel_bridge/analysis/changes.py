"""The treatment of a cell that mutates an object of another cell: a decision table.

Rule 1: the decision depends only on the kind of object and on its readers. Rule 2: this file creates no versions;
`versions` carries out the decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from marimo_kernel_bridge.analysis.model import offset
from marimo_kernel_bridge.analysis.object_kinds import CONSUMED, COPIED_BY_METHOD, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marimo_kernel_bridge.analysis.model import Cell
    from marimo_kernel_bridge.analysis.mutation import Mutation

Decision = Literal["nothing", "copy", "order", "join"]
"""`copy`: the cell mutates a copy, under a new version of the name. `order`: it mutates the object itself, and the new
version only makes readers below run after it. `join`: the cell is joined with the maker of the object."""

Manner = Literal["fixed", "drawn on", "consumed", "copied", "instance", "not copied", "unowned"]
"""How the object can be mutated. `fixed`: it is immutable. `drawn on`: a plot. `consumed`: an iterator or a file, which
advances. `copied`: it can be copied first. `instance`: of a class of the notebook, mutated in a way that is hardly
visible, so copied only if other cells read it. `not copied`: it cannot be copied, or need not be. `unowned`: something
else may see it, or its kind is not known; where joining takes too many cells, it is ordered."""

Readers = Literal["nobody", "itself", "above", "below", "both"]
"""Who reads the object besides its maker: only the cell that mutates it, cells between the two, or cells below."""

DECISIONS: Final[Mapping[Manner, Mapping[Readers, Decision]]] = {
    "fixed": {"nobody": "nothing", "itself": "nothing", "above": "nothing", "below": "nothing", "both": "nothing"},
    "drawn on": {"nobody": "nothing", "itself": "join", "above": "join", "below": "join", "both": "join"},
    "consumed": {"nobody": "nothing", "itself": "join", "above": "join", "below": "join", "both": "join"},
    "copied": {"nobody": "nothing", "itself": "copy", "above": "copy", "below": "copy", "both": "copy"},
    "instance": {"nobody": "nothing", "itself": "nothing", "above": "copy", "below": "order", "both": "copy"},
    "not copied": {"nobody": "nothing", "itself": "nothing", "above": "nothing", "below": "order", "both": "order"},
    "unowned": {"nobody": "nothing", "itself": "join", "above": "join", "below": "join", "both": "join"},
}  # fmt: skip

_NEVER_COPIED: Final = frozenset({"live", "plot", "module", "value", "generator"})
DEEP: Final = "copy.deepcopy({})"
CLONE: Final = "clone({})"
"""How an estimator of scikit-learn is made again before it is fitted."""
WHY_JOINED: Final[Mapping[Manner, str]] = {
    "drawn on": "draws on what the other made",
    "consumed": "moves on in what the other began",
    "unowned": "changes what the other made, and a copy may not be the same",
}


def readers(*, above: bool, below: bool) -> Readers:
    """Return who reads an object that other cells read between its maker and its mutation, or below."""
    if above:
        return "both" if below else "above"
    return "below" if below else "itself"


def manner(kind: Kind, mutations: Sequence[Mutation], copy: str | None) -> Manner:
    """Return how an object can be mutated. `copy` is the result of `copy_of`."""
    hows = {mutation.how for mutation in mutations}
    if kind == "value" and "next" not in hows:  # a tuple may hold an iterator
        return "fixed"
    if kind == "plot" or "plot" in hows:
        return "drawn on"
    if kind in CONSUMED or "next" in hows:
        return "consumed"
    if copy is not None:
        return "copied"
    return "instance" if kind == "own" else "not copied"


def manner_by_owner(kind: Kind, mutations: Sequence[Mutation], copy: str | None) -> Manner:
    """Return how an object can be mutated where it is known who else may see it. `copy` copies it, if it is owned."""
    hows = {mutation.how for mutation in mutations}
    if copy == CLONE:
        return "instance"
    if kind in {"value", "module"} or copy is not None or kind == "plot" or "plot" in hows:
        return manner(kind, mutations, copy)
    if kind in CONSUMED or "next" in hows:
        return "consumed"
    is_set = kind == "live" and "attribute" in hows  # a widget's value shows above, too
    return "not copied" if _hardly_shows(mutations) and not is_set else "unowned"


def _hardly_shows(mutations: Sequence[Mutation]) -> bool:
    hows = {mutation.how for mutation in mutations}
    repeatable = all(mutation.repeatable for mutation in mutations)
    return hows <= {"fit", "other"} or (hows <= {"attribute", "fit", "other"} and repeatable)


def copy_of(kind: Kind, mutations: Sequence[Mutation]) -> str | None:
    """Return the expression that copies an object before it is mutated; None if it cannot or need not be copied."""
    hows = {mutation.how for mutation in mutations}
    if kind in _NEVER_COPIED or any(mutation.viewed for mutation in mutations):
        return None
    if kind in COPIED_BY_METHOD and "nested" not in hows:
        return DEEP if kind == "list" and "call" in hows else "{}.copy()"
    if kind == "frame":
        return "{}.copy()"
    if kind == "random":
        return DEEP
    return None if _hardly_shows(mutations) else DEEP


def kind_of_changed(name: str, mutations: Iterable[Mutation], kinds: Mapping[str, Kind]) -> Kind:
    """Return the kind of an object with several mutations, which may disagree about it.

    `kinds` are the present kinds of names.
    """
    mutations = list(mutations)
    seen: set[Kind] = {mutation.kind if mutation.name == name else "unknown" for mutation in mutations}
    certain = (seen or {kinds.get(name, "unknown")}) - {"unknown"}
    if len(certain) == 1:
        return certain.pop()
    return "frame" if any(mutation.how == "inplace" for mutation in mutations) else "unknown"


def exposed(cell: Cell, name: str) -> list[Mutation]:
    """Return the mutations by a cell of an object that another cell has bound to a name."""
    return [mutation for mutation in cell.changed.get(name, ()) if _is_exposed(cell, mutation)]


def _is_exposed(cell: Cell, mutation: Mutation) -> bool:
    for occurrence in cell.names.of(mutation.at.id):
        if occurrence.start == offset(cell.given.source, mutation.at.lineno, mutation.at.col_offset):
            if mutation.at.id != mutation.name:  # a call that changes a global
                return True
            return occurrence.exposed or bool(mutation.together)
    return mutation.how != "next"  # otherwise the name may be a comprehension's own


def is_of_another_cell(cell: Cell, mutation: Mutation) -> bool:
    """Return whether the name that a cell mutates an object by is not one that the cell has bound before."""
    start = offset(cell.given.source, mutation.at.lineno, mutation.at.col_offset)
    return any(each.exposed and each.start == start for each in cell.names.of(mutation.at.id))


def looks_at(cell: Cell, name: str, mutations: Sequence[Mutation], *, before: bool = False) -> bool:
    """Return whether a cell reads an object of another cell, other than to mutate it.

    With `before`, only reads before the mutation count: those would differ in a rerun.
    """
    source = cell.given.source
    places = {
        offset(source, mutation.at.lineno, mutation.at.col_offset)
        for mutation in mutations
        if mutation.at.id == name
    }
    first = min((offset(source, mutation.statement.lineno, 0) for mutation in mutations), default=0)
    return any(
        occurrence.act == "load"
        and occurrence.exposed
        and occurrence.start not in places
        and (not before or occurrence.start < first)
        for occurrence in cell.names.of(name)
    )
