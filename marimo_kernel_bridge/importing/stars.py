"""Star imports as imports of the names that are used, because marimo has to know where names come from.

A separate Python process reads the names of a module, because importing one may run any code.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.name_uses import CellNames, parse, read_cell
from marimo_kernel_bridge.analysis.star_imports import import_of, module_of, star_imports
from marimo_kernel_bridge.notebooks.folder_files import text_inside
from marimo_kernel_bridge.protocol.own_python import python_command

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Sequence
    from pathlib import Path

_TIMEOUT: Final = 120
_ASK: Final = """\
import importlib, json, sys
from marimo_kernel_bridge.analysis.star_imports import public_names
sys.path[:0] = sys.argv[2:]
module = importlib.import_module(sys.argv[1])
sys.stdout.write("\\n" + json.dumps(public_names(module)))
"""


@dataclass
class Expanded:
    """A cell without star imports, and the notes on it."""

    code: str
    notes: list[str] = field(default_factory=list)


def names_of(module: str, folder: Path | None) -> frozenset[str] | None:
    """Return the names that `from module import *` binds in a notebook in `folder`; None if they are unknown.

    Imports the module, which may be one of the folder, if that is known.
    """
    if module.startswith("."):
        return None
    try:
        asked = subprocess.run(  # noqa: S603  # this interpreter, and a name that the notebook imports itself
            python_command("-c", _ASK, module, *([] if folder is None else [""])),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            cwd=folder,
            env={**os.environ, "MPLBACKEND": "agg"},
            stdin=subprocess.DEVNULL,
            check=True,
        )
        return frozenset(json.loads(asked.stdout.rsplit("\n", 1)[-1]))
    except (subprocess.SubprocessError, OSError, ValueError, TypeError):
        return written_in(module, folder)


def written_in(module: str, folder: Path | None) -> frozenset[str] | None:
    """Return the names of a module beside the notebook, read from its text without importing it."""
    if folder is None or module.startswith("."):
        return None
    text = text_inside(folder, "/".join(module.split(".")) + ".py")
    try:
        names = None if text is None else read_cell(text).bound_at_end
    except (SyntaxError, ValueError):
        return None
    return None if names is None else frozenset(name for name in names if not name.startswith("_"))


def expanded(codes: Sequence[str], ask: Callable[[str], frozenset[str] | None]) -> list[Expanded]:
    """Expand the star imports of all cells, which must be Python."""
    if not any("import *" in " ".join(code.split()) for code in codes):
        return [Expanded(code) for code in codes]
    cells = [read_cell(code) for code in codes]
    stars = [(number, node) for number, cell in enumerate(cells) for node in star_imports(cell.tree)]
    modules = [module_of(node) for _, node in stars]
    names_by_module = {module: ask(module) for module in dict.fromkeys(modules)}
    unbound = _read_unbound(cells)
    results = [Expanded(code) for code in codes]
    for index in reversed(range(len(stars))):
        number, node = stars[index]
        module, names = modules[index], names_by_module[modules[index]]
        later = [
            names_by_module[modules[other]] or frozenset()
            for other in range(index + 1, len(stars))
            if stars[other][0] == number
        ]
        result = results[number]
        if names is None:
            result.notes.append(
                f"`from {module} import *` could not be looked into: marimo cannot tell who uses it"
            )
            text = f"import {module} as _star\nglobals().update({{name: value for name, value in vars(_star).items() if name[0] != '_'}})"
            if module.startswith("."):
                text = f"# from {module} import *"
        else:
            used = sorted(unbound & names - frozenset().union(*later))
            result.notes.append(
                f"`from {module} import *` is the import of what is used: {', '.join(used) or 'nothing'}"
            )
            text = _import(module, used)
        result.code = _replaced(result.code, node, text)
    return results


def _read_unbound(cells: Sequence[CellNames]) -> frozenset[str]:
    """Return the names that a cell reads before it, or a cell before it, has bound them."""
    bound: set[str] = set()
    unbound: set[str] = set()
    for cell in cells:
        for use in cell.occurrences:
            if use.act == "load" and use.name not in bound and (use.exposed or use.late):
                unbound.add(use.name)
        bound |= cell.bound_at_end
    return frozenset(unbound)


def _import(module: str, names: Sequence[str]) -> str:
    if not names:
        return f"import {module} as _{module.replace('.', '_')}"
    return import_of(module, names)


def _replaced(code: str, node: ast.ImportFrom, text: str) -> str:
    lines = code.split("\n")
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    indentation = lines[node.lineno - 1][: node.col_offset]
    if indentation.strip():
        indentation = ""
    before = lines[node.lineno - 1].encode()[: node.col_offset].decode()
    after = lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode()
    new = text.replace("\n", f"\n{indentation}")
    result = "\n".join([*lines[: node.lineno - 1], f"{before}{new}{after}", *lines[node.end_lineno :]])
    parse(result)
    return result
