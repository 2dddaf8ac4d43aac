"""Which data of modules the body of a cell reads and changes: `config.rate = 2`, `os.environ["CITY"] = "Oslo"`.

Data is what a module has under a name and is neither callable nor a module. A cell uses the data that it names, and those
that functions of the notebook's own modules name which it mentions; not those of installed packages, whose functions name
many. Settings that `library_state` restores do not count. What has changed is seen by comparing.
"""

from __future__ import annotations

import ast
import sys
import types
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.analysis.model import TEXTS_REMEMBERED
from marimo_kernel_bridge.analysis.name_uses import parse
from marimo_kernel_bridge.kernel.versions.notebook_paths import notebooks_path
from marimo_kernel_bridge.kernel.versions.object_graph import fingerprint, is_watched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Datum = tuple[types.ModuleType, str]

_MOST: Final = 20
_RESTORED: Final = frozenset({"matplotlib", "seaborn", "pandas", "numpy", "random", "decimal", "locale"})
_PLAIN: Final = frozenset({type(None), bool, int, float, complex, str, bytes})
_READ_BY: Final = {("os", "getenv"): "environ"}


class ModuleWatch:
    """Watches the data of modules during one body."""

    def __init__(self, code: str, values: Mapping[str, Any]) -> None:
        """`values` is the namespace in which the cell runs."""
        self._code, self._values = code, values
        self._before = {datum: _state(*datum) for datum in self._data()}

    def end(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the data that the body uses, and those that it has changed, as `module.name`."""
        changed = {datum for datum, state in self._before.items() if _state(*datum) != state}
        return _names({*self._before, *self._data()}), _names(changed)

    def _data(self) -> list[Datum]:
        found = [
            datum for chain in _chains(self._code) for datum in _used(self._values.get(chain[0]), chain[1:])
        ]
        return [
            datum for datum in dict.fromkeys(found) if datum[0].__name__.partition(".")[0] not in _RESTORED
        ][:_MOST]


def _names(data: set[Datum]) -> frozenset[str]:
    return frozenset(f"{module.__name__}.{name}" for module, name in data)


def _used(value: object, attributes: tuple[str, ...]) -> Iterator[Datum]:
    """Yield the data that `value.attribute...` uses."""
    for attribute in attributes:
        if not isinstance(value, types.ModuleType):
            return
        name = _READ_BY.get((value.__name__, attribute), attribute)
        if _is_data(vars(value).get(name)):
            yield value, name
            return
        value = vars(value).get(name)
    if type(value) is types.FunctionType:
        yield from _used_by(value)


def _used_by(function: types.FunctionType) -> Iterator[Datum]:
    """Yield the data of its own module that a function uses, also through other functions there."""
    module = sys.modules.get(function.__module__)
    if module is None or notebooks_path(getattr(module, "__file__", None)) is None:
        return
    functions = [function]
    for each in functions:  # grows
        for name in each.__code__.co_names:
            value = vars(module).get(name)
            if type(value) is types.FunctionType:
                functions += [value] if value not in functions else []
            elif name in vars(module) and _is_data(value):
                yield module, name


def _is_data(value: object) -> bool:
    return not isinstance(value, types.ModuleType) and not callable(value)


def _state(module: types.ModuleType, name: str) -> object:
    value = vars(module).get(name)
    if is_watched(value):
        seen = fingerprint(value)
        return id(value), None if seen is None else seen.state
    return type(value), repr(value) if type(value) in _PLAIN else id(value)


@lru_cache(maxsize=TEXTS_REMEMBERED)
def _chains(code: str) -> tuple[tuple[str, ...], ...]:
    """Return the names in a cell, each with the attributes behind it."""
    try:
        tree = parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    inner: set[ast.expr] = set()
    chains: dict[tuple[str, ...], None] = {}
    for node in ast.walk(tree):
        attributes: list[str] = []
        here: ast.AST = node
        while isinstance(here, ast.Attribute) and here not in inner:
            inner.add(here)
            attributes.insert(0, here.attr)
            here = here.value
        if isinstance(here, ast.Name) and here not in inner:
            inner.add(here)
            chains[here.id, *attributes] = None
    return tuple(chains)
