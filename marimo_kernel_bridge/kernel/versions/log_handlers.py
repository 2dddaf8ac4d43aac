"""The notebook's objects behind the module `logging`: who logs calls handlers that other cells have added."""

from __future__ import annotations

import itertools
import logging
import types
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.kernel.versions.value_copies import own_attributes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST: Final = 1000
"""Loggers that are looked at."""
_NOTEBOOK: Final = "__main__"


def behind_logging(values: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of objects that handlers and filters of loggers use: streams, and what their own code names."""
    found: set[str] = set()
    parts: set[int] = set()
    for each in _handlers_and_filters():
        parts |= {id(each), id((own_attributes(each) or {}).get("stream"))}
        found |= _names_in(each)
    parts.discard(id(None))
    shown = {name for name, value in list(values.items()) if id(value) in parts} if parts else set()
    return frozenset(found & values.keys() | shown)


def _handlers_and_filters() -> Iterator[object]:
    root = logging.root
    for logger in itertools.chain([root], itertools.islice(list(root.manager.loggerDict.values()), _MOST)):
        own = own_attributes(logger) or {}
        handlers = own.get("handlers")
        for each in (logger, *(handlers if type(handlers) is list else ())):
            filters = (own_attributes(each) or {}).get("filters")
            yield from filters if type(filters) is list else ()
            if each is not logger:
                yield each


def _names_in(part: object) -> set[str]:
    """Return the names that a function of the notebook uses, or the methods of an instance of its classes."""
    bases = [base for base in type(part).__mro__ if base.__module__ == _NOTEBOOK]
    methods = [method for base in bases for method in vars(base).values()]
    return {
        name
        for each in (part, *methods)
        if type(each) is types.FunctionType and each.__module__ == _NOTEBOOK
        for name in each.__code__.co_names
    }
