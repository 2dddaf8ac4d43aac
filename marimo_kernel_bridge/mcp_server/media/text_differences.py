"""Differences between texts of cells, as unified diffs. Pure; `work` does it where it can be stopped."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.protocol.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HEAD: Final = 2
"""Lines of a unified diff that name files."""


def line_differences(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield the difference between the texts of each pair, with three lines around each change."""
    for before, after in pairs:
        lines = difflib.unified_diff(split_lines(before), split_lines(after), lineterm="")
        yield "\n".join(list(lines)[_HEAD:])
