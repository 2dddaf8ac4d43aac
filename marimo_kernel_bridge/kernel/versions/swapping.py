"""The values of names with several versions, swapped around the body of each cell.

Code runs as it is written. Before a cell's body each plain name is assigned the value that it has at the cell's place
in the document, and after the body the value of its last definition. Objects that a cell mutates are copied for the
cells before it; if a copy is impossible, the version is consumed, and its maker runs again before the next cell that
needs it. An assignment to a plain name that no analysis can see (in a callback, a thread, `exec`) sets the version that
the name has at that time.

Owns the values of versions; `redefinitions` decides which versions exist. Main thread only.
"""

from __future__ import annotations

from copy import copy, deepcopy
from math import inf
from typing import TYPE_CHECKING, Any, Final, TypeVar

from marimo_kernel_bridge.kernel.versions.copies_of_a_body import PLAIN, CopiesAbove, ShallowCopies
from marimo_kernel_bridge.kernel.versions.value_copies import ValueCopy, copy_of, is_drawn, mapped, shares
from marimo_kernel_bridge.runtime.interface import is_private, version_name

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, MutableMapping, Sequence
    from contextlib import AbstractContextManager

    from marimo_kernel_bridge.analysis.value_flows import Flow
    from marimo_kernel_bridge.kernel.versions.value_flow import Part, ValueFlow

T = TypeVar("T")

_NOTHING: Final = object()
_OUTSIDE: Final = ""
"""The version of a name that no cell made."""


