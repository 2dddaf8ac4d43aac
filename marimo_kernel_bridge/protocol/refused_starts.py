"""Why a kernel refused to start, for the process that has started it: it sees only that the kernel has ended.

A small file beside the connection file: a kernel may have another environment than who started it, and so other folders of Jupyter.
Whoever reads it removes it; old ones go with the next.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import msgspec

from marimo_kernel_bridge.errors import CODES, BridgeError
from marimo_kernel_bridge.protocol.regular_files import read_bytes

if TYPE_CHECKING:
    from marimo_kernel_bridge.errors import ErrorCode

_Text = Annotated[str, msgspec.Meta(max_length=5_000)]
_SUFFIX: Final = ".refused"
_LARGEST: Final = 20_000
_KEPT: Final = 24 * 3600.0


class Refusal(msgspec.Struct, frozen=True):
    """A refusal as it is written."""

    code: _Text
    message: _Text
    hint: _Text = ""


_REFUSAL: Final = msgspec.json.Decoder(Refusal)


def note_refusal(connection_file: str | None, refusal: BridgeError) -> None:
    """Note why the kernel of a connection file does not start, if somebody has written that file and so waits for the kernel."""
    if connection_file is None or not os.path.isfile(connection_file):  # noqa: PTH113  # any text
        return
    written = Refusal(refusal.code, refusal.message[:5_000], refusal.hint[:5_000])
    with suppress(OSError):
        path = _file(connection_file)
        for old in path.parent.glob(f"*{_SUFFIX}"):
            if time.time() - old.lstat().st_mtime > _KEPT:
                old.unlink()
        path.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        with open(os.open(path, flags, 0o600), "wb") as file:  # noqa: PTH123  # with a mode
            file.write(msgspec.json.encode(written))


def take_refusal(connection_file: str) -> BridgeError | None:
    """Return, once, why the kernel of a connection file did not start; None if it noted nothing."""
    path = _file(connection_file)
    try:
        found = _REFUSAL.decode(read_bytes(path, _LARGEST, links=False))
        path.unlink()
    except (OSError, ValueError, RecursionError):
        return None
    return (
        BridgeError(cast("ErrorCode", found.code), found.message, found.hint) if found.code in CODES else None
    )


def _file(connection_file: str) -> Path:
    return Path(os.path.realpath(connection_file)).with_suffix(_SUFFIX)
