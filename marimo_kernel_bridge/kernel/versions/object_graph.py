"""The objects that values reach: the mutable objects behind a name, and a fingerprint of their state.

A walk is limited in objects and bytes; a value that reaches more is not watched. Objects tied to external resources
(figures, widgets, connections) are not entered. Runs no code of the notebook's classes: attributes are read from
`__dict__` and slots, and elements with the methods of the builtin containers.
"""

from __future__ import annotations

import functools
import gc
import itertools
import operator
import sys
import types
import warnings
import weakref
from collections import OrderedDict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.inspecting.value_text import class_name
from marimo_kernel_bridge.kernel.versions import library_objects
from marimo_kernel_bridge.kernel.versions.value_copies import is_tied_class, own_attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

MOST_OBJECTS: Final = 10_000
"""Containers and other objects that hold others, of one value; and elements of one container."""

_PLAIN: Final = frozenset(
    {int, float, complex, bool, type(None), str, bytes, range, type(...), type(NotImplemented)}
)
_FUNCTIONS: Final = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)
_CONTAINERS: Final = (dict, list, tuple, set, frozenset, deque)
_CACHED: Final = type(functools.cache(len))
_ITERATING: Final = frozenset({"builtins", "itertools"})
_STEPPING: Final = frozenset(
    {
        itertools.cycle,
        itertools.product,
        itertools.permutations,
        itertools.combinations,
        type(itertools.tee("")[0]),
    }
)
"""Iterators whose position only their pickle shows."""
_SHOW_POSITIONS: Final = "__reduce__" in vars(itertools.cycle)
"""Whether they can be pickled: not from Python 3.14 on, where nobody sees whether one was used."""
_LOCAL: Final = "<locals>"
_NOTEBOOK: Final = "__main__"
"""The module of what a notebook defines."""


