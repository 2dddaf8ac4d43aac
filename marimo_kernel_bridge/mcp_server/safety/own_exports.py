"""The files that exports of this server wrote: an agent may replace these, as long as nobody else has changed them."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.protocol.regular_files import read_bytes

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST: Final = 500_000_000


class OwnExports:
    """The files, with a digest of what was written."""

    def __init__(self) -> None:
        self._written: dict[str, str] = {}

    def add(self, path: Path, content: bytes) -> None:
        """Note that a file was written."""
        self._written[_place(path)] = hashlib.sha256(content).hexdigest()

    def has(self, path: Path) -> bool:
        """Whether a file is what was written there."""
        written = self._written.get(_place(path))
        return written is not None and not path.is_symlink() and _digest(path) == written


def _place(path: Path) -> str:
    return os.path.join(os.path.realpath(path.parent), path.name)  # noqa: PTH118  # as realpath


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(read_bytes(path, _LARGEST)).hexdigest()
    except OSError:
        return None
