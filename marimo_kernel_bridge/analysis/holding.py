"""Which expressions give an object that holds iterators or files, and which uses of it leave these where they are.

`gens = [count(n) for n in range(3)]` is a list like others, except that `[next(g) for g in gens]` does not do the same twice.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.object_kinds import CONSUMED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from marimo_kernel_bridge.analysis.object_kinds import Kind

_NAMING: Final = frozenset({"dict", "OrderedDict", "defaultdict", "SimpleNamespace", "replace", "partial"})
"""Functions that keep what they are given by name."""
_PASSING: Final = frozenset(
    "list tuple set frozenset copy reversed sorted dict OrderedDict defaultdict deque ChainMap".split()  # noqa: SIM905  # a list of words
)
"""Functions whose result has the items of their argument: they use up an iterator."""
_MAKING: Final = frozenset({"tee"})
_LOOKING: Final = frozenset(
    "len print repr str type id isinstance display bool hasattr callable vars dir".split()  # noqa: SIM905  # a list of words
)
_KEYS: Final = frozenset({"keys", "copy", "index", "count"})
_ITEMS: Final = frozenset({"values", "items", "get", "pop", "popitem", "setdefault"})

Holders = Mapping[str, frozenset[str] | None]
"""Names of objects that hold iterators: under which keys and attributes, None: anywhere."""


def holds_iterator(node: ast.expr, kind_of: Callable[[ast.expr], Kind], holders: Holders) -> bool:
    """Return whether the value of an expression has an iterator or a file as a part. `holders` are names of such objects."""

    def is_part(part: ast.expr | None) -> bool:
        return part is not None and (kind_of(part) in CONSUMED or holds_iterator(part, kind_of, holders))

    if isinstance(node, ast.Name):
        return node.id in holders
    if _is_other_part(node, holders):
        return False
    if isinstance(node, ast.Call):
        return _call_holds(node, is_part, kind_of)
    match node:
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts) | ast.Dict(values=parts):
            return any(map(is_part, parts))
        case ast.ListComp(elt=element) | ast.SetComp(elt=element) | ast.DictComp(value=element):
            return is_part(element)
    passed = [getattr(node, part, None) for part in ("value", "body", "orelse", "left", "right")]
    passed += node.values if isinstance(node, ast.BoolOp) else []
    return any(isinstance(each, ast.expr) and holds_iterator(each, kind_of, holders) for each in passed)


def _call_holds(
    call: ast.Call, is_part: Callable[[ast.expr], bool], kind_of: Callable[[ast.expr], Kind]
) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in _NAMING and any(is_part(keyword.value) for keyword in call.keywords):
        return True
    if name == "partial":
        return any(map(is_part, call.args))
    if name in _PASSING:
        return any(is_part(each) and kind_of(each) not in CONSUMED for each in call.args)
    return name in _MAKING


def _is_other_part(node: ast.expr, holders: Holders) -> bool:
    """Return whether an expression is a part of an object that holds iterators under other keys."""
    match node:
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key))):
            known = holders.get(name)
            return known is not None and key not in known
        case ast.Attribute(value=ast.Name(id=name), attr=key):
            known = holders.get(name)
            return known is not None and key not in known | _ITEMS
    return False


def keys_of_iterators(
    node: ast.expr, kind_of: Callable[[ast.expr], Kind], holders: Holders
) -> frozenset[str] | None:
    """Return under which keys an expression's value holds iterators, None if that is not known."""
    match node:
        case ast.Dict(keys=keys, values=values) if all(_is_text(key) for key in keys):
            pairs = [
                (key.value, value)
                for key, value in zip(keys, values, strict=True)
                if isinstance(key, ast.Constant)
            ]
        case ast.Call(func=ast.Name(id="dict" | "SimpleNamespace"), args=[], keywords=keywords):
            pairs = [(keyword.arg, keyword.value) for keyword in keywords]
        case _:
            return None
    if any(key is None for key, _ in pairs):
        return None
    return frozenset(
        str(key)
        for key, value in pairs
        if kind_of(value) in CONSUMED or holds_iterator(value, kind_of, holders)
    )


def _is_text(key: ast.expr | None) -> bool:
    return isinstance(key, ast.Constant) and isinstance(key.value, str)


def is_kept_by(call: ast.Call, kind_of: Callable[[ast.expr], Kind], holders: Holders) -> bool:
    """Return whether the object of a method gets an iterator: `rows.append(iter(x))`."""
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return any(kind_of(each) in CONSUMED or holds_iterator(each, kind_of, holders) for each in given)


def taken_from(node: ast.expr, holders: Holders) -> Iterator[ast.Name]:
    """Yield the names in an expression out of whose objects it may take an iterator."""
    if not holders:
        return
    only_seen: set[ast.expr] = set()
    for inside in ast.walk(node):
        match inside:
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in _LOOKING:
                only_seen.update(arguments)
            case ast.Attribute(value=value, attr=attribute) if attribute in _KEYS:
                only_seen.add(value)
            case ast.Attribute(value=value) | ast.Subscript(value=value) if _is_other_part(inside, holders):
                only_seen.add(value)
    for inside in ast.walk(node):
        if isinstance(inside, ast.Name) and inside.id in holders and inside not in only_seen:
            yield inside
