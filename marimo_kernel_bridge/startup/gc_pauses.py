"""Pauses of Python's garbage collection."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def frozen_imports() -> Iterator[None]:
    """Import long-lived modules without garbage collections, which would run every 700 objects.

    The new objects end up in the oldest generation: `freeze` moves them to the permanent generation, and `unfreeze` back
    to the oldest, without a collection. Does nothing if objects are already frozen, as in a pool, which shares them with
    its kernels.
    """
    if not gc.isenabled() or gc.get_freeze_count():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.unfreeze()
        gc.enable()


@contextmanager
def deferred() -> Iterator[None]:
    """Create many objects, with a single garbage collection afterwards."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
