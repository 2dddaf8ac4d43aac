"""What code asks of a Jupyter kernel or its page, and marimo does not have: it is told, and stays as it is."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.name_uses import read_cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_OF_KERNELS: Final = frozenset(
    """kernel set_next_input payload_manager parent_header comm_manager get_parent set_parent
    auto_rewrite_input""".split()  # noqa: SIM905  # a list of words
)
"""Attributes of a shell that only a kernel's shell has, or that only a kernel's page answers."""
_MODULES: Final = frozenset({"ipykernel", "comm"})
_PAGE: Final = re.compile(r"\b(?:IPython|Jupyter)\.notebook\b")


def told(codes: Sequence[str]) -> list[list[str]]:
    """Return notes on each cell. All `codes` must be Python."""
    if not any(
        re.search(r"get_ipython|ipykernel|\bcomm\b|clear_output|\.notebook\b", code) for code in codes
    ):
        return [[] for _ in codes]
    shells = {name for code in codes for name in _names_of_the_shell(read_cell(code).tree)}
    return [list(dict.fromkeys(_notes(code, shells))) for code in codes]


def asks_for_the_shell(codes: Sequence[str]) -> bool:
    """Return whether code calls `get_ipython`, under whatever name; importing it alone asks for nothing."""
    for code in codes:
        names = read_cell(code)
        for name in names.names:
            origins = {use.origin or "" for use in names.of(name)}
            if name != "get_ipython" and not any(origin.endswith(":get_ipython") for origin in origins):
                continue
            if any(use.act == "load" for other in codes for use in read_cell(other).of(name)):
                return True
        if ".get_ipython" in code:
            return True
    return False


def _names_of_the_shell(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_shell(value, frozenset()):
                yield name


def _is_shell(node: ast.expr, names: set[str] | frozenset[str]) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="get_ipython") | ast.Attribute(attr="get_ipython")):
            return True
        case ast.Name(id=name):
            return name in names
        case _:
            return False


def _notes(code: str, shells: set[str]) -> Iterator[str]:
    for node in ast.walk(read_cell(code).tree):
        match node:
            case ast.Attribute(value=value, attr=attribute) if _is_shell(value, shells):
                if attribute in _OF_KERNELS:
                    yield f"it needs a Jupyter kernel: marimo's `get_ipython()` has no `{attribute}` that works"
                elif attribute == "__class__":
                    yield "in marimo, `get_ipython()` is an `InteractiveShell`, no `ZMQInteractiveShell`"
            case ast.Import(names=aliases) if any(_is_of_kernels(alias.name) for alias in aliases):
                yield "it needs a Jupyter kernel: what it imports works in one only"
            case ast.ImportFrom(module=str(module), level=0) if _is_of_kernels(module):
                yield "it needs a Jupyter kernel: what it imports works in one only"
            case ast.Call(func=ast.Name(id="clear_output") | ast.Attribute(attr="clear_output")):
                yield "`clear_output` clears nothing in marimo; `mo.output.clear()` clears what was displayed"
            case ast.Constant(value=str(text)) if _PAGE.search(text):
                yield "its JavaScript needs the page of Jupyter's classic notebook"


def _is_of_kernels(module: str) -> bool:
    return module.partition(".")[0] in _MODULES
