"""What drawing a chart would load, from the network or from files: such a chart is not drawn. Pure.

Vega's loader obeys the limits that `chart_drawing` sets for data, and vl-convert fetches pictures past it: an image
mark computes its address, so none is drawn. Plotly's JavaScript runs in a browser, on a page that was loaded from a file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marimo_kernel_bridge.mcp_server.media.chart_text import ChartKind, Specification

_MAPS: Final = frozenset(
    {"scattergeo", "choropleth", "scattermap", "choroplethmap", "densitymap"}
    | {"scattermapbox", "choroplethmapbox", "densitymapbox"}
)
_MAPS_OF_A_LAYOUT: Final = re.compile(r"(geo|map|mapbox)\d*")
_MAP: Final = "it is a map, whose outlines and tiles would be loaded"
_PICTURE: Final = "data:image/"


def what_it_loads(kind: ChartKind, specification: Specification) -> str:
    """Return what drawing the chart would load, as a clause; empty if nothing."""
    loads = _plotly if kind == "plotly" else _vega
    layout = specification.get("layout")  # each template has maps as well, and draws none
    if kind == "plotly" and isinstance(layout, dict) and any(map(_MAPS_OF_A_LAYOUT.fullmatch, layout)):
        return _MAP
    return next(filter(None, map(loads, _objects(specification))), "")


def _vega(part: dict[str, Any]) -> str:
    if part.get("mark") == "image" or part.get("type") == "image":
        return "it has image marks, whose pictures would be loaded"
    return ""


def _plotly(part: dict[str, Any]) -> str:
    kind, source = part.get("type"), part.get("source")
    if isinstance(kind, str) and kind in _MAPS:
        return _MAP
    if isinstance(source, str) and not source.startswith(_PICTURE):
        return "it has pictures that would be loaded"
    return ""


def _objects(specification: object) -> Iterator[dict[str, Any]]:
    """Yield all objects in JSON, however deep."""
    waiting = [specification]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
