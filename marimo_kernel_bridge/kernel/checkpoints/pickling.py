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
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from marimo_kernel_bridge.kernel.checkpoints.arrays import root_of, shared_roots
from marimo_kernel_bridge.kernel.checkpoints.frames import GivenUpError, GiveUp
from marimo_kernel_bridge.kernel.checkpoints.loaders import GroupUnpickler
from marimo_kernel_bridge.kernel.checkpoints.refusals import Refusal, reason_of, refusal
from marimo_kernel_bridge.kernel.checkpoints.sharing import (
    can_be_shared,
    held_by_library,
    is_one_object,
    reached_by_class,
)
from marimo_kernel_bridge.kernel.checkpoints.value_pickler import OUT_OF_BAND, ValuePickler
from marimo_kernel_bridge.startup.gc_pauses import deferred

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from marimo_kernel_bridge.kernel.checkpoints.own_code import OwnCode

T = TypeVar("T")

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

_MOST_KEPT: Final = 100_000_000
"""Bytes of a pickle that was given up and is not freed at once."""


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


class Groups:
    """Names that are joined to groups."""

    def __init__(self, names: Iterable[str]) -> None:
        self._above = {name: name for name in names}

    def join(self, one: str, other: str) -> None:
        """Make the groups of two names one."""
        self._above[self._first(one)] = self._first(other)

    def _first(self, name: str) -> str:
        while self._above[name] != name:
            self._above[name] = name = self._above[self._above[name]]
        return name

    def found(self) -> tuple[tuple[str, ...], ...]:
        """Return the groups, in the order of the names."""
        groups: dict[str, list[str]] = {}
        for name in self._above:
            groups.setdefault(self._first(name), []).append(name)
        return tuple(map(tuple, groups.values()))


