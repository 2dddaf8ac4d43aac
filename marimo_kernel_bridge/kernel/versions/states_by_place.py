"""The state of libraries at each cell's place in the document, as a run from top to bottom would have it.

Before a body the state is set to what the last cell above that changes it has left; after it, to what the last cell of
the document has left. So a cell that runs again draws the same random numbers, and has the settings of its place. A
generator that no cell above seeds is left alone: new draws are what Jupyter gives, and a fresh run as well.

Main thread only. What the states are is for `library_state`.
"""

from __future__ import annotations

import types
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.kernel.versions.library_state import STATES
from marimo_kernel_bridge.kernel.versions.placed_state import LibraryState, same
from marimo_kernel_bridge.kernel.versions.seeding import names_generator, seeds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from marimo_kernel_bridge.kernel.versions.value_flow import Part, ValueFlow


_NOTEBOOK: Final = "__main__"
_MOST_NAMES: Final = 100
_MOST_PARTS: Final = 10


@dataclass(frozen=True)
class _Change:
    """How a cell changed a state. `seeds`: a generator. `from_scratch`: what was there before does not matter."""

    before: Any
    after: Any
    seeds: bool = False
    from_scratch: bool = False


SavedState = tuple[Any, Any, Any, dict[str, _Change]]
"""The present state of a library, the one before any cell, the standing one, and the changes by cell."""


@dataclass
class _History:
    """One state's changes by cell. `initial` is the state before any cell, `standing` that after the last body."""

    state: LibraryState
    changes: dict[str, _Change] = field(default_factory=dict)
    initial: Any = None
    standing: Any = None
    started: Any = None  # the state when the present body began
    ran_with: dict[str, Any] = field(default_factory=dict)
    """Of settings: those with which each cell began, if not the initial ones."""
    is_watched: bool = False
    """Whether the state is looked at."""
    restored: frozenset[str] = frozenset()
    """The cells whose results come from an earlier kernel, which ran with the settings of their places."""

    def in_order(self, flow: ValueFlow) -> list[str]:
        return sorted((cell for cell in self.changes if cell in flow.place), key=flow.place.__getitem__)

    def at(self, flow: ValueFlow, cell_id: str | None = None) -> Any:
        """Return the state at a cell's place or at the end of the document; None if it is left alone there."""
        above = [
            cell
            for cell in self.in_order(flow)
            if cell_id is None or flow.place[cell] < flow.place.get(cell_id, -1)
        ]
        if self.state.is_generator and not any(self.changes[cell].seeds for cell in above):
            return None
        return self.changes[above[-1]].after if above else self.initial

    def outdated(self, flow: ValueFlow) -> Iterator[str]:
        """Yield the cells that have drawn from another state of a generator than a fresh run would."""
        expected, differs, is_seeded = None, False, False
        for cell in self.in_order(flow):
            change = self.changes[cell]
            if change.from_scratch:
                differs = False
            elif is_seeded and (differs or not same(change.before, expected)):
                differs = True
                yield cell
            expected, is_seeded = change.after, is_seeded or change.seeds

    def shown_otherwise(self, flow: ValueFlow, values: Mapping[str, Any]) -> Iterator[str]:
        """Yield the cells that have used settings other than those of their places, and all users below such a change."""
        expected, differs = self.initial, False
        for cell in sorted(flow.parts, key=flow.place.__getitem__):
            change = self.changes.get(cell)
            if change is not None or self._uses(flow.parts[cell], values):
                began = self.ran_with.get(cell, self.initial)
                right = began is expected or same(began, expected)
                if differs or not (right or (cell in self.restored and cell not in self.ran_with)):
                    differs = differs or change is not None
                    yield cell
            if change is not None:
                expected = change.after

    def _uses(self, part: Part, values: Mapping[str, Any]) -> bool:
        if self.state.read_by(part.source.code):
            return True
        for value in _used(part.flow.mentions, values):
            if _package(value) in self.state.readers:
                return True
            if self.state.is_read_in_functions and any(
                self.state.read_by(" ".join(code.co_names)) for code in _codes(value)
            ):
                return True
        return False


