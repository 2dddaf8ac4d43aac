"""What the value of an expression shares with the objects of names."""

from __future__ import annotations

import ast

from marimo_kernel_bridge.analysis import known_calls
from marimo_kernel_bridge.analysis.calls import Calls
from marimo_kernel_bridge.analysis.object_kinds import root_of
from marimo_kernel_bridge.analysis.owners import (
    FLAT,
    IMMUTABLE,
    NOTHING,
    OUTSIDE,
    Depth,
    Link,
    Reach,
    merged,
    together,
)


class Reaches(Calls):
    """Evaluates expressions."""

    def of(self, node: ast.expr) -> Reach:  # noqa: C901, PLR0911, PLR0912  # one case for each form
        """Return the reach of an expression, and record what its calls make names share."""
        match node:
            case ast.Constant():
                return IMMUTABLE
            case ast.Name():
                return self._name(node.id)
            case ast.Starred(value=value):
                return self._item(self.of(value), value)
            case ast.Await(value=value) | ast.Yield(value=ast.expr() as value) | ast.YieldFrom(value=value):
                return self.of(value)
            case ast.NamedExpr(target=ast.Name(id=name), value=value):
                reach = self.of(value)
                if name not in self._local:
                    self.owners.bind(name, reach, certain=False)
                return reach
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                reach = together(self.of(item) for item in items).as_item()
                return IMMUTABLE if isinstance(node, ast.Tuple) and reach.depth <= Depth.FLAT else reach
            case ast.Dict(keys=keys, values=values):
                parts = [
                    self.of(value) if key is not None else self._item(self.of(value), value)
                    for key, value in zip(keys, values, strict=True)
                ]
                parts += [self.of(key) for key in keys if key is not None]
                return together(parts).as_item()
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                return self._comprehension(node)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                self.of(test)
                return together((self.of(body), self.of(orelse)))
            case ast.BoolOp(values=values):
                return together(self.of(value) for value in values)
            case ast.BinOp(left=left, right=right):
                return self._operation(node, together((self.of(left), self.of(right))))
            case ast.UnaryOp(operand=operand):
                return self._operation(node, self.of(operand))
            case ast.Compare():
                for part in (node.left, *node.comparators):
                    self.of(part)
                if any(isinstance(operator, ast.Is | ast.IsNot) for operator in node.ops):
                    self._know_outside((node.left, *node.comparators))
                return FLAT
            case ast.Attribute(value=value):
                return self._attribute(node, self.of(value))
            case ast.Subscript(value=value, slice=key):
                self.of(key)
                return self._subscript(node, self.of(value))
            case ast.Lambda(args=arguments, body=body):
                return self._function(arguments, body)
            case ast.Call():
                return self._call(node)
        for child in ast.iter_child_nodes(node):
            for inside in ast.walk(child):
                if isinstance(inside, ast.Call):
                    self.of(inside)
        return IMMUTABLE if isinstance(node, ast.JoinedStr | ast.Slice) else NOTHING

    def _attribute(self, node: ast.Attribute, reach: Reach) -> Reach:  # noqa: PLR0911  # one case for each kind
        root = root_of(node)
        if root is not None and self.facts.is_module(root.id) and root.id not in self._local:
            known = self._origin(root.id).partition(".")[0] in known_calls.MODULES_OF_NEW
            return IMMUTABLE if known else Reach(within={OUTSIDE: Link.SHOWN}, same={OUTSIDE: Link.SHOWN})
        if not reach.names():
            return IMMUTABLE if reach.depth is Depth.VALUE else reach
        match self._kind(node.value):
            case "array":
                shares = node.attr in known_calls.VIEWS_OF_ARRAYS
                return Reach(reach.same, reach.within, depth=Depth.FLAT) if shares else IMMUTABLE
            case "frame" if node.attr in known_calls.VALUES_OF_FRAMES:
                return IMMUTABLE
            case "frame" if node.attr in known_calls.PARTS_OF_FRAMES or not self.facts.copies_on_write:
                return Reach(reach.same, reach.within, depth=Depth.FLAT)
            case "frame":
                return FLAT
        item = self.item(Reach(reach.same, reach.within, reach.holds, reach.parts))
        return Reach(
            item.same, item.within, merged(item.holds, reach.same)
        )  # or a method, which holds its object

    def _subscript(self, node: ast.Subscript, reach: Reach) -> Reach:  # noqa: PLR0911  # one case for each kind
        slices = isinstance(node.slice, ast.Slice)
        match self._kind(node.value):
            case "array":
                if _is_element(node.slice) or not reach.names():
                    return FLAT
                return Reach(reach.same, reach.within, depth=Depth.FLAT)
            case "frame":
                if self.facts.copies_on_write:
                    return FLAT
                return Reach(reach.same, reach.within, depth=Depth.FLAT)
            case "list" if slices:
                return self.item(reach).as_item()
        if slices:
            return Reach(reach.same, reach.within, reach.holds, reach.parts, reach.depth)
        return self._item(reach, node.value)

    def _operation(self, node: ast.expr, reach: Reach) -> Reach:
        kind = self.facts.kind_of(node)
        if reach.depth is Depth.VALUE or kind in {"array", "frame"}:
            return Reach(depth=min(reach.depth, Depth.FLAT))
        if isinstance(node, ast.UnaryOp) or not reach.names():
            return Reach(depth=reach.depth)
        return Reach(parts=reach.names(), holds=reach.holds, depth=reach.depth)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Reach:
        before = dict(self._local)
        over: list[Reach] = []
        for generator in node.generators:
            reach = self.of(generator.iter)
            over.append(reach)
            item = self._item(reach, generator.iter)
            for inside in ast.walk(generator.target):
                if isinstance(inside, ast.Name):
                    nested = isinstance(generator.target, ast.Tuple | ast.List)
                    self._local[inside.id] = (
                        self.item(item) if nested and item.depth is Depth.OPAQUE else item
                    )
            for condition in generator.ifs:
                self.of(condition)
        made = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        reach = together(self.of(part) for part in made).as_item()
        self._local = before
        if isinstance(node, ast.GeneratorExp):  # holds what it goes over
            return together((reach, *(each.as_item() for each in over)))
        return reach

    def _function(self, arguments: ast.arguments, body: ast.expr) -> Reach:
        defaults = [*arguments.defaults, *(value for value in arguments.kw_defaults if value is not None)]
        reach = together((IMMUTABLE, *(self.of(value) for value in defaults)))
        names = {inside.id for inside in ast.walk(body) if isinstance(inside, ast.Name)}
        closed = [
            self._name(name) for name in sorted(names & (self.closing or set()) | names & self._local.keys())
        ]
        reach = together((reach, *closed))
        return (
            together((reach.as_item(), NOTHING)) if reach.names() or reach.depth > Depth.VALUE else IMMUTABLE
        )


def _is_element(key: ast.expr) -> bool:
    """Return whether a key of an array is one of an element: several numbers."""
    return isinstance(key, ast.Tuple) and not any(
        isinstance(part, ast.Slice | ast.Starred | ast.Constant) and not _is_number(part) for part in key.elts
    )


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int)
