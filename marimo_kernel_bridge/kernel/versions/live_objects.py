"""Objects with one state, of which a copy is useless: widgets, marimo's elements, SQLite's connections, data of modules.

A cell that looks at one again, after a cell below has changed it, sees the newer state, as in Jupyter, and not what a run
from top to bottom would show. Such a cell is marked stale. Nothing here changes an object.
"""

from __future__ import annotations

import re
import types
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.analysis.model import TEXTS_REMEMBERED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

State = dict[str, object]

_LIVE: Final = frozenset({"sqlite3", "traitlets", "ipywidgets", "anywidget", "marimo"})
_PLAIN: Final = frozenset({type(None), bool, int, float, complex, str, bytes, tuple, list, dict})
_PARTS: Final = re.compile(r"(?<![\w.])([^\W\d]\w*)\s*\.\s*([^\W\d]\w*)")
_MOST: Final = 100
"""Changed objects that are known, and kept alive so that no other has the identity of one."""
_HOOKS: Final = re.compile(
    r"observe|unobserve|on_\w+|link|dlink|close|(?:add|remove)_class|display|style|commit|cursor"
)
"""Methods whose results do not depend on the state."""


def state_of(value: Any) -> State | None:
    """Return the state of a live object by the names of its parts, None for any other object."""
    packages = {str(base.__module__).partition(".")[0] for base in type(value).__mro__}
    if packages.isdisjoint(_LIVE):
        return None
    own = vars(value) if hasattr(value, "__dict__") else {}
    if isinstance(own.get("_trait_values"), dict):
        return {name: _shown(part) for name, part in own["_trait_values"].items()}
    if "marimo" in packages and "_value" in own:
        return {"value": _shown(own["_value"])}
    if "sqlite3" in packages:
        return {"": getattr(_object(value), "total_changes", None)}
    return None


def _object(value: Any) -> Any:
    """Return the object that has the state of another: the connection of a cursor."""
    return getattr(value, "connection", value) if type(value).__module__ == "sqlite3" else value


def _shown(part: object) -> object:
    return repr(part) if type(part) in _PLAIN else id(part)


@dataclass(frozen=True)
class Use:
    """A live object that a cell uses, its state, and the parts that the cell looks at; an empty part stands for all."""

    value: object
    state: State
    parts: frozenset[str]


@dataclass
class LiveStates:
    """Which cells have changed live objects, and which have looked at one that a cell below had changed."""

    _changed: dict[int, tuple[object, dict[str, frozenset[str]]]] = field(
        default_factory=dict
    )  # parts, by cell
    _ahead: dict[str, dict[str, object]] = field(default_factory=dict)  # by cell, the objects by their names
    _before: dict[str, Use] = field(default_factory=dict)  # by name, of the cell that runs

    def begin(self, uses: dict[str, Use]) -> None:
        """Record what a cell uses, by name, before its body."""
        self._before = uses

    def end(
        self, cell_id: str, uses: Mapping[str, Use], values: Mapping[str, Any], place: Mapping[str, int]
    ) -> None:
        """Record what a body has changed, and whether it has looked at what a cell below has changed."""
        before, self._before = self._before, {}
        self._ahead.pop(cell_id, None)
        for other, objects in list(self._ahead.items()):  # names that are bound to new objects
            left = {
                name: value
                for name, value in objects.items()
                if "." in name or _object(values.get(name)) is value
            }
            self._ahead[other] = left
            if not left:
                del self._ahead[other]
        for name, use in uses.items():
            was = before.get(name)
            if was is not None and was.value is use.value and was.state != use.state:
                every = use.state.keys() | was.state.keys()
                parts = {part for part in every if use.state.get(part, "") != was.state.get(part, "")}
                self._note_change(use.value, cell_id, frozenset(parts))
                continue
            _, by = self._changed.get(id(use.value), (None, {}))
            below = (by[other] for other in by if place.get(other, -1) > place[cell_id])
            if cell_id not in by and any("" in use.parts | parts or use.parts & parts for parts in below):
                self._ahead.setdefault(cell_id, {})[name] = use.value

    def _note_change(self, value: object, cell_id: str, parts: frozenset[str]) -> None:
        _, by = self._changed.pop(id(value), (value, {}))
        self._changed[id(value)] = value, {**by, cell_id: parts}
        while len(self._changed) > _MOST:
            del self._changed[next(iter(self._changed))]

    @property
    def ahead(self) -> set[str]:
        """The cells that would again look at an object which a cell below has changed."""
        return set(self._ahead)

    def forget(self, cell_id: str) -> None:
        """Drop a cell that is gone. What it has changed stays changed."""
        self._ahead.pop(cell_id, None)


def uses(code: str, mentions: Iterable[str], values: Mapping[str, Any]) -> dict[str, Use]:
    """Return the live objects that a cell uses, also through functions of the notebook that it mentions."""
    parts = dict(_parts_in(code))
    for name in mentions:
        function = values.get(name)
        if type(function) is types.FunctionType and function.__module__ == "__main__":
            words = frozenset(function.__code__.co_names)
            parts |= {word: parts.get(word, frozenset()) | words for word in words}
    found: dict[str, Use] = {}
    for name, seen in parts.items():
        state = state_of(values[name]) if name in values else None
        if state is not None:
            named = seen & state.keys()
            methods = any(_HOOKS.fullmatch(part) is None for part in seen - state.keys() - parts.keys())
            found[name] = Use(_object(values[name]), state, named | ({""} if methods else set()))
    return found


@lru_cache(maxsize=TEXTS_REMEMBERED)
def _parts_in(code: str) -> tuple[tuple[str, frozenset[str]], ...]:
    parts: dict[str, frozenset[str]] = {}
    for name, part in _PARTS.findall(code):
        parts[name] = parts.get(name, frozenset()) | {part}
    return tuple(parts.items())
