"""Calls of `plt.show()` for cells that draw.

Jupyter shows open figures at the end of a cell; marimo shows the value of the last expression, or `plt.show()`.
"""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.model import offset
from marimo_kernel_bridge.analysis.name_uses import read_cell
from marimo_kernel_bridge.analysis.object_kinds import root_of
from marimo_kernel_bridge.analysis.syntax import stored
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
_NOT_SHOWN: Final = frozenset(
    """hist hist2d axis xlim ylim xticks yticks set_xlim set_ylim set_xticks set_yticks set_xticklabels set_yticklabels
    boxplot violinplot pie errorbar stem streamplot colorbar thetagrids rgrids""".split()  # noqa: SIM905  # a list of words
)
"""Functions and methods whose value is no part of a figure, so that marimo shows the value alone."""
_NOTHING: Final = frozenset(
    """autofmt_xdate autoscale autoscale_view box cla clim draw grid invert_xaxis invert_yaxis locator_params margins
    minorticks_off minorticks_on set_aspect set_axis_off set_axis_on set_axisbelow set_facecolor set_size_inches
    set_xscale set_yscale set_zlim subplots_adjust tick_params ticklabel_format tight_layout view_init xscale
    yscale""".split()  # noqa: SIM905  # a list of words
)
"""Those that return nothing."""
_DRAWING: Final = frozenset({"plot", "hist", "boxplot", "plot_forest", "plot_diagnostics"})


def shown(codes: Sequence[str], hidden: Container[int] = (), display: str = "display") -> list[str]:
    """Add `plt.show()` to the cells that draw a figure and would not show it in marimo.

    Cells at the indices `hidden` have `plt.close("all")` instead. `display` is what IPython's is called.
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
        written = (
            _with_show(_bare_show(code, cell.tree, pyplot), pyplot, seaborn, display) if pyplot else code
        )
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


def _with_show(code: str, pyplot: str, seaborn: str, display: str) -> str:  # noqa: PLR0911  # one case for each form
    tree = read_cell(code).tree
    calls = list(_calls(tree.body))
    names = {call.func.attr for call in calls if isinstance(call.func, ast.Attribute)}
    if names & _SHOWS or not any(_draws(call, pyplot, seaborn) for call in calls):
        return code
    last = tree.body[-1]
    if not isinstance(last, ast.Expr) or hides_its_value(code):
        return f"{code}\n{pyplot}.show()"
    if isinstance(last.value, ast.Name | ast.Attribute | ast.Subscript):
        return code
    lines = code.split("\n")
    if lines[last.lineno - 1].encode()[: last.col_offset].strip():
        return code
    plots = {pyplot} | _plots(tree.body[:-1], pyplot, seaborn)
    if isinstance(last.value, ast.Call) and isinstance(last.value.func, ast.Attribute):
        root, name = root_of(last.value.func), last.value.func.attr
        if root is not None and root.id in plots and (name in _NOT_SHOWN or name.startswith("get_")):
            start, end = (
                offset(code, line, column)
                for line, column in (
                    (last.lineno, last.col_offset),
                    (last.end_lineno or 0, last.end_col_offset or 0),
                )
            )
            return f"{code[:start]}{display}({code[start:end]}){code[end:]}\n{pyplot}.show()"
        if root is not None and root.id in plots and name in _NOTHING:
            return f"{code}\n{pyplot}.show()"
        if _is_figure(last.value, plots, pyplot, seaborn):
            return code
    if any(_draws(call, pyplot, seaborn) for call in _calls([last])) or (
        not _calls_builtin(last.value) and plots & _names(last)
    ):
        return f"{code}\n{pyplot}.show()"
    lines.insert(last.lineno - 1, f"{pyplot}.show()")
    return "\n".join(lines)


def _names(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def _calls_builtin(value: ast.expr) -> bool:
    return (
        isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and hasattr(builtins, value.func.id)
    )


def _plots(body: Sequence[ast.stmt], pyplot: str, seaborn: str) -> set[str]:
    """Return the names of figures and axes that statements make: `fig, ax = plt.subplots()`, `ax = df.plot()`."""
    names: set[str] = set()
    for node in (inner for statement in body for inner in ast.walk(statement)):
        match node:
            case ast.Assign(targets=targets, value=ast.Call() as call):
                root = root_of(call.func)
                if (root is not None and root.id in {pyplot, *names}) or _draws(call, pyplot, seaborn):
                    names |= {name for target in targets for name in stored(target)}
    return names


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


def _is_figure(call: ast.Call, plots: Container[str], pyplot: str, seaborn: str) -> bool:
    """Return whether the value of a call is a part of a figure, for which marimo shows the figure."""
    root = root_of(call.func)
    return (root is not None and root.id in plots) or _draws(call, pyplot, seaborn)
