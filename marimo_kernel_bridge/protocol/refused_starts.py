"""Why a kernel refused to start, for the process that has started it: it sees only that the kernel has ended.

A small file of this user for each, by the path of the connection file. Whoever reads it removes it; old ones go with the next.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import msgspec
from jupyter_core.paths import jupyter_data_dir

from marimo_kernel_bridge.errors import CODES, BridgeError
from marimo_kernel_bridge.protocol.black_box import folder_of
from marimo_kernel_bridge.protocol.regular_files import read_bytes

if TYPE_CHECKING:
    from marimo_kernel_bridge.errors import ErrorCode

_Text = Annotated[str, msgspec.Meta(max_length=5_000)]
_LARGEST: Final = 20_000
_KEPT: Final = 24 * 3600.0


class Refusal(msgspec.Struct, frozen=True):
    """A refusal as it is written."""

    code: _Text
    message: _Text
    hint: _Text = ""


_REFUSAL: Final = msgspec.json.Decoder(Refusal)


def note_refusal(connection_file: str | None, refusal: BridgeError) -> None:
    """Note why the kernel of a connection file does not start, where that can be noted."""
    if connection_file is None:
        return
    written = Refusal(refusal.code, refusal.message[:5_000], refusal.hint[:5_000])
    with suppress(OSError):
        path = _file(connection_file)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in path.parent.iterdir():
            if time.time() - old.stat().st_mtime > _KEPT:
                old.unlink()
        descriptor = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600
        )
        with open(descriptor, "wb") as file:  # noqa: PTH123  # with a mode
            file.write(msgspec.json.encode(written))


def take_refusal(connection_file: str) -> BridgeError | None:
    """Return, once, why the kernel of a connection file did not start; None if it noted nothing."""
    path = _file(connection_file)
    try:
        found = _REFUSAL.decode(read_bytes(str(path), _LARGEST))
        path.unlink()
    except (OSError, ValueError, RecursionError):
        return None
    return (
        BridgeError(cast("ErrorCode", found.code), found.message, found.hint) if found.code in CODES else None
    )


def _file(connection_file: str) -> Path:
    return Path(
        jupyter_data_dir(), "marimo_kernel_bridge", "refused", f"{folder_of(connection_file).name}.json"
    )
