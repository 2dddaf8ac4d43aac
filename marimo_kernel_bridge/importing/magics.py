"""Translation of one cell's IPython syntax to Python: magics, shell lines and `obj?`.

IPython's own transformer finds the magics; `line_magics` and `cell_magics` translate each of them. All other lines stay
unchanged. What has no equivalent is commented out and reported as lost.
"""

from __future__ import annotations

import ast
import builtins
import re
from functools import partial
from typing import TYPE_CHECKING, Final

from IPython.core.inputtransformer2 import TransformerManager

from marimo_kernel_bridge.analysis.magics import MAGICS, Kind, method_and_texts, shell_calls
from marimo_kernel_bridge.analysis.name_uses import parse
from marimo_kernel_bridge.importing import cell_magics, line_magics
from marimo_kernel_bridge.importing.cell_magics import CellMagic
from marimo_kernel_bridge.importing.line_magics import LineMagic
from marimo_kernel_bridge.importing.python_text import commented, parses, span
from marimo_kernel_bridge.importing.translation import Translated

if TYPE_CHECKING:
    from marimo_kernel_bridge.importing.translation import Notebooks


_CELLS_ONLY: Final[frozenset[Kind]] = frozenset({"interpreter", "display", "capture", "file"})


def translated(source: str, around: Notebooks) -> Translated:
    """Return a cell's code as Python."""
    source = source.strip("\n").rstrip()
    if _is_automagic(source, around):
        source = f"%{source.strip()}"
    if parses(source) and "get_ipython()" not in source:
        return around.translated(source)
    if source.lstrip().startswith("%%"):
        translate = partial(translated, around=around)
        return cell_magics.python_of(CellMagic(source.lstrip(), around, translate))
    return _with_lines(source, around)


def _is_automagic(source: str, around: Notebooks) -> bool:
    """Return whether IPython takes a cell of one line, such as `ls -l`, for a line magic without its `%`."""
    match = re.fullmatch(r"(\w+)(?:[ \t]+(?![!=()<>,+*/%^&|])\S.*)?", source.strip())
    if match is None:
        return False
    magic = MAGICS.get(match[1])
    return (
        magic is not None
        and magic.kind not in _CELLS_ONLY
        and match[1] not in around.bound
        and not hasattr(builtins, match[1])
    )


def _with_lines(source: str, around: Notebooks) -> Translated:
    """Translate the magics of a cell that is otherwise Python."""
    try:
        python = _transformed(source)
    except SyntaxError:
        python = source
    if not parses(python):
        return _not_python(source)
    result = around.translated()
    for node, statement in reversed(_calls(python)):
        python = _with_call_replaced(python, node, statement, around, result)
    result.notes.reverse()
    result.lost.reverse()
    result.code = python
    return result if parses(python) else _not_python(source)


def _transformed(source: str) -> str:
    python: str = TransformerManager().transform_cell(source)  # type: ignore[no-untyped-call]  # IPython's
    return python.rstrip("\n")


def _not_python(source: str) -> Translated:
    """Keep the text of a cell that also fails in Jupyter, in comments, and make it fail in the same way."""
    message = "invalid syntax"
    try:
        ast.parse(_transformed(source))
    except SyntaxError as error:
        message = f"{error.msg} (line {error.lineno})"
    except (ValueError, RecursionError, MemoryError) as error:
        message = str(error)
    note = f"it is not Python ({message}), in Jupyter neither: its text is kept in comments, and it fails as before"
    code = "\n".join([commented(source), f"raise SyntaxError({message!r})"])
    return Translated(code, notes=[note], is_python=False)


def _with_call_replaced(
    code: str, node: ast.Call, statement: ast.stmt, around: Notebooks, result: Translated
) -> str:
    """Replace one call of a method of `get_ipython()` in the text."""
    start, end = span(code, node)
    alone = isinstance(statement, ast.Expr) and statement.value is node
    written = _python_of(node, around, result, alone=alone)
    if written is None:
        result.needs.add("get_ipython")
        return code
    if not alone:
        return code[:start] + written + code[end:]
    line_start = code.rfind("\n", 0, start) + 1
    indentation = code[line_start:start]
    if indentation.strip():
        indentation = ""
    lines = written.split("\n")
    if indentation and all(line.startswith("#") for line in lines):
        lines.append("pass")
    text = ("\n" + indentation).join(lines) if '"""' not in written else written
    return code[:start] + text + code[end:].lstrip(";")


def _python_of(call: ast.Call, around: Notebooks, result: Translated, *, alone: bool) -> str | None:
    """Return Python for a call of IPython's shell; None if it stays unchanged."""
    match method_and_texts(call):
        case "run_line_magic" | "magic", [str(name), str(line)]:
            return line_magics.python_of(LineMagic(name, line, alone, around, result))
        case "magic", [str(whole)]:
            name, _, line = whole.lstrip("%").partition(" ")
            return line_magics.python_of(LineMagic(name, line.strip(), alone, around, result))
        case "system" | "system_raw", [str(command)]:
            return result.system(command, around.names)
        case "getoutput", [str(command)]:
            return result.getoutput(command, around.names)
        case _:
            return None


def _calls(code: str) -> list[tuple[ast.Call, ast.stmt]]:
    """Return the calls of methods of `get_ipython()`, each with its statement, in source order."""
    calls: list[tuple[ast.Call, ast.stmt]] = []

    def walk(node: ast.AST, statement: ast.stmt) -> None:
        for child in ast.iter_child_nodes(node):
            inner = child if isinstance(child, ast.stmt) else statement
            calls.extend((call, inner) for call in shell_calls(child))
            walk(child, inner)

    walk(parse(code), ast.Pass())
    return sorted(calls, key=lambda call: (call[0].lineno, call[0].col_offset))
