"""Modules that are loaded when something in them is used, and not when they are imported.

For others' modules that take long, and of which only a name or two is needed to import what imports them. Other than
with `importlib.util.LazyLoader`, these names can be imported from them (`from x import name`) without loading them.
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
def late(name: str, **known: object) -> Iterator[None]:
    """Load a module late that is imported inside, unless it is imported already.

    `known` are names that it has before it is loaded. Any other name of it loads it, and makes it a plain module.
    """
    finder = _Finder(name, known)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class LateModule(ModuleType):
    """A module whose code has not run yet. The import system, which is no use of it, asks for `__path__`."""

    def __getattr__(self, name: str) -> Any:  # a module has anything
        if name == "__path__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name, obj=self)
        load(self)
        return getattr(self, name)

    def __dir__(self) -> Iterable[str]:
        load(self)
        return dir(self)


def _documentation(module: LateModule) -> str | None:
    load(module)
    return module.__doc__


LateModule.__doc__ = property(_documentation)  # type: ignore[assignment]  # else it would be this class's


def load(module: ModuleType) -> None:
    """Run a late module's code, in whichever thread; nothing if that is done. After an error it is as late as before."""
    with _LOADING:
        if not isinstance(module, LateModule):
            return
        loader = module.__loader__
        assert isinstance(loader, Loader)
        module.__class__ = ModuleType  # type: ignore[assignment]  # first: its code may look at its own names
        try:
            loader.exec_module(module)
        except BaseException:  # an interrupt, too
            module.__class__ = LateModule
            raise


class _Finder(MetaPathFinder):
    """Finds one module, as the import system would."""

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
            spec.loader = _LateLoader(spec.loader, self._known)
        return spec


class _LateLoader(Loader):
    """Makes the module, and leaves the rest to the loader that it stands for."""

    def __init__(self, loader: Loader, known: Mapping[str, object]) -> None:
        self._loader = loader
        self._known = known

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        vars(module).update(self._known)
        module.__class__ = LateModule
