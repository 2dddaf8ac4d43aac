"""Copies that were made before a body, and what it has done: whether those that share their items are right, and were needed at all.

What is expected of edited code may be wrong: the body has mutated nothing, but handed the object on, and its copy has no link
to who holds the object now. Then the object itself becomes the value of the versions above again. Main thread only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.runtime.interface import version_name

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

    from marimo_kernel_bridge.analysis.value_flows import Flow
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


class CopiesAbove:
    """The objects that the versions above a cell had before its body, with their copies."""

    def __init__(self, values: MutableMapping[str, Any], makers: Mapping[str, Sequence[str]]) -> None:
        """`values` is the namespace with all versions; `makers` are the cells that make versions of a name."""
        self._values = values
        self._makers = makers
        self._cell = ""
        self._pairs: list[tuple[object, object]] = []

    def begin(self, cell_id: str) -> None:
        """Note that the body of a cell is about to run."""
        self._cell = cell_id
        self._pairs.clear()

    def note(self, original: object, own_copy: object) -> None:
        """Note that a copy is the value of versions above the cell in place of an object."""
        self._pairs.append((original, own_copy))

    def put_back(self, cell_id: str, expected: Flow, seen: Flow) -> bool:
        """Put the objects back if a cell has mutated none of them. Return whether it is too late: other cells ran since."""
        copied = {name for name, how in expected.keeps.items() if how != "{}"} - expected.draws_on
        if not copied or not copied.isdisjoint(seen.keeps):
            return False
        if cell_id != self._cell:
            return True
        originals = {id(own_copy): original for original, own_copy in self._pairs}
        for name, makers in self._makers.items():
            for version in (version_name(name, maker) for maker in makers):
                value = self._values.get(version)
                if id(value) in originals:
                    self._values[version] = originals[id(value)]
        self._pairs.clear()
        return False


def _has_objects(frame: Any) -> bool:  # of any class
    """Return whether a frame or a series of pandas, or an array, has items that are objects, of which a copy has the same."""
    if type(frame).__module__.partition(".")[0] not in {"pandas", "numpy"}:
        return False
    arrays = [block.values for block in getattr(getattr(frame, "_mgr", None), "blocks", ())] or [frame]
    return any(getattr(getattr(array, "dtype", None), "hasobject", False) for array in arrays)
