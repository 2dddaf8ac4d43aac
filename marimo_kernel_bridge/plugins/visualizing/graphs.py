"""Graphs of pairs of names as pictures: nodes on layers from left to right, or on a circle if there are cycles. Pure.

Vega-Lite lays out no graphs, so the places of the nodes are computed here, in time that is linear in the edges.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.plugins import Refused
from marimo_kernel_bridge.plugins.visualizing.charts import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marimo_kernel_bridge.plugins import Table
    from marimo_kernel_bridge.plugins.visualizing.options import Options

MOST_EDGES: Final = 500
_MOST_NODES: Final = 150
_WIDTH: Final = 30
_STEPS: Final = (0.0, 0.2, -0.15, 0.1, -0.2)
_ENDS: Final = (("source", "target"), ("from", "to"), ("parent", "child"))

Edge = tuple[str, str]
Place = tuple[float, float]


def are_ends(names: Sequence[str]) -> bool:
    """Return whether the columns of a table are called as those of pairs are."""
    return any(set(ends) <= {name.lower() for name in names} for ends in _ENDS)


def columns_of(table: Table, options: Options) -> tuple[str, str]:
    """Return the names of the two columns with the ends of edges. Raises `Refused`."""
    names = [column.name for column in table.columns]
    if options.source is not None and options.target is not None:
        return options.source, options.target
    lower = {name.lower(): name for name in names}
    for source, target in _ENDS:
        if source in lower and target in lower:
            return lower[source], lower[target]
    if len(names) < 2:  # noqa: PLR2004  # both ends
        raise Refused("A graph needs a table of pairs, or a dict of names with lists of names.", "")
    return names[0], names[1]


def drawn(table: Table, options: Options) -> tuple[dict[str, Any], str]:
    """Return the specification with its data, and a sentence that says what is shown. Raises `Refused` for no edges."""
    edges = list(dict.fromkeys((str(row[0]), str(row[1])) for row in table.rows if None not in row[:2]))
    if not edges:
        raise Refused("The table has no pairs.", "")
    edges, left_out = _bounded(edges)
    layers = layered(edges)
    places = on_layers(layers) if layers is not None else on_circle(edges)
    lines = [
        {"x": places[one][0], "y": places[one][1], "x2": places[other][0], "y2": places[other][1]}
        for one, other in edges
    ]
    nodes = [{"x": x, "y": y, "name": _short(name)} for name, (x, y) in places.items()]
    axis = {"type": "quantitative", "axis": None, "scale": {"zero": False, "padding": 40}}
    at = {"x": {"field": "x", **axis}, "y": {"field": "y", **axis}}
    spec: dict[str, Any] = {
        "$schema": SCHEMA,
        **({"title": options.title} if options.title else {}),
        "width": 600,
        "height": 300,
        "layer": [
            {
                "data": {"values": lines},
                "mark": {"type": "rule", "opacity": 0.4},
                "encoding": {**at, "x2": {"field": "x2"}, "y2": {"field": "y2"}},
            },
            {
                "data": {"values": nodes},
                "mark": {"type": "point", "filled": True, "size": 80},
                "encoding": at,
            },
            {
                "data": {"values": nodes},
                "mark": {"type": "text", "dy": -10},
                "encoding": {**at, "text": {"field": "name"}},
            },
        ],
    }
    how = "edges lead from left to right" if layers is not None else "it has cycles, so nodes are on a circle"
    said = f"graph: {len(nodes):,} nodes, {len(lines):,} edges; {how}."
    if left_out or table.note:
        said += f" {table.note} {left_out:,} edges are left out."
    return spec, " ".join(said.split())


def _bounded(edges: list[Edge]) -> tuple[list[Edge], int]:
    """Return the edges between the first nodes, as many as can be read, and how many are left out."""
    known: dict[str, None] = {}
    kept: list[Edge] = []
    for edge in edges:
        new = {name for name in edge if name not in known}
        if len(known) + len(new) <= _MOST_NODES:
            known.update(dict.fromkeys(edge))
            kept.append(edge)
    return kept, len(edges) - len(kept)


def layered(edges: Sequence[Edge]) -> dict[str, int] | None:
    """Return the layer of each node, behind all that lead to it; None if there is a cycle."""
    after: dict[str, list[str]] = defaultdict(list)
    waits: dict[str, int] = {}
    for one, other in edges:
        after[one].append(other)
        waits.setdefault(one, 0)
        waits[other] = waits.get(other, 0) + 1
    layers = {name: 0 for name, count in waits.items() if not count}
    ready = deque(layers)
    seen = 0
    while ready:
        name = ready.popleft()
        seen += 1
        for other in after[name]:
            layers[other] = max(layers.get(other, 0), layers[name] + 1)
            waits[other] -= 1
            if not waits[other]:
                ready.append(other)
    return layers if seen == len(waits) else None


def on_layers(layers: Mapping[str, int]) -> dict[str, Place]:
    """Return places in columns, each somewhat higher or lower than the next: edges that skip one do not lie on its nodes."""
    columns: dict[int, list[str]] = defaultdict(list)
    for name, layer in layers.items():
        columns[layer].append(name)
    return {
        name: (
            float(layer),
            round((number + 1) / (len(names) + 1) + _STEPS[layer % len(_STEPS)] / len(names), 4),
        )
        for layer, names in columns.items()
        for number, name in enumerate(names)
    }


def on_circle(edges: Sequence[Edge]) -> dict[str, Place]:
    """Return places on a circle, in the order of the edges."""
    names = list(dict.fromkeys(name for edge in edges for name in edge))
    step = 2 * math.pi / len(names)
    return {
        name: (round(math.cos(number * step), 4), round(math.sin(number * step), 4))
        for number, name in enumerate(names)
    }


def _short(name: str) -> str:
    return name if len(name) <= _WIDTH else f"{name[: _WIDTH - 1]}…"
