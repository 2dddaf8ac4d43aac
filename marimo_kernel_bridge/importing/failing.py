"""Cells that define something and then fail on purpose: where to divide them.

In Jupyter, what a cell defined before it failed stays; marimo cancels all cells that read anything of a cell that fails.
So such a cell becomes two, and only the second fails.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.name_uses import parse, read_cell
from marimo_kernel_bridge.importing.prepared import Working
from marimo_kernel_bridge.importing.python_text import parses, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from marimo_kernel_bridge.notebooks.ipynb import NotebookCell

WHY: Final = "it is two cells: what it defines before it fails stays, as in Jupyter"
_ARROW: Final = re.compile(r"^-*> ?(\d+)\b", re.MULTILINE)
"""The line at which a frame of a saved traceback has stopped."""
_BETWEEN: Final = "; \t\f\\\n"
"""What stands between two statements, besides comments."""
_COLORS: Final = re.compile(r"\x1b\[[0-9;]*m")


def divided(cells: Sequence[NotebookCell], codes: Sequence[str]) -> Iterator[tuple[Working, ...]]:
    """Yield each cell as it is, or as the part that succeeds and the part that fails.

    A cell is only divided if another one reads what the first part binds.
    """
    loaded = [{use.name for use in read_cell(code).occurrences if use.act == "load"} for code in codes]
    for number, (cell, code) in enumerate(zip(cells, codes, strict=True)):
        others = (names for other, names in enumerate(loaded) if other != number)
        parts = _parts(cell, code)
        if parts is None or read_cell(parts[0]).bound_at_end.isdisjoint(frozenset().union(*others)):
            yield (Working((cell.position,), code, is_known_to_fail(cell)),)
        else:
            first, second = parts
            fails = Working((cell.position,), second, fails=True, parts={cell.position + 0.5: second})
            yield Working((cell.position,), first), fails


def is_known_to_fail(cell: NotebookCell) -> bool:
    """Return whether a cell says, or its saved outputs show, that it ends with an error."""
    tags = cell.metadata.get("tags")
    return (isinstance(tags, list) and "raises-exception" in tags) or any(
        output.get("output_type") == "error" for output in cell.outputs
    )


def fails(cell: NotebookCell, code: str) -> bool:
    """Return whether a cell is known to end with an error, or its code shows that."""
    return is_known_to_fail(cell) or any(map(_always_fails, parse(code).body))


def _parts(cell: NotebookCell, code: str) -> tuple[str, str] | None:
    tree = parse(code)
    at = _failing(cell, tree)
    if not at:
        return None
    start, _ = span(code, tree.body[at])
    _, end = span(code, tree.body[at - 1])
    first = code[:end] + _without_last_comments(code[end:start]).rstrip(_BETWEEN)
    second = code[len(first) :].lstrip(_BETWEEN)
    return (first, second) if parses(first) and parses(second) else None


def _without_last_comments(text: str) -> str:
    """Return what stands before a statement without the lines of comments right above, which are about that one."""
    end = len(text)
    while (start := text.rfind("\n", 0, end - 1) + 1) and text[end - 1] == "\n":
        if not text[start:end].lstrip(" \t").startswith("#"):
            break
        end = start
    return text[:end]


def _failing(cell: NotebookCell, tree: ast.Module) -> int | None:
    """Return the index of the statement that fails, if that is known."""
    for number, node in enumerate(tree.body):
        if _always_fails(node):
            return number
    if not is_known_to_fail(cell):
        return None
    stopped = _stopped_at(cell)
    if stopped is None:
        return len(tree.body) - 1 if tree.body and not cell.outputs else None
    texts = [ast.unparse(node) for node in tree.body]
    return texts.index(stopped) if texts.count(stopped) == 1 else None


def _always_fails(node: ast.stmt) -> bool:
    match node:
        case ast.Raise() | ast.Assert(test=ast.Constant(value=False | 0)):
            return True
        case ast.Expr(
            value=ast.BinOp(op=ast.Div() | ast.FloorDiv() | ast.Mod(), left=left, right=ast.Constant(value=0))
        ):
            return isinstance(left, ast.Constant) and isinstance(left.value, int | float)
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=ast.Attribute(attr="style"), attr="use"),
                args=[ast.Constant(value=str(style))],
            )
        ):
            return style.startswith("seaborn") and style not in (_styles() or {style})
        case _:
            return False


@lru_cache
def _styles() -> frozenset[str]:
    """Return the styles of the installed matplotlib, which has dropped those that were called as seaborn's."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return frozenset()
    return frozenset(path.stem for path in Path(spec.origin).parent.glob("mpl-data/stylelib/*.mplstyle"))


def _stopped_at(cell: NotebookCell) -> str | None:
    """Return the top-level statement at which a cell has stopped, by the traceback that is saved with it."""
    if not parses(cell.source):
        return None
    for output in cell.outputs:
        traceback = output.get("traceback")
        if output.get("output_type") == "error" and isinstance(traceback, list):
            found = _ARROW.search(_COLORS.sub("", "\n".join(map(str, traceback))))
            line = int(found[1]) if found is not None else 0
            for node in parse(cell.source).body:
                if node.lineno <= line <= (node.end_lineno or node.lineno):
                    return ast.unparse(node)
    return None
