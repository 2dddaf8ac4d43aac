"""Mutations of objects, and effects of functions, as values."""

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
    "train",
    "plot",
    "random",
    "next",
    "call",
    "augmented",
    "other",
]


@dataclass(frozen=True)
class Mutation:
    """One place where an object is mutated. `at` is the node of the name, whose position identifies an occurrence.

    `key` is the constant item or attribute that is assigned, if any; `repeatable`: the mutation is idempotent.
    `together` are the other names that share the object; `viewed`: one of them is a view of another's memory, as slices
    of arrays are, which a copy cannot preserve. `held`: a function that was made elsewhere mutates it, not a copy of it.
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
    held: bool = False


@dataclass
class Effects:
    """The mutations by a call of a function: of parameters (by position and by name), and of global names."""

    positions: set[int] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    globals: set[str] = field(default_factory=set)
    within: set[str] = field(
        default_factory=set
    )  # globals that functions defined in it mutate when they are called
    deeper: set[str] = field(default_factory=set)  # globals that functions mutate which are defined in those
    held: set[str] = field(
        default_factory=set
    )  # globals that it mutates by a function that another one has made
    called_on: dict[str | int, set[str]] = field(
        default_factory=dict
    )  # the methods that it calls of parameters, likewise
    changes_self: set[str] = field(default_factory=set)  # of a class: the methods that mutate their object
    defaults: dict[str, int | None] = field(
        default_factory=dict
    )  # the position of each whose default is mutated
    methods: dict[str, Effects] = field(default_factory=dict)  # of a class: those that mutate their defaults
