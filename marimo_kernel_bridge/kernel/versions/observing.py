"""Observation of a cell's run: objects that it mutated, names that share objects, names in strings that it evaluates.

Compares, before and after the body, the names that the cell mentions and those used by functions that it can call.
Independent of versions and of the graph.
"""

from __future__ import annotations

import ast
import logging
import re
import types
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.analysis.model import TEXTS_REMEMBERED
from marimo_kernel_bridge.analysis.mutations import mutations
from marimo_kernel_bridge.analysis.name_facts import NameFacts
from marimo_kernel_bridge.analysis.name_uses import parse
from marimo_kernel_bridge.analysis.observations import Observations, Pair
from marimo_kernel_bridge.analysis.syntax import words_of
from marimo_kernel_bridge.analysis.value_flows import HISTORY
from marimo_kernel_bridge.inspecting.value_text import class_name
from marimo_kernel_bridge.kernel.versions.live_objects import callbacks_of
from marimo_kernel_bridge.kernel.versions.object_ends import is_end_noticed, noticed_by
from marimo_kernel_bridge.kernel.versions.object_graph import (
    Fingerprint,
    fingerprint,
    is_held_outside,
    is_watched,
    reached,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from marimo_kernel_bridge.analysis.object_kinds import Kind

_MOST_NAMES: Final = 40
_NOTHING: Final = Fingerprint(0, frozenset(), frozenset(), ())
_DEFINITIONS: Final = (type,)
_EVALUATING: Final = frozenset({"eval", "exec", "evaluate", "globals", "user_ns"})
_EVALUATES: Final = re.compile(
    r"(?<![.\w])(?:exec|evaluate|globals)\(|\b(?:eval|query)\(|\b(?:vars|locals)\(\)|\b(?:user_ns|__main__)\b"
)
_KINDS: Final[Mapping[str, Kind]] = {"numpy": "array", "pandas": "frame"}
"""What the analysis of the text takes objects of these packages for."""
_QUERIES: Final = re.compile(r"\b(?:sql|query|execute|executemany|from_query|view)\(")
_LISTS_SUBCLASSES: Final = "__subclasses__"
_FRAMES: Final = frozenset({"pandas", "polars", "pyarrow", "duckdb", "numpy"})
_PIXELS: Final = "PixelAccess"  # of Pillow, in C
_LONGEST: Final = 10_000  # characters of a string that is looked at


@dataclass(frozen=True)
class Watch:
    """The state before a run of the objects that a cell can mutate: objects and their fingerprints by name.

    `made` are names of which the cell makes a version by its text, as it mutates their objects. `unwatched` are names of which there is no
    fingerprint: beyond the bounds, mutations are not seen. `evaluates`: a function of the notebook that the cell can call
    evaluates strings.
    """

    states: Mapping[str, tuple[object, Fingerprint]] = field(default_factory=dict)
    made: frozenset[str] = frozenset()
    unwatched: frozenset[str] = frozenset()
    evaluates: bool = False
    classes: frozenset[str] = frozenset()
    """The names of the notebook's classes of which there are instances among the objects."""
    called_back: frozenset[str] = frozenset()
    """Names that callbacks of other objects use: to restore theirs would not have these called again."""
    lists_subclasses: bool = False
    """Whether the cell finds classes by their bases, itself or through functions that it can call."""
    names: Mapping[str, object] | None = None
    """The whole namespace, if the cell may bind names that its text does not show."""


def evaluates(source: str) -> bool:
    """Return whether a cell evaluates strings itself, or uses the namespace as a dictionary."""
    return _EVALUATES.search(source) is not None


def watch(
    mentions: Iterable[str],
    values: Mapping[str, Any],
    made: AbstractSet[str],
    source: str,
    bound: AbstractSet[str] = frozenset(),
) -> Watch:
    """Record the objects that a cell with these names can mutate, also through functions that it calls.

    `bound` are names that it binds anew or deletes: it may end their objects, which this does not keep alive then.
    """
    mentions = frozenset(mentions) | _read_in_strings(source, mentions, values, evaluated=evaluates(source))
    mentions |= _behind_handles(mentions, values)
    ended = {name: values[name] for name in bound if name in values and is_end_noticed(values[name])}
    called_back = set(noticed_by(ended.values(), values) - ended.keys()) if ended else set()
    mentions = (mentions | called_back) - ended.keys()
    ended.clear()
    waiting = sorted(name for name in mentions if name in values and not HISTORY.fullmatch(name))
    seen, states = set(waiting), {}
    unwatched: set[str] = set()
    evaluated = evaluates(source)
    classes: set[str] = set()
    lists = _LISTS_SUBCLASSES in source
    while waiting and len(seen) <= _MOST_NAMES:
        name = waiting.pop()
        value = values[name]
        if value is logging:
            from marimo_kernel_bridge.kernel.versions.log_handlers import behind_logging  # noqa: PLC0415  # few cells log

            logged = behind_logging(values) - seen
            seen |= logged
            waiting += sorted(logged)
        before = fingerprint(value) if is_watched(value) else None
        if before is None:
            unwatched |= {name} if is_watched(value) else set()
            before = fingerprint(callbacks_of(value)) or _NOTHING
        else:
            states[name] = value, before
        if not evaluated and any(_used_by(code) & _EVALUATING for code in before.codes):
            evaluated = True
            quoted = _read_in_strings(source, mentions, values, evaluated=True) - seen
            seen |= quoted
            waiting += sorted(quoted)
        lists = lists or any(_LISTS_SUBCLASSES in _used_by(code) for code in before.codes)
        used = {name for code in before.codes for name in _used_by(code) if name in values}
        called_back |= used if name not in states else set()
        kinds = {kind.__name__ for kind in before.classes if values.get(kind.__name__) is kind}
        classes |= kinds
        used |= kinds
        used -= seen
        seen |= used
        waiting += sorted(used)
    unwatched.update(name for name in waiting if is_watched(values[name]))
    return Watch(
        states,
        frozenset(made & states.keys()),
        frozenset(unwatched),
        evaluated,
        frozenset(classes),
        frozenset(called_back),
        lists,
        dict(values) if evaluated else None,
    )


def _behind_handles(names: Iterable[str], values: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of objects that others stand for without a reference that Python knows of: images behind their pixels."""
    if not any(class_name(type(values.get(name))).rpartition(".")[2] == _PIXELS for name in names):
        return frozenset()
    return frozenset(name for name, value in list(values.items()) if _package(value) == "PIL")


def mutated(before: Watch, values: Mapping[str, Any]) -> dict[str, object]:
    """Return the objects that a body mutated, by the names that they had before.

    Those that still have a name of which the cell makes a version are not looked at: its text says it.
    """
    return {
        name: value
        for name, (value, was) in before.states.items()
        if not (name in before.made and values.get(name) is value)
        and ((after := fingerprint(value)) is None or after.state != was.state)
    }


def observe(
    before: Watch,
    mutated: Mapping[str, object],
    source: str,
    mentions: Iterable[str],
    values: Mapping[str, Any],
    *,
    also: AbstractSet[str],
) -> Observations:
    """Return the observations of a run of a cell with this text, which `mutated` objects.

    `also` are further names of these objects, or of what reaches them.
    """
    kept = frozenset(name for name, value in mutated.items() if values.get(name) is value)
    quoted = _read_in_strings(source, mentions, values, evaluated=before.evaluates or evaluates(source))
    quoted |= _queried(source, mentions, values)
    near = frozenset(mentions) | quoted | also
    shown = _sharing(near | before.states.keys(), values) or _sharing(near, values)
    reach = {name: seen for name in shown if (seen := reached(values[name])) is not None and seen.mutable}
    # Whoever uses an instance reads what a cell has put into its class since.
    # Not `mentions`, in which they are since the run before.
    read = before.classes - _names_in(source) - kept
    stated = _stated(
        source, frozenset((name, kind) for name in reach if (kind := _KINDS.get(_package(values[name]))))
    )
    pairs = {
        pair
        for pair in combinations(sorted(reach), 2)
        if not near.isdisjoint(pair) and reach[pair[0]].shares(reach[pair[1]]) and pair not in stated.shares
    }
    views = {pair for pair in pairs if all(_is_array(values[name]) for name in pair)}
    outside = {name for name in reach if name in stated.binds and is_held_outside(values[name], values)}
    return Observations(
        frozenset(pairs - views),
        frozenset(views),
        frozenset(outside),
        kept | also,
        quoted=quoted | read,
        binds=_bound(before, stated.binds, values),
    )


def _bound(before: Watch, stated: AbstractSet[str], values: Mapping[str, Any]) -> frozenset[str]:
    """Return the names that the body has bound although its text does not show it."""
    if before.names is None:
        return frozenset()
    nothing = object()
    return frozenset(
        name
        for name, value in list(values.items())
        if before.names.get(name, nothing) is not value
        and name[:1] != "_"
        and name not in stated
        and not HISTORY.fullmatch(name)
    )


def _sharing(names: Iterable[str], values: Mapping[str, Any]) -> list[str]:
    """Return the names whose objects can share parts; none if they are too many."""
    shown = [name for name in names if _may_share(values.get(name)) and not HISTORY.fullmatch(name)]
    return shown if len(shown) <= _MOST_NAMES else []


def _read_in_strings(
    source: str, mentions: Iterable[str], values: Mapping[str, Any], *, evaluated: bool
) -> frozenset[str]:
    """Return the names that a cell reads in strings: its own, and those that it mentions."""
    if not evaluated:
        return frozenset()
    mentions = frozenset(mentions)
    texts = [*_strings_in(source), *(text for name in mentions if type(text := values.get(name)) is str)]
    texts = [text for text in texts if len(text) <= _LONGEST]
    words = frozenset().union(*map(words_of, texts))
    shown = _names_in(
        source
    )  # the analysis of the text may know some that are in strings, but the graph does not
    return frozenset(name for name in words - shown if name in values and not HISTORY.fullmatch(name))


def _queried(source: str, mentions: Iterable[str], values: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of frames that a cell reads in SQL, which DuckDB looks up in the namespace."""
    if not _QUERIES.search(source) or not any(_package(values.get(name)) == "duckdb" for name in mentions):
        return frozenset()
    words = _read_in_strings(source, mentions, values, evaluated=True)
    return frozenset(name for name in words if _package(values[name]) in _FRAMES)


@lru_cache(maxsize=TEXTS_REMEMBERED)
def _names_in(source: str) -> frozenset[str]:
    try:
        return frozenset(node.id for node in ast.walk(parse(source)) if isinstance(node, ast.Name))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()


@lru_cache(maxsize=TEXTS_REMEMBERED)
def _strings_in(source: str) -> tuple[str, ...]:
    try:
        nodes = ast.walk(parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    return tuple(
        node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _is_array(value: object) -> bool:
    return _package(value) == "numpy"


def _package(value: object) -> str:
    if type(value) is types.ModuleType:
        return value.__name__.partition(".")[0]
    return type(value).__module__.partition(".")[0]


def _may_share(value: object) -> bool:
    return is_watched(value) and not isinstance(value, _DEFINITIONS)


@lru_cache(maxsize=TEXTS_REMEMBERED)
def _used_by(code: types.CodeType) -> frozenset[str]:
    inner = [_used_by(part) for part in code.co_consts if isinstance(part, types.CodeType)]
    return frozenset(code.co_names).union(*inner)


@dataclass(frozen=True)
class _Stated:
    """Facts from the text of a cell: pairs of names that share objects, and names that it binds."""

    shares: frozenset[Pair] = frozenset()
    binds: frozenset[str] = frozenset()


@lru_cache(maxsize=TEXTS_REMEMBERED)
def _stated(source: str, kinds: frozenset[tuple[str, Kind]]) -> _Stated:
    facts = NameFacts(dict(kinds))
    try:
        mutations(parse(source), facts)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _Stated()
    return _Stated(
        frozenset(pair for name in facts.shared for pair in combinations(sorted(facts.group(name)), 2)),
        frozenset(name for name, kind in facts.kinds.items() if kind != "module"),
    )
