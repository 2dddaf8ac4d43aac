"""A notebook's namespace in memory, whose values are pickled and come back in a second one."""

from __future__ import annotations

import sys
import textwrap
import types
import weakref
from typing import TYPE_CHECKING, Any

from cloudpickle import cloudpickle

from marimo_kernel_bridge.kernel.checkpoints.pickling import load_group, pickle_groups

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from marimo_kernel_bridge.kernel.checkpoints.pickling import PickledGroup
    from marimo_kernel_bridge.kernel.checkpoints.refusals import Refusal


class Notebook:
    """The namespace of `__main__`, as long as no other one is made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        module = types.ModuleType("__main__")
        monkeypatch.setitem(sys.modules, "__main__", module)
        # Classes are known by an id in the process that made them; a new process knows none.
        monkeypatch.setattr(cloudpickle, "_DYNAMIC_CLASS_TRACKER_BY_ID", weakref.WeakValueDictionary())
        self.names: dict[str, Any] = module.__dict__
        self.told: tuple[str, ...] = ()

    def run(self, code: str) -> Notebook:
        exec(compile(textwrap.dedent(code), "<cell>", "exec", dont_inherit=True), self.names)
        return self

    def value(self, expression: str) -> Any:
        return eval(expression, self.names)

    def groups(self, names: str) -> list[PickledGroup]:
        """Return the groups of names, which are separated by blanks. All must be kept."""
        groups, refused, self.told = pickle_groups(self._values(names), self.names)
        assert not refused
        return groups

    def refused(self, names: str) -> dict[str, Refusal]:
        return pickle_groups(self._values(names), self.names)[1]

    def grouped(self, names: str) -> list[str]:
        """Return the names of each group, separated by blanks."""
        return [" ".join(group.names) for group in self.groups(names)]

    def restored(self, names: str) -> Notebook:
        """Return a notebook in a new process to which the values of names came back."""
        groups = self.groups(names)
        new = Notebook(self._monkeypatch)
        for group in groups:
            new.names |= loaded(group, new.names)
        return new

    def _values(self, names: str) -> dict[str, Any]:
        return {name: self.names[name] for name in names.split()}


def loaded(group: PickledGroup, namespace: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a group. Its buffers are writable copies, as those that a restore maps."""
    return load_group(group.stream, _copies(group.buffers), namespace)


def _copies(buffers: Sequence[memoryview]) -> list[memoryview]:
    return [memoryview(bytearray(buffer)) for buffer in buffers]
