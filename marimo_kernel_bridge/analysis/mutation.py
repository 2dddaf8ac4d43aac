"""Changes of objects as values, and what cells make known about names that decides them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import ast

    from marimo_kernel_bridge.analysis.object_kinds import Kind

How = Literal[
    "item",
    "attribute",
    "nested",
    "method",
    "inplace",
    "fit",
    "plot",
    "random",
    "next",
    "call",
    "augmented",
    "other",
]


@dataclass(frozen=True)
class Mutation:
    """One place where an object is changed. `at` is the node of the name: its place ties it to an occurrence.

    `key` is the constant that is assigned to, if any; `repeatable`: doing it twice is like doing it once. `together`
    are the other names that share the object; `viewed`: one of them looks into the memory of another, as slices of
    arrays do, which no copy keeps up.
    """

    name: str
    how: How
    at: ast.Name
    statement: ast.stmt
    key: str | None = None
    repeatable: bool = False
    kind: Kind = "unknown"
    together: frozenset[str] = frozenset()
    viewed: bool = False


@dataclass
class Effects:
    """What calling a function of the notebook changes: parameters (by position and by name), and global names."""

    positions: set[int] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    globals: set[str] = field(default_factory=set)
    changes_self: set[str] = field(default_factory=set)  # of a class: the methods that change their object


@dataclass
class Known:
    """What is known from the cells above: kinds of names, what imports stand for, and what functions change."""

    kinds: dict[str, Kind] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)
    effects: dict[str, Effects] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)  # name of an object -> name of its class
    shared: dict[str, frozenset[str]] = field(default_factory=dict)
    views: set[str] = field(default_factory=set)  # names of arrays that share another's memory
    foreign: set[str] = field(default_factory=set)  # classes that build on others than the notebook's
    frames: frozenset[str] = frozenset()  # names that are used as only pandas objects are

    def group(self, name: str) -> frozenset[str]:
        """Return the names that may share their object, or parts of it, with `name`; itself among them."""
        group, waiting = {name}, [name]
        while waiting:
            current = waiting.pop()
            near = set(self.shared.get(current, ())) | {
                other for other, sources in self.shared.items() if current in sources
            }
            waiting += near - group
            group |= near
        return frozenset(group)
