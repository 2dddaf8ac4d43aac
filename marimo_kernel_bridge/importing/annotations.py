"""`from __future__ import annotations` without the statement, which marimo's compiler does not take over.

IPython keeps a future statement for all cells that run later. Where it is in force, annotations become the strings that
Python would make of them, so that nothing in them is evaluated.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from marimo_kernel_bridge.analysis.name_uses import parse
from marimo_kernel_bridge.analysis.positions import Text

if TYPE_CHECKING:
    from collections.abc import Iterator


def without_future(code: str) -> tuple[str, frozenset[str]]:
    """Turn the future statements of a cell into comments; return the code and the features that they name."""
    text, features = Text(code), set[str]()
    for node in reversed(parse(code).body):
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            features |= {alias.name for alias in node.names}
            start, end = text.span(node)
            line_start, line_end = code.rfind("\n", 0, start) + 1, code.find("\n", end)
            rest = code[end : line_end if line_end >= 0 else len(code)].strip()
            alone = not code[line_start:start].strip() and (not rest or rest.startswith("#"))
            comment = "\n".join(f"# {line}" for line in code[start:end].split("\n"))
            code = f"{code[:start]}{comment if alone else 'pass'}{code[end:]}"
    return code, frozenset(features)


def as_strings(code: str) -> str:
    """Return code whose annotations are strings, as far as Python evaluates them."""
    text = Text(code)
    spans = [(text.span(node), node) for node in _evaluated(parse(code), in_function=False)]
    for (start, end), node in sorted(spans, key=lambda each: each[0], reverse=True):
        code = f"{code[:start]}{_quoted(ast.unparse(node))}{code[end:]}"
    return code


def names_in_annotations(code: str) -> frozenset[str]:
    """Return the names that the annotations of a cell mention."""
    return frozenset(
        part.id
        for node in _evaluated(parse(code), in_function=False)
        for part in ast.walk(node)
        if isinstance(part, ast.Name)
    )


def _quoted(text: str) -> str:
    written = repr(text)
    return f'"{text}"' if written == f"'{text}'" and '"' not in text else written


def _evaluated(node: ast.AST, *, in_function: bool) -> Iterator[ast.expr]:
    """Yield the annotations that are evaluated: those of names in functions are not."""
    match node:
        case ast.arg(annotation=ast.expr() as annotation):
            yield annotation
            return
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            for decorator in node.decorator_list:
                yield from _evaluated(decorator, in_function=in_function)
            yield from _evaluated(node.args, in_function=in_function)
            if node.returns is not None:
                yield node.returns
            for statement in node.body:
                yield from _evaluated(statement, in_function=True)
            return
        case ast.AnnAssign() if not in_function:
            yield from _evaluated(node.target, in_function=in_function)
            yield node.annotation
            if node.value is not None:
                yield from _evaluated(node.value, in_function=in_function)
            return
    inside = in_function and not isinstance(node, ast.ClassDef)
    for child in ast.iter_child_nodes(node):
        yield from _evaluated(child, in_function=inside)
