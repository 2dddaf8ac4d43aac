"""The dataflow graph and the state of the cells as people see them."""

import itertools
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Literal

import pytest

from marimo_kernel_bridge.kernel.ipython.graph_picture import clip, connected, svg, tree
from marimo_kernel_bridge.kernel.ipython.status_table import html_table, summary, text_table
from marimo_kernel_bridge.kernel.notebook.document import Settings, read_settings
from marimo_kernel_bridge.protocol.notebook import Cell, CellStatus

SVG = "{http://www.w3.org/2000/svg}"


def notebook(*lines: str, **states: CellStatus | Literal["stale"]) -> list[Cell]:
    """Make cells: "b: b = a + 1 < a" is a cell `b` that defines b and stands below the cell a."""
    parsed = []
    for line in lines:
        name, _, rest = line.partition(": ")
        code, _, upstream = rest.partition(" < ")
        parsed.append((name, code, tuple(upstream.split())))
    statuses = {name: status for name, status in states.items() if status != "stale"}
    return [
        Cell(
            name,
            name,
            code,
            1,
            statuses.get(name, "ok"),
            states.get(name) == "stale",
            count,
            "notebook",
            None,
            None,
            None,
            None,
            (name,),
            upstream,
            upstream,
            tuple(other for other, _, above in parsed if name in above),
        )
        for count, (name, code, upstream) in enumerate(parsed, 1)
    ]


DIAMOND = ["a: a = 1", "b: b = a < a", "c: c = a < a", "d: b + c < b c", "z: z = 1"]


def test_a_tree_shows_each_cell_once_in_full() -> None:
    assert tree(notebook(*DIAMOND, c="stale", d="error")) == (
        "[1] a = 1  → a\n"
        "├─ [2] b = a  → b\n"
        "│  └─ [4] b + c  → d  (error)\n"
        "└─ [3] c = a  → c  (stale)\n"
        "   └─ [4] b + c ↑"
    )


def test_a_tree_of_a_circle_ends() -> None:
    assert tree(notebook("a: a = b < b", "b: b = a < a", a="refused", b="refused")) == (
        "[1] a = b  → a  (refused)\n└─ [2] b = a  → b  (refused)\n   └─ [1] a = b ↑"
    )


def test_a_deep_tree_goes_on_further_below() -> None:
    lines = tree(notebook("n0: 0", *(f"n{i}: {i} < n{i - 1}" for i in range(1, 2000)))).splitlines()
    assert lines[12].endswith("[13] 12 ↓")
    assert lines[13].startswith("[13] 12  → n12")
    assert max(map(len, lines)) < 80
    assert sum("→" in line for line in lines) == 2000


def boxes(cells: list[Cell]) -> dict[str, tuple[float, float]]:
    """Where the boxes of the picture are: label -> (x, y)."""
    root = ET.fromstring(svg(cells))
    found: dict[str, tuple[float, float]] = {}
    rects = [r for r in root.iter(f"{SVG}rect") if "stroke" in r.attrib]
    for rect, label in zip(rects, [t.text for t in root.iter(f"{SVG}text")][::2], strict=True):
        found[label or ""] = (float(rect.attrib["x"]), float(rect.attrib["y"]))
    return found


def test_a_cell_stands_below_those_it_uses_and_beside_nobody_of_them() -> None:
    at = boxes(notebook(*DIAMOND))
    assert set(at) == {"[1] a = 1", "[2] b = a", "[3] c = a", "[4] b + c"}
    rows = [y for _, y in (at[label] for label in sorted(at))]
    assert rows[0] < rows[1] == rows[2] < rows[3]
    assert at["[2] b = a"][0] + 212 < at["[3] c = a"][0]


def test_every_edge_is_drawn_from_box_to_box() -> None:
    cells = notebook("a: 1", "b: 2 < a", "c: 3 < b", "d: 4 < c a")
    at = {label[1]: place for label, place in boxes(cells).items()}
    paths = re.findall(r'<path d="M([\d.]+) ([\d.]+)C[^"]* ([\d.]+) ([\d.]+)" fill="none"', svg(cells))
    ends = {
        (source, target)
        for x0, y0, x1, y1 in (map(float, path) for path in paths)
        for source, (sx, sy) in at.items()
        for target, (tx, ty) in at.items()
        if (x0, y0) == (sx + 106, sy + 42) and (x1, y1) == (tx + 106, ty)
    }
    assert ends == {("1", "2"), ("2", "3"), ("3", "4"), ("1", "4")}