@dataclass(frozen=True)
class _Looked:
    """A value, and the pickler of it by itself, which keeps alive what it reached."""

    value: object
    pickler: ValuePickler
    crowded: bool


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
        self._classes: dict[
            int, tuple[type, frozenset[int]]
        ] = {}  # by id: a class, and what its instances have of it
        self._class_picklers: list[
            ValuePickler
        ] = []  # kept: no later object may have the id of one they made
        self._given_up: dict[str, ValuePickler] = {}
        """The pickler that was given up last, by the name that it looked at, whose next look takes it: it has the room for as many
        objects. Under "" one of a group. Freeing many objects takes a while, in which who asks would wait: the next one does it. None
        of one that has met large data: that is freed at once, and who asks may want the memory."""

    def look(self, name: str, value: object) -> Refusal | None:
        """Pickle a value by itself, to see what it reaches. Returns the reason if it cannot be kept.

        Raises `GivenUpError`. Call it again for a name whose value may have changed.
        """
        self._looked.pop(name, None)
        if value is self._namespace:
            return Refusal("dict", "the namespace of the notebook itself cannot be kept")
        values = {name: value}
        pickler = self._dumped(values, look=name)
        if isinstance(pickler, ValuePickler) and (bases := shared_roots(pickler.arrays)):
            pickler = self._dumped(values, bases)
        if not isinstance(pickler, ValuePickler):
            return pickler
        self._looked[name] = _Looked(value, pickler, pickler.objects > self._most_objects)
        return None

    @property
    def given_up(self) -> frozenset[str]:
        """The names of which something is held since pickling was given up: "" stands for a group."""
        return frozenset(self._given_up)

    def forget(self, name: str) -> None:
        """Forget a name that was looked at, or given up, if it was."""
        self._looked.pop(name, None)
        self._given_up.pop(name, None)

    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Return the groups of the names that were looked at and can be kept, each in the order of looking.

        Raises `GivenUpError`.
        """
        with deferred():
            return self._groups()

    def _groups(self) -> tuple[tuple[str, ...], ...]:
        groups = Groups(self._looked)
        owners: dict[int, str] = {}  # of what values reach, by id
        holders: dict[int, str] = {}  # of constants that are values themselves, by id
        for name, looked in self._looked.items():
            if is_one_object(looked.value):
                groups.join(name, holders.setdefault(id(looked.value), name))
        searched = [(name, looked.pickler) for name, looked in self._looked.items() if not looked.crowded]
        searched.sort(
            key=lambda item: sum(map(len, item[1].reached))
        )  # the largest last: nobody looks for what that one reaches
        for number, (name, pickler) in enumerate(searched, 1):
            if len(searched) == 1:
                break
            for part in self._own(pickler):
                for key in owners.keys() & part.keys():
                    if owners[key] != name and can_be_shared(part[key], pickler.functions):
                        groups.join(name, owners[key])
                if number < len(searched):
                    owners |= dict.fromkeys(part, name)
                if self._give_up():
                    raise GivenUpError
        return groups.found()

    def _own(self, pickler: ValuePickler) -> Iterator[dict[int, object]]:
        """Yield what a value reaches, by id, without what all instances of its classes reach. In parts, as it may be much."""
        held = (*map(self._of_class, pickler.classes.values()), *map(held_by_library, pickler.kinds))
        others = frozenset[int]().union(*held)
        roots: list[object] = [root_of(array) for array in pickler.arrays]
        for objects in (*pickler.reached, roots):
            part = {id(each): each for each in objects}
            for key in part.keys() & others:
                del part[key]
            yield part

    def pickled(self, names: Sequence[str]) -> PickledGroup | Refusal:
        """Return a group's stream and buffers. Raises `GivenUpError`."""
        looked = {name: self._looked[name] for name in names}
        picklers = [each.pickler for each in looked.values()]
        if len(names) > 1 and (bases := shared_roots(array for each in picklers for array in each.arrays)):
            values = {name: each.value for name, each in looked.items()}
            if not isinstance(whole := self._dumped(values, bases), ValuePickler):
                return whole
            picklers = [whole]
        elif len(names) > 1:
            # The largest value is not pickled again: what follows refers to what its stream has.
            largest = max(looked, key=lambda name: len(looked[name].pickler))
            values = {name: each.value for name, each in looked.items() if name != largest}
            rest = self._dumped(values, after=looked[largest].pickler)
            if not isinstance(rest, ValuePickler):
                return rest
            picklers = [looked[largest].pickler, rest]
        return PickledGroup(
            tuple(names),
            b"".join(each.stream for each in picklers),
            tuple(buffer for each in picklers for buffer in each.buffers),
            any(each.code for each in picklers),
            any(each.offsets for each in picklers),
        )

    @property
    def told(self) -> tuple[str, ...]:
        """Sentences for the person: names whose sharing with others was not searched."""
        crowded = sorted(f"`{name}`" for name, looked in self._looked.items() if looked.crowded)
        if not crowded:
            return ()
        return (
            f"{', '.join(crowded)}: too many objects to search for those shared with other names; each comes back by itself.",
        )

    def _dumped(
        self,
        values: Mapping[str, object],
        bases: frozenset[int] = frozenset(),
        after: ValuePickler | None = None,
        look: str = "",
    ) -> ValuePickler | Refusal:
        begun = self._given_up.pop(look, None)
        if look and begun is not None:
            begun.clear()
            pickler = begun
        else:
            pickler = ValuePickler(self._namespace, self._give_up, bases=bases)
        if after is not None:
            pickler.memo = after.memo  # a copy
        try:
            pickler.run(values)
        except GivenUpError:
            if not pickler.buffers and len(pickler) <= _MOST_KEPT:
                self._given_up = {look: pickler}
            raise
        except KeyboardInterrupt:
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
        return frozenset(id(each) for part in pickler.reached for each in part)


def pickle_groups(
    values: Mapping[str, object], namespace: Mapping[str, object], own_code: OwnCode | None = None
) -> tuple[list[PickledGroup], dict[str, Refusal], tuple[str, ...]]:
    """Return all groups of `values`, the names that cannot be kept, and what must be told.

    `own_code` ends that of a value that does not come back, which is refused then.
    """

    def asked() -> bool:
        if own_code is not None:
            own_code.comes_back()
        return False

    def done(work: Callable[[], T]) -> T | Refusal:
        return work() if own_code is None else own_code.run(work)

    pickling, refused = Pickling(namespace, asked), dict[str, Refusal]()
    for name, value in values.items():
        if (reason := done(partial(pickling.look, name, value))) is not None:
            refused[name] = reason
    found, groups = done(pickling.groups), list[PickledGroup]()
    if isinstance(found, Refusal):
        return [], {**dict.fromkeys(values, found), **refused}, ()
    for names in found:
        group = done(partial(pickling.pickled, names))
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
        with deferred():
            return GroupUnpickler(io.BytesIO(stream), namespace, buffers).load_all()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a class of the user's raises
        raise LoadError(reason_of(error)) from error
