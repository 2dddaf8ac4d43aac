"""The folders of this package that a sandboxed kernel uses, and what of the person's files none may hold.

Made before the sandbox is entered, with nothing of others in them: the private home, an empty file system in memory at a
place that is the same for all; the kernel's black box; and checkpoints with a key of their own. The pauses of agents are
only read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jupyter_core.paths import jupyter_config_dir, jupyter_data_dir, jupyter_runtime_dir

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import black_box

HOME: Final = "home"


@dataclass(frozen=True)
class OwnPlaces:
    """Absolute paths without links. `writable` and `readable` are as in `files.Access`."""

    home: str
    """Where the private file system is mounted."""
    data: str
    """Jupyter's data directory, which stays the person's."""
    checkpoints: str
    packages: str
    """Where packages are installed, "" if none may be."""
    writable: tuple[str, ...]
    readable: tuple[str, ...]

    def protected(self) -> tuple[str, ...]:
        """Return folders that nothing writable in a sandbox may hold."""
        return tuple(
            os.path.realpath(path)
            for path in (Path.home(), self.data, jupyter_config_dir(), jupyter_runtime_dir())
        )


def make(connection_file: str, checkpoints: Path, *, packages: bool) -> OwnPlaces:
    """Make the folders of a kernel; `packages`: it may install some, which equal sandboxes share as they do `checkpoints`.

    Raises `BridgeError`: sandbox_unavailable.
    """
    data = os.path.realpath(jupyter_data_dir())
    ours = Path(data, "marimo_kernel_bridge")
    home, paused = ours / "sandbox" / HOME, ours / "paused"
    box = black_box.folder_of(connection_file)
    shared = [checkpoints, *([ours / "sandbox" / "packages" / checkpoints.name] if packages else [])]
    try:
        for folder in (home, paused, box, *shared):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BridgeError(
            "sandbox_unavailable",
            f"{error.filename} cannot be made, where a sandboxed kernel keeps its files: {error.strerror}.",
            "Nothing was started. Set JUPYTER_DATA_DIR to a folder that you can write to.",
        ) from error
    black_box.remove_old()
    own = [os.path.realpath(folder) for folder in (box, *shared)]
    return OwnPlaces(
        home=os.path.realpath(home),
        data=data,
        checkpoints=own[1],
        packages=own[2] if packages else "",
        writable=tuple(own),
        readable=(str(paused), os.path.realpath(connection_file)),
    )
