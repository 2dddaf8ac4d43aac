"""What cells put into packages: `copyreg.pickle(Point, reduce)`, `mimetypes.add_type(...)`, `pd.DataFrame.peek = peek`.

No object of the notebook shows it, and what a package reads when it is used, no text shows either. So whoever uses the package
depends on the cell. Counted are calls for what they do (statements and decorators) of functions whose names say that they set
something, by the data of their modules that they name; and attributes of classes. Whether anything has changed, comparing tells.
"""

from __future__ import annotations

import ast
import os
import re
import sys
import types
from collections.abc import MutableMapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.analysis.model import TEXTS_REMEMBERED
from marimo_kernel_bridge.analysis.name_uses import parse
from marimo_kernel_bridge.analysis.syntax import words_of
from marimo_kernel_bridge.kernel.versions.module_changes import PLAIN
from marimo_kernel_bridge.kernel.versions.module_functions import is_used_in, names_used_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from marimo_kernel_bridge.kernel.versions.module_changes import Datum

Chain = tuple[str, ...]
"""A name, and the attributes behind it."""

_SETTING: Final = re.compile(
    r"(?:un)?(?:register|install|set|add|remove|push|pop|use|enable|disable|define|configure|update|reset|clear)\w*"
    r"|pickle|constructor"
)
_NOT_SET: Final = re.compile(r"cache|lock|warningregistry", re.IGNORECASE)
"""Occurs in names of data that a module keeps for itself."""
_NOTEBOOK: Final = "__main__"


def assigned_by(code: str, value_of: Callable[[str], object]) -> Iterator[Datum]:
    """Yield the data of packages that a cell assigns or changes by name, and that functions of the package use.

    `Image.MAX_IMAGE_PIXELS = None`, `linecache.cache[name] = ...`.
    """
    _, assigned, changed = _acts(code)
    for *path, name in (*assigned, *changed):
        owner = _value(path, value_of)
        if isinstance(owner, types.ModuleType) and owner.__name__ != _NOTEBOOK:
            value = vars(owner).get(name, owner)
            is_data = type(value) in PLAIN or isinstance(value, list | set | MutableMapping)
            if is_data and value is not os.environ and is_used_in(owner, name):  # whose readers name it
                yield owner, name


def put_by(code: str, value_of: Callable[[str], object]) -> Iterator[Datum]:
    """Yield the data of packages that a cell may change so. `value_of` returns the values of names."""
    called, assigned, _ = _acts(code)
    for chain in called:
        function = _value(chain, value_of) if _SETTING.fullmatch(chain[-1]) else None
        if type(function) is types.FunctionType and function.__module__ != _NOTEBOOK:
            yield from _data_of(function)
    for *path, name in assigned:
        owner = _value(path, value_of)
        if isinstance(owner, types.ModuleType):
            is_used = callable(vars(owner).get(name))  # by the module itself
        else:
            is_used = isinstance(owner, type) and owner.__module__ != _NOTEBOOK
        if is_used and isinstance(owner, types.ModuleType | type):
            yield owner, name


def uses_package(datum: Datum, code: str, values: Mapping[str, Any], *, only_by_name: bool) -> bool:
    """Return whether a cell with this code may use what a package, or a class of one, has under a name.

    `values` are those of the names that it mentions. `only_by_name`: no code of the package knows what a class has there.
    """
    owner, name = datum
    held = vars(owner).get(name, owner)
    held = owner if type(held) in PLAIN else held
    if isinstance(owner, type) and only_by_name and not any(name in vars(base) for base in owner.__mro__[1:]):
        functions = [value for value in values.values() if type(value) is types.FunctionType]
        named = any(name in each.__code__.co_names for each in functions if each.__module__ == _NOTEBOOK)
        if not named and name not in words_of(code):
            return False
    for value in values.values():
        if isinstance(owner, type) and owner in type(value).__mro__:
            return True
        module = value if isinstance(value, types.ModuleType) else _module_of(value)
        if module is owner:
            return True
        if module is not None and any(each is owner or each is held for each in list(vars(module).values())):
            return True
    return False


def _module_of(value: object) -> types.ModuleType | None:
    if not isinstance(value, types.FunctionType | types.BuiltinFunctionType | type):
        return None
    name = value.__module__
    module = sys.modules.get(name) if isinstance(name, str) and name not in {_NOTEBOOK, "builtins"} else None
    return module if isinstance(module, types.ModuleType) else None


def _value(chain: Iterable[str], value_of: Callable[[str], object]) -> object:
    first, *attributes = chain
    value = value_of(first)
    for attribute in attributes:
        if not isinstance(value, types.ModuleType | type):
            return None
        value = vars(value).get(attribute)
    return value


def _data_of(function: types.FunctionType) -> Iterator[Datum]:
    """Yield the data of its module that a function names, also through other functions there."""
    for module, name in names_used_by(function):
        value = vars(module)[name]
        if not (callable(value) or isinstance(value, types.ModuleType) or _NOT_SET.search(name)):
            yield module, name


@lru_cache(maxsize=TEXTS_REMEMBERED)
def _acts(code: str) -> tuple[tuple[Chain, ...], tuple[Chain, ...], tuple[Chain, ...]]:
    """Return the functions that a cell calls for what they do, the attributes that it assigns, and those whose items it changes."""
    try:
        tree = parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return (), (), ()
    called: dict[Chain, None] = {}
    assigned: dict[Chain, None] = {}
    changed: dict[Chain, None] = {}
    for node in ast.walk(tree):
        match node:
            case (
                ast.Subscript(value=ast.Attribute() as container, ctx=ast.Store() | ast.Del())
                | ast.Call(func=ast.Attribute(value=ast.Attribute() as container))
            ):
                changed[_chain(container)] = None
        match node:
            case ast.Expr(value=ast.Call(func=function)):
                called[_chain(function)] = None
            case ast.FunctionDef(decorator_list=decorators) | ast.ClassDef(decorator_list=decorators):
                called |= {
                    _chain(each.func if isinstance(each, ast.Call) else each): None for each in decorators
                }
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                assigned[_chain(node)] = None
            case ast.Call(
                func=ast.Name(id="setattr" | "delattr"), args=[owner, ast.Constant(value=str(name)), *_]
            ):
                assigned[(*_chain(owner), name)] = None
    return tuple(filter(None, called)), _of_owners(assigned), _of_owners(changed)


def _of_owners(chains: Iterable[Chain]) -> tuple[Chain, ...]:
    return tuple(each for each in chains if len(each) > 1 and each[0])


def _chain(node: ast.expr) -> Chain:
    """Return a name with the attributes behind it, () for any other expression."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.insert(0, node.attr)
        node = node.value
    return (node.id, *attributes) if isinstance(node, ast.Name) else ()
