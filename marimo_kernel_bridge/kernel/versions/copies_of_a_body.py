"""Copies that were made before a body, and what it has done: whether those that share their items are right, and were needed at all.

What is expected of edited code may be wrong: the body has mutated nothing, but handed an object on, and its copy has no link
to who holds the object now. Then the object itself becomes the value of the versions above again. Main thread only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping
    from collections.abc import Set as AbstractSet

    from marimo_kernel_bridge.kernel.versions.object_graph import Fingerprint

PLAIN: Final = frozenset({type(None), bool, int, float, complex, str, bytes})
"""Types whose values nothing can mutate."""
_CONTAINERS: Final = (list, dict, set)


class ShallowCopies:
    """The shallow copies that were made for the present body, and their states before it."""

    def __init__(self) -> None:
        self._before: list[tuple[object, Fingerprint | None]] = []

    def note(self, own_copy: Any) -> None:  # of any class
        """Note a copy, if it has items that can be mutated."""
        items = own_copy.values() if type(own_copy) is dict else own_copy
        if (type(own_copy) in _CONTAINERS and any(type(item) not in PLAIN for item in items)) or _has_objects(
            own_copy
        ):
            from marimo_kernel_bridge.kernel.versions.object_graph import fingerprint  # noqa: PLC0415  # a client waits for the sockets

            self._before.append((own_copy, fingerprint(own_copy)))

    def changed(self) -> list[object]:
        """Return the copies whose items the body has mutated, through another name, and forget all."""
        if not self._before:
            return []
        from marimo_kernel_bridge.kernel.versions.object_graph import fingerprint  # noqa: PLC0415  # a client waits for the sockets

        noted, self._before = self._before, []
        changed = []
        for own_copy, before in noted:
            after = fingerprint(own_copy)
            if before is not None and (after is None or after.state != before.state):
                changed.append(own_copy)
        return changed


class _Copied(NamedTuple):
    names: frozenset[str]
    """The names whose objects were copied together, as they share parts."""
    original: object
    own_copy: object


class CopiesAbove:
    """The objects that were copied for one body. Keeps them alive until `forget` or the next body."""

    def __init__(self, values: MutableMapping[str, Any]) -> None:
        """`values` is the namespace with all versions."""
        self._values = values
        self._cell = ""
        self._copied: list[_Copied] = []

    def begin(self, cell_id: str) -> None:
        """Note that the body of a cell is about to run."""
        self._cell = cell_id
        self._copied.clear()

    def forget(self) -> None:
        """Let go of the objects: the body has done what was expected of it."""
        self._copied.clear()

    def note(self, names: Iterable[str], original: object, own_copy: object) -> None:
        """Note that the versions above have a copy in place of an object, which was copied together with those of `names`."""
        self._copied.append(_Copied(frozenset(names), original, own_copy))

    def put_back(self, cell_id: str, mutated: AbstractSet[str]) -> None:
        """Put the objects back that share no part with those of `mutated` names, unless another body ran since."""
        if cell_id != self._cell:
            return
        copied, self._copied = self._copied, []
        originals = {id(each.own_copy): each.original for each in copied if each.names.isdisjoint(mutated)}
        for name, value in list(self._values.items()) if originals else ():
            if id(value) in originals:
                self._values[name] = originals[id(value)]


def _has_objects(frame: Any) -> bool:  # of any class
    """Return whether a frame or a series of pandas, or an array, has items that are objects, of which a copy has the same."""
    if type(frame).__module__.partition(".")[0] not in {"pandas", "numpy"}:
        return False
    arrays = [block.values for block in getattr(getattr(frame, "_mgr", None), "blocks", ())] or [frame]
    return any(getattr(getattr(array, "dtype", None), "hasobject", False) for array in arrays)
