"""Containers that the collector of garbage does not look into, because they are in no cycle and hold a million objects of others.

A collection of the youngest objects looks at all that these refer to: a list of all objects of a notebook, made a moment ago, makes
three such collections as long as one of everything, each in the middle of somebody's request.
"""

from __future__ import annotations

import ctypes
from typing import Final

_UNTRACK: Final = ctypes.pythonapi.PyObject_GC_UnTrack
_UNTRACK.argtypes = [ctypes.py_object]
_UNTRACK.restype = None


def untrack(container: object) -> None:
    """Take a container from the collector. References free it as ever; what it refers to stays alive as long as it does."""
    _UNTRACK(container)
