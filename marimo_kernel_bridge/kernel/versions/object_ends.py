"""Objects whose end the notebook notices: by `__del__`, `weakref.finalize`, a weak reference.

`del a` ends an object in Jupyter. A version that is kept for the cells above would keep the object alive, so that nothing is called
and no weak reference is dead. Such a version is let go before a cell deletes the name or binds it again; for a cell above that
needs it, its maker runs again.
"""

from __future__ import annotations

import types
import weakref
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.kernel.versions.object_graph import called_at_end, reached, reaching

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_NOTEBOOK: Final = "__main__"
_DEFINITIONS: Final = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
)
_PLAIN: Final = frozenset({type(None), bool, int, float, complex, str, bytes, list, dict, tuple})


def is_end_noticed(value: object) -> bool:
    """Return whether the notebook notices that an object ends. Packages that watch their own objects do not count."""
    kind = type(value)
    if kind in _PLAIN or issubclass(kind, _DEFINITIONS):
        return False
    own = [base for base in kind.__mro__ if base.__module__ == _NOTEBOOK]
    if any("__del__" in vars(base) for base in own):
        return True
    references = _references(value)
    return bool(own and references) or any(called_at_end(each) is not None for each in references)


def noticed_by(ended: Iterable[object], values: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of objects that may be others once these have ended: weak references, and what is called then uses."""
    ended = list(ended)
    called = [function for value in ended for function in _called_at_end(value)]
    names = {
        name
        for function in called
        if isinstance(function, types.FunctionType)
        for name in function.__code__.co_names
        if name in values
    }
    seen = reached(called) if called else None
    used = (
        set() if seen is None else {name for name, value in list(values.items()) if id(value) in seen.mutable}
    )
    ids = set(map(id, ended))
    holders = reaching(ids, [name for name in values if name[:1] != "_"], values)
    return frozenset(name for name in {*names, *used, *holders} if name[:1] != "_")


def _references(value: object) -> list[weakref.ref[Any]]:
    try:
        return list(weakref.getweakrefs(value))
    except TypeError:  # its class has none
        return []


def _called_at_end(value: object) -> Iterator[object]:
    for base in type(value).__mro__:
        if base.__module__ == _NOTEBOOK and "__del__" in vars(base):
            yield vars(base)["__del__"]
    for reference in _references(value):
        callback: Any = called_at_end(reference)
        if isinstance(callback, weakref.finalize):
            alive = callback.peek()
            if alive is not None:
                _, function, args, kwargs = alive
                yield function
                yield from args
                yield from (kwargs or {}).values()
        elif callback is not None:
            yield callback
