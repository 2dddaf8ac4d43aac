"""In which order a notebook has its cells, as far as anybody tells the kernel.

Jupyter's messages have no order of cells. The file on disk has one, as old as the last save; so have requests that
come at once, which JupyterLab sends from top to bottom (Run All, and the cells of a selection). Both read only.
"""

from __future__ import annotations

import json
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.kernel.front_ends import Header

AT_ONCE: Final = 0.5
"""Seconds between two requests of one Run All at the most; a person takes longer to go to another cell."""

AS_FAST_AS_CODE: Final = 0.025
"""Seconds between two requests of one Run All, sent while nobody waits for answers: no person is as fast."""


class SavedOrder:
    """The ids of a notebook's cells as last saved."""

    def __init__(self) -> None:
        self._seen: tuple[int, int] | None = None

    def news(self, notebook: str) -> list[str] | None:
        """Return the ids in the order of the document; None if the file is as it was, or cannot be read."""
        path = Path(notebook)
        try:
            found = path.stat()
            if self._seen == (found.st_mtime_ns, found.st_size):
                return None
            self._seen = (found.st_mtime_ns, found.st_size)
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        match document:
            case {"cells": [*cells]}:
                ids = [cell.get("id") for cell in cells if isinstance(cell, dict)]
                return [one for one in ids if isinstance(one, str)]
        return None


def sent_at_once(requests: Sequence[Header], within: float = AT_ONCE) -> bool:
    """Tell whether a front end sent requests (by their headers) as one."""
    apart = (seconds_between(one, other) for one, other in pairwise(requests))
    return all(seconds is not None and seconds < within for seconds in apart)


def seconds_between(one: Header, other: Header) -> float | None:
    """Return how far apart two requests were sent, by the sender's clock."""
    first, second = _time(one.get("date")), _time(other.get("date"))
    return None if first is None or second is None else abs((second - first).total_seconds())


def _time(date: Any) -> datetime | None:  # from outside; jupyter_client parses some
    if isinstance(date, datetime):
        return date
    try:
        return datetime.fromisoformat(date)
    except (TypeError, ValueError):
        return None
