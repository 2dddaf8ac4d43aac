"""The observations of each cell's runs: facts about its code that the text does not show.

Main thread only. `observing` makes the observations; it is imported when the first cell runs.
"""

from __future__ import annotations

import logging
import os
import re
import types
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.analysis.observations import Observations, file_name, file_path, is_file_name
from marimo_kernel_bridge.analysis.syntax import words_of
from marimo_kernel_bridge.kernel.versions.graph_names import is_gone
from marimo_kernel_bridge.kernel.versions.value_copies import mapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from marimo_kernel_bridge.kernel.versions.file_accesses import FileWatch
    from marimo_kernel_bridge.kernel.versions.file_contents import FileContents
    from marimo_kernel_bridge.kernel.versions.live_objects import LiveStates
    from marimo_kernel_bridge.kernel.versions.module_changes import Change, Datum, Put
    from marimo_kernel_bridge.kernel.versions.module_state import ModuleWatch
    from marimo_kernel_bridge.kernel.versions.observing import Watch
    from marimo_kernel_bridge.kernel.versions.value_flow import Part, ValueFlow


_PLAIN: Final = frozenset({type(None), bool, int, float, complex, str, bytes, types.ModuleType})
"""Types that cannot be mutated, or are not compared."""
_EVALUATES: Final = re.compile(
    r"\b(?:eval|exec|evaluate|globals|vars|locals|user_ns|query|sql|execute|__main__)\b"
)
_IMPORTS: Final = re.compile(r"\bimport\b")
"""Occurs in code that may read a module which a cell has written."""
_PLAIN_CODE: Final = re.compile(r"[^(.!%@]*")
"""Numbers, texts and names, without calls and attributes."""