class _Walk:
    """A walk through the objects that a value reaches, in an order that depends only on its state."""

    def __init__(self, *, with_state: bool, most: int = MOST_OBJECTS, copied: bool = False) -> None:
        """`with_state`: record the contents, too, not only the identities of objects. `copied`: enter only what a deep copy copies."""
        self.budget = library_objects.Budget()
        self.state: list[object] = []
        self.mutable: set[int] = set()  # the ids of objects that can be mutated
        self.shown: set[int] = set()  # of those that frames show, and copy before they write
        self.labels: set[int] = set()  # of frames
        self.codes: set[types.CodeType] = set()  # of the notebook's functions and methods
        self.classes: set[type] = set()  # the notebook's
        self.identified: list[object] = []  # objects of which only the identity counts
        self._alive: list[object] = []
        self._with_state = with_state
        self._most = most
        self._copied = copied
        self._numbers: dict[int, int] = {}  # of objects, by id

    def through(self, root: object) -> None:
        """Walk. Raises `TooLargeError`."""
        waiting: list[object] = [root]
        state, numbers = self.state, self._numbers
        while waiting:
            value = waiting.pop()
            kind = type(value)
            if kind in _PLAIN:
                if self._with_state:
                    state.append(value if value == value else "nan")  # noqa: PLR0124  # NaN is not equal to itself
                continue
            if (number := numbers.get(id(value))) is not None:
                state.append(number)
                continue
            numbers[id(value)] = len(numbers)
            if len(numbers) > self._most:
                raise library_objects.TooLargeError
            if self._copied and (issubclass(kind, type) or kind.__module__ == "logging"):
                continue
            state.append(id(kind))
            waiting += reversed(_ENTER.get(kind, _Walk.enter_other)(self, value))

    @property
    def size(self) -> int:
        """The number of objects entered so far."""
        return len(self._numbers)

    # Each returns the objects that a value holds.

    def enter_list(self, value: list[object]) -> list[object]:
        self._elements(value)
        self.mutable.add(id(value))
        return value

    def enter_dict(self, value: dict[object, object]) -> list[object]:
        self._elements(value)
        self.mutable.add(id(value))
        # The order of an OrderedDict is its own.
        items = OrderedDict.items(value) if isinstance(value, OrderedDict) else dict.items(value)
        return [part for item in items for part in item]

    def enter_tuple(self, value: Iterable[object]) -> list[object]:
        parts = list(value)
        self._elements(parts)
        return parts

    def _elements(self, value: list[object] | dict[object, object]) -> None:
        size = len(value)
        self.state.append(size)
        if size > MOST_OBJECTS:
            raise library_objects.TooLargeError

    def enter_function(self, value: types.FunctionType) -> list[object]:
        held: list[object] = []
        self.state.append(value.__code__)  # equal for a function that is defined once more
        if value.__module__ == _NOTEBOOK:
            self.codes.add(value.__code__)
            held += [
                *vars(value).values(),
                *(value.__defaults__ or ()),
                *(value.__kwdefaults__ or {}).values(),
            ]
        elif _LOCAL not in value.__code__.co_qualname:  # one of a module, which a call has not made
            return held
        for cell in value.__closure__ or ():
            self.mutable.add(id(cell))
            held += _contents(cell)
        return held

    def enter_method(self, value: types.MethodType) -> list[object]:
        return [value.__func__, value.__self__]

    def enter_builtin(self, value: types.BuiltinFunctionType) -> list[object]:
        self.state.append(value.__qualname__)
        return [] if isinstance(value.__self__, types.ModuleType) else [value.__self__]

    def enter_partial(self, value: functools.partial[object]) -> list[object]:
        return [value.func, *value.args, *value.keywords.values()]

    def enter_cached(self, value: functools._lru_cache_wrapper[object]) -> list[object]:
        """Visit a function with a cache. A result that it keeps is shared with who got it, and no change of the function."""
        if self._with_state:
            return [value.__wrapped__]
        self.mutable.add(id(value))
        kept = [
            part for part in gc.get_referents(value) if part is not vars(value) and not isinstance(part, type)
        ]
        return [*kept, *(each for part in kept if type(part) is dict for each in part.values())]

    def enter_generator(self, value: types.GeneratorType[object, object, object]) -> list[object]:
        """Visit what a generator waits with: where its code is, and what its names are bound to."""
        self.mutable.add(id(value))
        frame = value.gi_frame
        if self._with_state:
            self.state.append(-1 if frame is None else frame.f_lasti)
        return [] if frame is None else _waiting_with(value)

    def enter_reference(self, value: weakref.ref[object]) -> list[object]:
        return [weakref.ref.__call__(value)]

    def enter_proxy(self, value: object) -> list[object]:
        try:
            return [value.__init__.__self__]  # type: ignore[misc]  # of what it stands for
        except ReferenceError:
            return []

    def enter_memory(self, value: memoryview) -> list[object]:
        self.state += self._memory(value) if self._with_state else []
        try:
            owner = value.obj
        except ValueError:  # released
            return []
        return gc.get_referents(owner) if type(owner).__module__ == "_io" else [owner]

    def enter_class(self, value: type) -> list[object]:
        self.state.append(class_name(value))
        if value.__module__ != _NOTEBOOK:
            return []
        self.mutable.add(id(value))
        self._note_methods(value)
        held = [part for name, part in vars(value).items() if not name.startswith("__")]
        # What makes its subclasses and its instances: the notebook's metaclass, the methods that it inherits.
        for kind in (type(value), *value.__mro__[1:]):
            if kind.__module__ == _NOTEBOOK:
                self.classes.add(kind)
                held += [kind] if self._with_state else []
        return held

    def enter_other(self, value: object) -> list[object]:
        kind = type(value)  # `isinstance` would read the value's `__class__`, which may run code
        if issubclass(kind, type):
            return self.enter_class(value)  # type: ignore[arg-type]  # it is one
        package = kind.__module__.partition(".")[0]
        if issubclass(kind, Enum) or (is_tied_object(value) and package != "matplotlib"):
            return []
        enter = library_objects.ENTER.get(package)
        if enter is not None:
            seen = enter(value, self.budget, with_state=self._with_state)
            if seen is not None:
                self.state += seen.state
                self._identify(seen.parts)
                self.shown |= seen.shown
                self.labels |= seen.labels
                self.mutable |= seen.mutable | (frozenset() if seen.constant else {id(value)})
                return list(seen.held)
        self.mutable.add(id(value))
        return self._instance(value)

    def _instance(self, value: object) -> list[object]:
        held, kind = self._contained(value), type(value)
        if (
            kind.__module__ == _NOTEBOOK and self._with_state
        ):  # who has something called at its end has added to it
            self.state.append(sum(called_at_end(each) is not None for each in weakref.getweakrefs(value)))
        own = own_attributes(value)
        self.mutable |= set() if own is None else {id(own)}
        for name, part in (own or {}).items():
            if not _is_cached(kind, name):
                held += (name, part)
        for base in kind.__mro__:
            if base.__module__ == _NOTEBOOK:
                self._note_methods(base)
                self.classes.add(base)
                # Instances show what their class holds; that they have it in common does not make them one object.
                held += [base] if self._with_state else []
            if "__slots__" in vars(base):
                held += _slots(value, base)
        return held if own or held else self._opaque(value)

    def _opaque(self, value: object) -> list[object]:
        """Visit an object that shows no attributes."""
        kind = type(value)
        held = [part for part in held_by(value) if part is not kind]
        if kind.__module__ in _ITERATING and hasattr(kind, "__next__"):
            if self._with_state and kind in _STEPPING and not _SHOW_POSITIONS:
                raise library_objects.TooLargeError
            position = _position(value)
            self._alive.append(position)  # no later object has the id of one of its parts
            return [*held, position]
        if not held:  # only its identity is known, and what is in its memory
            self._identify([value])
        if self._with_state and not issubclass(kind, bytearray):
            self.state += self._memory(value)
        return held

    def _memory(self, value: object) -> list[object]:
        """Return the state of what an object of C shows as its memory."""
        try:
            memory = memoryview(value)  # type: ignore[arg-type]  # not every object has one
        except (TypeError, BufferError, ValueError):
            return []
        with memory:
            self.budget.take(memory.nbytes)
            return [hash(memory.tobytes())]

    def _identify(self, values: Iterable[object]) -> None:
        self.state += map(id, values)
        self.identified += values

    def _contained(self, value: object) -> list[object]:
        """Return the elements of a subclass of a builtin container."""
        container = next((kind for kind in _CONTAINERS if issubclass(type(value), kind)), None)
        if container is dict:
            return self.enter_dict(value)  # type: ignore[arg-type]  # it is one
        if container is not None:
            return self.enter_tuple(container.__iter__(value))  # type: ignore[arg-type]  # likewise
        if issubclass(type(value), bytearray | StringIO | BytesIO):
            self.budget.take(sys.getsizeof(value))
            if self._with_state:
                self.state += _buffered(value)  # type: ignore[arg-type]  # it is one
        return []

    def _note_methods(self, kind: type) -> None:
        for part in vars(kind).values():
            for function in (part, getattr(part, "__func__", None), getattr(part, "fget", None)):
                if isinstance(function, types.FunctionType):
                    self.codes.add(function.__code__)


