"""Copies of sessions' connection files beside their entries: who tidies up Jupyter's runtime directory cuts no kernel off.

A kernel whose file is gone runs on, and nobody could reach it again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from marimo_kernel_bridge.client.connection import MAX_FILE_BYTES
from marimo_kernel_bridge.launch.sessions.registry import replace
from marimo_kernel_bridge.protocol.regular_files import read_bytes

if TYPE_CHECKING:
    from marimo_kernel_bridge.launch.sessions.entries import Session


def keep(folder: Path, session: Session) -> None:
    """Copy the connection file of a session's kernel into the registry's folder, as far as that can be written.

    No copy of a former kernel's stays, which would be written in the place of this one's.
    """
    if session.kernel is not None:
        forget(folder, session.id)
        with suppress(OSError):
            _copy(Path(session.kernel.connection_file), _place(folder, session.id))


def is_gone(session: Session) -> bool:
    """Return whether a session's kernel runs, and its connection file is not there."""
    kernel = session.kernel
    return kernel is not None and kernel.runs and not os.path.lexists(kernel.connection_file)


def bring_back(folder: Path, session: Session) -> None:
    """Write the connection file of a session's running kernel again if it is gone. For who holds the session's lock."""
    if session.kernel is not None and is_gone(session):
        target = Path(session.kernel.connection_file)
        with suppress(OSError):
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _copy(_place(folder, session.id), target)


def forget(folder: Path, session_id: str) -> None:
    """Remove the copy of a session whose kernel has ended."""
    with suppress(OSError):
        _place(folder, session_id).unlink(missing_ok=True)


def _place(folder: Path, session_id: str) -> Path:
    return folder / f"{session_id}.connection"


def _copy(source: Path, target: Path) -> None:
    replace(target, read_bytes(source, MAX_FILE_BYTES))
