"""Outputs of kernels for models: text, and images ready to be sent. Pure, and slow for hostile outputs.

`presenter` decides in which process this runs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marimo_kernel_bridge.mcp_server.media.output_text import show
from marimo_kernel_bridge.mcp_server.media.pictures import pictures as prepared

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marimo_kernel_bridge.mcp_server.media.chart_drawing import Drawing
    from marimo_kernel_bridge.mcp_server.media.output_text import Shown
    from marimo_kernel_bridge.protocol.notebook import Output


def present(outputs: Sequence[Output], drawings: Mapping[int, Drawing] | None, *, pictures: bool) -> Shown:
    """Return outputs as text and, with `pictures`, scaled images.

    Charts get their picture from `drawings`, by position. Without any, the result names the charts to draw.
    """
    if not pictures:
        return replace(show(outputs), images=())
    ready, charts = prepared(outputs, drawings)
    return replace(show(outputs, ready), charts=tuple(charts))
