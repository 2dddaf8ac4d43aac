"""The import of pandas in a pool: with the options that pandas has in a kernel.

pandas asks once, when it is imported, whether IPython runs a kernel, and shows frames accordingly forever. A pool is
no kernel yet, but all of its forks become one.
"""

from __future__ import annotations

import builtins
import importlib.machinery
import sys
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_KERNEL_S_SHELL = SimpleNamespace(kernel=None)
"""All that pandas looks at in what `get_ipython()` returns."""


class _AsInAKernel:
    """A finder of modules that runs pandas' own code, and nothing else, where `get_ipython()` returns a kernel's shell."""

    def find_spec(
        self,
        name: str,
        path: object = None,  # noqa: ARG002  # the signature of finders
        target: object = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if name != "pandas":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            with _shell_of_a_kernel():
                execute(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # of this one loader
        return spec


@contextmanager
def _shell_of_a_kernel() -> Iterator[None]:
    builtins.get_ipython = lambda: _KERNEL_S_SHELL  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del builtins.get_ipython  # type: ignore[attr-defined]


@contextmanager
def pandas_as_in_a_kernel() -> Iterator[None]:
    """Let any import of pandas find what it looks for in a kernel."""
    finder = _AsInAKernel()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        with suppress(ValueError):  # a module may have replaced the list
            sys.meta_path.remove(finder)
