"""Which data of modules the body of a cell reads and changes: `config.rate = 2`, `os.environ["CITY"] = "Oslo"`.

Data is what a module has under a name and is neither callable nor a module. A cell uses the data that it names, and those
that functions of the notebook's own modules name which it mentions; not those of installed packages, whose functions name
many, but for what a cell has put there (`package_state`). Settings that `library_state` restores do not count. What has changed is
seen by comparing.
"""

from __future__ import annotations

import ast
import builtins
import os
import re
import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.analysis.model import TEXTS_REMEMBERED
from marimo_kernel_bridge.analysis.name_uses import parse
from marimo_kernel_bridge.analysis.syntax import words_of
from marimo_kernel_bridge.kernel.versions.live_objects import Use
from marimo_kernel_bridge.kernel.versions.module_changes import (
    MISSING,
    PLAIN,
    Change,
    Content,
    Datum,
    Owner,
    Put,
    change,
    content,
    is_taken_back,
)
from marimo_kernel_bridge.kernel.versions.module_functions import names_used_by
from marimo_kernel_bridge.kernel.versions.notebook_paths import notebooks_path
from marimo_kernel_bridge.kernel.versions.object_graph import fingerprint, is_watched
from marimo_kernel_bridge.kernel.versions.package_state import assigned_by, put_by, uses_package

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOST: Final = 20
_MOST_KEYS: Final = 1000
_CHANGING: Final = "append|insert|extend|update|pop|remove|setdefault|clear|sort|reverse|add|discard"
"""Methods of containers. A cell that calls one builds on the data instead of showing it."""
_SETTING: Final = r"\b(?:setattr|delattr|patch(?:\.object)?)"
"""Functions that set what has the name that they are given as a text."""
_NAMED: Final = re.compile(rf"{_SETTING}\(\s*(?:([\w.]+)\s*,\s*)?[\"']([\w.]+)[\"']")
_RESTORED: Final = frozenset({"matplotlib", "seaborn", "pandas", "numpy", "random", "decimal", "locale"})
_RELOADS: Final = re.compile(r"\breload\(")
_READ_BY: Final = {("os", "getenv"): "environ"}
_IMPORTS: Final = re.compile(r"\bimport\b[^\n]*")
_ENVIRONMENT: Final = re.compile(
    r"\$\{?[A-Za-z_]|%(?:set_)?env\b|run_line_magic\([\"'](?:set_)?env\b|\b(?:environb?|getenvb?)\b"
)
"""Occurs in code that reads the environment for another program, or sets it by a magic."""


@dataclass(frozen=True)
class _Key:
    datum: Datum


