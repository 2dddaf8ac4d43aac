"""A piece of state of a library or of the process, which each cell has as cells above its place have left it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class LibraryState:
    """A piece of state: `take` returns it as a value that can be compared, None if there is none; `restore` sets it.

    `module` has it. `original` returns the state as the module was loaded. `is_generator`: a random generator, which whoever draws advances. `readers` are packages whose
    objects show the state.
    """

    module: str
    take: Callable[[Any], Any]
    restore: Callable[[Any, Any], object]
    is_generator: bool = False
    readers: frozenset[str] = frozenset()
    original: Callable[[Any], Any] = lambda _: None
    read_by: Callable[[str], bool] = lambda _: False
    """Whether code depends on the state by its text."""
    is_read_in_functions: bool = False
    """Whether `read_by` may be asked of the names that functions use, too."""
    is_local: bool = False
    """Whether the state means something in this process alone, unless a cell has set it."""
    is_kept: bool = True
    """Whether checkpoints keep it: not what refers to objects of this process."""
    is_shown: bool = True
    """Whether a value may be shown otherwise with another state."""
    words: tuple[str, ...] = ()
    """One occurs in the text of a cell from which on the state is looked at; none: always. They are searched before each body."""

    def is_named_in(self, code: str) -> bool:
        """Return whether a cell with this code may set the state, so that it is to be looked at."""
        return not self.words or any(word in code for word in self.words)

    def now(self) -> Any:
        """Return the state, None if the library is not loaded or hides it."""
        return self._from_module(self.take)

    def as_loaded(self) -> Any:
        """Return the state right after the library was loaded, None if it does not know."""
        return self._from_module(self.original)

    def _from_module(self, take: Callable[[Any], Any]) -> Any:
        module = sys.modules.get(self.module)
        if module is None:
            return None
        try:
            return take(module)
        except Exception:  # noqa: BLE001  # whatever another version of the library raises: then it is not watched
            return None

    def set(self, value: Any) -> bool:
        """Set the state to a value of `now`. Return whether that was possible."""
        try:
            self.restore(sys.modules[self.module], value)
        except Exception:  # noqa: BLE001  # whatever another version of the library raises
            return False
        return True


def same(one: Any, other: Any) -> bool:
    """Return whether two values of a state are equal. Settings may hold what has no truth value, such as arrays."""
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001  # whatever the comparison of a foreign object raises
        if isinstance(one, dict) and isinstance(other, dict):
            return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
        return type(one) is type(other) and _text(one) == _text(other)


def _text(value: Any) -> str | None:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001  # whatever the text of a foreign object raises
        return None


def when_named(
    words: tuple[str, ...],
    module: str,
    take: Callable[[Any], Any],
    restore: Callable[[Any, Any], object],
    *readers: str,
    read_by: Callable[[str], bool] = lambda _: False,
    loaded: object = None,
    is_shown: bool = False,
) -> LibraryState:
    """Return a state; `loaded` is its value right after the module was loaded, if a kernel does not always have it."""
    return LibraryState(
        module,
        take,
        restore,
        readers=frozenset(readers),
        read_by=read_by,
        is_read_in_functions=True,
        original=lambda _: loaded,
        is_local=True,
        is_kept=False,
        is_shown=is_shown,
        words=words,
    )
