"""Observation of a cell's run: objects that it mutated, names that share objects, names in strings that it evaluates.

Compares, before and after the body, the names that the cell mentions and those used by functions that it can call.
Independent of versions and of the graph.
"""

from __future__ import annotations

import ast
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
from marimo_kernel_bridge.kernel.versions.object_graph import (
    fingerprint,
    is_held_outside,
    is_watched,
    reached,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from marimo_kernel_bridge.kernel.versions.object_graph import Fingerprint

_MOST_NAMES: Final = 40
_DEFINITIONS: Final = (type,)
_EVALUATING: Final = frozenset({"eval", "exec", "evaluate", "globals"})
_EVALUATES: Final = re.compile(r"(?<![.\w])(?:eval|exec|evaluate|globals)\(")
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


def watch(mentions: Iterable[str], values: Mapping[str, Any], made: AbstractSet[str]) -> Watch:
    """Record the objects that a cell with these names can mutate, also through functions that it calls."""
    waiting = sorted(name for name in mentions if name in values and not HISTORY.fullmatch(name))
    seen, states = set(waiting), {}
    unwatched: set[str] = set()
    evaluates = False
    while waiting and len(seen) <= _MOST_NAMES:
        name = waiting.pop()
        value = values[name]
        before = fingerprint(value) if is_watched(value) else None
        if before is None:
            unwatched |= {name} if is_watched(value) else set()
            continue
        states[name] = value, before
        evaluates = evaluates or any(_used_by(code) & _EVALUATING for code in before.codes)
        used = {name for code in before.codes for name in _used_by(code) if name in values}
        used |= {kind.__name__ for kind in before.classes if values.get(kind.__name__) is kind}
        used -= seen
        seen |= used
        waiting += sorted(used)
    unwatched.update(name for name in waiting if is_watched(values[name]))
    return Watch(states, frozenset(made & states.keys()), frozenset(unwatched), evaluates)


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
) -> Observations:
    """Return the observations of a run of a cell with this text, which `mutated` objects."""
    kept = frozenset(name for name, value in mutated.items() if values.get(name) is value)
    shown = [name for name in mentions if _may_share(values.get(name)) and not HISTORY.fullmatch(name)]
    if len(shown) > _MOST_NAMES:
        shown = []
    reach = {name: ids for name in shown if (ids := reached(values[name]))}
    stated = _stated(source)
    pairs = {
        pair
        for pair in combinations(sorted(reach), 2)
        if reach[pair[0]] & reach[pair[1]] and pair not in stated.shares
    }
    views = {pair for pair in pairs if all(_is_array(values[name]) for name in pair)}
    outside = {name for name in reach if name in stated.binds and is_held_outside(values[name], values)}
    quoted = _read_in_strings(source, mentions, values, evaluates=before.evaluates)
    return Observations(frozenset(pairs - views), frozenset(views), frozenset(outside), kept, quoted=quoted)


def reaching(mutated: Iterable[object], names: Iterable[str], values: Mapping[str, Any]) -> frozenset[str]:
    """Return which of these names reach an object that a cell mutated and then gave another name, or the same again.

    The text of such a cell says nothing of those that share the object.
    """
    ids = set(map(id, mutated))
    if not ids:
        return frozenset()
    shown = (name for name in names if _may_share(values.get(name)))
    return frozenset(name for name in shown if not ids.isdisjoint(reached(values[name]) or ()))


def _read_in_strings(
    source: str, mentions: Iterable[str], values: Mapping[str, Any], *, evaluates: bool
) -> frozenset[str]:
    """Return the names that a cell reads in strings: its own, and those that it mentions."""
    if not evaluates and _EVALUATES.search(source) is None:
        return frozenset()
    mentions = frozenset(mentions)
    texts = [*_strings_in(source), *(text for name in mentions if type(text := values.get(name)) is str)]
    texts = [text for text in texts if len(text) <= _LONGEST]
    words = frozenset().union(*map(words_of, texts))
    return frozenset(name for name in words - mentions if name in values and not HISTORY.fullmatch(name))


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
    return type(value).__module__.partition(".")[0] == "numpy"


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
def _stated(source: str) -> _Stated:
    facts = NameFacts()
    try:
        mutations(parse(source), facts)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _Stated()
    return _Stated(
        frozenset(pair for name in facts.shared for pair in combinations(sorted(facts.group(name)), 2)),
        frozenset(name for name, kind in facts.kinds.items() if kind != "module"),
    )