def test_no_edge_passes_through_a_box() -> None:
    cells = notebook("a: 1", "b: 2 < a", "c: 3 < b", "d: 4 < c a")
    (passing,) = re.findall(r'<path d="(M[^"]*V[^"]*V[^"]*)" fill="none"', svg(cells))
    at = boxes(cells)
    for x in (float(x) for x in re.findall(r" ([\d.]+) [\d.]+V", passing)):
        assert all(not left < x < left + 212 for left, _ in (at["[2] 2"], at["[3] 3"]))


def test_a_picture_grows_longer_and_not_wider() -> None:
    root = ET.fromstring(svg(notebook("a: 1", *(f"n{i}: {i} < a" for i in range(60)))))
    assert int(root.attrib["width"]) < 4 * 232 + 61 * 10 + 40
    rows: dict[float, int] = {}
    for _, y in boxes(notebook("a: 1", *(f"n{i}: {i} < a" for i in range(60)))).values():
        rows[y] = rows.get(y, 0) + 1
    assert max(rows.values()) == 4


def test_boxes_never_overlap() -> None:
    at = boxes(
        notebook("a: 1", "b: 2", *(f"n{i}: {i} < a b{f' n{i - 3}' if i > 2 else ''}" for i in range(20)))
    )
    for (x0, y0), (x1, y1) in itertools.combinations(at.values(), 2):
        assert abs(x0 - x1) >= 212 or abs(y0 - y1) >= 42


@pytest.mark.parametrize("code", ["'<b>&amp;</b>' \"", "x = '\x00\x1b[31m\ud800'", "日本語" * 20, ""])
def test_any_code_makes_a_picture_that_is_xml(code: str) -> None:
    cells = notebook(f"a: {code}", "b: 1 < a")
    root = ET.fromstring(svg(cells).encode())
    assert len(list(root.iter(f"{SVG}text"))) == 4
    assert tree(cells)


def test_a_circle_makes_a_picture() -> None:
    assert len(boxes(notebook("a: a = b < b", "b: b = a < a"))) == 2


@pytest.mark.parametrize(
    ("text", "columns", "clipped"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("日本", 4, "日本"), ("日本語", 5, "日…"), ("a b c", 3, "a…")],
)
def test_texts_are_cut_by_columns(text: str, columns: int, clipped: str) -> None:
    assert clip(text, columns) == clipped


def test_cells_without_an_edge_are_left_out() -> None:
    assert [cell.cell_id for cell in connected(notebook(*DIAMOND))] == ["a", "b", "c", "d"]
    assert connected(notebook("a: 1 < gone")) == []


def test_the_state_of_the_cells_as_text() -> None:
    cells = notebook(*DIAMOND[:4], c="stale", d="error")
    assert summary("lazy", cells) == "marimo lazy: 4 cells, 1 stale, 1 with an error"
    assert summary("autorun", cells[:1]) == "marimo autorun: 1 cell"
    assert text_table(cells).splitlines()[1:] == [
        "[2] b = a  ok     a → b",
        "[3] c = a  stale  a → c",
        "[4] b + c  error  b, c → d",
    ]


def test_the_state_of_the_cells_as_html_is_escaped() -> None:
    table = html_table(notebook("a: '<script>'", a="stale"))
    assert "<script>" not in table
    assert "&lt;script&gt;" in table
    assert "<b>stale</b>" in table
    ET.fromstring(table)


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        (json.dumps({"metadata": {"marimo_kernel_bridge": {"on_cell_change": "lazy"}}}), Settings("lazy")),
        (
            json.dumps({"metadata": {"marimo_kernel_bridge": {"on_cell_change": "autorun"}}}),
            Settings("autorun"),
        ),
        (json.dumps({"metadata": {"marimo_kernel_bridge": {"on_cell_change": "never"}}}), Settings()),
        (
            json.dumps({"metadata": {"marimo_kernel_bridge": {"redefinitions": "strict"}}}),
            Settings(None, "strict"),
        ),
        (
            json.dumps({"metadata": {"marimo_kernel_bridge": {"redefinitions": "relaxed"}}}),
            Settings(None, "relaxed"),
        ),
        (
            json.dumps({"metadata": {"marimo_kernel_bridge": {"redefinitions": [], "on_cell_change": {}}}}),
            Settings(),
        ),
        (json.dumps({"metadata": {"marimo_kernel_bridge": 1}}), Settings()),
        (json.dumps({"cells": []}), Settings()),
        ("[]", Settings()),
        ("{", Settings()),
        (b"\xff", Settings()),
    ],
)
def test_a_notebook_says_how_it_runs(tmp_path: Path, content: str | bytes, settings: Settings) -> None:
    path = tmp_path / "n.ipynb"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert read_settings(str(path)) == settings
    assert read_settings(str(tmp_path)) == read_settings(str(tmp_path / "none.ipynb")) == Settings()
