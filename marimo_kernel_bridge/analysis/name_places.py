"""The places of names that have no syntax node of their own: in imports, patterns, headers, and strings with code.

Finds places in the text; `name_reader` decides which of the names are global.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from marimo_kernel_bridge.analysis.positions import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marimo_kernel_bridge.analysis.occurrence import Form

Span: TypeAlias = tuple[int, int]
"""Two offsets in the cell's text: the start and the end of a name."""

# Modules whose `eval` or `evaluate` evaluates a string in the caller's namespace.
_EVALUATING: Final = frozenset({"pd", "pandas", "ne", "numexpr"})
# Methods whose strings refer to names: pandas' `df.query("a > @limit")`.
_QUERIES: Final = frozenset({"query", "eval"})


@dataclass(frozen=True)
class ImportedName:
    """The name that an alias of an import binds, its place, and how to rename it."""

    name: str
    span: Span
    origin: str
    form: Form = "name"


def imported_name(node: ast.Import | ast.ImportFrom, alias: ast.alias, text: Text) -> ImportedName | None:
    """Return the name that an alias binds; None for a star import, and for one from `__future__`."""
    if alias.name == "*" or (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
        return None
    start, end = text.span(alias)
    origin = alias.name
    if isinstance(node, ast.ImportFrom):
        origin = f"{'.' * node.level}{node.module or ''}:{alias.name}"
    if alias.asname is not None:
        return ImportedName(alias.asname, (end - len(alias.asname), end), origin)
    if isinstance(node, ast.ImportFrom):
        return ImportedName(alias.name, (start, end), origin, "import")
    name, dot, _ = alias.name.partition(".")
    return ImportedName(name, (start, end), name, "import_dotted" if dot else "import")


def after(before: str, name: str, source: str, start: int) -> Span:
    """Return the place of the first `name` after the pattern `before`. Python compares names in their NFKC form."""
    written = re.escape(name) if name.isascii() else r"[^\W\d]\w*"
    match = re.compile(f"{before}({written})").search(source, start)
    assert match is not None
    return match.span(1)


def last(name: str, source: str, span: Span) -> Span:
    """Return the place of the last `name` in a part of the text."""
    *_, match = re.finditer(rf"\b{re.escape(name)}\b", source[span[0] : span[1]])
    return span[0] + match.start(), span[0] + match.start() + len(name)


def evaluated(call: ast.Call, text: Text) -> tuple[ast.expr, Text] | None:
    """Return the expression in the string that a call evaluates, such as `pd.eval("a + b")`; None if there is none."""
    if not (_evaluates(call.func) and len(call.args) == 1):
        return None
    argument = call.args[0]
    if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
        return None
    literal, start = text.literal(argument)
    if literal[1:-1] != argument.value:
        return None  # with a prefix or escapes, places in the string are not places in the cell
    try:
        return ast.parse(argument.value, mode="eval").body, Text(argument.value, start + 1)
    except (SyntaxError, ValueError):
        return None


def _evaluates(func: ast.expr) -> bool:
    match func:
        case ast.Name(id="eval"):
            return True
        case ast.Attribute(value=ast.Name(id=module), attr="eval" | "evaluate"):
            return module in _EVALUATING
    return False


def queried(call: ast.Call, text: Text) -> Iterator[tuple[str, Span]]:
    """Yield each `@name` in the string that a method like `DataFrame.query` is called with."""
    if not (isinstance(call.func, ast.Attribute) and call.func.attr in _QUERIES):
        return
    for argument in (*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "expr")):
        is_text = isinstance(argument, ast.Constant) and isinstance(argument.value, str)
        if is_text or isinstance(argument, ast.JoinedStr):
            literal, start = text.literal(argument)
            for match in re.finditer(r"@([^\W\d]\w*)", literal):
                yield match[1], (start + match.start(1), start + match.end(1))
