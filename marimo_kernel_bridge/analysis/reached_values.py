"""What names and items of objects share with the objects of names: what `calls` and `reach` build on."""

from __future__ import annotations

import ast
import builtins
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.owners import IMMUTABLE, OUTSIDE, Depth, Link, Reach, merged

if TYPE_CHECKING:
    from marimo_kernel_bridge.analysis.habits import Habits
    from marimo_kernel_bridge.analysis.name_facts import NameFacts
    from marimo_kernel_bridge.analysis.owners import Owners

_BUILTINS: Final = frozenset(vars(builtins)) | {"display"}


class Values(ABC):
    """Names and items. `habits` are those of the notebook's functions and of its classes' methods (`A.m`)."""

    def __init__(self, facts: NameFacts, owners: Owners, habits: dict[str, Habits]) -> None:
        self.facts, self.owners, self.habits = facts, owners, habits
        self._local: dict[str, Reach] = {}  # variables of comprehensions and lambdas
        self.closing: set[str] | None = None  # in a function: its own names, which inner functions hold

    @abstractmethod
    def of(self, node: ast.expr) -> Reach:
        """Return the reach of an expression, and record what its calls make names share."""

    def _name(self, name: str) -> Reach:
        if name in self._local:
            return self._local[name]
        kind = self.facts.kind(name)
        if kind == "module":
            return Reach(same={OUTSIDE: Link.RECEIVER})
        if kind in {"value", "generator"} and not self.owners.is_linked(name):
            return IMMUTABLE
        if name in _BUILTINS and kind == "unknown":
            return IMMUTABLE
        depth = self.owners.depth(name)
        if depth is Depth.VALUE and not self.owners.is_linked(name):
            return IMMUTABLE
        if kind in {"array", "frame"}:
            depth = Depth.FLAT
        return Reach(same={name: Link.SHOWN}, depth=depth)

    def _item(self, reach: Reach, node: ast.expr) -> Reach:
        """Return the reach of an item of a value: the value of `node`."""
        if self._kind(node) in {"frame", "value"} or (
            reach.depth <= Depth.FLAT and self._kind(node) != "array"
        ):
            return IMMUTABLE
        return self.item(reach)

    def item(self, reach: Reach) -> Reach:
        """Return the reach of an item of a value."""
        if reach.depth <= Depth.FLAT:
            return IMMUTABLE
        held = {
            other: max(link, by)
            for name, by in merged(reach.same, reach.within).items()
            if name != OUTSIDE
            for other, link in self.owners.held_by(name).items()
        }
        return Reach(
            same=merged(reach.holds, held),
            within=merged(reach.same, reach.within, reach.holds, reach.parts),
            depth=reach.depth.item(),
        )

    def _kind(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name) and node.id in self._local:
            return "unknown"
        kind = self.facts.kind_of(node)
        return "unknown" if kind == "value" and isinstance(node, ast.Name | ast.Tuple | ast.BinOp) else kind

    def _origin(self, name: str) -> str:
        return self.facts.modules.get(name, "")
