"""Code that no compiler takes as a whole, as IPython runs it: statement by statement.

IPython parses a cell as a whole and compiles each statement by itself when its turn comes. So `a = 1`, `global a`,
`a = 2` run, and of `a = 1`, `return 5` the first runs before the second is shown as a SyntaxError. The graph, which
compiles whole cells, gets the part that runs. Pure.
"""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marimo_kernel_bridge.analysis.syntax import TopLevelTransformer

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class RunningPart:
    """The part of a cell that runs, as one piece of code. `fault` says why the rest does not compile, "" if all runs."""

    code: str
    fault: str = ""


def running_part(nodes: Sequence[ast.stmt], flags: int) -> RunningPart | None:
    """Return the part of a cell that runs, None if it cannot be determined. `flags` are those of the compiler."""
    fault, runs = "", len(nodes)
    for place, node in enumerate(nodes):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # shown when it runs
                compile(ast.Module([node], []), "<cell>", "exec", flags=flags, dont_inherit=True)
        except SyntaxError as error:
            fault, runs = f"line {error.lineno or node.lineno}: {error.msg}", place
            break
        except (ValueError, RecursionError, MemoryError):
            return None
    try:
        part = [node for node in nodes[:runs] if not _is_future(node)]
        tree = ast.parse(ast.unparse(ast.Module(part, [])))
        return RunningPart(ast.unparse(without_globals(tree)), fault)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def without_globals(tree: ast.Module) -> ast.Module:
    """Take out `global` outside of functions, which means nothing there, and below an assignment is an error."""
    changed: ast.Module = _WithoutGlobals().visit(tree)
    return changed


class _WithoutGlobals(TopLevelTransformer):
    def visit_Global(self, node: ast.Global) -> ast.stmt:  # noqa: N802  # the name is ast's
        return ast.copy_location(ast.Pass(), node)
