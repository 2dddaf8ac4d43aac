"""`mo.cache` and `mo.persistent_cache` in cells that IPython compiled.

marimo finds the code around a `with mo.persistent_cache(…)` by its own file names and line numbers, and expects
`__builtins__` to be a dict; in `__main__` it is a module.
"""

from __future__ import annotations

import builtins
import functools
import linecache
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from marimo._ast.load import find_cell as marimos_find_cell
from marimo._save import hash as hashing

if TYPE_CHECKING:
    from collections.abc import Callable

_BUILTINS: Final = "__builtins__"


@dataclass(frozen=True)
class CompiledCell:
    """The cell around a line, as marimo needs it: its code, and the number of lines before it in its file."""

    code: str
    lineno: int = 0


def find_cell(filename: str, lineno: int) -> Any:
    """Return the cell that contains a line: as marimo finds it, or from IPython's entries in `linecache`."""
    cached = linecache.cache.get(filename)
    if cached is not None and len(cached) > 1 and cached[1] is None:  # not a file: an entry by IPython
        return CompiledCell("".join(cached[2]))
    return marimos_find_cell(filename, lineno)


def _with_builtin_names(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: object, refs: set[str], scope: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        found = scope.get(_BUILTINS)
        if found is not builtins:
            return method(self, refs, scope, *args, **kwargs)
        scope[_BUILTINS] = vars(builtins)  # marimo also modifies the scope, so it must not be a copy
        try:
            return method(self, refs, scope, *args, **kwargs)
        finally:
            scope[_BUILTINS] = found

    return call


extract_missing_ref: Final = _with_builtin_names(hashing.BlockHasher.extract_missing_ref)
extract_ref_state_and_normalize_scope: Final = _with_builtin_names(
    hashing.BlockHasher.extract_ref_state_and_normalize_scope
)