class ModuleWatch:
    """Watches the data of modules during one body."""

    def __init__(
        self,
        code: str,
        values: Mapping[str, Any],
        known: Mapping[Datum, Put] | None = None,
        held: Iterable[Datum] = (),
    ) -> None:
        """`values` is the namespace in which the cell runs; `known` are the data of packages that cells have changed, see `put`.

        `held` are the data of modules that cells have changed: who mutates their objects by other names changes them, too.
        """
        self._code, self._values = code, values
        self._known = dict(known or {})
        self._held = tuple(held)
        self.changed: frozenset[Datum] = frozenset()
        self.put: Mapping[Datum, Put] = {}
        """The data of packages that the body has changed."""
        self._before = {datum: (_state(*datum), content(datum)) for datum in self._data()}

    def end(self) -> tuple[frozenset[str], frozenset[str], list[Change]]:
        """Return the data that the body uses, and those that it has changed, as `module.name`, and how."""
        changed = {
            datum: before
            for datum, (state, before) in self._before.items()
            if _state(*datum) != state
            and (isinstance(datum[0], type) or not self._was_loaded(*datum, before))
        }
        self.changed = frozenset(changed)
        put, assigned = self._put(), set(assigned_by(self._code, self._value_of))
        self.put = {
            datum: Put(changed[datum].value is MISSING, datum in assigned or is_taken_back(datum))
            for datum in (put | assigned) & changed.keys()
        }
        words = words_of(self._code)
        changes = [
            change(datum, before, words)
            for datum, before in changed.items()
            if datum not in put
            or (
                is_taken_back(datum)
                and (
                    isinstance(datum[0], type)
                    or callable(before.value)
                    or before.value is vars(datum[0]).get(datum[1])
                )
            )
        ]
        return _names({*self._before, *self._data()}), _names(changed), changes

    def uses(self) -> dict[str, Use]:
        """Return the data that the cell uses now: of mappings, those under the keys that it names."""
        found: dict[str, Use] = {}
        known = {datum: Put(is_new=False, is_taken_back=is_taken_back(datum)) for datum in self._put()}
        known |= self._known
        for module, name in self._data():
            value = vars(module).get(name)
            changes = _changes(name, self._code)
            if (module, name) in known and not known[module, name].is_taken_back:
                parts = frozenset({name} if (module, name) in self._used_packages() else ())
                found[_name((module, name))] = Use(_key((module, name)), {name: _state(module, name)}, parts)
            elif isinstance(value, Mapping) and len(value) <= _MOST_KEYS:
                whole = re.search(rf"\b{name}\b(?!\s*\[|\.(?:get|pop|setdefault|update)\b)", self._code)
                by_functions = value is not os.environ and re.search(rf"\b{name}\b", self._code) is None
                parts = words_of(self._code) | (
                    {""} if by_functions or (whole and "getenv" not in self._code) else set()
                )
                parts = frozenset() if changes else parts
                found[_name((module, name))] = Use(value, {str(key): value[key] for key in value}, parts)
            else:
                state = {name: _state(module, name)}
                parts = frozenset() if changes else frozenset({name})
                found[_name((module, name))] = Use(module, state, parts)
        return found

    def _held_by_names(self) -> list[Datum]:
        """Return those data that cells have changed whose object a name of this cell has as well."""
        if not self._held:
            return []
        values = {id(self._values.get(chain[0])) for chain in _chains(self._code)}
        return [
            datum
            for datum in self._held
            if id(value := vars(datum[0]).get(datum[1])) in values
            and is_watched(value)
            and not callable(value)
        ]

    def _put(self) -> set[Datum]:
        return set(put_by(self._code, self._value_of))

    def _used_packages(self) -> list[Datum]:
        """Return what cells have put into packages that this cell uses."""
        if not self._known:
            return []
        return [
            datum for datum, put in self._known.items() if _uses_datum(datum, put, self._code, self._values)
        ]

    def _was_loaded(self, module: Owner, name: str, before: Content) -> bool:
        """Return whether a module has got a name by itself, as modules do that load what they have when it is first used."""
        if before.value is not MISSING:
            return False
        return not _is_data(vars(module).get(name)) or (
            "__getattr__" in vars(module) and not _changes(name, self._code)
        )

    def _data(self) -> list[Datum]:
        found = [datum for chain in _chains(self._code) for datum in self._used_in(chain)]
        found += [
            datum for module, name in _imported_from(self._code) for datum in self._imported(module, name)
        ]
        found += [datum for chain in _named_in_calls(self._code) for datum in self._set_by_name(chain)]
        found += [(os, "environ")] if _ENVIRONMENT.search(self._code) else []
        found += [*self._put(), *self._used_packages(), *self._held_by_names()]
        if _RELOADS.search(self._code):
            modules = (self._value_of(chain[0]) for chain in _chains(self._code))
            found += [datum for module in modules for datum in _own_data(module)]
        return [
            datum for datum in dict.fromkeys(found) if datum[0].__name__.partition(".")[0] not in _RESTORED
        ][:_MOST]

    def _used_in(self, chain: tuple[str, ...]) -> Iterator[Datum]:
        name = chain[0]
        if name not in self._values and name[0] != "_" and _is_data(vars(builtins).get(name, print)):
            yield builtins, name  # the notebook has put it there
        else:
            yield from _used(self._value_of(name), chain[1:], self._code)

    def _imported(self, module: str, name: str) -> Iterator[Datum]:
        loaded = sys.modules.get(module)
        yield from _own_data(loaded) if name == "*" else _used(loaded, (name,), self._code)

    def _set_by_name(self, chain: tuple[str, ...]) -> Iterator[Datum]:
        value = self._value_of(chain[0])
        yield from _used(sys.modules.get(chain[0]) if value is None else value, chain[1:], self._code)

    def _value_of(self, name: str) -> object:
        return _value_of(name, self._code, self._values)


