"""The copies that the last body has left to the cells above it, in place of the objects that it was expected to mutate.

What is expected of edited code may be wrong: the body has mutated nothing, but handed the object on, and its copy has no link
to who holds the object now. Then the object itself becomes the value of the versions above again. Main thread only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marimo_kernel_bridge.runtime.interface import version_name

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

    from marimo_kernel_bridge.analysis.value_flows import Flow


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
