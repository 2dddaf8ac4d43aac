"""Pictures of the charts in saved outputs, for pages that run no scripts.

Draws with this interpreter's packages, as the MCP server does for agents; charts that would load something stay as they
are.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.mcp_server.media.chart_drawing import ChartDrawer
from marimo_kernel_bridge.mcp_server.media.chart_text import chart_in
from marimo_kernel_bridge.mcp_server.media.loaded_by_charts import what_it_loads
from marimo_kernel_bridge.protocol.output_text import joined
from marimo_kernel_bridge.protocol.own_python import own_interpreter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marimo_kernel_bridge.notebooks.nbformat_json import DocumentJSON, JSONObject

_BOUND: Final = 60.0
"""Seconds for all charts of a notebook: an agent's export may take 120."""


def with_pictures(document: DocumentJSON) -> DocumentJSON:
    """Return a notebook in which charts have a picture, as far as they can be drawn here, in some time."""
    drawn = copy.deepcopy(document)
    with suppress(TimeoutError):
        asyncio.run(_draw([*_charts(drawn)]))
    return drawn


def _charts(document: DocumentJSON) -> Iterator[JSONObject]:
    """Yield the mime bundles that may be charts and have no picture."""
    for cell in document["cells"]:
        for output in cell.get("outputs") or []:
            data = output.get("data")
            if isinstance(data, dict) and not any(mime.startswith("image/") for mime in data):
                yield data


async def _draw(bundles: list[JSONObject]) -> None:
    drawer, missing = ChartDrawer(), set[str]()
    async with asyncio.timeout(_BOUND):
        for data in bundles:
            chart = chart_in({**data, "text/html": joined(data.get("text/html", ""))})
            if chart is None or chart[0] in missing or what_it_loads(*chart):
                continue
            drawing = await drawer.draw(chart[0], json.dumps(chart[1]), [own_interpreter()])
            if drawing.png:
                data["image/png"] = base64.b64encode(drawing.png).decode()
            elif drawing.not_there:
                missing.add(chart[0])
