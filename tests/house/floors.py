"""The picture of the package's floors, docs/images/floors.svg: `make floors` writes it, a test compares it.

Boxes are the packages, on the layers of `.importlinter`. Arrows are the imports that the code has, without those that
follow from two others.
"""

from __future__ import annotations

import configparser
import sys
from pathlib import Path
from typing import Final

import grimp

ROOT: Final = Path(__file__).parents[2]
PICTURE: Final = ROOT / "docs" / "images" / "floors.svg"
_PACKAGE: Final = "marimo_kernel_bridge"
_WIDTH, _BOX_WIDTH, _BOX_HEIGHT, _ROW_HEIGHT, _MARGIN = 920, 140, 34, 74, 16
_COLORS: Final = {
    "the kernel's process": "#dbeafe",
    "the MCP server's process": "#dcfce7",
    "the command line": "#fef3c7",
    "more than one of them": "#f1f5f9",
}
_COLUMNS: Final = (
    ("zmq_kernel", "kernel", "runtime", "rendering", "startup"),
    ("sandbox", "checkpoints", "inspecting", "viewing"),
    ("__main__", "cli", "exporting", "importing", "analysis"),
    ("marimo_format", "notebooks", "protocol", "errors"),
    ("mcp_tools", "mcp_server", "launch", "client", "plugins"),
)
"""What stands above what, so that few arrows cross a box. The floor of a package is `.importlinter`'s."""
_PROCESSES: Final = {
    **dict.fromkeys(
        ("zmq_kernel", "kernel", "runtime", "startup", "rendering", "sandbox"), "the kernel's process"
    ),
    **dict.fromkeys(("mcp_tools", "mcp_server", "plugins"), "the MCP server's process"),
    **dict.fromkeys(("cli", "importing", "marimo_format"), "the command line"),
}

Edges = frozenset[tuple[str, str]]


def floors() -> list[list[str]]:
    """Return the packages by layer, the uppermost layer first."""
    config = configparser.ConfigParser()
    config.read(ROOT / ".importlinter")
    layers = config["importlinter:contract:layers"]["layers"].split("\n")
    return [[name.strip() for name in layer.split("|")] for layer in layers if layer.strip()]


def imports() -> Edges:
    """Return which package imports which, type-only imports included."""
    graph = grimp.build_graph(_PACKAGE, exclude_type_checking_imports=False, cache_dir=None)

    def package_of(module: str) -> str:
        return module.removeprefix(f"{_PACKAGE}.").split(".")[0]

    return frozenset(
        (package_of(importer), package_of(imported))
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
        if package_of(importer) != package_of(imported) and _PACKAGE not in {importer, imported}
    )


def reduced(edges: Edges) -> Edges:
    """Return the edges without those that a longer way makes superfluous."""

    def reaches(start: str, end: str, seen: frozenset[str]) -> bool:
        following = {below for above, below in edges if above == start} - seen
        return end in following or any(reaches(name, end, seen | following) for name in following)

    return frozenset(
        (above, below)
        for above, below in edges
        if not any(
            name != below and reaches(name, below, frozenset({above}))
            for start, name in edges
            if start == above
        )
    )


def picture() -> str:
    """Return the picture as SVG."""
    edges = reduced(imports())
    rows = floors()
    columns = {name: number for number, names in enumerate(_COLUMNS) for name in names}
    step = (_WIDTH - 2 * _MARGIN - _BOX_WIDTH) / (len(_COLUMNS) - 1)
    at = {
        name: (_MARGIN + _BOX_WIDTH / 2 + columns[name] * step, float(_MARGIN + number * _ROW_HEIGHT))
        for number, row in enumerate(rows)
        for name in row
    }
    height = _MARGIN + len(rows) * _ROW_HEIGHT + 20
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
            f'height="{height}" role="img" font-family="system-ui, sans-serif" font-size="14">'
        ),
        "<title>The packages of marimo_kernel_bridge and their imports</title>",
        (
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0 L8 4 L0 8 z" fill="#64748b"/></marker></defs>'
        ),
        f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
    ]
    parts += [_arrow(at[above], at[below]) for above, below in sorted(edges)]
    parts += [_box(name, *at[name]) for row in rows for name in row]
    parts += list(_legend(height - 24))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = start, end
    x1 += max(-40.0, min(40.0, (x2 - x1) / 6))
    x2 += max(-40.0, min(40.0, (x1 - x2) / 6))
    y1 += _BOX_HEIGHT
    bend = (y2 - y1) * 0.5
    path = f"M{x1:.0f} {y1:.0f} C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} {x2:.0f} {y2 - 1:.0f}"
    return f'<path d="{path}" fill="none" stroke="#94a3b8" stroke-width="1.3" marker-end="url(#tip)"/>'


def _box(name: str, x: float, y: float) -> str:
    color = _COLORS[_PROCESSES.get(name, "more than one of them")]
    return (
        f'<rect x="{x - _BOX_WIDTH / 2:.0f}" y="{y:.0f}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="6" fill="{color}" '
        f'stroke="#475569"/><text x="{x:.0f}" y="{y + 22:.0f}" text-anchor="middle" fill="#0f172a">{name}</text>'
    )


def _legend(y: float) -> list[str]:
    step = (_WIDTH - 2 * _MARGIN) / len(_COLORS)
    return [
        f'<rect x="{_MARGIN + index * step:.0f}" y="{y:.0f}" width="14" height="14" fill="{color}" stroke="#475569"/>'
        f'<text x="{_MARGIN + index * step + 20:.0f}" y="{y + 12}" font-size="12" fill="#334155">{text}</text>'
        for index, (text, color) in enumerate(_COLORS.items())
    ]


if __name__ == "__main__":
    PICTURE.write_text(picture())
    sys.stdout.write(f"{PICTURE.relative_to(ROOT)}: {sum(map(len, floors()))} boxes\n")
