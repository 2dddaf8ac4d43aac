"""What each cell has changed in the data of modules, taken back before the cell runs again or when it is gone.

`sys.path.append("a")`, edited to append something else, would leave both. Only what the cell itself changed is taken back,
and only if nobody has changed it since. Shallow: the contents of a list, dict or set, and values that cannot be mutated.
"""

from __future__ import annotations

import os
import types
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

Owner = types.ModuleType | type
Datum = tuple[Owner, str]
"""What a module, or a class of a package, has under a name."""


class Put(NamedTuple):
    """What a cell has put into a package: whether there was nothing under the name, and whether it can be taken back."""

    is_new: bool
    is_taken_back: bool


PLAIN: Final = frozenset({type(None), bool, int, float, complex, str, bytes})
"""Types of values that cannot be mutated and are compared by value."""
_MOST_ITEMS: Final = 1000
_OF_THE_IMPORTS: Final = frozenset({"modules", "meta_path", "path_hooks", "path_importer_cache"})
"""Data of `sys` that an import changes: who names it has not put all of that there."""


class _Missing:
    """The value of a name or key that does not exist."""


MISSING: Final = _Missing()
_Contents = dict[Any, Any] | tuple[Any, ...] | frozenset[Any] | None


@dataclass(frozen=True)
class Content:
    """The value of a datum at one moment; `items` are its contents, None if these are not known."""

    value: object
    items: _Contents


@dataclass(frozen=True)
class Change:
    """A change of one datum by one run of a cell. `keys` limits it to these keys of a mapping, None: all."""

    datum: Datum
    before: Content
    after: Content
    keys: frozenset[str] | None = None

    def undo(self) -> bool:
        """Take the change back as far as nobody else has changed the same since. Return whether its owner let it be."""
        owner, name = self.datum
        before, after = self.before, self.after
        value = vars(owner).get(name, MISSING)
        if before.value is not after.value:
            plain = before.value is MISSING or type(before.value) in PLAIN or callable(before.value)
            plain = plain or isinstance(owner, type)
            known = plain or before.items is not None
            if known and _same(value, after.value):
                _set(owner, name, before.value)
                return vars(owner).get(name, MISSING) is before.value
        elif value is after.value:
            self._undo_items(value)
        return True

    def _undo_items(self, value: Any) -> None:
        before, after = self.before.items, self.after.items
        if isinstance(before, dict) and isinstance(after, dict):
            for key in before.keys() | after.keys():
                was, put = before.get(key, MISSING), after.get(key, MISSING)
                mine = self.keys is None or key in self.keys
                if mine and not _same(was, put) and _same(value.get(key, MISSING), put):
                    _put(value, key, was)
        elif isinstance(before, frozenset) and isinstance(after, frozenset):
            value -= after - before
            value |= before - after
        elif isinstance(before, tuple) and isinstance(after, tuple):
            _undo_list(value, before, after)


def content(datum: Datum) -> Content:
    """Return the value of a datum now."""
    owner, name = datum
    value = vars(owner).get(name, MISSING)
    is_imports = owner.__name__ == "sys" and name in _OF_THE_IMPORTS
    return Content(value, None if is_imports else _items(value))


def is_taken_back(datum: Datum) -> bool:
    """Return whether what a cell has put into a package can be taken back: items of a container, an attribute, a function."""
    owner, name = datum
    value = vars(owner).get(name)
    return isinstance(owner, type) or callable(value) or _items(value) is not None


def change(datum: Datum, before: Content, words: frozenset[str]) -> Change:
    """Return how a body with these `words` in its text has changed a datum.

    In the environment it changes the variables that it names: libraries set some of their own when they are loaded.
    """
    after = content(datum)
    return Change(datum, before, after, words if after.value is os.environ else None)


def undo(changes: Iterable[Change]) -> list[Datum]:
    """Take changes of one run back, the last first. Return the data whose owners did not let it be."""
    return [each.datum for each in reversed(list(changes)) if not _is_undone(each)]


def _is_undone(made: Change) -> bool:
    try:
        return made.undo()
    except Exception:  # noqa: BLE001  # whatever a metaclass raises
        return False


def _items(value: Any) -> _Contents:
    if not (type(value) in {list, set} or isinstance(value, MutableMapping)) or len(value) > _MOST_ITEMS:
        return None
    if isinstance(value, Mapping):
        return dict(value)
    return tuple(value) if type(value) is list else frozenset(value)


def _undo_list(value: list[Any], before: tuple[Any, ...], after: tuple[Any, ...]) -> None:
    added = _added(before, after)
    if added is None:
        if len(value) == len(after) and all(map(_same, value, after)):
            value[:] = before
        return
    for index in added:
        places = [place for place, item in enumerate(value) if _same(item, after[index])]
        if places:
            del value[places[0] if index < len(before) else places[-1]]


def _added(before: tuple[Any, ...], after: tuple[Any, ...]) -> list[int] | None:
    """Return the places in `after` of what was added, None if items were also removed or moved."""
    added, rest = [], list(before)
    for index, item in enumerate(after):
        if rest and _same(rest[0], item):
            del rest[0]
        else:
            added.append(index)
    return None if rest else added


def _same(first: object, second: object) -> bool:
    return first is second or (type(first) is type(second) and type(first) in PLAIN and first == second)


def _set(owner: Owner, name: str, value: object) -> None:
    if value is MISSING:
        delattr(owner, name)
    else:
        setattr(owner, name, value)


def _put(target: MutableMapping[Any, Any], key: Any, value: object) -> None:
    if value is MISSING:
        target.pop(key, None)
    else:
        target[key] = value
