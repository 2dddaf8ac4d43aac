"""Objects with one state, of which a copy is useless: widgets, marimo's elements, connections, open files, data of modules.

A cell that looks at one again, after a cell below has changed it, sees the newer state, as in Jupyter, and not what a run
from top to bottom would show. So does one that looks at what an earlier run of an edited cell has left in it: the rows that
it inserted, the value that it set. Such a cell is marked stale. Nothing here changes an object.
"""

from __future__ import annotations

import functools
import io
import os
import re
import types
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.analysis.model import TEXTS_REMEMBERED
from marimo_kernel_bridge.analysis.syntax import words_of
from marimo_kernel_bridge.kernel.versions.databases import (
    Databases,
    Statements,
    adds_to,
    is_closed,
    is_database,
    strings_of,
    tables,
)
from marimo_kernel_bridge.kernel.versions.kept_results import KeptResults
from marimo_kernel_bridge.kernel.versions.open_files import stream_of
from marimo_kernel_bridge.kernel.versions.sql_engines import engine_of, log_of
from marimo_kernel_bridge.kernel.versions.value_copies import own_attributes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marimo_kernel_bridge.kernel.versions.listed_subclasses import Subclasses
    from marimo_kernel_bridge.kernel.versions.value_flow import Part

State = dict[str, object]

_LIVE: Final = frozenset({"sqlite3", "traitlets", "ipywidgets", "anywidget", "marimo"})
_PLAIN: Final = frozenset({type(None), bool, int, float, complex, str, bytes, tuple, list, dict})
_PARTS: Final = re.compile(r"(?<![\w.])([^\W\d]\w*)\s*\.\s*([^\W\d]\w*)")
_MOST: Final = 100
"""Changed objects that are known, and kept alive so that no other has the identity of one."""
_ROWS: Final = ""
"""The part of a database of SQLite: each change adds to those before."""
_FILE: Final = "file"
"""The part of a file, or of a connection of DuckDB that is closed."""
_CLOSED: Final = "closed"
_CALLBACKS: Final = "callbacks()"
"""The part of an object with traits that whoever sets one uses, and whoever registers a callback adds to."""
_CALLS: Final = f"calls{os.sep}"
"""The part of a function that keeps its results: each call adds to what `cache_info` counts, and is no act of the cell."""
_RESULTS: Final = "results."
"""What a cell is ahead of that got results of functions which others may have called with something else to read."""
_CACHED: Final = type(functools.cache(len))
_SETS: Final = r"\b{}\.(?:\w+\s*[-+*/|&]?=(?!=)|set_trait\(|send_state\(|click\()"
_SUBCLASS: Final = re.compile(r"\bclass\s+\w+\s*\(")
_LONGEST_TEXT: Final = 10_000  # characters of a variable that may be SQL
_QUERIES: Final = re.compile(r"\b(?:select|returning|lastrowid|rowcount|total_changes)\b", re.IGNORECASE)
"""Occurs in code that looks at what is in a database of SQLite, also where it changes that."""
_HOOKS: Final = re.compile(
    r"observe|unobserve|on_\w+|link|dlink|close|(?:add|remove)_class|display|style|commit|cursor"
)
"""Methods whose results do not depend on the state."""


def state_of(value: Any) -> State | None:
    """Return the state of a live object by the names of its parts, None for any other object."""
    if isinstance(value, io.IOBase):
        return {_FILE: "open" if _is_open(value) else _CLOSED}
    if type(value) in {_CACHED, ContextVar}:
        return {_CALLS: value.cache_info()} if type(value) is _CACHED else {"value": _shown(value.get(None))}
    packages = {str(base.__module__).partition(".")[0] for base in type(value).__mro__}
    if packages.isdisjoint(_LIVE):
        return None
    own = vars(value) if hasattr(value, "__dict__") else {}
    if isinstance(own.get("_trait_values"), dict):
        registered = len(callbacks_of(value))
        state = {name: _shown(part) for name, part in own["_trait_values"].items()}
        return state | {_CALLBACKS: registered} if registered else state
    if is_marimos(value):
        return {"value": _shown(own["_value"])}
    return {_ROWS: _changes_of(_object(value))} if "sqlite3" in packages else None


