"""Exported rows on their way to a page: files of this user alone, each offered once and for a short time."""

from __future__ import annotations

import re
import secrets
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.viewing.table import ExportFormat
    from marimo_kernel_bridge.viewing.view import View

OFFERED: Final = 120.0
"""Seconds for which an address is good."""
_LONGEST_NAME: Final = 80


@dataclass(frozen=True)
class Download:
    """A file for the pages of one view, and the name that the browser gives it."""

    view: str
    path: Path
    name: str
    until: float


class Downloads:
    """The exported files of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._folder: tempfile.TemporaryDirectory[str] | None = None  # removed with the process, too
        self._offered: dict[str, Download] = {}

    def new_file(self, view: View, suffix: ExportFormat) -> Path:
        """Return the path of a new file, in a folder that only this user enters."""
        self.forget_old()
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="marimo-view-", ignore_cleanup_errors=True)
        return Path(self._folder.name) / f"{view.id}-{secrets.token_hex(8)}.{suffix}"

    def offer(self, view: View, path: Path) -> str:
        """Return what names a file in an address, once."""
        token = secrets.token_urlsafe(24)
        name = re.sub(r"[^\w.-]+", "-", view.data.title).strip("-.")[:_LONGEST_NAME] or "rows"
        self._offered[token] = Download(view.id, path, f"{name}{path.suffix}", self._clock() + OFFERED)
        return token

    def take(self, token: str, view: View) -> Download | None:
        """Return what is offered to the pages of a view under a name, and offer it no more. The caller removes the file."""
        download = self._offered.get(token)
        if download is None or download.view != view.id or download.until < self._clock():
            return None
        return self._offered.pop(token)

    def forget_old(self) -> None:
        """Remove what nobody has taken in time."""
        for token, download in list(self._offered.items()):
            if download.until < self._clock():
                del self._offered[token]
                download.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove all files."""
        self._offered.clear()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
