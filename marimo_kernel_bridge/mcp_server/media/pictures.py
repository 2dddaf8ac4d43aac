"""Images for models: scaled to the limits of clients and models, with charts drawn where possible.

An unreadable image is not sent: some hosts end the whole conversation because of one.
"""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.mcp_server.media.chart_text import chart_in
from marimo_kernel_bridge.mcp_server.media.loaded_by_charts import what_it_loads
from marimo_kernel_bridge.mcp_server.media.output_text import (
    MAX_IMAGE_CHARACTERS,
    Chart,
    Image,
    Picture,
    image_in,
)
from marimo_kernel_bridge.protocol.decoded_pictures import MIME_TYPES, MOST_PIXELS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marimo_kernel_bridge.mcp_server.media.chart_drawing import Drawing
    from marimo_kernel_bridge.protocol.notebook import Output

LONGEST_SIDE: Final = 1568
"""Pixels: larger images are scaled down by the model's provider, after they were paid for."""

MOST_PICTURES: Final = 8
_MOST_DRAWN: Final = 3
_LARGE: Final = MAX_IMAGE_CHARACTERS // 2
"""Characters of base64 that one image may take, so that a second one fits."""

_SMALLEST: Final = 200


def pictures(
    outputs: Sequence[Output], drawings: Mapping[int, Drawing] | None
) -> tuple[dict[int, Picture], list[Chart]]:
    """Return the picture of each output that has one, by position, and the charts that are not drawn yet.

    `drawings` are those of the charts; None: nothing is drawn yet.
    """
    ready: dict[int, Picture] = {}
    charts: list[Chart] = []
    for position, output in enumerate(outputs):
        data = output.get("data")
        if not isinstance(data, dict):
            continue
        image = image_in(data)
        if image is not None and len(ready) < MOST_PICTURES:
            ready[position] = scaled(image)
        elif image is not None:
            ready[position] = Picture(
                None, f"{image.mime_type} not shown: {MOST_PICTURES} are in this answer"
            )
        elif drawings is not None and position in drawings:
            ready[position] = _drawn(drawings[position])
        elif drawings is None and len(charts) < _MOST_DRAWN and (chart := chart_in(data)) is not None:
            if why_not := what_it_loads(*chart):
                ready[position] = Picture(None, f"no picture: {why_not}")
            else:
                charts.append(Chart(position, chart[0], json.dumps(chart[1])))
    return ready, charts


def _drawn(drawing: Drawing) -> Picture:
    if drawing.png:
        return scaled(Image("image/png", base64.b64encode(drawing.png).decode()))
    return Picture(None, f"no picture: {drawing.why_not}")


def scaled(image: Image) -> Picture:
    """Scale an image down to at most `LONGEST_SIDE` pixels and `_LARGE` characters of base64."""
    from PIL import Image as Pillow  # noqa: PLC0415  # needed for images only

    kilobytes = len(image.data) * 3 // 4 // 1024
    try:
        raw = base64.b64decode(image.data, validate=True)
        with Pillow.open(io.BytesIO(raw), formats=tuple(MIME_TYPES)) as opened:
            size, kind = opened.size, MIME_TYPES.get(opened.format or "")
            if kind is not None and max(size) <= LONGEST_SIDE and len(image.data) <= _LARGE:
                opened.verify()
                return Picture(Image(kind, image.data), "")
            what = f"{image.mime_type} of {kilobytes} kB, {size[0]}x{size[1]}"
            if size[0] * size[1] > MOST_PIXELS:
                return Picture(None, f"{what}: too large to scale. Make the figure smaller or lower its dpi")
            return _smaller(opened, what)
    except Pillow.DecompressionBombError:
        return Picture(
            None, f"{image.mime_type} of {kilobytes} kB, too many pixels to scale: make the figure smaller"
        )
    except Exception:  # noqa: BLE001  # Pillow's decoders raise nearly anything for broken files
        return Picture(None, f"{image.mime_type} of {kilobytes} kB that cannot be read")


def _smaller(opened: Any, what: str) -> Picture:  # a Pillow image
    """Scale down repeatedly until the image is small enough, as PNG or else as JPEG."""
    from PIL import Image as Pillow  # noqa: PLC0415  # needed for images only

    picture = opened.convert("RGBA" if opened.has_transparency_data else "RGB")
    side = LONGEST_SIDE
    while side >= _SMALLEST:
        picture.thumbnail((side, side))
        for form in ("PNG", "JPEG"):
            shown = picture
            if form == "JPEG" and picture.mode == "RGBA":
                shown = Pillow.new("RGB", picture.size, "white")
                shown.paste(picture, mask=picture.getchannel("A"))
            written = io.BytesIO()
            shown.save(written, form, quality=85)
            data = base64.b64encode(written.getvalue()).decode()
            if len(data) <= _LARGE:
                return Picture(
                    Image(MIME_TYPES[form], data), f"scaled to {picture.width}x{picture.height} from {what}"
                )
        side = side * 2 // 3
    return Picture(None, f"{what}: too large to send. Make the figure smaller or lower its dpi")