def is_marimos(value: object) -> bool:
    """Return whether a value is a state or an element of marimo, which has its value in `_value`."""
    packages = (str(base.__module__).partition(".")[0] for base in type(value).__mro__)
    return "marimo" in packages and "_value" in getattr(value, "__dict__", {})


def _is_open(file: io.IOBase) -> bool:
    try:
        return not file.closed
    except Exception:  # noqa: BLE001  # of a stream without its buffer, or of a class of the notebook: nobody can use it
        return False


def _changes_of(connection: Any) -> object:
    """Return how many rows have changed through a connection of SQLite; `_CLOSED` for one that is closed."""
    import sqlite3  # noqa: PLC0415  # here it is loaded

    try:
        return getattr(connection, "total_changes", None)
    except sqlite3.ProgrammingError:
        return _CLOSED


def _object(value: Any) -> Any:
    """Return the object that has the state of another: the connection of a cursor, the engine of a session."""
    if type(value).__module__ == "sqlite3":
        return getattr(value, "connection", value)
    engine = engine_of(value)
    return value if engine is None else engine


def _shown(part: object) -> object:
    return repr(part) if type(part) in _PLAIN else id(part)


@dataclass(frozen=True)
class Use:
    """A live object that a cell uses, its state, and the parts that the cell looks at; an empty part stands for all."""

    value: object
    state: State
    parts: frozenset[str]
    statements: Statements | None = None
    """What the text of the cell says of tables, if this is a database."""
    linked: bool = False
    """Whether the cell does not mention it: its parts follow those of an object that the cell uses."""
    sets: bool = False
    """Whether the text of the cell sets a part, which calls what is registered for that."""

    @property
    def closed(self) -> bool:
        """Whether this is a connection or a file that is closed: whoever uses it fails."""
        return _CLOSED in {self.state.get(_ROWS), self.state.get(_FILE)}

    def changed(self, was: State) -> tuple[frozenset[str], frozenset[str]]:
        """Return the parts that were replaced since the state `was`, and those that have become more."""
        every = self.state.keys() | was.keys()
        parts = frozenset(part for part in every if self.state.get(part, "") != was.get(part, ""))
        if self.statements is None:
            return parts - {_CALLBACKS, _CALLS}, parts & {_CALLBACKS, _CALLS}
        if self.closed:
            return parts, frozenset()
        said = self.statements
        if _ROWS in self.state:  # SQLite
            if said.defines:
                parts |= {_ROWS}
            return (parts, frozenset()) if said.adds <= said.defines else (frozenset(), parts)
        adds = {part for part in parts if adds_to(was.get(part), self.state.get(part))}
        unseen = {name for name in said.defines | said.adds if not isinstance(self.state.get(name), tuple)}
        begun = said.defines & unseen
        return parts - adds | begun, frozenset(adds | unseen - begun)


@dataclass(frozen=True)
class StateUses:
    """The parts of live objects that a body has looked at, set, and added to, as names such as `slider.value`."""

    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    appends: set[str] = field(default_factory=set)


@dataclass
class _Object:
    """A live object, the parts of it that cells have changed, and those that runs of code which is gone have left."""

    value: object
    changed: dict[str, tuple[frozenset[str], str]] = field(default_factory=dict)
    """By cell, with the code that it had."""
    left: frozenset[str] = frozenset()


_UNCHANGED: Final[tuple[frozenset[str], frozenset[str]]] = frozenset(), frozenset()


