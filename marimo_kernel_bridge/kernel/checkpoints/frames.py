"""The frames of a pickle as they are written: their bytes, and the objects in them that values can share.

Before and after a frame is sorted out pickling can be given up, and so it can between the parts of what was noted for whoever
searches it.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from itertools import compress
from typing import Any, Final

from marimo_kernel_bridge.kernel.checkpoints.sharing import is_constant
from marimo_kernel_bridge.kernel.checkpoints.untracked import untrack

_MEMOIZE: Final = pickle.MEMOIZE
_LONGEST_FRAME: Final = 192 * 1024
"""Bytes of a frame, which has at least 64 KiB, with the object that ends it. More are the data of a single object."""

GiveUp = Callable[[], bool]


class GivenUpError(Exception):
    """Pickling ended in the middle, because the caller's hook said so. Nothing has changed."""


class _Kinds(dict[type, bool]):
    """By class, whether values can share its instances."""

    def __missing__(self, kind: type) -> bool:
        found = self[kind] = not is_constant(kind)
        return found


class Reached:
    """The objects that a pickler meets and values can share, in parts: those of each frame, any of them once or more.

    `met` collects all objects of a frame: the pickler calls its `append` with each, and no line of Python runs. The pickler's
    memo has the same objects, but can only be read by copying it as a whole, which nothing interrupts.
    """

    def __init__(self) -> None:
        self.met: list[object] = []
        self.parts: list[list[object]] = []
        self._can_be_shared = _Kinds()

    def clear(self) -> None:
        """Forget all that was met."""
        self.met.clear()
        self.parts.clear()

    def end_frame(self, new: int) -> None:
        """Sort out what was met. `new`: how many objects the frame has that no earlier one has."""
        part = list(compress(self.met, map(self._can_be_shared.__getitem__, map(type, self.met))))
        self.met.clear()
        if len(part) > 2 * new:  # some many times
            part = list({id(each): each for each in part}.values())
        if part:
            untrack(part)
            self.parts.append(part)


class Frames:
    """A file of the stream's frames, which the pickler hands over every 64 KiB. `memoized` counts the objects in them."""

    def __init__(self, give_up: GiveUp, reached: Reached) -> None:
        self.parts: list[bytes] = []
        self.memoized = 0
        self._give_up = give_up
        self._reached = reached

    def write(self, data: Any) -> int:  # bytes, or a view of them
        part = bytes(data)
        self.parts.append(part)
        self._ask()  # the objects of a frame take milliseconds to pickle, and some more to sort out
        new = part.count(_MEMOIZE) if len(part) <= _LONGEST_FRAME else 1
        self.memoized += new
        self._reached.end_frame(new)
        self._ask()
        return len(part)

    def clear(self) -> None:
        """Forget all frames."""
        self.parts.clear()
        self.memoized = 0

    def _ask(self) -> None:
        if self._give_up():
            raise GivenUpError
