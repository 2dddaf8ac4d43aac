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

    def __init__(self, path: Path, beside: tuple[str, ...] = ()) -> None:
        """`beside` are endings of further files that hold newer parts of it, if they are there."""
        self.path = path
        self._beside = [path.with_name(path.name + ending) for ending in beside]
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
        self._identity = self._identities(opened)
        if not self.size:
            raise BridgeError("bad_data", f"{path.name} is empty.")

    def altered(self) -> Literal["", "changed", "gone"]:
        try:
            return "" if self._identities(self.path.stat()) == self._identity else "changed"
        except OSError:
            return "gone"

    def _identities(self, opened: os.stat_result) -> list[tuple[int, ...]]:
        return [_identity(opened), *(_identity(one.stat()) for one in self._beside if one.exists())]

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
