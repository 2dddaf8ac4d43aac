"""Where checkpoints are: this user's, and those of each sandbox."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

FOLDER_VARIABLE: Final = "MARIMO_KERNEL_BRIDGE_CHECKPOINTS"
"""The environment variable that names another folder."""


def default_folder() -> Path:
    """Return the folder of this user's checkpoints: that of the environment variable, else in Jupyter's data directory."""
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named)
    from jupyter_core.paths import jupyter_data_dir  # noqa: PLC0415  # only where no folder is named

    return Path(jupyter_data_dir(), "marimo_kernel_bridge", "checkpoints")


def folder_of_sandbox(bounds: str, notebooks: str) -> Path:
    """Return the folder of checkpoints that were saved in a sandbox: it has a key of its own, which code inside can read.

    `bounds` names what the sandbox forbids, `notebooks` is the folder that is writable in it. Code that runs in a sandbox can
    write what it likes here, so nothing but an equal one reads from it.
    """
    usual = default_folder()
    digest = hashlib.sha256(
        f"{bounds}\n{os.path.realpath(notebooks)}".encode(errors="surrogateescape")
    ).hexdigest()
    return usual.with_name(f"{usual.name}-sandboxed") / digest[:24]
