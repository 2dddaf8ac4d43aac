"""Which cells seed a global random generator, by the names of what they call."""

from __future__ import annotations

import ast
import re
import types
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.analysis.model import TEXTS_REMEMBERED
from marimo_kernel_bridge.analysis.name_uses import parse
from marimo_kernel_bridge.analysis.object_kinds import root_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SEED: Final = re.compile(r"seed|set_(rng_)?state|setstate", re.IGNORECASE)
_DRAW: Final = re.compile(r"rand|sample|shuffle|choice|normal|uniform|draw|split|fit", re.IGNORECASE)
_GENERATORS: Final = frozenset({"numpy", "random", "torch"})


def seeds(code: str, module: str, mentions: Iterable[str], values: Mapping[str, Any]) -> tuple[bool, bool]:
    """Return whether a cell seeds the generator of a module, and whether it does so before it could draw."""
    package = module.partition(".")[0]
    calls = _seeding_calls(code)
    for root, is_first in calls:
        of = values.get(root)
        name = of.__name__.partition(".")[0] if isinstance(of, types.ModuleType) else ""
        if name not in _GENERATORS - {package}:
            return True, is_first
    functions = [values.get(name) for name in mentions]
    through = any(_is_seeding(each.__code__) for each in functions if isinstance(each, types.FunctionType))
    return through, False


def names_generator(code: str, module: str, values: Mapping[str, Any]) -> bool:
    """Return whether a cell calls a function of this very module, or of its package, that seeds."""
    package = module.partition(".")[0]
    modules = (values.get(root) for root, _ in _seeding_calls(code))
    return any(
        isinstance(of, types.ModuleType) and of.__name__.partition(".")[0] == package for of in modules
    )


@lru_cache(maxsize=TEXTS_REMEMBERED)
def _seeding_calls(code: str) -> tuple[tuple[str, bool], ...]:
    """Return the first names in the calls that seed, and whether no statement above them may draw."""
    if not _SEED.search(code):
        return ()
    try:
        body = parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    found: list[tuple[str, bool]] = []
    may_have_drawn = False
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        called = [node.func for node in ast.walk(statement) if isinstance(node, ast.Call)]
        names = {function: _name(function) for function in called}
        for function, name in names.items():
            root = root_of(function)
            if _SEED.search(name):
                simple = isinstance(statement, ast.Expr | ast.Assign)
                found.append(("" if root is None else root.id, simple and not may_have_drawn))
        may_have_drawn |= any(_DRAW.search(name) and not _SEED.search(name) for name in names.values())
    return tuple(found)


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


@lru_cache(maxsize=TEXTS_REMEMBERED)
def _is_seeding(code: types.CodeType) -> bool:
    inner = (part for part in code.co_consts if isinstance(part, types.CodeType))
    return any(map(_SEED.search, code.co_names)) or any(map(_is_seeding, inner))
