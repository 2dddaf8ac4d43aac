"""Modules that are loaded on first use instead of on import.

For slow modules of other packages of which only a name or two is needed while importing. Unlike with
`importlib.util.LazyLoader`, these names can be imported (`from x import name`) without loading the module.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from importlib.machinery import ModuleSpec

_LOADING = threading.RLock()


@contextmanager
def lazily_imported(name: str, **known: object) -> Iterator[None]:
    """Make the import of a module in this block lazy, unless it is already imported.

    `known` are names that it has before it is loaded. Access to any other name loads it and makes it a normal module.
    """
    finder = _Finder(name, known)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class LazyModule(ModuleType):
    """A module that has not been executed yet. The import system looks up `__path__`, which does not load it."""

    def __getattr__(self, name: str) -> Any:  # a module has anything
        if name == "__path__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name, obj=self)
        load(self)
        return getattr(self, name)

    def __dir__(self) -> Iterable[str]:
        load(self)
        return dir(self)


def _documentation(module: LazyModule) -> str | None:
    load(module)
    return module.__doc__


LazyModule.__doc__ = property(_documentation)  # type: ignore[assignment]  # otherwise it would be that of the class


def load(module: ModuleType) -> None:
    """Run a lazy module's code, once, on any thread. After an error the module stays lazy."""
    with _LOADING:
        if not isinstance(module, LazyModule):
            return
        loader = module.__loader__
        assert isinstance(loader, Loader)
        module.__class__ = ModuleType  # type: ignore[assignment]  # first, because its code may access its own names
        try:
            loader.exec_module(module)
        except BaseException:  # also an interrupt
            module.__class__ = LazyModule
            raise


class _Finder(MetaPathFinder):
    """A finder for one module, which it finds as the import system would."""

    def __init__(self, name: str, known: Mapping[str, object]) -> None:
        self._name = name
        self._known = known

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _LazyLoader(spec.loader, self._known)
        return spec


class _LazyLoader(Loader):
    """A loader that creates the lazy module, and delegates the rest to the actual loader."""

    def __init__(self, loader: Loader, known: Mapping[str, object]) -> None:
        self._loader = loader
        self._known = known

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        vars(module).update(self._known)
        module.__class__ = LazyModule
