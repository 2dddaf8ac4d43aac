"""Names that cells register with libraries: `register_dataframe_accessor("geo")`, `sys.modules["config"] = ...`, functions of SQL.

No object of the notebook shows what a library has then. The text of a cell does, as far as the name stands there as a text; who
reads it has the name in a text of its own, or as an attribute or an import. Pure: judges by text.
"""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.model import TEXTS_REMEMBERED
from marimo_kernel_bridge.analysis.name_uses import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

_REGISTERS: Final = re.compile(
    r"register\w*|add_type|create_(?:function|aggregate|collation|window_function)"
)
_MAY_REGISTER: Final = re.compile(rf"\b(?:{_REGISTERS.pattern})\(|\bsys\.modules\[")
_WORD: Final = re.compile(r"[^\W\d]\w*")
_LONGEST: Final = 100


@lru_cache(maxsize=TEXTS_REMEMBERED)
def registered(code: str) -> frozenset[str]:
    """Return the names that a cell registers."""
    return frozenset(_registered(code)) if _MAY_REGISTER.search(code) else frozenset()


def _registered(code: str) -> Iterator[str]:
    for node in _nodes(code):
        match node:
            case ast.Call(
                func=ast.Name(id=function) | ast.Attribute(attr=function), args=args, keywords=keywords
            ):
                named = [keyword.value for keyword in keywords if keyword.arg == "name"]
                if _REGISTERS.fullmatch(function):
                    yield from _texts([*args[:1], *named])
            case ast.Subscript(
                value=ast.Attribute(value=ast.Name(id="sys"), attr="modules"), slice=key, ctx=ast.Store()
            ):
                yield from _texts([key])


def _texts(nodes: list[ast.expr]) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.Constant(value=str(text)) if len(text) <= _LONGEST:
                yield text


@lru_cache(maxsize=TEXTS_REMEMBERED)
def may_use_registered(code: str) -> frozenset[str]:
    """Return the words of a cell that may be names which others have registered."""
    found: set[str] = set()
    for node in _nodes(code):
        match node:
            case ast.Constant(value=str(text)):
                found.update([text, *_WORD.findall(text)] if len(text) <= _LONGEST else _WORD.findall(text))
            case ast.Attribute(attr=name):
                found.add(name)
            case ast.Import(names=aliases):
                found.update(alias.name for alias in aliases)
            case ast.ImportFrom(module=str(module)):
                found.add(module)
    return frozenset(found)


def _nodes(code: str) -> Iterator[ast.AST]:
    try:
        return ast.walk(parse(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return iter(())