_ENTER: Final[Mapping[type, Callable[[_Walk, Any], list[object]]]] = {
    list: _Walk.enter_list,
    dict: _Walk.enter_dict,
    tuple: _Walk.enter_tuple,
    frozenset: _Walk.enter_tuple,
    slice: lambda _, value: [value.start, value.stop, value.step],  # before Python 3.12, it has no hash
    types.FunctionType: _Walk.enter_function,
    types.MethodType: _Walk.enter_method,
    types.BuiltinFunctionType: _Walk.enter_builtin,
    functools.partial: _Walk.enter_partial,
    _CACHED: _Walk.enter_cached,
    weakref.ref: _Walk.enter_reference,
    weakref.KeyedRef: _Walk.enter_reference,
    weakref.WeakMethod: _Walk.enter_reference,
    weakref.ProxyType: _Walk.enter_proxy,
    weakref.CallableProxyType: _Walk.enter_proxy,
    memoryview: _Walk.enter_memory,
    types.GeneratorType: _Walk.enter_generator,
    types.ModuleType: lambda _, __: [],
    type: _Walk.enter_class,
}


def called_at_end(reference: weakref.ref[Any]) -> object:
    """Return what the notebook has called when an object ends; None if it is a package's own, or the reference only looks.

    A finalizer may close what it holds, whoever has made it; those of marimo only forget its elements.
    """
    callback: Any = reference.__callback__
    if isinstance(callback, weakref.finalize):
        alive = callback.peek()
        return None if alive is not None and _is_marimos_own(alive[1]) else callback
    if callback is None:
        return None
    return callback if getattr(callback, "__module__", None) in {None, _NOTEBOOK} else None


