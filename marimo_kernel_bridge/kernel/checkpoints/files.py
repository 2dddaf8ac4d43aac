"""Whether the notebook's file is another one than when a checkpoint was made: then it is newer, whatever the clock said."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marimo_kernel_bridge.checkpoints.manifest import Manifest


def file_state(path: str | None) -> str:
    """Return what tells a file from what it is after another save, whatever the clock says; "" if there is none."""
    try:
        status = os.stat(path or "")  # noqa: PTH116  # a path from the front end
    except (OSError, ValueError):
        return ""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"


def is_changed(path: str | None, manifest: Manifest) -> bool:
    """Return whether the notebook's file was saved since a checkpoint, or replaced."""
    if manifest.extras.file is not None:
        return file_state(path) not in {"", manifest.extras.file}
    try:  # of an older version
        return os.stat(path or "").st_mtime > manifest.at  # noqa: PTH116  # likewise
    except (OSError, ValueError):
        return False
