"""`%who`, `%whos` and `%who_ls`, of the names that cells above have bound; and names that cells look for in their namespace.

In marimo, IPython's shell has a namespace of its own. So the call is given the names, and then depends on them.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.name_uses import parse, read_cell
from marimo_kernel_bridge.importing.python_text import span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LISTED: Final = "listed_names"
"""The key of the function that lists them."""
NOTE: Final = "it lists the names that the cells above bind in the text of the notebook"
WHY_OTHER: Final = "it looks through all names: marimo has no `In`, `Out` and `_`, and those of other cells under the names of the result"
THROUGH_IPYTHON: Final = re.compile(r"`%who\w*\b.*runs through IPython")
_MAGICS: Final = frozenset({"who", "who_ls", "whos"})
_NAMESPACES: Final = frozenset({"globals", "locals", "vars", "dir"})


@dataclass(frozen=True)
class Listed:
    """The code of a cell, the notes on it, and whether it lists names."""

    code: str
    notes: tuple[str, ...] = ()
    lists: bool = False


def listed(codes: Sequence[str], function: str) -> list[Listed]:
    """Return cells whose magics list the names that are bound where they stand. `function` is what is called for it."""
    if not any(name in code for code in codes for name in (*_MAGICS, *(f"{each}()" for each in _NAMESPACES))):
        return [Listed(code) for code in codes]
    bound: dict[str, None] = {}
    result = []
    for code in codes:
        calls = list(_calls(code)) if "run_line_magic" in code else []
        text = code
        for start, end, magic, line in reversed(calls):
            names = {**bound, **dict.fromkeys(_bound(code[: code.rfind("\n", 0, start) + 1]))}
            arguments = "".join(f", {name}={name}" for name in sorted(names))
            text = f'{text[:start]}{function}("{magic}", {line!r}{arguments}){text[end:]}'
        notes = [NOTE] if calls else []
        notes += [WHY_OTHER] if _looks_through_names(code) else []
        result.append(Listed(text, tuple(notes), bool(calls)))
        for name in _deleted(code):
            bound.pop(name, None)
        bound |= dict.fromkeys(_bound(code))
    return result


def names_looked_for(code: str) -> frozenset[str]:
    """Return the names that a cell looks for in its namespace: `"x" in globals()`, `globals().get("x")`."""
    found: set[str] = set()
    if not any(f"{name}()" in code for name in _NAMESPACES):
        return frozenset()
    for node in ast.walk(parse(code)):
        match node:
            case ast.Compare(
                left=ast.Constant(value=str(name)), ops=[ast.In() | ast.NotIn()], comparators=[inside]
            ):
                if _is_namespace(inside):
                    found.add(name)
            case ast.Call(
                func=ast.Attribute(value=inside, attr="get"), args=[ast.Constant(value=str(name)), *_]
            ):
                if _is_namespace(inside):
                    found.add(name)
    return frozenset(found)


def _calls(code: str) -> Iterator[tuple[int, int, str, str]]:
    for statement in parse(code).body:
        for node in ast.walk(statement):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="run_line_magic"),
                    args=[ast.Constant(value=str(magic)), ast.Constant(value=str(line))],
                ) if magic in _MAGICS:
                    yield (*span(code, node), magic, line)


def _bound(code: str) -> list[str]:
    try:
        names = read_cell(code)
    except SyntaxError:  # the beginning of a block
        return []
    return [
        name
        for name in names.names
        if name in names.bound_at_end and not name.startswith("_") and name != "*"
    ]


def _deleted(code: str) -> list[str]:
    names = read_cell(code)
    return [name for name in names.names if any(use.act == "delete" for use in names.of(name))]


def _is_namespace(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=inside, attr="keys"), args=[]):
            return _is_namespace(inside)
        case ast.Call(func=ast.Name(id=name), args=[], keywords=[]):
            return name in _NAMESPACES
    return False


def _looks_through_names(code: str) -> bool:
    """Return whether a cell goes over the names of its namespace: `for name in dir()`, `list(globals().items())`."""
    if not any(f"{name}()" in code for name in _NAMESPACES):
        return False
    tree = parse(code)
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        for part in ast.walk(node)
    }
    looked_for = {
        id(node.comparators[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and len(node.comparators) == 1
    }
    looked_for |= {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript | ast.Attribute)
        and getattr(node, "attr", "") not in {"items", "keys", "values"}
    }
    return any(
        isinstance(node, ast.Call) and _is_namespace(node) and id(node) not in looked_for | inside
        for node in ast.walk(tree)
    )
