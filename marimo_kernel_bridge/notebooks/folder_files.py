"""The files beside a notebook that the notebook may refer to: what is read of them, and which are pictures.

A notebook may be anybody's, and so may the links in its folder. A file counts by where it really is, and a picture by
its first bytes.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.regular_files import read_bytes

_LARGEST_PICTURE: Final = 5_000_000
_LARGEST_TEXT: Final = 1_000_000
"""Bytes."""

_SUFFIXES: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
}


def text_inside(folder: Path | None, name: str) -> str | None:
    """Return the text of a file in a notebook's folder; None if it is not there, elsewhere, hidden, large or no text."""
    data = bytes_inside(folder, name, _LARGEST_TEXT)
    try:
        return None if data is None else data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def bytes_inside(folder: Path | None, name: str, most: int, *, hidden: bool = False) -> bytes | None:
    """Return the content of a file in a folder; None if it is not there, elsewhere, or has more than `most` bytes.

    A file that is hidden, or in a hidden folder, counts only if `hidden`.
    """
    if folder is None:
        return None
    try:
        base = Path(os.path.realpath(folder))
        named = Path(os.path.normpath(base / name))
        if not named.is_relative_to(base) and not named.is_relative_to(os.path.abspath(folder)):  # noqa: PTH100  # keeps links
            return None  # without a look: the disk of a path elsewhere may never answer
        path = Path(os.path.realpath(base / name))
        inside = path.relative_to(base)
        is_hidden = any(part.startswith(".") for part in inside.parts)
        return read_bytes(path, most) if hidden or not is_hidden else None
    except (OSError, ValueError):  # ValueError: outside of the folder, or a null byte
        return None


def make_folder_inside(folder: Path, name: str) -> Path:
    """Make a folder in a folder, if it is not there, and return it. Raises `BridgeError` bad_request if it is elsewhere."""
    made = folder / name
    if Path(os.path.realpath(made)) != Path(os.path.realpath(folder), name):
        raise BridgeError(
            "bad_request", f"{made} is a link to elsewhere: nothing is written there.", "Remove the link."
        )
    try:
        made.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BridgeError("bad_request", f"{made} cannot be made: {error.strerror}.") from error
    return made


def picture_inside(folder: Path | None, address: str) -> tuple[str, bytes] | None:
    """Return the MIME type and the bytes of a picture in a notebook's folder; None if there is none at this address."""
    name = unquote(address)
    mime = _SUFFIXES.get(Path(name).suffix.lower())
    data = bytes_inside(folder, name, _LARGEST_PICTURE) if mime is not None else None
    if mime is None or data is None or _kind(data) != mime:
        return None
    return mime, data


def picture_url(folder: Path | None, address: str) -> str | None:
    """Return a picture in a notebook's folder as a `data:` URL."""
    found = picture_inside(folder, address)
    return f"data:{found[0]};base64,{base64.b64encode(found[1]).decode()}" if found is not None else None


def _kind(data: bytes) -> str | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    return (
        "image/svg+xml"
        if start.startswith((b"<svg", b"<?xml", b"<!--", b"<!DOCTYPE svg")) and b"<svg" in data
        else None
    )
