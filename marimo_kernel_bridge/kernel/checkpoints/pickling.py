"""Values as streams of bytes, group by group, and back.

A group is the names whose values share an object that can be mutated: they come back with the same identities, views of
arrays included. Large buffers of a stream stand beside it, without a copy. Functions of the notebook come back on the live
namespace. Pure: takes and returns namespaces and bytes; the files are `checkpoints.store`'s.

Pickling runs code of the values' classes (`__reduce__`, `__getstate__`). Whatever that raises is a refusal, a value; only
`KeyboardInterrupt` and the caller's own giving up pass through.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.kernel.checkpoints.arrays import root_of, shared_roots
from marimo_kernel_bridge.kernel.checkpoints.loaders import GroupUnpickler
from marimo_kernel_bridge.kernel.checkpoints.refusals import Refusal, name_of, reason_of, refusal
from marimo_kernel_bridge.kernel.checkpoints.sharing import (
    can_be_shared,
    is_one_object,
    reached_by_class,
    shareable_ids,
)
from marimo_kernel_bridge.kernel.checkpoints.value_pickler import (
    OUT_OF_BAND,
    GivenUpError,
    GiveUp,
    ValuePickler,
    garbage_collector_off,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

__all__ = [
    "MOST_OBJECTS",
    "OUT_OF_BAND",
    "GivenUpError",
    "LoadError",
    "PickledGroup",
    "Pickling",
    "Refusal",
    "load_group",
    "pickle_groups",
]

MOST_OBJECTS: Final = 1_000_000
"""A value that reaches more objects is a group of its own, without a search for what it shares."""


class LoadError(Exception):
    """A group cannot be loaded. The text is the reason, a clause for the person."""


@dataclass(frozen=True)
class PickledGroup:
    """The stream and the buffers of a group. `code`: it contains bytecode of this minor version of Python.

    `offsets`: buffers may hold offsets (`SavedGroup.verified`).
    The buffers are views of the live values: write them before anything changes these.
    """

    names: tuple[str, ...]
    stream: bytes = field(repr=False)
    buffers: tuple[memoryview, ...] = field(default=(), repr=False)
    code: bool = False
    offsets: bool = False


class _Looked:
    """A value, pickled by itself."""

    def __init__(self, value: object, pickler: ValuePickler, reached: set[int]) -> None:
        """`reached`: the ids of the objects that it may share with other values. The pickler keeps them alive."""
        self.value = value
        self.pickler = pickler
        self.reached = reached

    def shares(self, ids: AbstractSet[int]) -> Iterator[int]:
        """Yield those of `ids` by which the value is one with another that reaches them."""
        if not ids:
            return
        memo, arrays = self.pickler.memo.copy(), {id(root_of(array)) for array in self.pickler.arrays}
        functions = self.pickler.functions
        yield from (key for key in ids if key in arrays or can_be_shared(memo[key][1], functions))


class Pickling:
    """Finds groups and pickles them. Holds what it has looked at until it is dropped: use one for a save.

    In idle time: `look` at each name, then `groups`, then `pickled` for each; any of them may give up, and be called again.
    """

    def __init__(
        self,
        namespace: Mapping[str, object],
        give_up: GiveUp = lambda: False,
        *,
        most_objects: int = MOST_OBJECTS,
    ) -> None:
        """`namespace`: the live one, which is never pickled itself. `give_up` is asked at each 64 KiB and 1,000 objects."""
        self._namespace = namespace
        self._give_up = give_up
        self._most_objects = most_objects
        self._looked: dict[str, _Looked] = {}
        self._crowded: set[str] = set()
        self._classes: dict[
            int, tuple[type, frozenset[int]]
        ] = {}  # by id: a class, and what only its instances have
        self._class_picklers: list[
            ValuePickler
        ] = []  # kept, so that no later object has the id of one they made

    def look(self, name: str, value: object) -> Refusal | None:
        """Pickle a value by itself, to see what it reaches. Returns the reason if it cannot be kept.

        Raises `GivenUpError`. Call it again for a name whose value may have changed.
        """
        self.forget(name)
        values = {name: value}
        pickler = self._dumped(values)
        if isinstance(pickler, ValuePickler) and (bases := shared_roots(pickler.arrays)):
            pickler = self._dumped(values, bases)
        if not isinstance(pickler, ValuePickler):
            return pickler
        if pickler.objects > self._most_objects:
            self._crowded.add(name)
            self._looked[name] = _Looked(value, pickler, set())
            return None
        memo = pickler.memo.copy()
        if id(self._namespace) in memo:
            return Refusal(name_of(type(value)), "the namespace of the notebook itself cannot be kept")
        reached = shareable_ids(memo)
        reached.update(id(root_of(array)) for array in pickler.arrays)
        reached.difference_update(*map(self._of_class, pickler.classes.values()))
        self._looked[name] = _Looked(value, pickler, reached)
        return None

    def forget(self, name: str) -> None:
        """Forget a name that was looked at, if it was."""
        self._looked.pop(name, None)
        self._crowded.discard(name)

    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Return the groups of the names that were looked at and can be kept, each in the order of looking."""
        parents = {name: name for name in self._looked}

        def first(name: str) -> str:
            while parents[name] != name:
                parents[name] = name = parents[parents[name]]
            return name

        owners: dict[int, str] = {}  # by the id of an object
        holders: dict[int, str] = {}  # by the id of a constant that is a value itself
        for name, looked in self._looked.items():
            for key in looked.shares(looked.reached & owners.keys()):
                parents[first(name)] = first(owners[key])
            owners.update(dict.fromkeys(looked.reached, name))
            if is_one_object(looked.value):
                parents[first(name)] = first(holders.setdefault(id(looked.value), name))
        groups: dict[str, list[str]] = {}
        for name in self._looked:
            groups.setdefault(first(name), []).append(name)
        return tuple(map(tuple, groups.values()))

    def pickled(self, names: Sequence[str]) -> PickledGroup | Refusal:
        """Return a group's stream and buffers. Raises `GivenUpError`."""
        looked = [self._looked[name] for name in names]
        pickler: ValuePickler | Refusal = looked[0].pickler
        if len(names) > 1:
            values = {name: each.value for name, each in zip(names, looked, strict=True)}
            pickler = self._dumped(
                values, shared_roots(array for each in looked for array in each.pickler.arrays)
            )
        if not isinstance(pickler, ValuePickler):
            return pickler
        return PickledGroup(
            tuple(names), pickler.stream, tuple(pickler.buffers), pickler.code, pickler.offsets
        )

    @property
    def told(self) -> tuple[str, ...]:
        """Sentences for the person: names whose sharing with others was not searched."""
        if not self._crowded:
            return ()
        names = ", ".join(f"`{name}`" for name in sorted(self._crowded))
        return (
            f"{names}: too many objects to search for those shared with other names; each comes back by itself.",
        )

    def _dumped(
        self, values: Mapping[str, object], bases: frozenset[int] = frozenset()
    ) -> ValuePickler | Refusal:
        pickler = ValuePickler(self._namespace, self._give_up, bases=bases)
        try:
            pickler.run(values)
        except (GivenUpError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  # whatever a class of the user's raises, SystemExit too
            only = next(iter(values.values())) if len(values) == 1 else values
            return refusal(only, pickler.last, error)
        return pickler

    def _of_class(self, kind: type) -> frozenset[int]:
        if (known := self._classes.get(id(kind))) is None:
            known = self._classes[id(kind)] = (kind, reached_by_class(kind, self._reached))
        return known[1]

    def _reached(self, value: object) -> frozenset[int]:
        pickler = self._dumped({"": value})
        if not isinstance(pickler, ValuePickler):
            return frozenset()
        self._class_picklers.append(pickler)
        return frozenset(pickler.memo.copy())


def pickle_groups(
    values: Mapping[str, object], namespace: Mapping[str, object], give_up: GiveUp = lambda: False
) -> tuple[list[PickledGroup], dict[str, Refusal], tuple[str, ...]]:
    """Return all groups of `values`, the names that cannot be kept, and what must be told. Raises `GivenUpError`."""
    pickling = Pickling(namespace, give_up)
    refused = {
        name: reason for name, value in values.items() if (reason := pickling.look(name, value)) is not None
    }
    groups = []
    for names in pickling.groups():
        group = pickling.pickled(names)
        if isinstance(group, PickledGroup):
            groups.append(group)
        else:
            refused |= dict.fromkeys(names, group)
    return groups, refused, pickling.told


def load_group(
    stream: bytes | memoryview, buffers: Sequence[memoryview], namespace: dict[str, object]
) -> dict[str, object]:
    """Return the values of a group by name; functions of the notebook get `namespace` as their globals.

    Runs what the stream says: only for one whose hash was signed. Raises `LoadError`, whatever was raised inside.
    """
    try:
        with garbage_collector_off():
            values: dict[str, object] = GroupUnpickler(io.BytesIO(stream), namespace, buffers).load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a class of the user's raises
        raise LoadError(reason_of(error)) from error
    return values
