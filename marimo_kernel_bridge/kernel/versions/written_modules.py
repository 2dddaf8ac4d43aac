"""Modules whose files a cell writes (`%%writefile tools.py`): forgotten, so that cells that import them get the new ones.

A run from top to bottom would import what the file has then. Only files that a cell of the notebook itself has written count;
for files that an editor saves there is `%autoreload`.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import types
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_SOURCE: Final = ".py"
_IMPORTS: Final = re.compile(r"\b(?:import|from)\b[^\n;]*")
_HEAD: Final = 16
"""Bytes of a compiled file before the code: with the time of its source, in seconds, and its size."""


def forget_modules(paths: Iterable[str], code: str, importers: Callable[[str], Iterable[str]]) -> set[str]:
    """Forget the loaded modules whose files a cell with this code has written. Return these files.

    Not those that the cell has imported itself since, nor those that a cell above imports: in a run from top to bottom
    they are loaded by then, and stay as they are until they are reloaded. `importers` returns the codes of the cells above
    that have read or written a file.
    """
    written = {path for path in paths if path.endswith(_SOURCE)}
    forgotten: set[str] = set()
    if not written:
        return forgotten
    for name, module in list(sys.modules.items()):
        path = _file_of(module)
        if not isinstance(path, str) or path not in written or name == "__main__":
            continue
        if any(name.rpartition(".")[-1] in _imported_in(each) for each in (code, *importers(path))):
            continue
        del sys.modules[name]
        parent, _, own = name.rpartition(".")
        if parent in sys.modules:
            vars(sys.modules[parent]).pop(own, None)
        with suppress(OSError, NotImplementedError):
            _remove_compiled(path)
        forgotten.add(path)
    return forgotten


def _imported_in(code: str) -> frozenset[str]:
    """Return the words of the imports in a cell."""
    return frozenset(re.findall(r"\w+", " ".join(_IMPORTS.findall(code))))


def _file_of(module: object) -> object:
    """Return the file of a module, without the code of one that loads itself when it is asked for something."""
    is_module = issubclass(type(module), types.ModuleType)
    return object.__getattribute__(module, "__dict__").get("__file__") if is_module else None


def _remove_compiled(path: str) -> None:
    """Remove the compiled file of a module if Python would take it for that of the new source, written in the same second."""
    compiled = Path(importlib.util.cache_from_source(path))
    with compiled.open("rb") as file:
        head = file.read(_HEAD)
    status = os.stat(path)  # noqa: PTH116  # a string
    time, size = (int.from_bytes(head[at : at + 4], "little") for at in (8, 12))
    if (time, size) == (int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF):
        compiled.unlink()
