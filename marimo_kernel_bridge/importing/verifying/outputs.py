"""What the outputs of a cell show, and whether two of them show the same: text exactly, pictures visually. Pure."""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from marimo_kernel_bridge.protocol.decoded_pictures import MIME_TYPES, MOST_PIXELS
from marimo_kernel_bridge.protocol.lines import split_lines
from marimo_kernel_bridge.protocol.output_text import plain_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from marimo_kernel_bridge.notebooks.nbformat_json import OutputJSON

Outputs: TypeAlias = "list[OutputJSON]"

CLOSE: Final = 0.01
"""The largest share of visibly different blocks in pictures that count as equal."""
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]+")
_TIMED: Final = re.compile(r"CPU times: |Wall time: |.* per loop\b|The slowest run took ")
"""The start of lines that report a duration. The Python that replaces a magic words them differently."""
_SIDE: Final = 64
"""Blocks per side in which pictures are compared, so that text shifted by a pixel is equal."""
_VISIBLE: Final = 24
"""The smallest visible difference of a block's color, of 255."""
_SHAPE: Final = 0.1
"""The largest relative difference in size of pictures that count as equal."""


def fails(outputs: Iterable[OutputJSON]) -> bool:
    """Return whether a cell ended with an error."""
    return any(output["output_type"] == "error" for output in outputs)


def shown_text(outputs: Iterable[OutputJSON]) -> str:
    """Return a cell's streams, then its other outputs: their relative order depends on the kernel."""
    streams, shown = [], []
    for output in outputs:
        match output["output_type"]:
            case "stream" if output.get("name") == "stdout":
                streams.append(plain_text(output))
            case "execute_result" | "display_data" | "error":
                shown.append(plain_text(output))
    text = "".join(streams) + "\n".join(shown)
    lines = [line for line in split_lines(text) if not _TIMED.match(line)]
    return _ADDRESS.sub("0x", "\n".join(lines)).strip()


def images(outputs: Iterable[OutputJSON]) -> list[str]:
    """Return the pictures of a cell, in base64."""
    return [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]


def look_alike(one: list[str], other: list[str]) -> bool:
    """Return whether two lists of pictures show the same."""
    return len(one) == len(other) and all(apart(*pair) <= CLOSE for pair in zip(one, other, strict=True))


def show_the_same(one: Outputs, other: Outputs) -> bool:
    """Return whether two runs of a cell show the same."""
    return shown_text(one) == shown_text(other) and look_alike(images(one), images(other))


def first_difference(text: str, other: str) -> str:
    """Return the first line in which a text differs from another."""
    lines, others = split_lines(text), split_lines(other)
    at = next(
        (i for i, (one, two) in enumerate(zip(lines, others, strict=False)) if one != two),
        min(len(lines), len(others)),
    )
    return lines[at][:100] if at < len(lines) else ""


def apart(one: str, other: str) -> float:
    """Return the share of two pictures that looks different. Without Pillow, pictures are compared byte by byte."""
    if one == other:
        return 0.0
    try:
        from PIL import Image, ImageChops  # noqa: PLC0415  # comes with matplotlib, which draws most
    except ImportError:
        return 1.0
    try:
        pictures = [_opened(data) for data in (one, other)]
    except Exception:  # noqa: BLE001  # Pillow's decoders raise nearly anything for broken files
        return 1.0
    (width, height), (other_width, other_height) = (picture.size for picture in pictures)
    if abs(width / height - other_width / other_height) > _SHAPE * width / height:
        return 1.0
    blocks = [picture.resize((_SIDE, _SIDE), Image.Resampling.BOX) for picture in pictures]
    seen = [max(pixel) > _VISIBLE for pixel in _pixels(ImageChops.difference(*blocks))]
    return sum(seen) / len(seen)


def _opened(data: str) -> Any:  # Pillow's image
    """Return a picture of a cell. Raises what Pillow does, and ValueError for too many pixels."""
    from PIL import Image  # noqa: PLC0415  # comes with matplotlib, which draws most

    picture = Image.open(io.BytesIO(base64.b64decode(data)), formats=tuple(MIME_TYPES))
    if picture.width * picture.height > MOST_PIXELS:
        raise ValueError("too many pixels")
    return picture.convert("RGB")


def _pixels(picture: Any) -> Iterator[tuple[int, ...]]:  # Pillow's image
    data = picture.tobytes()
    return (tuple(data[at : at + 3]) for at in range(0, len(data), 3))
