"""Calls of `plt.show()` for cells that draw.

Jupyter shows open figures at the end of a cell; marimo shows the value of the last expression, or `plt.show()`.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.name_uses import read_cell
from marimo_kernel_bridge.analysis.object_kinds import root_of
from marimo_kernel_bridge.importing.python_text import hides_its_value

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

_PYPLOT: Final = frozenset(
    {"matplotlib.pyplot", "matplotlib:pyplot", "pylab", "matplotlib.pylab", "matplotlib:pylab"}
)
_SEABORN: Final = "seaborn"
_SHOWS: Final = frozenset({"show", "close", "close_all", "ioff"})
_SETTINGS: Final = frozenset(
    """rc rcdefaults style use get_cmap get_fignums savefig switch_backend rc_context setp getp ion
    set_cmap cm colormaps clf""".split()  # noqa: SIM905  # a list of words
)
_DRAWING: Final = frozenset({"plot", "hist", "boxplot", "plot_forest", "plot_diagnostics"})


def shown(codes: Sequence[str], hidden: Container[int] = ()) -> list[str]:
    """Add `plt.show()` to the cells that draw a figure and would not show it in marimo.

    Cells at the indices `hidden` have `plt.close("all")` instead.
    """
    pyplot, seaborn = "", ""
    result = []
    for number, code in enumerate(codes):
        cell = read_cell(code)
        for use in cell.occurrences:
            if use.act == "store" and not use.late and use.origin is None:
                pyplot = "" if use.name == pyplot else pyplot
                seaborn = "" if use.name == seaborn else seaborn
            if use.origin in _PYPLOT:
                pyplot = use.name
            elif use.origin == _SEABORN:
                seaborn = use.name
        written = _with_show(_bare_show(code, cell.tree, pyplot), pyplot, seaborn) if pyplot else code
        closed = f'{code}\n{pyplot}.close("all")'
        result.append(closed if number in hidden and written != code else written)
    return result


def _bare_show(code: str, tree: ast.Module, pyplot: str) -> str:
    """Write `plt.show(draw())` as two statements: marimo's `show` takes no figure."""
    lines = code.split("\n")
    for node in reversed(tree.body):
        match node:
            case ast.Expr(
                value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="show"), args=[argument])
            ) if name == pyplot and node.col_offset == 0:
                assert node.end_lineno is not None
                text = ast.get_source_segment(code, argument) or ""
                lines[node.lineno - 1 : node.end_lineno] = [*f"_ = ({text})".split("\n"), f"{pyplot}.show()"]
    return "\n".join(lines)


def _with_show(code: str, pyplot: str, seaborn: str) -> str:  # noqa: PLR0911  # one case for each form
    tree = read_cell(code).tree
    calls = list(_calls(tree.body))
    names = {call.func.attr for call in calls if isinstance(call.func, ast.Attribute)}
    if names & _SHOWS or not any(_draws(call, pyplot, seaborn) for call in calls):
        return code
    last = tree.body[-1]
    if not isinstance(last, ast.Expr) or hides_its_value(code):
        return f"{code}\n{pyplot}.show()"
    if isinstance(last.value, ast.Call) and _is_figure(last.value, pyplot, seaborn):
        return code
    if isinstance(last.value, ast.Name | ast.Attribute | ast.Subscript):
        return code
    lines = code.split("\n")
    if lines[last.lineno - 1].encode()[: last.col_offset].strip():
        return code
    lines.insert(last.lineno - 1, f"{pyplot}.show()")
    if isinstance(last.value, ast.Call):  # it may be the call that draws
        return code if any(_draws(call, pyplot, seaborn) for call in _calls([last])) else "\n".join(lines)
    return "\n".join(lines)


def _calls(body: Sequence[ast.stmt]) -> Iterator[ast.Call]:
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(node, ast.Call):
            yield node
        waiting += ast.iter_child_nodes(node)


def _draws(call: ast.Call, pyplot: str, seaborn: str) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    name, root = call.func.attr, root_of(call.func)
    if root is not None and root.id == pyplot:
        return name not in _SETTINGS and isinstance(call.func.value, ast.Name)
    if root is not None and root.id == seaborn:
        return name.endswith(("plot", "map"))
    return name in _DRAWING or name.startswith("plot_")


def _is_figure(call: ast.Call, pyplot: str, seaborn: str) -> bool:
    """Return whether the value of a call is a part of a figure, for which marimo shows the figure."""
    if isinstance(call.func, ast.Attribute):
        root = root_of(call.func)
        if root is not None and root.id == pyplot:
            return call.func.attr not in {
                "hist",
                "hist2d",
                "hexbin",
                "axis",
                "xlim",
                "ylim",
                "xticks",
                "yticks",
                "tight_layout",
            }
        return _draws(call, pyplot, seaborn) or call.func.attr.startswith("set_")
    return False
