"""`InteractiveShell.ast_node_interactivity`: which values the cells below show, other than the one at their end."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.name_uses import parse
from marimo_kernel_bridge.importing.known_values import containers_in, value_of
from marimo_kernel_bridge.importing.python_text import hides_its_value, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHOW: Final = "show_value"
"""The key of the need for a function that displays a value unless it is None."""
_SET: Final = re.compile(r"""(?m)^[^#\n'"]*\bast_node_interactivity *= *['"]?(\w+)""")
_DEFAULT: Final = "last_expr"
_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def with_values(sources: Sequence[str], codes: Sequence[str], show: str) -> list[str]:
    """Return the cells with what they show in Jupyter. `sources` are as written, with magics; `show` displays a value."""
    mode = _DEFAULT
    result = []
    for source, code in zip(sources, codes, strict=True):
        result.append(_with_values(code, mode, show))
        mode = [mode, *_SET.findall(source)][-1]
    return result


def _with_values(code: str, mode: str, show: str) -> str:
    tree = parse(code)
    if not tree.body or hides_its_value(code):
        return code
    last = tree.body[-1]
    match mode, last:
        case "all", _:
            containers = containers_in(code)
            values = [node for node in _values(tree) if value_of(node.value, containers) != "none"]
            if values in ([], [last]):
                return code
            for node in reversed(values):
                start, end = span(code, node.value)
                value = code[start:end]
                code = f"{code[:start]}{show}({value if _is_argument(value) else f'({value})'}){code[end:]}"
            return code
        case "last_expr_or_assign", (
            ast.Assign(targets=[ast.Name(id=name), *_])
            | ast.AugAssign(target=ast.Name(id=name))
            | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr())
        ):
            return f"{code}\n{name}"
        case "none", ast.Expr():
            end = span(code, last)[1]
            return f"{code[:end]};{code[end:].rstrip()}"
    return code


def _is_argument(value: str) -> bool:
    """Return whether an expression is the only argument of a call as it is written."""
    call = ast.parse(f"_({value})").body[0]
    match call:
        case ast.Expr(value=ast.Call(args=[argument], keywords=[])):
            return not isinstance(argument, ast.Starred)
    return False


def _values(tree: ast.Module) -> Iterator[ast.Expr]:
    """Yield the expressions that are statements, in the order of the text: also those of loops, but not of functions."""
    waiting: list[ast.AST] = list(reversed(tree.body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Expr):
            yield node
        elif isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case) and not isinstance(
            node, _SCOPES
        ):
            waiting += reversed(list(ast.iter_child_nodes(node)))
