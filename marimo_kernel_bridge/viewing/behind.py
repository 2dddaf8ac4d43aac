"""Work that a read leaves to be done after it, where its thread has a place for that: else in a thread of its own.

While a cell runs, such work takes its turn as reads do.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_LOCAL: Final = threading.local()


def set_behind(later: Callable[[Callable[[], object], float], object]) -> None:
    """Have what this thread leaves to be done run by `later`, after so many seconds."""
    _LOCAL.later = later


def run_behind(act: Callable[[], object], name: str, after: float) -> None:
    """Run a function after some seconds, in another thread. It raises nothing. `name` is that of a thread for it alone."""
    later: Callable[[Callable[[], object], float], object] | None = getattr(_LOCAL, "later", None)
    if later is None:
        timer = threading.Timer(after, act)
        timer.name, timer.daemon = name, True
        timer.start()
    else:
        later(act, after)
