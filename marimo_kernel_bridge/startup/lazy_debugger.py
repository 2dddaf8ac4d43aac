"""ipykernel's debugger, imported with debugpy when a debugger is first used.

debugpy takes a sixth of ipykernel's start-up time and memory, and few kernels are ever debugged. Until it is imported,
this module reports it as available, answers the `debugInfo` request that JupyterLab sends to each kernel, and replaces
`breakpoint` and the other functions that debugpy hooks into Python.
"""

from __future__ import annotations

import asyncio
import builtins
import glob
import importlib
import os
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ipykernel.compiler import get_tmp_directory, get_tmp_hash_seed

from marimo_kernel_bridge.startup.lazy_modules import LazyModule, lazily_imported, load

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODULE: Final = "ipykernel.debugger"
_PUT_BY_DEBUGPY: Final = ((sys, "breakpointhook"), (builtins, "execfile"), (builtins, "runfile"))
_NO_WARNING: Final = "PYDEVD_DISABLE_FILE_VALIDATION"
"""Disables a warning amid a cell's output: every Python has frozen modules, and the user can do nothing about them."""


@contextmanager
def lazy_debugger_import() -> Iterator[None]:
    """Import ipykernel with its debugger marked as available, but not loaded, if debugpy is installed."""
    if _MODULE in sys.modules or find_spec("debugpy") is None:
        yield
        return
    with lazily_imported(_MODULE, _is_debugpy_available=True):
        yield
    if isinstance(sys.modules.get(_MODULE), LazyModule):
        for owner, name in _PUT_BY_DEBUGPY:
            setattr(owner, name, _StandIn(owner, name))


class _StandIn:
    """A placeholder function: the first call imports debugpy, which replaces it, and calls the replacement."""

    def __init__(self, owner: object, name: str) -> None:
        self._owner = owner
        self.__name__ = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        _import()
        put = getattr(self._owner, self.__name__)
        if put is self:
            raise RuntimeError(f"{self.__name__} needs debugpy, which cannot be imported")
        return put(*args, **kwargs)


def _import() -> Any:
    """Import ipykernel's debugger and debugpy; return the module. Keep functions that user code has replaced."""
    from marimo_kernel_bridge.startup.import_path import CHANGING  # noqa: PLC0415  # not used before

    there = [(owner, name, getattr(owner, name, None)) for owner, name in _PUT_BY_DEBUGPY]
    before = os.environ.get(_NO_WARNING)
    os.environ[_NO_WARNING] = "1"
    try:
        with CHANGING:
            module = importlib.import_module(_MODULE)
            load(module)
    finally:
        if before is None:
            del os.environ[_NO_WARNING]
        else:
            os.environ[_NO_WARNING] = before
    for owner, name, value in there:
        if value is not None and not isinstance(value, _StandIn):
            setattr(owner, name, value)
    return module


class LazyDebugger:
    """A proxy for `ipykernel.debugger.Debugger`, which it creates when debugging starts."""

    def __init__(self, *arguments: Any) -> None:
        """`arguments` are those of ipykernel's."""
        self._arguments = arguments
        self._debugger: Any = None  # ipykernel's, which is untyped
        self._made = asyncio.Event()

    async def process_request(self, message: dict[str, Any]) -> dict[str, Any]:
        """Answer a debug_request, on the control thread."""
        if self._debugger is None and message.get("command") == "debugInfo":
            return _info(message)
        debugger = self._make()
        if debugger is None:
            reason = {"success": False, "message": "debugpy cannot be imported; see the kernel's log"}
            return {
                "type": "response",
                "request_seq": message["seq"],
                "command": message["command"],
                **reason,
            }
        if message.get("command") == "attach":
            debugger.kernel_modules = by_package(debugger.kernel_modules)
        reply: dict[str, Any] = await debugger.process_request(message)
        return reply

    async def handle_stopped_event(self) -> None:
        """Wait until a thread has stopped, and notify the front end."""
        await self._made.wait()
        await self._debugger.handle_stopped_event()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._make(), name)

    def _make(self) -> Any:
        if self._debugger is None:
            module = _import()
            if module._is_debugpy_available:  # noqa: SLF001  # as ipykernel's kernel asks it
                self._debugger = module.Debugger(*self._arguments)
                self._made.set()
        return self._debugger


def by_package(files: list[str]) -> list[str]:
    """Return patterns for the files that the debugger skips: one for each package, and the names of other files.

    debugpy compares each function that runs with all patterns. With one for each module of marimo, IPython and their
    dependencies, the first stop took seconds. In the standard library, users can step into modules that the kernel has
    not imported.
    """
    left_out = set(files)
    folders = []
    for name in {name.partition(".")[0] for name in list(sys.modules)} - sys.stdlib_module_names:
        module = sys.modules.get(name)
        file = getattr(module, "__file__", None)
        if file in left_out and hasattr(module, "__path__"):
            folders.append(f"{Path(file).parent}{os.sep}")
    starts = tuple(folders)
    patterns = [f"{glob.escape(folder)}**" for folder in folders]
    return patterns + [file for file in files if not file.startswith(starts)]


def _info(message: dict[str, Any]) -> dict[str, Any]:
    """Answer as ipykernel's debugger does before it is started."""
    body = {
        "isStarted": False,
        "hashMethod": "Murmur2",
        "hashSeed": get_tmp_hash_seed(),  # type: ignore[no-untyped-call]  # ipykernel's
        "tmpFilePrefix": get_tmp_directory() + os.sep,  # type: ignore[no-untyped-call]  # ipykernel's
        "tmpFileSuffix": ".py",
        "breakpoints": [],
        "stoppedThreads": [],
        "richRendering": True,
        "exceptionPaths": ["Python Exceptions"],
        "copyToGlobals": True,
    }
    return {
        "type": "response",
        "request_seq": message["seq"],
        "success": True,
        "command": message["command"],
        "body": body,
    }
