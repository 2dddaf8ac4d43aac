"""Joining of several cells to one that shows all of their values."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.name_uses import parse
from marimo_kernel_bridge.importing.python_text import hides_its_value

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_VALUE: Final = frozenset(
    """print append extend insert sort reverse clear update add remove show close seed set_xlabel simplefilter
    filterwarnings set_option set_theme set_style set_context use savefig to_csv init_printing""".split()  # noqa: SIM905  # a list of words
)


def joined(codes: Sequence[str], display: str = "display") -> tuple[str, set[str]]:
    """Join cells to one that shows all of their values; return its code and the imported names that it needs.

    `display` is what IPython's `display` is called in it.
    """
    needs: set[str] = set()
    parts = []
    for code in codes[:-1]:
        shown = _showing(code, display)
        if shown != code:
            needs.add("display")
        parts.append(shown)
    return "\n\n".join(part for part in [*parts, codes[-1]] if part.strip()), needs


def _showing(code: str, display: str) -> str:
    tree = parse(code)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr) or hides_its_value(code):
        return code
    value = last.value
    if isinstance(value, ast.Call):
        name = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
        if name in _NO_VALUE or name in {"display", display}:
            return code
    if isinstance(value, ast.Constant) and value.value is None:
        return code
    lines = code.split("\n")
    assert last.end_lineno is not None
    assert last.end_col_offset is not None
    before = lines[last.lineno - 1].encode()[: last.col_offset].decode()
    after = lines[last.end_lineno - 1].encode()[last.end_col_offset :].decode()
    body = "\n".join(lines[last.lineno - 1 : last.end_lineno])
    inner = body[len(before) : len(body) - len(after) if after else len(body)]
    if isinstance(value, ast.Call | ast.Await):
        text = f"_shown = {inner}{after}\nif _shown is not None:\n    {display}(_shown)"
    elif isinstance(value, ast.Tuple):
        text = f"{display}(({inner})){after}"  # parentheses: a tuple is one value
    else:
        text = f"{display}({inner}){after}"
    return "\n".join([*lines[: last.lineno - 1], f"{before}{text}", *lines[last.end_lineno :]])
