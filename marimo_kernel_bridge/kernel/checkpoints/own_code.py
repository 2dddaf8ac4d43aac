"""The own code of values, which pickling calls while no cell runs: an interrupt ends it, and so does a watch if it does not come back.

Nobody can know of a `__reduce__` how long it takes. A kernel that waits for one forever would answer nobody, and not even end itself.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from marimo_kernel_bridge.kernel.checkpoints.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import Self

T = TypeVar("T")

LONGEST: Final = 10.0
"""Seconds after which code is ended that has not come back, though nobody has interrupted it."""
_LOOKS_EVERY: Final = 0.5


class Interrupts(Protocol):
    """The interrupts of the kernel's main thread."""

    def in_values(self) -> AbstractContextManager[None]:
        """Raise `KeyboardInterrupt` in code of others, though no cell runs."""
        ...

    def asking(self) -> AbstractContextManager[None]:
        """Raise none meanwhile."""
        ...

    def end_values(self) -> None:
        """Raise it there, with no effect on anything else. Any thread."""
        ...


class OwnCode:
    """The code of values while one checkpoint is written. For the main thread, but the watch."""

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts
        self._since: float | None = None
        self.overdue = False
        """Whether the watch has ended what runs now, or ran last."""
        self._over = threading.Event()
        self._watch: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._watch = threading.Thread(target=self._look, name="checkpoint watch", daemon=True)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def comes_back(self) -> None:
        """Note that pickling goes on."""
        self._since, self.overdue = time.monotonic(), False

    def asked(self, question: Callable[[], bool]) -> bool:
        """Return the answer to what pickling asks, which looks for messages: no interrupt comes between."""
        self.comes_back()
        with self._interrupts.asking():
            return question()

    def run(self, work: Callable[[], T]) -> T | Refusal:
        """Return what work returns that runs code of values; why not, if that was interrupted or did not come back."""
        self.comes_back()
        try:
            with self._interrupts.in_values():
                return work()
        except KeyboardInterrupt:
            why = (
                f"its own code did not pickle it within {LONGEST:g} s" if self.overdue else "was interrupted"
            )
            return Refusal("", why, ended=True)
        finally:
            self._since = None

    def _look(self) -> None:
        seen, looks = None, 0  # counted: while the process is stopped, time passes and its code does not run
        while not self._over.wait(each := min(_LOOKS_EVERY, LONGEST)):
            since = self._since
            looks = looks + 1 if since is not None and since == seen else 0
            seen = since
            if looks * each >= LONGEST:
                self.overdue = True
                self._interrupts.end_values()