class CellObserver:
    """The observer of the namespace before and after the body of each cell."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        """`values` is the namespace in which all code runs."""
        self._values = values
        self._observations: dict[str, tuple[str, Observations]] = {}  # by cell, with the code that ran
        self._uses: Counter[tuple[str, str]] = Counter()  # ways of using a file, by how many cells
        self.unwatched: dict[
            str, frozenset[str]
        ] = {}  # names by cell: mutations of their objects are not seen
        self._files: FileContents | None = None  # once a cell calls something
        self._watch: Watch | None = None  # of the cell whose body runs
        self._mutated: list[object] = []  # by the body that ran
        self._forgotten: set[str] = set()  # files of modules that were loaded, written by the body that ran
        self._rebound: dict[str, object] = {}  # by the body that ran, unseen: what these names were bound to
        self._live: LiveStates | None = None  # once a cell calls something
        self._outside: tuple[FileWatch, ModuleWatch] | None = None  # of the cell whose body runs
        self._module_changes: dict[str, list[Change]] = {}  # of the last run of a cell
        self._called_back: dict[
            str, frozenset[str]
        ] = {}  # names of objects that callbacks have mutated, by cell
        self._put: dict[Datum, Put] = {}  # into packages, by any cell
        self._ran: set[str] = set()  # cells that call something
        self._module_data: dict[str, frozenset[Datum]] = {}  # by the cell that has changed it
        self._registered: frozenset[str] = frozenset()  # with libraries, by any cell

    def begin(self, cell_id: str, part: Part | None, code: str, place: Mapping[str, int]) -> None:
        """Record the state of what a cell with this code can mutate, before its body. None: the cell is not analyzed."""
        self._watch = self._outside = None
        self.unwatched.pop(cell_id, None)
        if part is None:
            return
        self._undo_module_changes(cell_id)
        mentioned = part.flow.mentions
        if self._mentions_objects(part) or _EVALUATES.search(code):
            from marimo_kernel_bridge.kernel.versions.observing import watch  # noqa: PLC0415  # imported late: a client waits for the sockets

            stated = part.flow.makes & _stated_mutations(part) - self.mutated_by(cell_id)
            self._watch = watch(
                mentioned | part.flow.keeps.keys(),
                self._values,
                stated,
                part.source.code,
                frozenset(filter(part.ends, part.flow.makes)),
            )
            if self._watch.unwatched:
                self.unwatched[cell_id] = self._watch.unwatched
        if calls_something(code) or (
            self._files is not None and _uses_file_uncalled(code, map(self._values.get, mentioned))
        ):
            from marimo_kernel_bridge.kernel.versions.file_accesses import FileWatch  # noqa: PLC0415  # a client waits for the sockets
            from marimo_kernel_bridge.kernel.versions.live_objects import LiveStates, uses  # noqa: PLC0415  # a client waits for the sockets
            from marimo_kernel_bridge.kernel.versions.module_state import ModuleWatch  # noqa: PLC0415  # a client waits for the sockets

            if self._files is None or self._live is None:
                from marimo_kernel_bridge.kernel.versions.file_contents import FileContents  # noqa: PLC0415  # a client waits for the sockets

                self._files, self._live = FileContents(), LiveStates()
            files = FileWatch(code, self._at_hand(mentioned))
            modules = ModuleWatch(code, self._values, self._put, self._changed_data())
            self._outside = files, modules
            self._ran.add(cell_id)
            used = uses(code, mentioned, self._values, self._live.databases)
            unsure = self._live.results.begin(cell_id, mentioned, self._values, place)
            if self._watch is not None and self._watch.lists_subclasses:
                unsure |= self._live.drop_classes()
            self._live.begin(used | modules.uses(), unsure=unsure)

    def end(self, cell_id: str, part: Part, flow: ValueFlow) -> set[str]:
        """Record observations of the body. Return the cells of which there are other observations than before.

        Besides this cell these are cells that use the same files.
        """
        before, self._watch = self._watch, None
        watches, self._outside = self._outside, None
        observations = Observations()
        users: set[str] = set()
        if before is not None or self._mentions_objects(part) or _EVALUATES.search(part.source.code):
            from marimo_kernel_bridge.kernel.versions.object_graph import ids_of, reaching  # noqa: PLC0415  # as in `begin`
            from marimo_kernel_bridge.kernel.versions.observing import Watch, mutated, observe  # noqa: PLC0415  # as in `begin`

            before = before or Watch()
            objects = mutated(before, self._values)
            self._called_back[cell_id] = before.called_back & objects.keys() | self._called_back.get(
                cell_id, frozenset()
            )
            self._mutated = list(objects.values())
            stated = part.flow.keeps.keys() & before.states.keys()
            changed_objects = ids_of([*self._mutated, *(before.states[name][0] for name in stated)])
            others = flow.makers.keys() - part.flow.mentions - before.states.keys() if changed_objects else ()
            also = frozenset(reaching(changed_objects, others, self._values))
            observations = observe(
                before,
                objects,
                part.source.imports + part.source.code,
                part.flow.mentions,
                self._values,
                also=also,
            )
            known = before.names or {}
            self._rebound = {
                name: known[name] for name in observations.binds - part.flow.makes if name in known
            }
        if watches is not None:
            from marimo_kernel_bridge.kernel.versions.live_objects import uses  # noqa: PLC0415  # as in `begin`
            from marimo_kernel_bridge.kernel.versions.written_modules import forget_modules  # noqa: PLC0415  # as in `begin`

            files, modules = watches
            mutated_names = observations.mutates | part.flow.keeps.keys()
            used = files.end(self._at_hand(part.flow.mentions), map(self._values.get, mutated_names))
            importers = partial(self._users_above, cell_id, flow.place)
            self._forgotten |= set(map(file_name, forget_modules(used.writes, part.source.code, importers)))
            assert self._files is not None and self._live is not None  # noqa: PT018  # both since the first call
            self._files.note(cell_id, part.source.code, used, flow.place)
            data, changed_data, users = self._note_module_data(modules, cell_id, flow)
            found, own = self._registered_names(part.source.code)
            lists = before is not None and before.lists_subclasses
            listed, defined = self._live.end_classes(cell_id, part, self._values, lists=lists)
            now = uses(part.source.code, part.flow.mentions, self._values, self._live.databases)
            states = self._live.end(cell_id, part.source.code, now | modules.uses(), self._values, flow.place)
            reads, writes, appends = (
                frozenset(map(file_name, paths))
                for paths in (
                    used.reads | data | states.reads | found | listed,
                    used.writes | changed_data | states.writes | own,
                    used.appends | states.appends | defined,
                )
            )
            outside = observations.outside | _held_in(self._changed_data(), part.flow.mentions, self._values)
            observations = replace(observations, outside=outside, reads=reads, writes=writes, appends=appends)
        elif self._files is not None and self._live is not None:
            self._files.forget(cell_id)
            self._live.forget(cell_id)
        if not observations and cell_id not in self._observations:
            return set()
        ran, earlier = self._observations.get(cell_id, ("", observations))
        if ran == part.source.code:  # a cache that is full now was filled by this code
            observations = observations.since(earlier)
        self._observations[cell_id] = part.source.code, observations
        news = self._note_uses(earlier if ran else Observations(), observations)
        changed = users | {
            other
            for other, (_, known) in self._observations.items()
            if news and not news.isdisjoint(known.reads | known.appends)
        }
        if self._settled(observations).text() != part.source.observed:
            changed.add(cell_id)
        return changed

    def _note_module_data(
        self, modules: ModuleWatch, cell_id: str, flow: ValueFlow
    ) -> tuple[frozenset[str], frozenset[str], set[str]]:
        """Note what a body has changed in modules. Return the data that it uses and has changed, and who uses what is new."""
        used, changed, changes = modules.end()
        self._module_data.pop(cell_id, None)
        if modules.changed:
            self._module_data[cell_id] = modules.changed
        if changes:
            self._module_changes[cell_id] = changes
        return used, changed, self._note_users(modules.put, cell_id, flow)

    def _changed_data(self) -> frozenset[Datum]:
        return frozenset().union(*self._module_data.values())

    def _note_users(self, put: Mapping[Datum, Put], cell_id: str, flow: ValueFlow) -> set[str]:
        """Note that cells use what one has now put into packages. Return them."""
        if put.items() <= self._put.items():
            return set()
        from marimo_kernel_bridge.kernel.versions.module_state import uses  # noqa: PLC0415  # as in `begin`

        self._put |= put
        users: set[str] = set()
        for other in self._ran & flow.parts.keys() - {cell_id}:
            part = flow.parts[other]
            reads = uses(put, part.source.code, self._values)
            if reads:
                code, known = self._observations.get(other, (part.source.code, Observations()))
                now = replace(known, reads=known.reads | frozenset(map(file_name, reads)))
                self._note_uses(known, now)
                self._observations[other] = code, now
                users.add(other)
        return users

    def _users_above(self, cell_id: str, place: Mapping[str, int], path: str) -> list[str]:
        """Return the codes of the cells above one that have read or written a file."""
        name, here = file_name(path), place[cell_id]
        return [
            code
            for other, (code, observations) in self._observations.items()
            if name in observations.reads | observations.writes and place.get(other, here) < here
        ]

    def _registered_names(self, code: str) -> tuple[frozenset[str], frozenset[str]]:
        """Return which registered names a cell may use, and which it registers, as they are called among the files."""
        from marimo_kernel_bridge.kernel.versions.registered_names import may_use_registered, registered  # noqa: PLC0415  # as in `begin`

        own = registered(code)
        self._registered |= own
        used = self._registered & may_use_registered(code) - own if self._registered else own
        found, made = (frozenset(f"registered.{name}" for name in names) for names in (used, own))
        return found, made

    def _at_hand(self, names: Iterable[str]) -> list[object]:
        """Return the values of names, and of those that functions of the notebook among them use."""
        values = [self._values[name] for name in names if name in self._values]
        used = {
            name
            for value in values
            if type(value) is types.FunctionType and value.__module__ == "__main__"
            for name in value.__code__.co_names
        }
        return values + [self._values[name] for name in used if name in self._values]

    def _undo_module_changes(self, cell_id: str) -> None:
        changes = self._module_changes.pop(cell_id, None)
        if changes is not None:
            from marimo_kernel_bridge.kernel.versions.module_changes import undo  # noqa: PLC0415  # as in `begin`

            for owner, name in undo(changes):
                if self._live is not None:
                    self._live.leave(owner, name)

    def _note_uses(self, before: Observations, after: Observations) -> set[str]:
        """Count the uses of files. Return the files that are used in another way than before."""
        was, now = _uses(before), _uses(after)
        news = {use[1] for use in was ^ now if self._uses[use] == (use in was)}
        self._uses.subtract(was)
        self._uses.update(now)
        return news

    def _settled(self, observations: Observations) -> Observations:
        """Return observations without uses of files that matter to no other cell.

        To add to a file that another cell begins is to read and to write it.
        """
        uses = self._uses
        begun = {name for name in observations.appends if uses["write", name]}
        read = {name for name in observations.reads if uses["write", name] or uses["append", name]}
        added = {name for name in observations.appends - begun if uses["read", name]}
        return replace(
            observations,
            reads=frozenset(read | begun),
            writes=observations.writes | begun,
            appends=frozenset(added),
        )

    def _mentions_objects(self, part: Part) -> bool:
        """Return whether any name that a cell mentions may be bound to a mutable object, or to what calls those of other cells."""
        values = [self._values.get(name) for name in part.flow.mentions]
        return any(type(value) not in _PLAIN or value is logging for value in values)

    def observations(self, cell_id: str) -> tuple[str, Observations] | None:
        """Return the code of a cell that ran and what was observed of it; None for nothing."""
        return self._observations.get(cell_id)

    def bring_back(self, cell_id: str, code: str, observations: Observations) -> None:
        """Note what was observed of a run in an earlier kernel."""
        self.forget(cell_id)
        self._observations[cell_id] = code, observations
        self._note_uses(Observations(), observations)

    def text_of(self, cell_id: str, code: str) -> str:
        """Return the observations of a cell as `Observations.text`; for code that has not run, the expected ones."""
        if cell_id not in self._observations:
            return ""
        ran, observations = self._observations[cell_id]
        if ran != code:
            observations = observations.predicted(words_of(code))
        return self._settled(observations).text()

    def last_text(self, cell_id: str) -> str:
        """Return what was observed of a cell's last run, see `Observations.text`."""
        return self._settled(self._observations[cell_id][1]).text() if cell_id in self._observations else ""

    def is_gone(self, name: str, maker: str) -> bool:
        """Return whether a file that a cell has written is gone, or from a folder all that it has left there."""
        if maker not in self._observations or not is_file_name(name):
            return False
        _, known = self._observations[maker]
        if is_gone(name, known.writes | known.appends):
            return True
        path = file_path(name)
        return path.endswith(os.sep) and self._files is not None and self._files.is_emptied(path, maker)

    def called_back(self, cell_id: str) -> frozenset[str]:
        """Return the names of objects that a cell mutates through callbacks of others, which do not come if it runs again."""
        return self._called_back.get(cell_id, frozenset())

    def mutated_by(self, cell_id: str) -> frozenset[str]:
        """Return the names of objects that the last run of a cell mutated, as observed."""
        return self._observations[cell_id][1].mutates if cell_id in self._observations else frozenset()

    @property
    def ahead(self) -> frozenset[str]:
        """The cells that have read what only cells below wrote to a file, or looked at what only these changed."""
        if self._files is None or self._live is None:
            return frozenset()
        return frozenset(self._files.ahead.keys() | self._live.ahead)

    def take_mutated(self) -> list[object]:
        """Return, once, the objects that the body mutated, also those that lost their names in it."""
        mutated, self._mutated = self._mutated, []
        return mutated

    def take_rebound(self) -> dict[str, object]:
        """Return, once, the values that names had before the body has bound them again in a way that its text does not show."""
        rebound, self._rebound = self._rebound, {}
        return rebound

    def take_importers(self) -> set[str]:
        """Return, once, the cells that have read modules which the body has rewritten."""
        files, self._forgotten = self._forgotten, set()
        if not files:
            return set()
        return {cell for cell, (_, known) in self._observations.items() if not files.isdisjoint(known.reads)}

    def forget(self, cell_id: str) -> None:
        """Drop the observations of a cell."""
        self._undo_module_changes(cell_id)
        self._called_back.pop(cell_id, None)
        self._ran.discard(cell_id)
        self._module_data.pop(cell_id, None)
        _, known = self._observations.pop(cell_id, ("", Observations()))
        self._note_uses(known, Observations())
        if self._files is not None and self._live is not None:
            self._files.forget(cell_id)
            self._live.forget(cell_id)
        self.unwatched.pop(cell_id, None)


