"""Functions and instances that keep results (`functools.cache`, `functools.cached_property`): whether what they keep is what a run from top to bottom would have kept.

A result depends on what the function reads besides its arguments. If the cell itself, in an earlier run, or a cell below it has
called the function with something else to read, the function forgets its results before the cell runs. Results that cells
above have left stay, as in Jupyter.
"""

from __future__ import annotations

import functools
import os
import types
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.kernel.versions.object_graph import fingerprint, is_watched
from marimo_kernel_bridge.kernel.versions.value_copies import own_attributes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping

_MOST_NAMES: Final = 40
_MOST_FILLED: Final = 100
_NOTEBOOK: Final = "__main__"
_CODES: Final = "codes()"
_PLAIN: Final = frozenset({type(None), bool, int, float, complex, str, bytes})
_CACHED: Final = type(functools.cache(len))
_State = dict[str, object]
"""Of what a function reads, by name."""


@dataclass
class _Kept:
    """What a function has read: in each cell's last run, and in the runs since it has forgotten its results.

    That is one state for the beginning of a run, and one for its end, as the function may change what it reads. What calls alone
    have changed, as what a client counts, does not count.
    """

    by_cell: dict[str, tuple[_State, ...]] = field(default_factory=dict)
    since: dict[str, tuple[_State, ...]] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)  # the names of what its calls have changed

    def has(self, state: _State, read: Iterable[_State]) -> bool:
        """Return whether a state is one of those that were read."""
        return any(
            state.keys() - self.own == known.keys() - self.own
            and all(known[name] == each for name, each in state.items() if name not in self.own)
            for known in read
        )


@dataclass
class _Filled:
    """A value that an instance keeps, the cell that was the first to ask for it, and the states of the instance around that run."""

    instance: object
    cell_id: str | None
    states: tuple[object, ...]


class KeptAttributes:
    """The values that instances of the notebook's classes keep by a `functools.cached_property`."""

    def __init__(self) -> None:
        self._filled: dict[tuple[int, str], _Filled] = {}
        self._seen: list[
            tuple[object, frozenset[str], object]
        ] = []  # by the cell that runs, with what they kept, and their states

    def begin(
        self, cell_id: str, names: Iterable[str], values: Mapping[str, Any], place: Mapping[str, int]
    ) -> None:
        """Have instances that a cell mentions drop values that a run from top to bottom would not have kept yet."""
        self._seen = []
        here = place.get(cell_id, 0)
        for instance in {id(value): value for value in map(values.get, names) if _keeping(value)}.values():
            own, state = own_attributes(instance) or {}, _state(instance)
            for name in _keeping(instance) & own.keys():
                known = self._known(instance, name)
                if (
                    known is not None
                    and place.get(known.cell_id or "", here) >= here
                    and state not in known.states
                ):
                    del own[name]
                    self._filled.pop((id(instance), name), None)
            self._seen.append((instance, frozenset(_keeping(instance) & own.keys()), state))

    def end(self, cell_id: str, words: frozenset[str]) -> tuple[set[str], set[str]]:
        """Note which values a cell with these words was the first to ask for. Return which it has found, and which it has left."""
        found: set[str] = set()
        left: set[str] = set()
        seen, self._seen = self._seen, []
        for instance, before, was in seen:
            state = _state(instance)
            for name in _keeping(instance) & (own_attributes(instance) or {}).keys():
                key, label = (id(instance), name), f"{type(instance).__qualname__}.{name}{os.sep}"
                known = self._known(instance, name)
                if name not in before:
                    known = self._filled[key] = _Filled(instance, cell_id, (was, state))
                elif known is not None and known.cell_id == cell_id and name not in words:
                    known.cell_id = None
                if known is not None and known.cell_id == cell_id:
                    left.add(label)
                elif known is not None and name in words and was not in known.states:
                    found.add(label)
        while len(self._filled) > _MOST_FILLED:
            del self._filled[next(iter(self._filled))]
        return found, left

    def _known(self, instance: object, name: str) -> _Filled | None:
        """Return who has filled an attribute: of a copy, as of the instance of its class that was filled last."""
        if (known := self._filled.get((id(instance), name))) is not None:
            return known
        others = (each for (_, other), each in reversed(self._filled.items()) if other == name)
        return next((each for each in others if type(each.instance) is type(instance)), None)

    def forget(self, cell_id: str) -> None:
        """Note that a cell is gone. What it was the first to ask for is there still."""
        for known in self._filled.values():
            known.cell_id = None if known.cell_id == cell_id else known.cell_id


