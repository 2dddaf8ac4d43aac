"""Star imports as imports of the names that are used, because marimo has to know where names come from.

A separate Python process reads the names of an installed module. A module of the notebook's folder is read as text: it is
as little trusted as the notebook, and importing it runs it.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from importlib import machinery
from typing import TYPE_CHECKING, Final, Literal

from marimo_kernel_bridge.analysis.name_uses import CellNames, parse, read_cell
from marimo_kernel_bridge.analysis.star_imports import import_of, module_of, star_imports
from marimo_kernel_bridge.notebooks.folder_files import text_inside
from marimo_kernel_bridge.protocol.own_python import python_command, python_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

Imports = Literal["none", "installed", "all"]
"""Which modules may be imported to learn their names: none, those outside of the notebook's folder, or all."""

_TIMEOUT: Final = 120
_UNSEEN: Final = re.compile(r"\bglobals\(|\bexec\(|\bvars\(\)|\bmodules\[__name__\]")
"""Binds names that no text shows."""
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


def names_of(module: str, folder: Path | None, imports: Imports = "installed") -> frozenset[str] | None:
    """Return the names that `from module import *` binds in a notebook in `folder`; None if they are unknown.

    A module of the folder is imported if `imports` is "all", and otherwise read as text. An installed one is imported,
    without the folder on the path, unless `imports` is "none".
    """
    if imports == "all" and _is_name(module) and (names := _imported(module, folder)) is not None:
        return names
    return _names(module, folder, "none" if imports == "none" else "installed", {})


def _is_name(module: str) -> bool:
    """Return whether a module is not relative, nor one such as `__main__`, which acts when it is imported."""
    return not any(part.startswith("_") or not part for part in module.split("."))


def _names(
    module: str, folder: Path | None, imports: Imports, known: dict[str, frozenset[str] | None]
) -> frozenset[str] | None:
    """Return the names of a module, which are added to `known`: None for one whose text is being read."""
    if module not in known:
        known[module] = None
        known[module] = _looked_up(module, folder, imports, known)
    return known[module]


def _looked_up(
    module: str, folder: Path | None, imports: Imports, known: dict[str, frozenset[str] | None]
) -> frozenset[str] | None:
    if not _is_name(module):
        return None
    top = module.partition(".")[0]
    if top not in sys.stdlib_module_names and folder is not None:
        written = _written(module, folder, imports, known)
        if written is not None or _has(folder, top):
            return written
    return None if imports == "none" else _imported(module, None)


def _has(folder: Path, top: str) -> bool:
    """Return whether an import of `top` in the folder finds a module of it before an installed one."""
    names = [f"{top}{suffix}" for suffix in machinery.all_suffixes()]
    return any((folder / name).exists() for name in (*names, f"{top}/__init__.py"))


def _imported(module: str, folder: Path | None) -> frozenset[str] | None:
    """Import a module in another process, which finds those of `folder` as well; None if that fails."""
    try:
        asked = subprocess.run(  # noqa: S603  # this interpreter, and a name that the notebook imports itself
            python_command("-c", _ASK, module, *([] if folder is None else [""])),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            cwd=os.sep if folder is None else folder,
            env={**python_environment(), "MPLBACKEND": "agg"},
            stdin=subprocess.DEVNULL,
            check=True,
        )
        return frozenset(json.loads(asked.stdout.rsplit("\n", 1)[-1]))
    except (subprocess.SubprocessError, OSError, ValueError, TypeError, RecursionError):
        return None


def _written(
    module: str, folder: Path, imports: Imports, known: dict[str, frozenset[str] | None]
) -> frozenset[str] | None:
    """Return the names of a module of the folder, read from its text."""
    path = "/".join(module.split("."))
    text, package = text_inside(folder, f"{path}.py"), module.rpartition(".")[0]
    if text is None:
        text, package = text_inside(folder, f"{path}/__init__.py"), module
    try:
        cell = None if text is None else read_cell(text)
    except (SyntaxError, ValueError):
        return None
    if cell is None or text is None or _UNSEEN.search(text):
        return None
    if "__all__" in cell.bound_at_end:
        return _listed(cell.tree)
    sometimes = {use.name for use in cell.occurrences if use.act == "store" and not use.late}
    deleted = {use.name for use in cell.occurrences if use.act == "delete"}
    names = {name for name in cell.bound_at_end | (sometimes - deleted) if not name.startswith("_")}
    for node in star_imports(cell.tree):
        inner = _names(_absolute(module_of(node), package), folder, imports, known)
        if inner is None:
            return None
        names |= inner
    return frozenset(names)


def _absolute(module: str, package: str) -> str:
    """Return a module that a module of `package` names, without the dots of a relative import."""
    name = module.lstrip(".")
    up = len(module) - len(name)
    if not up:
        return module
    parents = package.split(".")
    return ".".join([*parents[: len(parents) - up + 1], *filter(None, [name])])


def _listed(tree: ast.Module) -> frozenset[str] | None:
    """Return the names in `__all__`, None unless it is written as one list."""
    lists = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]
    ]
    try:
        names = [ast.literal_eval(value) for value in lists]
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # TypeError: {[]: 1}
        return None
    if len(names) != 1 or not isinstance(names[0], list | tuple) or ast.unparse(tree).count("__all__") != 1:
        return None
    return frozenset(name for name in names[0] if isinstance(name, str))


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
            read = unbound | _bound_again(cells, number, names, module)
            used = sorted(read & names - frozenset().union(*later))
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


def _bound_again(cells: Sequence[CellNames], number: int, names: frozenset[str], module: str) -> set[str]:
    """Return the names of a star import in a cell that cells above bind to others, and that it or a cell below reads."""
    above = {
        use.name
        for cell in cells[: number + 1]
        for use in cell.occurrences
        if use.act == "store" and not use.late and use.origin != f"{module}:{use.name}"
    }
    found: set[str] = set()
    bound: set[str] = set()
    for cell in cells[number:]:
        loads = {use.name for use in cell.occurrences if use.act == "load"}
        found |= (loads & names & above) - bound
        bound |= cell.bound_at_end if cell is not cells[number] else set()
    return found


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
