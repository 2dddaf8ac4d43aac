"""The files beside a notebook that the notebook may refer to: what is read of them, and which are pictures.

A notebook may be anybody's, and so may the links in its folder. A file counts by where it really is, and a picture by
its first bytes.
"""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path
from typing import Final
from urllib.parse import unquote

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
    data = _bytes_inside(folder, name, _LARGEST_TEXT)
    try:
        return None if data is None else data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def picture_inside(folder: Path | None, address: str) -> tuple[str, bytes] | None:
    """Return the MIME type and the bytes of a picture in a notebook's folder; None if there is none at this address."""
    name = unquote(address)
    mime = _SUFFIXES.get(Path(name).suffix.lower())
    data = _bytes_inside(folder, name, _LARGEST_PICTURE) if mime is not None else None
    if mime is None or data is None or _kind(data) != mime:
        return None
    return mime, data


def picture_url(folder: Path | None, address: str) -> str | None:
    """Return a picture in a notebook's folder as a `data:` URL."""
    found = picture_inside(folder, address)
    return f"data:{found[0]};base64,{base64.b64encode(found[1]).decode()}" if found is not None else None


def _bytes_inside(folder: Path | None, name: str, limit: int) -> bytes | None:
    if folder is None:
        return None
    try:
        base = Path(os.path.realpath(folder))
        path = Path(os.path.realpath(base / name))
        inside = path.relative_to(base)
        if any(part.startswith(".") for part in inside.parts) or len(inside.parts) == 0:
            return None
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
        with open(descriptor, "rb") as file:  # noqa: PTH123  # a descriptor
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            data = file.read(limit + 1)
    except (OSError, ValueError):  # ValueError: outside of the folder, or a null byte
        return None
    return data if len(data) <= limit else None


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