def _is_marimos_own(function: object) -> bool:
    return str(getattr(function, "__module__", None)).partition(".")[0] == "marimo"


def _waiting_with(generator: object) -> list[object]:
    return [
        part
        for part in gc.get_referents(generator)
        if type(part) not in {types.CodeType, types.FrameType}
        and not (type(part) is dict and "__builtins__" in part)
    ]


def held_by(value: object) -> list[object]:
    """Return what the garbage collector sees an object hold.

    Nothing for a `zip_longest`: it holds a tuple with holes, and to look into that in Python ends the process.
    """
    return [] if issubclass(type(value), itertools.zip_longest) else gc.get_referents(value)


def _position(iterator: Any) -> object:  # of any of the builtin classes
    """Return what differs once an iterator has been used, and what it holds does not show."""
    kind = type(iterator)
    if kind is itertools.count:
        return repr(iterator)
    if kind in _STEPPING and _SHOW_POSITIONS:
        with warnings.catch_warnings():  # Python 3.12 and 3.13 say that 3.14 has no such method
            warnings.simplefilter("ignore")
            return iterator.__reduce__()
    return iterator.__length_hint__() if hasattr(kind, "__length_hint__") else None


def _contents(cell: types.CellType) -> list[object]:
    try:
        return [cell.cell_contents]
    except ValueError:  # not bound yet
        return []


def _buffered(value: bytearray | StringIO | BytesIO) -> list[object]:
    if isinstance(value, bytearray):
        return [hash(bytes(value))]
    return [] if value.closed else [value.tell(), hash(value.getvalue())]


def _slots(value: object, base: type) -> list[object]:
    held = []
    for member in vars(base).values():
        if isinstance(member, types.MemberDescriptorType):
            with suppress(AttributeError):  # not set
                held.append(member.__get__(value))
    return held


def _is_cached(kind: type, name: str) -> bool:
    if name == "_cache" and kind.__module__ == "logging":  # of a logger, which levels are enabled
        return True
    return any(isinstance(vars(base).get(name), functools.cached_property) for base in kind.__mro__)


def is_tied_object(value: object) -> bool:
    """Return whether a value is tied to an external resource. Functions, classes and buffers in memory are not."""
    kind = type(value)
    if issubclass(kind, (type, StringIO, BytesIO, *_FUNCTIONS)):
        return False
    return kind is types.GeneratorType or is_tied_class(kind)  # type: ignore[arg-type]  # a class can be hashed


def is_watched(value: object) -> bool:
    """Return whether a value is mutable or holds mutable objects, and is not tied to an external resource."""
    kind = type(value)
    return kind not in _PLAIN and not issubclass(kind, types.ModuleType) and not is_tied_object(value)


@dataclass(frozen=True)
class Fingerprint:
    """The state of a value and of what it reaches: `state` differs after a mutation.

    `codes` are the code objects that it can call, `classes` the classes of the notebook whose instances it reaches.
    `identified` are kept alive, so that no later object has the id of one of them.
    """

    state: int
    codes: frozenset[types.CodeType] = field(repr=False)
    classes: frozenset[type] = field(repr=False)
    identified: tuple[object, ...] = field(repr=False, compare=False)


def fingerprint(value: object) -> Fingerprint | None:
    """Return the fingerprint of a value; None if it reaches too much to be watched."""
    walk = _Walk(with_state=True)
    try:
        walk.through(value)
        state = hash(tuple(walk.state))
        return Fingerprint(state, frozenset(walk.codes), frozenset(walk.classes), tuple(walk.identified))
    except Exception:  # noqa: BLE001  # classes of other packages may raise anything
        return None


