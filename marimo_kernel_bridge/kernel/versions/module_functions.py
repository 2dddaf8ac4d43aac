"""Which names of its module a function uses, also through other functions there."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_FUNCTIONS: Final = 100


def names_used_by(function: types.FunctionType) -> Iterator[tuple[types.ModuleType, str]]:
    """Yield the names in its module that a function uses, other than those of functions, which are followed."""
    module = sys.modules.get(function.__module__)
    if not isinstance(module, types.ModuleType):
        return
    functions = {function: None}
    waiting = [function]
    for each in waiting:  # grows
        for name in each.__code__.co_names:
            value = vars(module).get(name)
            if type(value) is types.FunctionType:
                if value not in functions and len(functions) < _MOST_FUNCTIONS:
                    functions[value] = None
                    waiting.append(value)
            elif name in vars(module):
                yield module, name


def is_used_in(module: types.ModuleType, name: str) -> bool:
    """Return whether a function of a module, or a method of a class of it, uses a name there."""
    own = [  # nothing is asked of other values: one may be a module that is loaded when it is first used
        value
        for value in list(vars(module).values())
        if (type(value) is types.FunctionType or issubclass(type(value), type))
        and value.__module__ == module.__name__
    ]
    methods = [each for kind in own if isinstance(kind, type) for each in list(vars(kind).values())]
    return any(
        type(each) is types.FunctionType and name in each.__code__.co_names for each in (*own, *methods)
    )
