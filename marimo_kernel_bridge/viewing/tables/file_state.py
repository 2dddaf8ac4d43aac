"""Whether a file is still the one that was opened."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Literal

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    import os
    from pathlib import Path


class FileState:
    """A regular file as it was when it was opened. Raises `BridgeError`: data_gone, data_locked, bad_data."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            opened = path.stat()
            if not stat.S_ISREG(opened.st_mode):
                raise BridgeError("bad_data", f"{path.name} is not a regular file.")
            with path.open("rb") as file:
                self.head = file.read(64)
        except FileNotFoundError:
            raise BridgeError("data_gone", f"There is no file {path}.") from None
        except PermissionError:
            raise BridgeError(
                "data_locked",
                f"{path.name} cannot be read: another program has locked it, or you may not read it.",
            ) from None
        except (OSError, ValueError) as error:
            raise BridgeError("bad_data", f"{path.name} cannot be read: {error}.") from None
        self.size = opened.st_size
        self._identity = _identity(opened)
        if not self.size:
            raise BridgeError("bad_data", f"{path.name} is empty.")

    def altered(self) -> Literal["", "changed", "gone"]:
        try:
            return "" if _identity(self.path.stat()) == self._identity else "changed"
        except OSError:
            return "gone"

    def require_unchanged(self) -> None:
        """Raise `BridgeError` (data_changed, data_gone) if it is another file, or has other content."""
        match self.altered():
            case "changed":
                raise BridgeError(
                    "data_changed", f"{self.path.name} was changed or replaced.", "Open it again."
                )
            case "gone":
                raise BridgeError("data_gone", f"{self.path.name} was deleted or moved.")
            case _:
                pass


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
