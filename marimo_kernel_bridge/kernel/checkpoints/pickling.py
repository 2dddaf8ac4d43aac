"""Values as streams of bytes, group by group, and back.

A group is the names whose values share an object that can be mutated: they come back with the same identities, views of
arrays included. Large buffers of a stream stand beside it, without a copy. Functions of the notebook come back on the live
namespace. Pure: takes and returns namespaces and bytes; the files are `checkpoints.store`'s.

Pickling runs code of the values' classes (`__reduce__`, `__getstate__`). Whatever that raises is a refusal, a value; only
`KeyboardInterrupt` and the caller's own giving up pass through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

OUT_OF_BAND: Final = 64 * 1024
"""Buffers of at least this many bytes stand beside the stream."""
MOST_OBJECTS: Final = 1_000_000
"""A value that reaches more objects is a group of its own, without a search for what it shares."""

GiveUp = Callable[[], bool]


class GivenUpError(Exception):
    """Pickling ended in the middle, because the caller's hook said so. Nothing has changed."""


class LoadError(Exception):
    """A group cannot be loaded. The text is the reason, a clause for the person."""


@dataclass(frozen=True)
class Refusal:
    """A value that cannot be kept: its type, the reason (a clause), and the path to the obstacle inside of it ("" if it is the value)."""

    kind: str
    reason: str
    path: str = ""


@dataclass(frozen=True)
class PickledGroup:
    """The stream and the buffers of a group. `code`: it contains bytecode of this minor version of Python.

    The buffers are views of the live values: write them before anything changes these.
    """

    names: tuple[str, ...]
    stream: bytes = field(repr=False)
    buffers: tuple[memoryview, ...] = field(default=(), repr=False)
    code: bool = False


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
        raise NotImplementedError

    def look(self, name: str, value: object) -> Refusal | None:
        """Pickle a value by itself, to see what it reaches. Returns the reason if it cannot be kept.

        Raises `GivenUpError`. Call it again for a name whose value may have changed.
        """
        raise NotImplementedError

    def forget(self, name: str) -> None:
        """Forget a name that was looked at, if it was."""
        raise NotImplementedError

    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Return the groups of the names that were looked at and can be kept, each in the order of looking."""
        raise NotImplementedError

    def pickled(self, names: Sequence[str]) -> PickledGroup | Refusal:
        """Return a group's stream and buffers. Raises `GivenUpError`."""
        raise NotImplementedError

    @property
    def told(self) -> tuple[str, ...]:
        """Sentences for the person: names whose sharing with others was not searched."""
        raise NotImplementedError


def pickle_groups(
    values: Mapping[str, object], namespace: Mapping[str, object], give_up: GiveUp = lambda: False
) -> tuple[list[PickledGroup], dict[str, Refusal], tuple[str, ...]]:
    """Return all groups of `values`, the names that cannot be kept, and what must be told. Raises `GivenUpError`."""
    raise NotImplementedError


def load_group(
    stream: bytes | memoryview, buffers: Sequence[memoryview], namespace: MutableMapping[str, object]
) -> dict[str, object]:
    """Return the values of a group by name; functions of the notebook get `namespace` as their globals.

    Runs what the stream says: only for one whose hash was signed. Raises `LoadError`, whatever was raised inside.
    """
    raise NotImplementedError
