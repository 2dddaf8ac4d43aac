"""When Python looks for garbage."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def not_looked_for() -> Iterator[None]:
    """Import what lasts, without looking for garbage amid it every 700 objects, each time among more of them.

    What has come to be counts as old afterwards: freezing puts it aside, and unfreezing among the old, without a look.
    Nothing of that where something is frozen: by a pool, to be shared by its kernels.
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
def looked_for_later() -> Iterator[None]:
    """Make many objects, and look for garbage among them once, afterwards."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