class StatesByPlace:
    """The states of libraries, around the body of each cell."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        """`values` is the namespace in which all code runs."""
        self._values = values
        self._histories = [_History(state) for state in STATES]
        self._running = False

    @property
    def have_changed(self) -> bool:
        """Whether settings are, or have been left, as a cell has changed them: code which only shows a value needs those of its place."""
        return any(
            history.changes or history.standing is not history.initial
            for history in self._histories
            if history.state.is_shown and not history.state.is_generator and history.standing is not None
        )

    def begin(self, cell_id: str, flow: ValueFlow, code: str) -> None:
        """Set the states to those at a cell's place, before its body with this code."""
        self._running = True
        for history in self._histories:
            history.is_watched = history.is_watched or history.state.is_named_in(code)
        for history in self._watched():
            now = history.state.now()
            if now is not None and history.initial is None and not history.changes:
                history.initial = now
            if now is not None and history.standing is not None:
                if same(now, history.standing):
                    now = history.standing  # one value, however many cells have begun with it
                else:
                    self._adopt(history, now, flow)
            wanted = history.at(flow, cell_id)
            if wanted is None and cell_id in history.changes and not history.state.is_generator:
                wanted = history.changes[cell_id].after  # the cell has loaded the library
            history.started = self._put(history, now, wanted)
            if not history.state.is_generator:
                history.ran_with[cell_id] = history.started

    def end(self, cell_id: str, part: Part, flow: ValueFlow) -> set[str]:
        """Record what a body has changed. Return the cells that a fresh run would show otherwise."""
        if not self._running:  # the code calls nothing, and changes nothing
            return self.forget([cell_id], flow) - {cell_id}
        self._running = False
        outdated: set[str] = set()
        for history in self._watched():
            state, now = history.state, history.state.now()
            before = history.changes.pop(cell_id, None)
            if now is None:
                continue
            if history.started is None:  # the body has loaded the library
                history.started = history.initial = history.ran_with[cell_id] = state.as_loaded()
            seeding = from_scratch = False
            code = part.source.code
            changed = not same(now, history.started)
            if state.is_generator and (changed or names_generator(code, state.module, self._values)):
                changed = True  # also by a seed that gives the state that was there
                seeding, from_scratch = seeds(
                    part.source.code, state.module, part.flow.mentions, self._values
                )
            if changed and (history.started is not None or seeding or not state.is_generator):
                history.changes[cell_id] = _Change(history.started, now, seeding, from_scratch)
            after = history.changes.get(cell_id)
            if not same(None if before is None else before.after, None if after is None else after.after):
                outdated.update(self._outdated(history, flow))
            history.standing = self._put(history, now, history.at(flow))
        return outdated - {cell_id}

    def _watched(self) -> Iterator[_History]:
        return (history for history in self._histories if history.is_watched)

    def saved(self) -> list[SavedState]:
        """Return the states and their histories, of the libraries that are loaded, in the order of `STATES`."""
        return [
            (
                history.state.now() if history.changes or not history.state.is_local else None,
                history.initial,
                history.standing,
                dict(history.changes),
            )
            if history.state.is_kept
            else (None, None, None, {})
            for history in self._histories
        ]

    def bring_back(self, saved: Iterable[SavedState], cell_ids: Mapping[str, str]) -> list[str]:
        """Set the states to those of an earlier kernel; `cell_ids` are its cells, each with the present id.

        Returns the modules that did not take theirs.
        """
        failed: list[str] = []
        for history, (now, initial, standing, changes) in zip(self._histories, saved, strict=False):
            if now is None or history.state.now() is None:
                continue  # the library is not loaded: what is restored does not need it
            if not same(history.state.now(), now) and not history.state.set(now):
                failed.append(history.state.module)
                continue
            history.initial, history.standing = initial, standing
            history.changes = {cell_ids[cell]: change for cell, change in changes.items() if cell in cell_ids}
            history.restored = frozenset(cell_ids.values())
        return failed

    def forget(self, cell_ids: Iterable[str], flow: ValueFlow) -> set[str]:
        """Drop what cells have changed. Return the cells that a fresh run would show otherwise."""
        outdated: set[str] = set()
        for history in self._histories:
            gone = [history.changes.pop(cell_id, None) for cell_id in cell_ids]
            for cell_id in cell_ids:
                history.ran_with.pop(cell_id, None)
            if any(gone):
                outdated.update(self._outdated(history, flow))
        return outdated

    def outdated(self, flow: ValueFlow) -> set[str]:
        """Return the cells that began with another state than they would now, after cells were moved."""
        return {
            cell for history in self._histories if history.changes for cell in self._outdated(history, flow)
        }

    def _outdated(self, history: _History, flow: ValueFlow) -> Iterator[str]:
        if history.state.is_generator:
            return history.outdated(flow)
        return history.shown_otherwise(flow, self._values)

    def _put(self, history: _History, now: Any, wanted: Any) -> Any:
        if now is None or wanted is None:
            return now
        return wanted if same(now, wanted) or history.state.set(wanted) else now

    def _adopt(self, history: _History, now: Any, flow: ValueFlow) -> None:
        """Record a change by something that is no cell (a callback, a hidden request) as the last cell's."""
        order = history.in_order(flow)
        if order:
            last = history.changes[order[-1]]
            was, history.changes[order[-1]] = (
                last.after,
                _Change(last.before, now, last.seeds, last.from_scratch),
            )
        else:
            was, history.initial = history.initial, now
        for cell, began in history.ran_with.items():
            if began is was:
                history.ran_with[cell] = now


def _used(names: Iterable[str], values: Mapping[str, Any]) -> Iterator[object]:
    """Yield the values of names, of those that functions and classes of the notebook among them use, and parts of containers."""
    waiting, seen = list(names), set(names)
    for name in waiting:  # grows
        value = values.get(name)
        yield value
        if type(value) in {list, tuple, dict}:
            yield from islice(value.values() if type(value) is dict else value or (), _MOST_PARTS)
        for code in _codes(value):
            further = [each for each in code.co_names if each in values and each not in seen]
            seen.update(further)
            waiting += further[: max(0, _MOST_NAMES - len(waiting))]


def _codes(value: object) -> list[types.CodeType]:
    """Return the code of a function of the notebook, or of the methods of a class of it, also of an object's class."""
    if (
        type(value) is types.FunctionType
    ):  # `isinstance` would ask a proxy for its class, and load what it stands for
        functions: list[object] = [value]
    else:
        kind: Any = value if issubclass(type(value), type) else type(value)
        functions = list(vars(kind).values()) if kind.__module__ == _NOTEBOOK else []
    codes = [
        each.__code__
        for each in functions
        if isinstance(each, types.FunctionType) and each.__module__ == _NOTEBOOK
    ]
    for code in codes:  # grows
        codes += [each for each in code.co_consts if isinstance(each, types.CodeType)]
    return codes


def _package(value: object) -> str:
    name = value.__name__ if isinstance(value, types.ModuleType) else getattr(type(value), "__module__", "")
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType | type):
        name = value.__module__
    return str(name).partition(".")[0]