@dataclass(frozen=True)
class Reached:
    """The ids of the mutable objects that a value reaches. Of `shown` and `labels` see `library_objects.Seen`."""

    mutable: AbstractSet[int]
    shown: AbstractSet[int] = frozenset()
    labels: AbstractSet[int] = frozenset()

    def has(self, ids: AbstractSet[int]) -> bool:
        """Return whether a mutation of one of these objects shows."""
        return not all(map(ids.isdisjoint, (self.mutable, self.shown, self.labels)))

    def shares(self, other: Reached) -> bool:
        """Return whether values have an object in common. Not by labels: who changes a frame gives it other ones."""
        mine, others = self.mutable, other.mutable
        return not (
            mine.isdisjoint(others) and mine.isdisjoint(other.shown) and others.isdisjoint(self.shown)
        )


def reached(value: object) -> Reached | None:
    """Return the mutable objects that a value reaches, None if they are too many."""
    walk = _Walk(with_state=False)
    try:
        walk.through(value)
    except Exception:  # noqa: BLE001  # classes of other packages may raise anything
        return None
    return Reached(walk.mutable, walk.shown, walk.labels)


def ids_of(mutated: Iterable[object]) -> set[int]:
    """Return the ids by which others reach these objects: of an array, also that of what has its memory."""
    found: set[int] = set()
    for value in mutated:
        seen = reached(value) if hasattr(type(value), "__array_finalize__") else None
        found |= {id(value)} if seen is None else seen.mutable
    return found


def is_copy(originals: Sequence[object], copies: Sequence[object]) -> bool:
    """Return whether deep copies stand to each other as the originals do, and have no mutable object in common with them.

    A copy of an array and of a view of it are two arrays; a copy of a weak reference refers to the original.
    """
    try:
        before, after = [[_copied_from(each) for each in values] for values in (originals, copies)]
    except Exception:  # noqa: BLE001  # classes of other packages may raise anything
        return True  # beyond the bounds
    was, now = (set().union(*(seen.mutable for seen in each)) for each in (before, after))
    return (
        was.isdisjoint(now)
        and len(now) <= len(was)
        and all(
            _stand_alike((before[one], before[other]), (after[one], after[other]))
            for one, other in itertools.combinations(range(len(before)), 2)
        )
    )


def _stand_alike(originals: tuple[Reached, Reached], copies: tuple[Reached, Reached]) -> bool:
    """Return whether two copies have in common what their originals have: not only some of it."""
    (one, other), (now, then) = originals, copies
    if one.shares(other) != now.shares(then):
        return False
    return len(now.mutable & then.mutable) >= len(one.mutable & other.mutable)


def _copied_from(value: object) -> Reached:
    walk = _Walk(with_state=False, copied=True)
    walk.through(value)
    return Reached(walk.mutable, walk.shown)


def reaching(ids: AbstractSet[int], names: Iterable[str], values: Mapping[str, Any]) -> Iterator[str]:
    """Yield those of these names whose values reach one of these objects, as far as the bounds allow for all together."""
    left = MOST_OBJECTS
    for name in names:
        value = values.get(name)
        if not is_watched(value) or issubclass(type(value), type):
            continue
        walk = _Walk(with_state=False, most=left)
        with suppress(Exception):  # classes of other packages may raise anything
            walk.through(value)
        if Reached(walk.mutable, walk.shown, walk.labels).has(ids):
            yield name
        left -= walk.size
        if left <= 0:
            return


def is_held_outside(value: object, inside: Mapping[str, Any]) -> bool:
    """Return whether a module refers to a value, other than the one with the namespace `inside`."""
    shown = inside.get("Out")
    holders = [inside.values(), shown.values() if isinstance(shown, dict) else ()]
    inside_count = sum(held is value for names in holders for held in names)
    # Two more references are those of the argument and of the count itself.
    return sys.getrefcount(value) > inside_count + 2 and any(
        True in map(operator.is_, list(names.values()), itertools.repeat(value))
        for names in map(_names_of, list(sys.modules.values()))
        if names is not inside
    )


def _names_of(module: object) -> dict[str, object]:
    """Return the names of a module, without loading one that is loaded when it is used."""
    return own_attributes(module) or {}
