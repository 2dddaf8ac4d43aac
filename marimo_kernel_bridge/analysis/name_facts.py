"""Facts about names that decide what a mutation affects: kinds, origins, shared objects, and effects of calls.

Owns what binding a name changes in them. Does not visit cells; `mutations` does.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from marimo_kernel_bridge.analysis.mutation import Effects
from marimo_kernel_bridge.analysis.object_kinds import (
    drawing_behind,
    is_used_up,
    is_view,
    kind_of,
    shared_with,
)
from marimo_kernel_bridge.analysis.syntax import called_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.analysis.object_kinds import Kind


@dataclass
class NameFacts:
    """The facts about global names that the cells visited so far have established."""

    kinds: dict[str, Kind] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)  # imported name -> its origin
    effects: dict[str, Effects] = field(default_factory=dict)  # of functions and classes of the notebook
    classes: dict[str, str] = field(default_factory=dict)  # name of an object -> name of its class
    shared: dict[str, frozenset[str]] = field(default_factory=dict)  # name -> names whose objects it shares
    views: set[str] = field(default_factory=set)  # names of arrays that share another array's memory
    foreign: set[str] = field(default_factory=set)  # classes with a base class from outside the notebook
    frames: frozenset[str] = frozenset()  # names that are used in ways specific to pandas objects
    origins: dict[str, str] = field(
        default_factory=dict
    )  # name -> the imported function or class that made its object
    holders: dict[str, frozenset[str] | None] = field(
        default_factory=dict
    )  # names of objects that hold iterators or files: under which keys, None: anywhere
    cursors: set[str] = field(default_factory=set)  # names of cursors of databases
    thorough: bool = False  # also changes that only an analysis without a run needs: training, writing
    copies_on_write: bool = True  # pandas does: from version 3 on

    def kind(self, name: str) -> Kind:
        """Return the kind of a name's object."""
        return self.kinds.get(name, "unknown")

    def kind_of(self, node: ast.expr) -> Kind:
        """Return the kind of an expression's value."""
        return kind_of(node, self.kinds, self.modules)

    def is_module(self, name: str) -> bool:
        """Return whether a name is an import."""
        return self.kinds.get(name) == "module"

    def origin_of(self, func: ast.expr) -> str:
        """Return the dotted name of an imported function or class; empty for any other. Of `A().b()` that of `A`."""
        while isinstance(func, ast.Attribute | ast.Call):
            if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name):
                module = self.modules.get(func.value.id)
                return f"{module}.{func.attr}" if module else self.origins.get(func.value.id, "")
            func = func.value if isinstance(func, ast.Attribute) else func.func
        return self.modules.get(func.id, "") if isinstance(func, ast.Name) else ""

    def packages(self) -> set[str]:
        """Return the packages that are imported."""
        return {module.partition(".")[0] for module in self.modules.values()}

    def is_foreign(self, base: ast.expr) -> bool:
        """Return whether a base class comes from outside the notebook, so that its objects may not be copyable."""
        if not isinstance(base, ast.Name):
            return True
        return base.id != "object" and (self.kinds.get(base.id) != "own" or base.id in self.foreign)

    def group(self, name: str) -> frozenset[str]:
        """Return the names that may share their object, or parts of it, with `name`, which is one of them."""
        group, waiting = {name}, [name]
        while waiting:
            current = waiting.pop()
            near = set(self.shared.get(current, ())) | {
                other for other, sources in self.shared.items() if current in sources
            }
            waiting += near - group
            group |= near
        return frozenset(group)

    def share(self, name: str, others: frozenset[str]) -> None:
        """Record that the object of a name may contain the objects of other names."""
        self.shared[name] = self.shared.get(name, frozenset()) | others

    def bind(self, name: str, kind: Kind, shared: frozenset[str] = frozenset()) -> None:
        """Record that a name is bound to an object, which may share the objects of the names in `shared`."""
        self.kinds[name] = "frame" if kind == "unknown" and name in self.frames else kind
        self.modules.pop(name, None)
        self.classes.pop(name, None)
        self.holders.pop(name, None)
        if name in shared:  # the new object may be the previous one
            self.share(name, shared - {name})
            return
        left = sorted(self.shared.pop(name, frozenset()))
        for other, sources in list(self.shared.items()):
            if name in sources:
                self.shared[other] = sources - {name}
                left.append(other)
        for one, other in pairwise(dict.fromkeys(left)):  # those that shared its object go on sharing it
            self.share(one, frozenset({other}))
        if shared - {name}:  # without empty entries, which `group` would visit
            self.shared[name] = shared - {name}

    def bind_value(self, name: str, value: ast.expr) -> None:
        """Record that a name is bound to the value of an expression."""
        kind, called = self.kind_of(value), called_name(value)
        if kind == "own" and called in self.foreign:
            kind = "live"
        if self.thorough and isinstance(value, ast.Call) and is_used_up(value, self.origin_of(value.func)):
            kind = "iterator"
        viewed, holds = is_view(value, self.kinds), self.holds_iterator(value)
        keys = self._keys_of_iterators(value) if holds else None
        self.bind(name, kind, shared_with(value, self.kinds))
        if holds:
            self.holders[name] = keys
        (self.views.add if viewed else self.views.discard)(name)
        is_cursor = (
            self.thorough and isinstance(value, ast.Call) and getattr(value.func, "attr", "") == "cursor"
        )
        (self.cursors.add if is_cursor else self.cursors.discard)(name)
        if isinstance(value, ast.Call):
            origin = self.origin_of(value.func)
            self.origins[name] = "" if _makes_data(value.func, origin) else origin
        else:
            self.origins[name] = self.origins.get(value.id, "") if isinstance(value, ast.Name) else ""
        if called in self.effects and self.kinds.get(called) == "own":
            self.classes[name] = called
        elif isinstance(value, ast.Name) and value.id in self.classes:
            self.classes[name] = self.classes[value.id]
        if isinstance(value, ast.Lambda):
            self.effects[name] = Effects()
        elif self.thorough and called in self.effects and (of := self.effects[called]).within | of.deeper:
            self.effects[name] = Effects(
                held=set(of.within), within=set(of.deeper)
            )  # a function that it returns

    def holds_iterator(self, value: ast.expr) -> bool:
        """Return whether the value of an expression has an iterator as a part. On a live kernel, the run shows that."""
        if not self.thorough:
            return False
        from marimo_kernel_bridge.analysis.holding import holds_iterator  # noqa: PLC0415  # not on a live kernel

        return holds_iterator(value, self.kind_of, self.holders)

    def _keys_of_iterators(self, value: ast.expr) -> frozenset[str] | None:
        from marimo_kernel_bridge.analysis.holding import keys_of_iterators  # noqa: PLC0415  # not on a live kernel

        return keys_of_iterators(value, self.kind_of, self.holders)

    def hold_iterator(self, name: str, key: str | None) -> None:
        """Note that the object of a name gets an iterator under a key or an attribute; None: the key is not known."""
        known = self.holders.get(name, frozenset())
        self.holders[name] = None if key is None or known is None else known | {key}

    def bind_part(self, name: str, value: ast.expr) -> None:
        """Record that a name is bound to a part of the value of an expression."""
        self.bind(name, self.kind_of(value), shared_with(value, self.kinds))

    def bind_items(self, names: Iterable[str], values: ast.expr) -> None:
        """Record that names are bound to items of the value of an expression, as by a loop."""
        drawing = drawing_behind(values, self.kinds)
        drawn = frozenset() if drawing is None else frozenset({drawing.id})
        for name in names:
            self.bind(name, "unknown", shared_with(values, self.kinds) | drawn)
            if drawn or self.kind_of(values) == "plot":
                self.kinds[name] = "plot"

    def bind_imports(self, node: ast.Import | ast.ImportFrom) -> None:
        """Record the names that an import binds."""
        for alias in node.names:
            bound = alias.asname or alias.name.partition(".")[0]
            origin = alias.name if alias.asname else bound
            if isinstance(node, ast.ImportFrom):
                origin = f"{node.module or ''}.{alias.name}"
            self.bind(bound, "module")
            self.modules[bound] = origin

    def is_estimator(self, name: str) -> bool:
        """Return whether a name is bound to what a class or a `make_` function of scikit-learn returns."""
        origin = self.origins.get(name, "")
        called = origin.rpartition(".")[2]
        return origin.startswith("sklearn.") and (called[:1].isupper() or called.startswith("make_"))


def _makes_data(func: ast.expr, origin: str) -> bool:
    """Return whether it is a method of an estimator of scikit-learn whose value is no estimator."""
    if not isinstance(func, ast.Attribute) or not origin.startswith("sklearn."):
        return False
    return func.attr.startswith(("fit_", "predict")) or func.attr.endswith("transform")
