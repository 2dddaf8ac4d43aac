"""The dataflow graph as a picture: SVG for notebooks, a tree for terminals. Pure: cells in, text out.

The SVG has layers from top to bottom. Each cell is below its upstream cells, and a layer has at most `_WIDEST` cells,
so a picture grows longer but never wider than a notebook. It draws its own light background, because front ends show
it as an image, which cannot see the page's theme. Cells without an edge are left out.
"""

from __future__ import annotations

import html
import itertools
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.protocol.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.protocol.notebook import Cell

FAILED: Final = frozenset({"error", "refused", "cancelled", "interrupted"})
MOST_DRAWN: Final = 100  # cells; a larger picture is unreadable
_WIDEST: Final = 4
_LABEL: Final = 27  # columns of a monospaced font
_WIDTH, _HEIGHT, _GAP, _DROP, _MARGIN, _PASS = (
    212,
    42,
    20,
    40,
    16,
    10,
)  # px; _PASS: the width of an edge that crosses a layer
_GREY, _AMBER, _RED = "#8c959f", "#9a6700", "#cf222e"

_DEEPEST: Final = 12  # levels of a tree

_Spot = str | tuple[str, str, int]
"""An item of a layer: a cell id, or the point where the edge (source, target) crosses the layer with this number."""


def connected(cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells that have an edge."""
    ids = {cell.cell_id for cell in cells}
    return [cell for cell in cells if ids & {*cell.upstream, *cell.downstream}]


def title(cell: Cell) -> str:
    """Return a label that identifies a cell to a person: its execution count and its first line."""
    lines = [line.strip() for line in split_lines(cell.code) if line.strip()]
    first = lines[0] if lines else "(empty)"
    count = " " if cell.execution_count is None else cell.execution_count
    return f"[{count}] {first}{' …' if len(lines) > 1 else ''}"


def state(cell: Cell) -> str:
    """Return the state of a cell as one or two words."""
    if cell.stale:
        return "stale"
    return "not run" if cell.status == "new" else cell.status


def clip(text: str, columns: int) -> str:
    """Shorten a text to a number of columns of a monospaced font, in which East Asian characters take two."""
    used = 0
    for index, char in enumerate(text):
        used += 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if used > columns:
            return f"{text[: max(0, index - 1)].rstrip()}…"
    return text


# -- a tree for terminals ---------------------------------------------------------------------------------------------


def tree(cells: Sequence[Cell]) -> str:
    """Return a tree in which each cell's children are its downstream cells.

    A cell is shown in full once. `↑` marks a cell that is already shown, `↓` one that is shown later because the tree
    would get too deep.
    """
    by_id = {cell.cell_id: cell for cell in connected(cells)}
    order = {cell_id: number for number, cell_id in enumerate(by_id)}
    shown: set[str] = set()
    lines: list[str] = []

    def add(cell: Cell, first: str, rest: str, depth: int) -> None:
        if cell.cell_id in shown or depth == _DEEPEST:
            lines.append(f"{first}{clip(title(cell), 60)} {'↑' if cell.cell_id in shown else '↓'}")
            return
        shown.add(cell.cell_id)
        lines.append(f"{first}{_described(cell)}")
        below = [by_id[child] for child in sorted(by_id.keys() & {*cell.downstream}, key=order.__getitem__)]
        for child in below:
            last = child is below[-1]
            add(child, f"{rest}{'└─ ' if last else '├─ '}", f"{rest}{'   ' if last else '│  '}", depth + 1)

    roots = [cell for cell in by_id.values() if not set(cell.upstream) & by_id.keys()]
    for cell in (*roots, *by_id.values()):  # cells that no root reaches are in a cycle
        if cell.cell_id not in shown:
            add(cell, "", "", 0)
    return "\n".join(lines)


def _described(cell: Cell) -> str:
    names = f"  → {clip(', '.join(cell.defines), 40)}" if cell.defines else ""
    return f"{clip(title(cell), 60)}{names}{'' if state(cell) == 'ok' else f'  ({state(cell)})'}"


# -- SVG --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    """The middle of the upper side of an item in a layer."""

    x: float
    y: float


def svg(cells: Sequence[Cell]) -> str:
    """Draw the connected cells, with an arrow from each cell to its downstream cells."""
    drawn = connected(cells)
    layers = _layers(drawn)
    paths = _paths(layers, drawn)
    spots = _untangled(layers, paths)
    places = _places(spots)
    widest = max((sum(_span(spot) for spot in layer) for layer in spots), default=0)
    width, height = widest + 2 * _MARGIN, len(layers) * (_HEIGHT + _DROP) - _DROP + 2 * _MARGIN
    marker = 'id="a" markerWidth="8" markerHeight="8" refX="8" refY="4" orient="auto"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        ' font-family="ui-monospace,Menlo,Consolas,monospace" font-size="12">'
    )
    return "\n".join(
        [
            head,
            f'<defs><marker {marker}><path d="M0 0 8 4 0 8z" fill="#57606a"/></marker></defs>',
            f'<rect width="{width}" height="{height}" rx="6" fill="#fff"/>',
            *(_edge([places[spot] for spot in path]) for path in paths),
            *(_box(cell, places[cell.cell_id]) for cell in drawn),
            "</svg>",
        ]
    )


def _layers(cells: Sequence[Cell]) -> list[list[str]]:
    """Place each cell below its upstream cells, in document order, at most `_WIDEST` in a layer."""
    layers: list[list[str]] = []
    at: dict[str, int] = {}
    ids = {cell.cell_id for cell in cells}
    waiting = {cell.cell_id: ids.intersection(cell.upstream) for cell in cells}
    while waiting:
        # In a cycle no cell is free: take the first one of the notebook.
        free = next(
            (cell_id for cell_id, needs in waiting.items() if needs <= at.keys()), next(iter(waiting))
        )
        layer = max((at[need] + 1 for need in waiting.pop(free) if need in at), default=0)
        while layer < len(layers) and len(layers[layer]) >= _WIDEST:
            layer += 1
        if layer == len(layers):
            layers.append([])
        layers[layer].append(free)
        at[free] = layer
    return layers


def _paths(layers: Sequence[Sequence[str]], cells: Sequence[Cell]) -> list[list[_Spot]]:
    """Return the path of each edge: its source, the layers that it crosses, and its target."""
    at = {cell_id: number for number, layer in enumerate(layers) for cell_id in layer}
    return [
        [source, *((source, target, number) for number in range(at[source] + 1, at[target])), target]
        for source, target in ((cell.cell_id, child) for cell in cells for child in cell.downstream)
        if target in at
    ]


def _untangled(layers: Sequence[Sequence[str]], paths: Sequence[Sequence[_Spot]]) -> list[list[_Spot]]:
    """Reserve a spot in each layer that an edge crosses, and sort layers by the mean position of their parents.

    This is the barycenter heuristic: it makes fewer edges cross.
    """
    spots: list[list[_Spot]] = [list(layer) for layer in layers]
    above: dict[_Spot, list[_Spot]] = {}
    for path in paths:
        for spot in path:
            if isinstance(spot, tuple):
                spots[spot[2]].append(spot)
        for upper, lower in itertools.pairwise(path):
            above.setdefault(lower, []).append(upper)
    for upper_layer, layer in itertools.pairwise(spots):
        position = {spot: index for index, spot in enumerate(upper_layer)}
        means = {
            spot: _mean([position[end] for end in above.get(spot, ()) if end in position]) for spot in layer
        }
        layer.sort(key=means.__getitem__)
    return spots


def _mean(numbers: Sequence[int]) -> float:
    return sum(numbers) / len(numbers) if numbers else 0.0


def _places(layers: Sequence[Sequence[_Spot]]) -> dict[_Spot, _Place]:
    widths = [sum(_span(spot) for spot in layer) for layer in layers]
    places: dict[_Spot, _Place] = {}
    for number, (layer, width) in enumerate(zip(layers, widths, strict=True)):
        left = _MARGIN + (max(widths) - width) / 2
        for spot in layer:
            own = _span(spot)
            places[spot] = _Place(left + own / 2, _MARGIN + number * (_HEIGHT + _DROP))
            left += own
    return places


def _span(spot: _Spot) -> int:
    return _WIDTH + _GAP if isinstance(spot, str) else _PASS


def _edge(path: Sequence[_Place]) -> str:
    """Draw an edge from the lower side of the first place, through the places between, to the upper side of the last."""
    drawn = f"M{path[0].x:g} {path[0].y + _HEIGHT:g}"
    for here, there in itertools.pairwise(path):
        middle = (here.y + _HEIGHT + there.y) / 2
        drawn += f"C{here.x:g} {middle:g} {there.x:g} {middle:g} {there.x:g} {there.y:g}"
        if there is not path[-1]:
            drawn += f"V{there.y + _HEIGHT:g}"
    return f'<path d="{drawn}" fill="none" stroke="#57606a" marker-end="url(#a)"/>'


def _box(cell: Cell, place: _Place) -> str:
    word = state(cell)
    stroke = _AMBER if word == "stale" else _RED if word in FAILED else _GREY
    lines = ' stroke-dasharray="4 3"' if word == "stale" else ' stroke-width="2"' if word in FAILED else ""
    below = " · ".join(([] if word == "ok" else [word]) + ([", ".join(cell.defines)] if cell.defines else []))
    left, text = place.x - _WIDTH / 2, 'text-anchor="middle"'
    return (
        f'<rect x="{left:g}" y="{place.y:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="5" fill="#f6f8fa"'
        f' stroke="{stroke}"{lines}/>'
        f'<text x="{place.x:g}" y="{place.y + 17:g}" {text} fill="#1f2328">{_escaped(title(cell))}</text>'
        f'<text x="{place.x:g}" y="{place.y + 33:g}" {text} fill="{stroke}">{_escaped(below)}</text>'
    )


def _escaped(text: str) -> str:
    """Return a label as XML text, which must not contain most control characters."""
    clean = "".join(char if char.isprintable() else "�" for char in text)
    return html.escape(clip(clean, _LABEL))