def _uses_file_uncalled(code: str, values: Iterable[object]) -> bool:
    """Return whether a cell that calls nothing may use a file: by an import, or by an array that is a map of it."""
    if _IMPORTS.search(code):
        return True
    from marimo_kernel_bridge.kernel.versions.open_files import behind  # noqa: PLC0415  # as in `CellObserver.begin`

    return any(mapped(value, read=True) for value in behind(values))


def _held_in(data: Iterable[Datum], names: Iterable[str], values: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of objects that cells have put into modules: a copy would not be there."""
    held = {id(vars(owner).get(name)) for owner, name in data} - {id(None)}
    return frozenset(
        name
        for name in (names if held else ())
        if id(value := values.get(name)) in held and type(value) not in _PLAIN
    )


def _uses(observations: Observations) -> set[tuple[str, str]]:
    sets = {"read": observations.reads, "write": observations.writes, "append": observations.appends}
    return {(way, name) for way, names in sets.items() for name in names}


def _stated_mutations(part: Part) -> set[str]:
    """Return the names of objects that a cell mutates for certain according to its text.

    Whether `+=` mutates an object of an unknown kind, which other names may refer to, only a run shows; likewise whether
    `model = model.set(a=1)` does.
    """
    unsure = {"{}", "copy.copy({})"}
    return {name for name, how in part.flow.keeps.items() if how not in unsure or name in part.flow.draws_on}


def calls_something(code: str) -> bool:
    """Return whether code can open a file, draw a random number or change a setting."""
    return _PLAIN_CODE.fullmatch(code) is None
