"""The secrets that a process knows, now and before: of its environment, and of the `.env` files of folders.

The kernel knows those of its folder; the MCP server those of its own, and of the notebooks' that agents look at.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.protocol.redaction import Redactor
from marimo_kernel_bridge.protocol.secrets import dotenv_files, in_dotenv, in_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from marimo_kernel_bridge.protocol.inspection import Secret

_SETTLED: Final = 1_000_000_000
"""Nanoseconds after which another file in a folder changes the folder's time: file systems count in steps."""


class KnownSecrets:
    """The secrets of a process, and the redactor for them."""

    def __init__(self) -> None:
        self._seen: object = None
        self._secrets: frozenset[Secret] = frozenset()
        self._redactor = Redactor()
        self._files: dict[str, tuple[object, list[Path]]] = {}
        """By folder, a status of it, and its `.env` files of then."""

    def redactor(self, *folders: str) -> Redactor:
        """Return the redactor for the secrets of now and before: one that left the environment may still be in an output."""
        now = _of_this_process(), folders, tuple(map(self._status, folders))
        if now != self._seen:
            found = (secret for folder in folders for secret in in_dotenv(folder))
            known = self._secrets | {*in_environment(os.environ), *found}
            if known != self._secrets:
                self._secrets, self._redactor = known, Redactor(known)
            self._seen = now
            self._files = {folder: kept for folder, kept in self._files.items() if folder in folders}
        return self._redactor

    def _status(self, folder: str) -> object:
        """Return a value that changes with the `.env` files of a folder."""
        changed = _status(folder)
        if changed is None or time.time_ns() - changed[0] <= _SETTLED:
            files = dotenv_files(folder)
        else:
            kept = self._files.get(folder)
            files = kept[1] if kept is not None and kept[0] == changed else dotenv_files(folder)
            self._files[folder] = changed, files
        return changed, _status(f"{folder}{os.sep}.env"), *map(_status, files)


def _of_this_process() -> object:
    """Return the environment, as it is kept: to decode all of it takes longer than all else in a message."""
    environment: Mapping[str, str] = getattr(os.environ, "_data", os.environ)
    return dict(environment)


def _status(path: str | Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116  # takes half the time, and for each message
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size
