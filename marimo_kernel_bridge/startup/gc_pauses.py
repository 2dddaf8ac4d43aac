"""Pauses of Python's garbage collection."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def frozen_imports() -> Iterator[None]:
    """Import modules that stay, without a collection every 700 objects, each over more of them.

    The new objects are in the oldest generation afterwards: `freeze` sets them aside and `unfreeze` puts them there,
    without a collection. Does nothing where something is frozen already: a pool does that, to share it with its kernels.
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
    """Make many objects, and collect garbage among them once, afterwards."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
