"""Joining of several cells to one that shows all of their values."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.name_uses import parse, read_cell
from marimo_kernel_bridge.importing.generators import calls_in
from marimo_kernel_bridge.importing.known_values import containers_in, value_of
from marimo_kernel_bridge.importing.python_text import hides_its_value, is_expression, span

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

_DISPLAY: Final = "IPython.display:display"
_MAY_BE_NONE: Final = (ast.Await, ast.Call, ast.IfExp, ast.BoolOp)
"""Expressions whose value may well be None, which Jupyter does not show."""


def joined(
    codes: Sequence[str],
    display: str = "display",
    *,
    last_alone: bool = False,
    silent: AbstractSet[str] = frozenset(),
) -> tuple[str, set[str]]:
    """Join cells to one that shows all of their values; return its code and the imported names that it needs.

    `display` is what IPython's `display` is called in it. With `last_alone`, the value of a cell replaces what the cell
    has displayed, as in marimo, so the last value is displayed as well. `silent` are functions that return nothing.
    """
    needs: set[str] = set()
    parts = []
    containers = containers_in(*codes)
    for code in codes[:-1]:
        shown = _showing(code, display, containers, silent)
        if shown != code:
            needs.add("display")
        parts.append(shown)
    last = codes[-1]
    if last_alone and any(displays(parse(part).body, {display}) for part in parts):
        last = _showing(last, display, containers, silent)
    return "\n\n".join(part for part in [*parts, last] if part.strip()), needs


def with_all_displayed(
    code: str,
    displaying: AbstractSet[str],
    display: str = "display",
    silent: AbstractSet[str] = frozenset(),
) -> str:
    """Return a cell that shows in marimo what it shows in Jupyter, where `display(x)` precedes its last value.

    In marimo that value would replace what was displayed. `displaying` are the names of `display` and of functions
    that call it. Alone at the end, `display(x)` is plain `x`.
    """
    tree = parse(code)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        return code
    above = displays(tree.body[:-1], displaying)
    match last.value:
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if (
            name == display
            and name in displaying
            and not isinstance(argument, ast.Starred)
            and not (isinstance(argument, ast.Constant) and argument.value is None)
        ):
            if above or displays([argument], displaying) or hides_its_value(code):
                return code
            start, end = span(code, last)
            inner_start, inner_end = span(code, argument)
            inner = code[inner_start:inner_end]
            return f"{code[:start]}{inner if is_expression(inner) else f'({inner})'}{code[end:]}"
        case ast.Call(func=ast.Name(id=name)) if name == display:
            return code
        case value:
            if above or displays([value], displaying):
                return _showing(code, display, containers_in(code), silent)
            return code


def displays(body: Sequence[ast.AST], displaying: AbstractSet[str]) -> bool:
    """Return whether code displays something while it runs, other than by its value."""
    return any(
        (call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", ""))
        in displaying
        for call in calls_in(body, into=False)
    )


def displaying_in(codes: Sequence[str], display: str = "display") -> frozenset[str]:
    """Return the names of `display` and of the notebook's functions that call it, directly or through one another."""
    if not any(display in code for code in codes):
        return frozenset()
    bodies: dict[str, list[ast.stmt]] = {}
    for code in codes:
        names = read_cell(code)
        if any(use.act == "store" and use.origin != _DISPLAY for use in names.of(display)):
            return frozenset()
        for node in ast.walk(names.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("__"):
                bodies.setdefault(node.name, []).extend(node.body)
    found = frozenset({display})
    while more := {name for name, body in bodies.items() if name not in found and displays(body, found)}:
        found |= more
    return found


def _showing(code: str, display: str, containers: AbstractSet[str], silent: AbstractSet[str]) -> str:
    tree = parse(code)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr) or hides_its_value(code):
        return code
    value = last.value
    if (known := value_of(value, containers, display=display, silent=silent)) == "none":
        return code
    lines = code.split("\n")
    assert last.end_lineno is not None
    assert last.end_col_offset is not None
    before = lines[last.lineno - 1].encode()[: last.col_offset].decode()
    after = lines[last.end_lineno - 1].encode()[last.end_col_offset :].decode()
    body = "\n".join(lines[last.lineno - 1 : last.end_lineno])
    inner = body[len(before) : len(body) - len(after) if after else len(body)]
    if known == "any" and isinstance(value, _MAY_BE_NONE):
        text = f"_shown = {inner}{after}\nif _shown is not None:\n    {display}(_shown)"
    elif isinstance(value, ast.Tuple):
        text = f"{display}(({inner})){after}"  # parentheses: a tuple is one value
    else:
        text = f"{display}({inner}){after}"
    return "\n".join([*lines[: last.lineno - 1], f"{before}{text}", *lines[last.end_lineno :]])
