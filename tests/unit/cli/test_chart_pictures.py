"""Charts in pages that run no scripts: drawn where they can be, once a package is known to be missing no more."""

import base64
from typing import Any

import pytest

from marimo_kernel_bridge.cli.chart_pictures import with_pictures
from marimo_kernel_bridge.exporting.pages import to_html
from marimo_kernel_bridge.mcp_server.media.chart_drawing import ChartDrawer, Drawing

PNG = b"\x89PNG of a chart"
VEGA = "application/vnd.vegalite.v5+json"
PLOTLY = "application/vnd.plotly.v1+json"
BARS = {"mark": "bar", "data": {"values": []}}
EMBEDDED = f'<script>vegaEmbed("#v", {{"$schema": "https://vega.github.io/schema/vega-lite/v6.json", {str(BARS)[1:]})</script>'


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The charts that were to be drawn, by a drawer that has no package for Plotly."""
    kinds: list[str] = []

    async def draw(_self: object, kind: str, _specification: str, _interpreters: list[str]) -> Drawing:
        kinds.append(kind)
        return Drawing(not_there=True) if kind == "plotly" else Drawing(PNG)

    monkeypatch.setattr(ChartDrawer, "draw", draw)
    return kinds


def notebook(*bundles: dict[str, Any]) -> dict[str, Any]:
    outputs = [{"output_type": "display_data", "data": data, "metadata": {}} for data in bundles]
    cell = {"cell_type": "code", "id": "c", "source": "", "metadata": {}, "outputs": outputs}
    return {"cells": [cell | {"execution_count": 1}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def test_a_chart_is_a_picture_in_the_page(asked: list[str]) -> None:
    document = notebook({VEGA: BARS, "text/plain": "a chart"}, {"text/html": ["<b>a</b>"]})
    page = to_html(with_pictures(document), "a")
    assert base64.b64encode(PNG).decode() in page.text
    assert (asked, page.notes) == (["vega-lite"], ())
    assert "image/png" not in str(document)


def test_what_has_a_picture_loads_something_or_cannot_be_drawn_stays_as_it_is(asked: list[str]) -> None:
    document = notebook(
        {VEGA: BARS, "image/png": "aGVsbG8="},
        {VEGA: BARS | {"mark": "image"}},
        {PLOTLY: {"data": []}},
        {PLOTLY: {"data": [{"y": [1]}]}},
        {VEGA: "no object", "text/html": 3},
    )
    assert with_pictures(document) == document
    assert asked == ["plotly"]