@dataclass
class LiveStates:
    """Which cells have changed live objects, and which have looked at one as no fresh run would see it."""

    databases: Databases = field(default_factory=Databases)
    results: KeptResults = field(default_factory=KeptResults)
    _classes: Subclasses | None = None  # once a cell defines or lists some
    _unsure: bool = False  # of the cell that runs
    _objects: dict[int, _Object] = field(default_factory=dict)
    _ahead: dict[str, dict[str, object]] = field(default_factory=dict)  # by cell, the objects by their names
    _before: dict[str, Use] = field(default_factory=dict)  # by name, of the cell that runs
    _names: dict[int, str] = field(
        default_factory=dict
    )  # of live objects, by identity: the first that was used

    def begin(self, uses: dict[str, Use], *, unsure: bool = False) -> None:
        """Record what a cell uses, by name, before its body. `unsure`: what it shows may not be what a fresh run would."""
        self._unsure = unsure
        self._before = uses
        for use in uses.values():
            if (engine := engine_of(use.value)) is not None:
                log_of(engine).begin()

    def end(
        self,
        cell_id: str,
        code: str,
        uses: Mapping[str, Use],
        values: Mapping[str, Any],
        place: Mapping[str, int],
    ) -> StateUses:
        """Record what a body has changed, and whether it has looked at what no fresh run would show.

        Returns the states that it uses, those of modules apart.
        """
        before, self._before = self._before, {}
        self.results.end(cell_id, words_of(code), values)
        self._keep_ahead(cell_id, {_RESULTS: self.results} if self._unsure else {})
        self._forget_rebound(values)
        kept, filled = self.results.attributes.end(cell_id, words_of(code))
        found = StateUses(kept, appends=filled)
        looked_at = {id(use.value): use.parts for use in uses.values() if use.statements is None}
        for key, known in self._objects.items():
            if cell_id in known.changed and known.changed[cell_id][1] != code:
                self._leave(known, cell_id, looked_at.get(key, frozenset()) - {""})
        noted: set[int] = set()  # two names may stand for one object, as connections for a database
        for name, use in uses.items():
            was = before.get(name)
            anew, more = use.changed(was.state) if was and was.value is use.value else _UNCHANGED
            if anew or more:
                if id(use.value) not in noted:
                    self._note_change(use, cell_id, code, anew, more)
                noted.add(id(use.value))
                if not use.closed:
                    self._add_names(found.writes, name, use, anew)
                    self._add_names(found.appends, name, use, more)
                for other in [cell for cell in self._ahead if place.get(cell, -1) > place[cell_id]]:
                    objects = self._ahead[other]  # they run again, and look again
                    self._keep_ahead(other, {n: v for n, v in objects.items() if v is not use.value})
            if self._shows_otherwise(cell_id, code, use, place):
                self._ahead.setdefault(cell_id, {})[name] = use.value
            if _ROWS not in use.state or not (anew or more) or _QUERIES.search(code) is not None:
                parts = frozenset(use.state) - {_CALLBACKS} if "" in use.parts else use.parts
                parts |= use.state.keys() & {_CALLBACKS} if use.sets else frozenset()
                self._add_names(found.reads, name, use, parts if use.statements is None else parts - anew)
        return found

    def drop_classes(self) -> bool:
        """Have classes of code that is gone collected, before a cell lists subclasses. Return whether some are in use still."""
        return self._classes is not None and self._classes.drop_left()

    def end_classes(
        self, cell_id: str, part: Part, values: Mapping[str, Any], *, lists: bool
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Return which lists of subclasses a body has read, and which it has added to. `lists`: it has looked for some."""
        if self._classes is None:
            if not lists and _SUBCLASS.search(part.source.code) is None:
                return frozenset(), frozenset()
            from marimo_kernel_bridge.kernel.versions.listed_subclasses import Subclasses  # noqa: PLC0415  # not for the first cell

            self._classes = Subclasses()
        return self._classes.end(cell_id, part.flow.makes, values, lists=lists)

    def _forget_rebound(self, values: Mapping[str, Any]) -> None:
        """Let go of the cells whose objects have no name any more: these are bound to new ones."""
        for other, objects in list(self._ahead.items()):
            self._keep_ahead(
                other, {n: v for n, v in objects.items() if "." in n or _object(values.get(n)) is v}
            )

    def _add_names(self, to: set[str], name: str, use: Use, parts: Iterable[str]) -> None:
        """Add the names of parts of a live object, as `slider.value`, by the name under which it was first used."""
        if isinstance(use.value, types.ModuleType | type | Mapping | io.IOBase):
            return
        name = self._names.setdefault(id(use.value), name)
        while len(self._names) > _MOST:
            del self._names[next(iter(self._names))]
        to.update(f"{name}.{part}" if part else f"{name}.rows" for part in parts)

    def _shows_otherwise(self, cell_id: str, code: str, use: Use, place: Mapping[str, int]) -> bool:
        """Return whether a cell looks at parts that a cell below has changed, or that code which is gone has left."""
        known = self._objects.get(id(use.value))
        if known is None:
            return False
        below = [known.changed[other][0] for other in known.changed if place.get(other, -1) > place[cell_id]]
        if use.closed:
            return any(below)
        if use.sets and any(_CALLBACKS in parts for parts in (known.left, *below)):
            return True
        own = cell_id in known.changed and _CALLS not in use.state
        if not use.parts or (own and _QUERIES.search(code) is None):
            return False
        others = [parts - {_CALLBACKS} for parts in (known.left, *below)]
        return any(parts and ("" in use.parts | parts or use.parts & parts) for parts in others)

    def _note_change(
        self, use: Use, cell_id: str, code: str, anew: frozenset[str], more: frozenset[str]
    ) -> None:
        known = self._objects.pop(id(use.value), None) or _Object(use.value)
        self._objects[id(use.value)] = known
        if cell_id in known.changed:  # to what its earlier run has added
            known.left |= more & known.changed[cell_id][0]
        # What a callback sets may build on what was there.
        known.left -= (
            anew if use.linked or use.statements is not None or "" in use.parts else anew & use.parts
        )
        if use.statements is not None:  # a table that is gone has nothing of what others have added to it
            for other, (parts, text) in known.changed.items():
                known.changed[other] = parts - anew, text
        known.changed[cell_id] = anew | more, code
        while len(self._objects) > _MOST:
            del self._objects[next(iter(self._objects))]

    def leave(self, value: object, part: str) -> None:
        """Note that what a cell has put into a module or a class is there still: its owner did not let it be taken back."""
        known = self._objects.setdefault(id(value), _Object(value))
        known.left |= {part}

    def _leave(self, known: _Object, cell_id: str, sets: frozenset[str] = frozenset()) -> None:
        """Note what a cell has left in an object, now that its code is another, which `sets` these parts again.

        What it has left in a module, `module_changes` takes back.
        """
        parts, _ = known.changed.pop(cell_id)
        if not isinstance(known.value, types.ModuleType | type | Mapping):
            known.left |= parts - sets

    def _keep_ahead(self, cell_id: str, objects: dict[str, object]) -> None:
        self._ahead[cell_id] = objects
        if not objects:
            del self._ahead[cell_id]

    @property
    def ahead(self) -> set[str]:
        """The cells that would again look at what no fresh run would show."""
        return set(self._ahead)

    def forget(self, cell_id: str) -> None:
        """Drop a cell that is gone. What it has changed stays changed."""
        self._ahead.pop(cell_id, None)
        self.results.forget(cell_id)
        if self._classes is not None:
            self._classes.forget(cell_id)
        for known in self._objects.values():
            if cell_id in known.changed:
                self._leave(known, cell_id)


def uses(
    code: str, mentions: Iterable[str], values: Mapping[str, Any], databases: Databases
) -> dict[str, Use]:
    """Return the live objects that a cell uses, also through functions of the notebook that it mentions."""
    parts = dict(_parts_in(code))
    texts = [code]
    for name in mentions:
        value = values.get(name)
        if name not in parts and (_is_given(value) or type(value) is _CACHED):
            parts[name] = frozenset({"given"})  # to a function, such as `pandas.read_sql` or `numpy.save`
        if type(value) is types.FunctionType and value.__module__ == "__main__":
            words = frozenset(value.__code__.co_names)
            parts |= {word: parts.get(word, frozenset()) | words for word in words}
            texts += strings_of(value.__code__)
        elif type(value) is str and len(value) <= _LONGEST_TEXT:
            texts.append(value)
    found: dict[str, Use] = {}
    for name, seen in parts.items():
        use = _use(name, values, seen, seen - parts.keys(), texts, databases) if name in values else None
        if use is not None:
            found[name] = use
    linked = [other for use in found.values() for other in _linked_to(use.value)]
    for name, value in list(values.items()) if linked else ():
        if name not in found and any(value is other for other in linked):
            found[name] = Use(value, state_of(value) or {}, frozenset(), linked=True)
    return found


def callbacks_of(value: object) -> list[object]:
    """Return what an object with traits calls when one of them changes."""
    own = own_attributes(value) or {}
    by_trait = own.get("_trait_notifiers") if "_trait_values" in own else None
    if not isinstance(by_trait, dict):
        return []
    return [each for by_type in by_trait.values() for callbacks in by_type.values() for each in callbacks]


def _linked_to(value: object) -> list[object]:
    """Return the objects whose traits follow those of another, by links of traitlets."""
    links: list[Any] = [getattr(each, "__self__", None) for each in callbacks_of(value)]
    return [
        other
        for link in links
        if type(link).__module__.partition(".")[0] == "traitlets" and hasattr(link, "target")
        for other, _ in (link.source, link.target)
        if other is not value
    ]


def _is_given(value: object) -> bool:
    if type(value).__module__ == "sqlite3" or is_database(value) or isinstance(value, io.IOBase):
        return True
    return engine_of(value) is not None


def _use(  # noqa: PLR0917  # what is known of a name
    name: str,
    values: Mapping[str, Any],
    seen: frozenset[str],
    attributes: frozenset[str],
    texts: list[str],
    databases: Databases,
) -> Use | None:
    value = stream_of(values[name])
    if (engine := engine_of(value)) is not None:
        log = log_of(engine)
        return Use(engine, dict(log.tables), frozenset(log.reads), Statements.in_texts(()))
    if is_database(value):
        database = databases.of(value)
        if database is None:
            return None
        said, words = Statements.in_texts(texts), frozenset(words_of("\n".join(texts)))
        found: State = {_FILE: _CLOSED} if is_closed(database) else tables(database, words) or {}
        reads = (words & found.keys()) | said.reads
        return Use(database, found, reads | ({""} if said.unnamed else set()), said)
    state = state_of(value)
    if state is None:
        return None
    if _CALLS in state:
        return Use(value, state, frozenset({""} if "cache_info" in seen else ()))
    named = seen & state.keys()
    methods = any(_HOOKS.fullmatch(part) is None for part in attributes - state.keys())
    looked_at = named | ({""} if methods else set())
    statements = Statements.in_texts(texts) if _ROWS in state else None
    sets = _CALLBACKS in state and re.search(_SETS.format(name), texts[0]) is not None
    return Use(_object(value), state, looked_at, statements, sets=sets)


@lru_cache(maxsize=TEXTS_REMEMBERED)
def _parts_in(code: str) -> tuple[tuple[str, frozenset[str]], ...]:
    parts: dict[str, frozenset[str]] = {}
    for name, part in _PARTS.findall(code):
        parts[name] = parts.get(name, frozenset()) | {part}
    return tuple(parts.items())