def _keeping(value: object) -> frozenset[str]:
    """Return the names of the attributes that an instance of a class of the notebook keeps once somebody has asked for them."""
    kind = type(value)
    return _kept_by(kind) if kind.__module__ == _NOTEBOOK and not issubclass(kind, type) else frozenset()


def _kept_by(kind: type) -> frozenset[str]:
    parts = [part for base in kind.__mro__ for part in vars(base).items()]
    return frozenset(name for name, part in parts if isinstance(part, functools.cached_property))


class KeptResults:
    """What the notebook's functions that keep their results have read, by the cells that have called them."""

    def __init__(self) -> None:
        self.attributes = KeptAttributes()
        self._known: MutableMapping[Any, _Kept] = weakref.WeakKeyDictionary()
        self._called: list[tuple[Any, _State]] = []  # by the cell that runs, with what they read before it

    def begin(
        self, cell_id: str, names: Iterable[str], values: Mapping[str, Any], place: Mapping[str, int]
    ) -> bool:
        """Have functions that a cell calls forget results that a run from top to bottom would not have.

        Returns whether the cell may not be right then: a cell above it has left results that are forgotten as well.
        """
        self.attributes.begin(cell_id, names := frozenset(names), values, place)
        unsure = False
        self._called = []
        here = place.get(cell_id, 0)
        for function in _functions_behind(names, values):
            if type(function) is not _CACHED:
                continue
            state = _read_by(function, values)
            kept = self._known.setdefault(function, _Kept())
            above = {cell for cell in kept.by_cell if place.get(cell, here) < here}
            if any(not kept.has(state, read) for cell, read in kept.since.items() if cell not in above):
                function.cache_clear()
                kept.since.clear()
                unsure |= any(not kept.has(state, kept.by_cell[cell]) for cell in above)
            self._called.append((function, state))
        return unsure

    def end(self, cell_id: str, words: frozenset[str], values: Mapping[str, Any]) -> None:
        """Note what the functions that a cell with these words calls have read in its run."""
        others = [values[name] for name in words & values.keys() if type(values[name]) is not _CACHED]
        words = words.union(*(_names_in(_code_of(each)) for each in others))
        called, self._called = self._called, []
        for function, before in called:
            kept = self._known.setdefault(function, _Kept())
            now = _read_by(function, values)
            kept.own |= {
                name for name in before.keys() & now if before[name] != now[name] and name not in words
            }
            kept.by_cell[cell_id] = kept.since[cell_id] = before, now

    def forget(self, cell_id: str) -> None:
        """Drop a cell that is gone. What its calls have left is still there."""
        self.attributes.forget(cell_id)
        for kept in self._known.values():
            kept.by_cell.pop(cell_id, None)


def _functions_behind(names: Iterable[str], values: Mapping[str, Any]) -> list[Any]:
    """Return the notebook's functions with these names, those that keep their results, and all that these call."""
    waiting = list(names)
    seen = set(waiting)
    found: list[Any] = []
    while waiting and len(seen) <= _MOST_NAMES:
        value = values.get(waiting.pop())
        code = _code_of(value)
        if code is not None:
            found.append(value)
            used = _names_in(code) - seen
            seen |= used
            waiting += sorted(used & values.keys())
    return found


def _read_by(function: Any, values: Mapping[str, Any]) -> _State:
    """Return the state of what a function reads, by name, also through the functions that it calls."""
    functions = [function, *_functions_behind(_names_in(_code_of(function)), values)]
    codes = [_code_of(each) for each in functions]
    names = {name for code in codes for name in _names_in(code)} & values.keys()
    return {_CODES: tuple(codes), **{name: _state(values[name]) for name in names}}


def _state(value: Any) -> object:
    if type(value) in _PLAIN:
        return type(value), repr(value)
    if _code_of(value) is not None or not is_watched(value):
        return type(value)
    seen = fingerprint(value)
    return id(value) if seen is None else seen.state


def _code_of(value: Any) -> types.CodeType | None:
    """Return the code of a function of the notebook, also of one that keeps its results."""
    function = getattr(value, "__wrapped__", None) if type(value) is _CACHED else value
    if type(function) is types.FunctionType and function.__module__ == _NOTEBOOK:
        return function.__code__
    return None


@functools.lru_cache(maxsize=1000)
def _names_in(code: types.CodeType | None) -> frozenset[str]:
    if code is None:
        return frozenset()
    inner = (_names_in(part) for part in code.co_consts if isinstance(part, types.CodeType))
    return frozenset(code.co_names).union(*inner)
