"""Copies that share their items with the object that a cell mutates: whether the cell has changed the items as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
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


def _has_objects(frame: Any) -> bool:  # of any class
    """Return whether a frame or a series of pandas, or an array, has items that are objects, of which a copy has the same."""
    if type(frame).__module__.partition(".")[0] not in {"pandas", "numpy"}:
        return False
    arrays = [block.values for block in getattr(getattr(frame, "_mgr", None), "blocks", ())] or [frame]
    return any(getattr(getattr(array, "dtype", None), "hasobject", False) for array in arrays)