class VersionValues:
    """The namespace, in which names may have several versions, each with its value under a separate name.

    `makers` are the cells that make versions of a name, in document order, for names with several versions.
    """

    def __init__(
        self,
        values: MutableMapping[str, Any],  # the user's namespace
        interruptible: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """`values` is the namespace in which all code runs; `interruptible` surrounds copies, which may run user code."""
        self.makers: dict[str, list[str]] = {}
        self._values = values
        self._interruptible = interruptible
        self._outside: dict[str, object] = {}  # values that a name had before any cell defined it
        self._absent: set[str] = set()  # versions without a value after their cell ran
        self._consumed: set[str] = set()  # versions with an object that a later cell has mutated
        self._sizes: dict[str, int] = {}  # sizes of versions that are copies, in bytes
        self._standing: dict[str, tuple[str | None, object]] = {}  # by plain name: which version, its value
        self._shallow = ShallowCopies()
        self.copies_above = CopiesAbove(values)
        # The cells that have made a `_name` without versions, the last run last: no graph says whose its value is.
        self._private: dict[str, list[str]] = {}

    # -- which names have versions ---------------------------------------------------------------------------------

    def set_makers(self, name: str, makers: Sequence[str], definers: frozenset[str]) -> None:
        """Set the makers of a name's versions. `definers` are the cells that define it in the graph."""
        before = self.makers.get(name)
        ran = [maker for maker in self._private.pop(name, ()) if maker in makers]
        if before is None and name in self._values:
            definer = ran.pop() if ran else next((maker for maker in makers if maker in definers), None)
            if definer is not None:
                self._values[version_name(name, definer)] = self._values[name]
            elif not definers:
                self._outside[name] = self._values[name]
        self._consumed.update(version_name(name, maker) for maker in ran)  # their values are gone
        for maker in set(before or ()) - set(makers):
            self._forget(version_name(name, maker))
        self.makers[name] = list(makers)

    def make_plain(self, name: str, makers: Sequence[str]) -> None:
        """Remove a name's versions; its value is that of the cell that still makes it, if there is one.

        What a cell that is gone has mutated stays consumed.
        """
        before = self.makers.pop(name)
        self._values.pop(name, None)
        self._standing.pop(name, None)
        if name in self._outside:
            self._values[name] = self._outside.pop(name)
        for maker in makers:
            if (version := version_name(name, maker)) in self._values:
                self._values[name] = self._values[version]
                self.note_private(maker, [name])
        left = self._consumed & {version_name(name, maker) for maker in makers}
        for maker in before:
            self._forget(version_name(name, maker))
        self._consumed |= left

    def is_made(self, name: str, maker: str) -> bool:
        """Return whether a cell has made its version: there is a value, or the cell ran and left none."""
        version = version_name(name, maker)
        return version in self._values or version in self._absent

    @property
    def consumed(self) -> frozenset[str]:
        """The versions with an object that a later cell has mutated."""
        return frozenset(self._consumed)

    @property
    def absent(self) -> frozenset[str]:
        """The versions without a value after their cell ran."""
        return frozenset(self._absent)

    def bring_back(self, absent: Iterable[str], consumed: Iterable[str]) -> None:
        """Note versions that cells, as of an earlier kernel, left without a value, or whose objects later cells mutated."""
        self._absent.update(absent)
        self._consumed.update(consumed)

    def of(self, name: str, maker: str) -> object:
        """Return the value of a version, or of a name without versions; None if there is none."""
        return self._values.get(version_name(name, maker) if name in self.makers else name)

    def is_consumed(self, name: str, maker: str) -> bool:
        """Return whether a later cell has mutated the object of a version, so that its maker must run again."""
        return version_name(name, maker) in self._consumed

    def _forget(self, version: str) -> None:
        self._values.pop(version, None)
        self._absent.discard(version)
        self._consumed.discard(version)
        self._sizes.pop(version, None)

    # -- around a cell's body ----------------------------------------------------------------------------------------

    def enter(self, cell_id: str, flow: ValueFlow, uncopied: Container[str] = ()) -> set[str]:
        """Assign to plain names their values at a cell's place. `uncopied` are not copied, although the cell mutates them.

        Returns the names of objects that may end in the cell and that nobody should keep alive.
        """
        self.copies_above.begin(cell_id)
        if not self.makers:
            return set()
        self.adopt()
        part = flow.parts.get(cell_id)
        versions = {name: self._version_at(name, flow, cell_id) for name in self.makers}
        for name, version in versions.items():
            if version is None and (part is None or name not in part.names or name in part.circular):
                self._stand(
                    name, self._version_at(name, flow)
                )  # threads and callbacks may read it in the meantime
            else:
                self._stand(name, version)
        if part is not None:
            made = {name: version for name, version in versions.items() if version is not None}
            mutated = [self._values[made[name]] for name in part.flow.keeps if made.get(name) in self._values]
            self._preserve(part.flow, made, flow, uncopied)
            self._consume_older(cell_id, mutated, flow)
            return {
                name
                for name in part.flow.makes & self.makers.keys()
                if part.ends(name) and self._let_go(name)
            }
        return set()

    def _let_go(self, name: str) -> bool:
        """Keep no version of an object whose end the notebook notices. Return whether there is one under a name."""
        value = self._values.get(name)
        if type(value) in PLAIN:
            return False
        from marimo_kernel_bridge.kernel.versions.object_ends import is_end_noticed  # noqa: PLC0415  # a client waits for the sockets

        if not is_end_noticed(value):
            return False
        for maker in self.makers[name]:
            version = version_name(name, maker)
            if self._values.get(version) is value:
                self._forget(version)
                self._absent.add(version)
                self._consumed.add(version)
        del self._standing[name]
        return True

    def leave(self, cell_id: str, flow: ValueFlow) -> None:
        """Record the versions that a cell made, and assign to plain names the values of their last definitions."""
        part = flow.parts.get(cell_id)
        self.note_private(cell_id, () if part is None else part.flow.makes)
        if not self.makers and not self._consumed:
            return
        for own_copy in self._shallow.changed():  # its items were mutated as well, through another name
            self._consumed.update(
                version_name(name, maker)
                for name, makers in self.makers.items()
                for maker in makers
                if self._values.get(version_name(name, maker)) is own_copy
            )
        for name in part.flow.makes if part is not None else ():
            if name not in self.makers:
                self._consumed.discard(version_name(name, cell_id))
                continue
            version = version_name(name, cell_id)
            self._forget(version)
            self._standing.pop(name, None)
            if name in self._values:
                self._values[version] = self._values[name]
            else:
                self._absent.add(version)
        self.show_last(flow)

    def note_private(self, cell_id: str, names: Iterable[str]) -> None:
        """Note that a cell ran last of those that make `_names`."""
        for name in names:
            if is_private(name) and name not in self.makers:
                self._private[name] = [
                    *(each for each in self._private.get(name, ()) if each != cell_id),
                    cell_id,
                ]

    def made_last(self, name: str) -> str | None:
        """Return the cell whose run has made the value of a `_name` without versions, None if that is unknown."""
        return next(reversed(self._private.get(name, ())), None)

    def record_mutated(
        self, cell_id: str, objects: Mapping[str, object], flow: ValueFlow, bound: Container[str] = ()
    ) -> None:
        """Record versions that a cell made by observed mutations of these objects: the versions before it are consumed.

        Not consumed is one that became a copy before the body. `bound` are names that it has bound to these objects, unseen.
        """
        self.adopt()
        for name, mutated in objects.items():
            if cell_id not in self.makers.get(name, ()):
                continue
            version, above = version_name(name, cell_id), self._version_at(name, flow, cell_id)
            if not above or above not in self._values:
                if name in bound:
                    self._values.setdefault(version, mutated)
                continue
            if self._values.setdefault(version, mutated) is self._values[above]:
                _note_consumed(above, self._values, self._consumed)

    def consume(self, cell_id: str, mutated: Sequence[object], flow: ValueFlow) -> None:
        """Record that a cell mutated objects: the versions of other cells that hold them are consumed."""
        if not mutated:
            return
        from marimo_kernel_bridge.kernel.versions.object_graph import ids_of, reached  # noqa: PLC0415  # a client waits for the sockets

        ids = ids_of(mutated)
        for name, makers in self.makers.items():
            for maker in makers:
                version = version_name(name, maker)
                value = self._values.get(version)
                if maker != cell_id and (
                    id(value) in ids or ((seen := reached(value)) is not None and seen.has(ids))
                ):
                    _note_consumed(version, self._values, self._consumed)
        self._consume_older(cell_id, mutated, flow)

    def _consume_older(self, cell_id: str, mutated: Sequence[object], flow: ValueFlow) -> None:
        """Record versions as consumed that share parts with mutated objects, and are those of no name any more.

        With which objects the present versions share theirs is known.
        """
        parts: set[int] | None = None
        place = flow.place.get(cell_id, inf)
        for name, makers in self.makers.items() if mutated else ():
            above = [maker for maker in makers if flow.place[maker] < place and self.is_made(name, maker)]
            for version in (version_name(name, maker) for maker in above[:-1]):
                value = self._values.get(version)
                if version in self._consumed or type(value) in PLAIN:
                    continue
                from marimo_kernel_bridge.kernel.versions.object_graph import reached  # noqa: PLC0415  # a client waits for the sockets

                if parts is None:
                    parts = set().union(
                        *(seen.mutable if (seen := reached(each)) else {id(each)} for each in mutated)
                    )
                if (seen := reached(value)) is not None and seen.has(parts):
                    _note_consumed(version, self._values, self._consumed)

    def show_last(self, flow: ValueFlow) -> None:
        """Assign to each plain name the value of its last definition."""
        self.adopt()
        for name in self.makers:
            self._stand(name, self._version_at(name, flow))

    def adopt(self) -> None:
        """Record values that were assigned to plain names in the meantime as values of their current versions."""
        for name, (version, value) in self._standing.items():
            current = self._values.get(name, _NOTHING)
            if current is value or current is _NOTHING:
                continue
            if version and (version in self._values or version in self._absent):
                self._forget(version)
                self._values[version] = current
            else:
                self._outside[name] = current
            self._standing[name] = version, current

    def _version_at(self, name: str, flow: ValueFlow, cell_id: str | None = None) -> str | None:
        """Return the version of a name at a cell's place, or at the end of the document."""
        place = inf if cell_id is None else flow.place.get(cell_id, inf)
        for maker in reversed(self.makers[name]):
            if flow.place[maker] < place and self.is_made(name, maker):
                return version_name(name, maker)
        if name in self._outside:
            return _OUTSIDE
        part: Part | None = None if cell_id is None else flow.parts.get(cell_id)
        below = part.early.get(name) if part is not None else None
        return None if below is None else version_name(name, below)

    def _stand(self, name: str, version: str | None) -> None:
        if version == _OUTSIDE:
            self._values[name] = self._outside[name]
        elif version is not None and version in self._values:
            self._values[name] = self._values[version]
        else:
            self._values.pop(name, None)
        self._standing[name] = version, self._values.get(name, _NOTHING)

    # -- copies before a cell changes objects --------------------------------------------------------------------------

    def _preserve(
        self, part: Flow, versions: Mapping[str, str], flow: ValueFlow, uncopied: Container[str]
    ) -> None:
        """Copy objects that a cell mutates, for other cells and for its next run."""
        values = self._values
        done: set[str] = set()
        for names in part.together:
            shared = [versions[name] for name in names if values.get(versions.get(name, "")) is not None]
            objects = tuple(values[version] for version in shared)
            copies = (
                None if any(name in uncopied for name in names) else self._copied(objects, deepcopy, flow)
            )
            done.update(names)
            for number, original in enumerate(objects):
                own_copy = None if copies is None else ValueCopy(copies.value[number], 0)
                self._replace_with_copy(names, original, own_copy)
            if copies is not None and shared:
                self._sizes[shared[0]] = copies.size
        for name, how in part.keeps.items():
            version = versions.get(name, "")
            if name in done or version not in values:
                continue
            if name in part.draws_on or name in uncopied or is_drawn(values[version]):
                self._replace_with_copy((name,), values[version], None)
            elif how != "{}":
                copies = self._copied(values[version], _COPYING.get(how, deepcopy), flow)
                self._replace_with_copy((name,), values[version], copies)
                if how in _COPYING and copies is not None:
                    self._shallow.note(copies.value)

    def _copied(self, value: T, copying: Callable[[T], T], flow: ValueFlow) -> ValueCopy[T] | None:
        from marimo_kernel_bridge.kernel.versions.object_ends import is_end_noticed  # noqa: PLC0415  # a client waits for the sockets

        parts = value if isinstance(value, tuple) else (value,)
        if any(map(is_end_noticed, parts)) or any(map(mapped, parts)):
            return None
        try:
            with self._interruptible():
                others = list(_other_values(flow, self.makers, self._values))
                if shares(value, others) or _are_labels(value, others):
                    return None
                copies = copy_of(value, copying, sum(self._sizes.values()))
                return (
                    copies
                    if copies is None or copying is not deepcopy or _is_apart(value, copies.value)
                    else None
                )
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001  # classes of user code may raise anything, also `SystemExit`
            return None

    def _replace_with_copy(
        self, names: Iterable[str], original: object, value_copy: ValueCopy[Any] | None
    ) -> None:  # of any class
        """Make the copy the value of all versions that refer to an object; without a copy, they are consumed.

        `names` are those whose objects were copied together.
        """
        size = 0 if value_copy is None else value_copy.size
        if value_copy is not None:
            self.copies_above.note(names, original, value_copy.value)
        for name, makers in self.makers.items():
            for maker in makers:
                version = version_name(name, maker)
                if version in self._values and self._values[version] is original:
                    if value_copy is None:
                        _note_consumed(version, self._values, self._consumed)
                    else:
                        self._values[version] = value_copy.value
                        self._sizes[version], size = size, 0  # one copy for all of them


def _note_consumed(version: str, values: Mapping[str, object], consumed: set[str]) -> None:
    """Record that the object of a version was mutated. What is on disk is never made again: that could lose what was written."""
    if mapped(values.get(version)) is None:
        consumed.add(version)


def _are_labels(value: object, others: Iterable[object]) -> bool:
    """Return whether a value are the labels of a frame, to which those of a copy would not belong."""
    if type(value).__module__.partition(".")[0] != "pandas" or not hasattr(value, "names"):
        return False
    from marimo_kernel_bridge.kernel.versions.object_graph import reached  # noqa: PLC0415  # a client waits for the sockets

    return any((seen := reached(other)) is not None and id(value) in seen.labels for other in others)


def _is_apart(original: Any, value_copy: Any) -> bool:  # of whatever class
    from marimo_kernel_bridge.kernel.versions.object_graph import is_copy  # noqa: PLC0415  # a client waits for the sockets

    if isinstance(original, tuple):
        return is_copy(original, value_copy)
    return is_copy([original], [value_copy])


def _copy_by_method(value: Any) -> Any:  # of whatever class
    return value.copy() if hasattr(value, "copy") else deepcopy(value)


_COPYING: Final[Mapping[str, Callable[[Any], Any]]] = {
    "{}.copy()": _copy_by_method,
    "copy.copy({})": copy,
}


def _other_values(
    flow: ValueFlow, versioned: Container[str], values: Mapping[str, object]
) -> Iterator[object]:
    """Return the values of all names that cells make: of those with versions, of each."""
    for name, makers in flow.makers.items():
        names = [version_name(name, maker) for maker in makers] if name in versioned else [name]
        for version in names:
            if version in values:
                yield values[version]
