"""Failures that a notebook goes on after: cells that define something, and then raise an exception on purpose.

In Jupyter, what a cell has defined before it fails stays for the cells below. marimo does not run these. Once one of them
has succeeded below a cell that failed, the failure counts as expected: then they also run after it when they become stale.
Decides; the runtime cancels.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet


class ExpectedFailures:
    """The cells that failed in their last run, and those below which the notebook went on nevertheless."""

    def __init__(self, ancestors: Callable[[str], AbstractSet[str]]) -> None:
        """`ancestors` returns the cells upstream of a cell."""
        self._ancestors = ancestors
        self._failed: dict[str, str] = {}  # by cell, the name of the exception's class
        self._expected: dict[str, str] = {}

    def ended(self, cell_id: str, error: BaseException | None) -> bool:
        """Record how the body of a cell ended. Return whether this is a failure after which the cells below run."""
        self._failed.pop(cell_id, None)
        if error is None:
            if self._failed:
                above = self._failed.keys() & self._ancestors(cell_id)
                self._expected |= {failed: self._failed[failed] for failed in above}
            return False
        if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
            return False
        self._failed[cell_id] = type(error).__name__
        return self._expected.get(cell_id) == type(error).__name__

    def expected_of(self, cell_id: str) -> str:
        """Return the name of the exception after which the cells below a cell run, whether or not it has raised it now; else ""."""
        return self._expected.get(cell_id, "")

    def bring_back(self, cell_id: str, *, failed: str, expected: str) -> None:
        """Note how a cell failed in an earlier kernel, and what was expected of it: names of exceptions, "" for none."""
        if failed:
            self._failed[cell_id] = failed
        if expected:
            self._expected[cell_id] = expected

    def forget(self, cell_id: str) -> None:
        """Drop a cell that is gone."""
        self._failed.pop(cell_id, None)
        self._expected.pop(cell_id, None)