def uses(put: Mapping[Datum, Put], code: str, values: Mapping[str, Any]) -> frozenset[str]:
    """Return which data of packages a cell may use, as `module.name`; `put` as in `ModuleWatch`."""
    return _names(datum for datum, each in put.items() if _uses_datum(datum, each, code, values))


def _uses_datum(datum: Datum, put: Put, code: str, values: Mapping[str, Any]) -> bool:
    used = {chain[0]: _value_of(chain[0], code, values) for chain in _chains(code)}
    return uses_package(datum, code, used, only_by_name=put.is_new)


def _value_of(name: str, code: str, values: Mapping[str, Any]) -> object:
    """Return the value of a name, also of a module that the cell itself imports."""
    value = values.get(name)
    if value is None and any(name in words_of(line) for line in _IMPORTS.findall(code)):
        return sys.modules.get(name)
    return value


def _changes(name: str, code: str) -> bool:
    """Return whether code assigns to a name of a module, or changes the container that it has."""
    assigned = rf"\b{name}\b(?:\[[^\]\n]{{0,300}}\])?\s*+(?:[-+|]?=(?!=)|\.(?:{_CHANGING})\b)"
    return re.search(rf"{assigned}|{_SETTING}\([^\n]{{0,300}}[.\"']{name}[\"']", code) is not None


def _names(data: Iterable[Datum]) -> frozenset[str]:
    return frozenset(map(_name, data))


def _name(datum: Datum) -> str:
    owner, name = datum
    return (
        f"{owner.__module__}.{owner.__qualname__}.{name}"
        if isinstance(owner, type)
        else f"{owner.__name__}.{name}"
    )


@cache
def _key(datum: Datum) -> _Key:
    """Return the object that stands for a datum which nobody can take back."""
    return _Key(datum)


def _used(value: object, attributes: tuple[str, ...], code: str) -> Iterator[Datum]:
    """Yield the data that `value.attribute...` uses, also what `code` puts in the place of a function."""
    for attribute in attributes:
        if not isinstance(value, types.ModuleType):
            return
        name = _READ_BY.get((value.__name__, attribute), attribute)
        if _is_data(vars(value).get(name)) or _changes(name, code):
            yield value, name
            return
        value = vars(value).get(name)
    if type(value) is types.FunctionType:
        yield from _used_by(value)
    elif not attributes:  # who is given a whole module may set and read anything of it
        yield from _own_data(value)


def _used_by(function: types.FunctionType) -> Iterator[Datum]:
    """Yield the data of its own module that a function uses, also through other functions there."""
    module = sys.modules.get(function.__module__)
    if notebooks_path(getattr(module, "__file__", None)) is not None:
        yield from (datum for datum in names_used_by(function) if _is_data(vars(datum[0])[datum[1]]))


def _own_data(module: object) -> Iterator[Datum]:
    """Yield what one of the notebook's own modules has, which a reload makes anew."""
    if isinstance(module, types.ModuleType) and notebooks_path(getattr(module, "__file__", None)) is not None:
        for name, value in list(vars(module).items()):
            if not name.startswith("__") and _is_data(value):
                yield module, name


def _is_data(value: object) -> bool:
    """Return whether what a module has under a name is data, or a function that the notebook has put there."""
    if isinstance(value, types.FunctionType):
        return value.__module__ == "__main__"
    return not isinstance(value, types.ModuleType) and not callable(value)


def _state(module: Owner, name: str) -> object:
    value = vars(module).get(name)
    if is_watched(value):
        seen = fingerprint(value)
        return id(value), None if seen is None else seen.state
    return type(value), repr(value) if type(value) in PLAIN else id(value)


@lru_cache(maxsize=TEXTS_REMEMBERED)
def _imported_from(code: str) -> tuple[tuple[str, str], ...]:
    """Return the names in modules that code imports from them, each with its module."""
    if "import" not in code:
        return ()
    try:
        nodes = ast.walk(parse(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return tuple((node.module or "", alias.name) for node in imports for alias in node.names)


def _named_in_calls(code: str) -> Iterator[tuple[str, ...]]:
    """Yield the names in modules that code gives to functions which set them, as in `setattr(math, "floor", f)`."""
    for owner, name in _NAMED.findall(code):
        yield tuple(f"{owner}.{name}".strip(".").split("."))


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
