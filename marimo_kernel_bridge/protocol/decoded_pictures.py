"""Which pictures may be decoded: they come from kernels and notebooks of others."""

from __future__ import annotations

from typing import Final

MIME_TYPES: Final = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
"""The formats, as Pillow names them. By itself it guesses, and starts Ghostscript for what calls itself PNG and is PostScript."""

MOST_PIXELS: Final = 20_000_000
"""A picture of more takes too much memory: a few kilobytes of PNG may have any number."""
