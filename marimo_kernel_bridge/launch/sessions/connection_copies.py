"""Copies of sessions' connection files beside their entries: who tidies up Jupyter's runtime directory cuts no kernel off.

A kernel whose file is gone runs on, and nobody could reach it again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marimo_kernel_bridge.launch.sessions.entries import Session


def keep(folder: Path, session: Session) -> None:
    """Copy the connection file of a session's kernel into the registry's folder, as far as that can be written."""
    if session.kernel is not None:
        with suppress(OSError):
            _copy(Path(session.kernel.connection_file), _place(folder, session.id))


def bring_back(folder: Path, session: Session) -> None:
    """Write the connection file of a session's running kernel again if it is gone."""
    if session.kernel is None or not session.kernel.runs:
        return
    target = Path(session.kernel.connection_file)
    with suppress(OSError):
        if not os.path.lexists(target):
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _copy(_place(folder, session.id), target)


def forget(folder: Path, session_id: str) -> None:
    """Remove the copy of a session whose kernel has ended."""
    with suppress(OSError):
        _place(folder, session_id).unlink(missing_ok=True)


def _place(folder: Path, session_id: str) -> Path:
    return folder / f"{session_id}.connection"


def _copy(source: Path, target: Path) -> None:
    content = source.read_bytes()
    neighbor = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    neighbor.unlink(missing_ok=True)
    try:
        with open(os.open(neighbor, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123  # with a mode
            file.write(content)
        neighbor.replace(target)
    finally:
        neighbor.unlink(missing_ok=True)
