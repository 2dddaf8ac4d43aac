"""Outputs as a model gets them: readable text within a budget, images as images, nothing of our own machinery."""

import json
from typing import Any

import altair as alt
import pandas as pd
import plotly.express as px  # type: ignore[import-untyped]  # plotly has no types
import polars as pl
import pytest
from plotly.utils import PlotlyJSONEncoder  # type: ignore[import-untyped]  # plotly has no types

from marimo_kernel_bridge.mcp_server.media.chart_text import chart_text
from marimo_kernel_bridge.mcp_server.media.output_text import (
    MAX_IMAGE_CHARACTERS,
    bundle_text,
    cut,
    error_text,
    show,
    terminal_text,
)
from marimo_kernel_bridge.rendering.text import html_to_text


def displayed(**data: Any) -> dict[str, Any]:  # a mime bundle, with _ in place of /
    bundle = {name.replace("_", "/", 1): value for name, value in data.items()}
    return {"output_type": "display_data", "data": bundle, "metadata": {}}


def stream(text: str | list[str], name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (stream("a\nb\n"), "a\nb"),
        (stream(["a\n", "b"]), "a\nb"),
        (stream("careful", "stderr"), "[stderr]\ncareful"),
        (stream("\x1b[31mred\x1b[0m"), "red"),
        (displayed(text_plain="42"), "42"),
        (displayed(text_plain="'<b>'", text_html="<b>x</b>"), "'<b>'"),
        (displayed(text_plain="<IPython.core.display.HTML object>", text_html="<b>x</b>"), "x"),
        (displayed(text_html="<p>one<br>two</p>"), "one\ntwo"),
        (displayed(text_plain="<Markdown object>", text_markdown="# Title"), "# Title"),
        (displayed(application_json={"a": [1]}), '{"a": [1]}'),
        (displayed(text_plain="<Chart>", **{"application_x-unknown": {"data": []}}), "<Chart>\n[not shown: application/x-unknown]"),
        (displayed(**{"application_vnd.dataresource+json": {"data": [{"a": 1, "b": "x"}] * 60}}), "a | b\n" + "1 | x\n" * 50 + "[50 of 60 rows]"),
        (displayed(), ""),
    ],
)  # fmt: skip
def test_each_output_has_the_text_that_says_most(output: dict[str, Any], text: str) -> None:
    assert show([output]).text == text


def test_an_image_is_an_image_and_its_base64_is_in_no_text() -> None:
    png = "iVBORw0KGgo" * 50
    shown = show(
        [displayed(image_png=png + "\n", text_plain="<Figure size 640x480 with 1 Axes>"), stream("after")]
    )
    assert shown.text == "[image 1: image/png]\nafter"
    assert [(image.mime_type, image.data) for image in shown.images] == [("image/png", png)]


def test_images_beyond_what_clients_take_are_named_instead() -> None:
    large, small = "A" * MAX_IMAGE_CHARACTERS, "A" * 100
    shown = show([displayed(image_png=large), displayed(image_jpeg=small)])
    assert [image.data for image in shown.images] == [large]
    assert "image/jpeg of 0 kB, too large to send" in shown.text


def test_html_tables_keep_their_rows_and_scripts_vanish() -> None:
    markup = """<style>td {color: red}</style><script>alert("x")</script>
    <table><tr><th>species</th><th>mass</th></tr><tr><td>Adélie &amp; co</td><td>3750</td></tr></table>
    <img src="data:image/png;base64,AAAA" alt="a plot">"""
    assert html_to_text(markup, compact=True) == "species | mass\nAdélie & co | 3750\n[image: a plot]"


def test_a_progress_bar_is_shown_as_it_last_was() -> None:
    assert terminal_text("10%\r50%\r100%\ndone\r\n") == "100%\ndone\n"


def test_a_traceback_has_neither_colours_nor_frames_of_the_kernel() -> None:
    traceback = [
        "\x1b[31m---------------------------------------------------------------------------\x1b[39m",
        "\x1b[31mNameError\x1b[39m                                 Traceback (most recent call last)",
        "File /env/site-packages/marimo_kernel_bridge/shell.py:10, in run_body(self)\n     9 try:\n---> 10     await x",
        "File /env/site-packages/marimo/_runtime/runner.py:1, in go()\n----> 1 go()",
        "Cell \x1b[32mIn[3]\x1b[39m, line 1\n----> 1 y",
        "\x1b[31mNameError\x1b[39m: name 'y' is not defined",
    ]
    text = error_text({"ename": "NameError", "evalue": "name 'y' is not defined", "traceback": traceback})
    assert text.splitlines() == [
        "NameError                                 Traceback (most recent call last)",
        "Cell In[3], line 1",
        "----> 1 y",
        "NameError: name 'y' is not defined",
    ]


def test_of_an_interrupt_only_the_place_in_the_cell_is_told() -> None:
    traceback = [
        "KeyboardInterrupt                         Traceback (most recent call last)",
        "Cell In[3], line 2\n      1 for _ in range(9):\n----> 2     frame.to_csv(path)",
        "File /env/lib/python3.11/site-packages/pandas/core/generic.py:3964, in NDFrame.to_csv(self)\n   3953 x\n-> 3964 y",
        "File pandas/_libs/writers.pyx:73, in pandas._libs.writers.write_csv_rows()",
        "KeyboardInterrupt: ",
    ]
    text = error_text({"ename": "KeyboardInterrupt", "evalue": "", "traceback": traceback})
    assert text == f"{traceback[1]}\nKeyboardInterrupt"
    crashed = {
        "ename": "KeyboardInterrupt",
        "evalue": "",
        "traceback": ["File /x/IPython/core/ultratb.py, line None"],
    }
    assert error_text(crashed) == "KeyboardInterrupt"


def test_frames_of_libraries_are_named_without_their_code_and_many_are_counted() -> None:
    frames = [
        f"File /env/lib/python3.11/site-packages/pandas/core/{name}.py:1, in f()\n-> 1 raise x"
        for name in "abcde"
    ]
    missing = "'Could not get source, probably due dynamically evaluated source code.'"
    frames[2:2] = [f"File pandas/_libs/index.pyx:172, in pandas._libs.index.get_loc()\n--> 172 {missing}"]
    traceback = ["Cell In[3], line 2\n----> 2 frame['nosuch']", *frames, "KeyError: 'nosuch'"]
    text = error_text({"ename": "KeyError", "evalue": "'nosuch'", "traceback": traceback})
    assert text.splitlines() == [
        "Cell In[3], line 2",
        "----> 2 frame['nosuch']",
        "File /env/lib/python3.11/site-packages/pandas/core/a.py:1, in f()",
        "[… 4 more frames of libraries …]",
        "File /env/lib/python3.11/site-packages/pandas/core/e.py:1, in f()",
        "KeyError: 'nosuch'",
    ]


def test_an_error_without_a_traceback_still_says_what_it_is() -> None:
    assert error_text({"ename": "CycleError", "evalue": "a and b", "traceback": []}) == "CycleError: a and b"


def test_text_within_the_budget_is_whole() -> None:
    assert cut("abc", 3, 0, "unused") == "abc"
    assert cut("abcdef", 3, 3, "unused") == "def"


def test_what_is_cut_is_said_and_can_be_read_on_to_the_end() -> None:
    text = "".join(f"{number:05}" for number in range(2000))
    first = cut(text, 1000, 0, "next: {offset}")
    assert first.startswith(text[:700])
    assert first.endswith(text[-300:])
    assert "9000 of 10000 characters left out here. next: 700" in first
    offset, read = 0, ""
    while offset < len(text):
        part = cut(text, 1000, offset, "next: {offset}")
        piece = part.split("\n[…")[0]
        read += piece
        offset += len(piece)
    assert read == text


def test_braces_in_output_do_not_disturb_the_notice() -> None:
    assert "{x}" in cut("{x}" * 1000, 300, 0, "go on at {offset}")


def test_a_plotly_figure_is_told_in_lines() -> None:
    figure = px.scatter(x=[1, 2, 3.5], y=[3, 1, 2], title="Growth", labels={"x": "days"})
    bundle = {"application/vnd.plotly.v1+json": figure.to_plotly_json(), "text/html": "<div></div>"}
    bundle = json.loads(json.dumps(bundle, cls=PlotlyJSONEncoder))
    assert bundle_text(bundle) == (
        "[Plotly chart 'Growth', x is days, y is y]\n"
        "- scatter (markers): x 3 values from 1 to 3.5; y 3 values from 1 to 3"
    )


@pytest.mark.parametrize("as_html", [False, True])
def test_a_vega_lite_chart_is_told_in_lines(as_html: bool) -> None:
    data = pd.DataFrame({"day": ["mon", "tue"], "count": [3, 4]})
    chart = alt.Chart(data, title="Visits").mark_bar().encode(x="day", y="sum(count)")
    bundle = (
        chart._repr_mimebundle_(None, None)
        if as_html
        else {"application/vnd.vegalite.v5+json": chart.to_dict()}
    )
    assert bundle_text({"text/plain": "alt.Chart(...)"} | bundle) == (
        "[Vega-Lite chart 'Visits']\n"
        "- bar: x day (nominal); y sum(count) (quantitative)\n"
        "- data of 2 rows: day 2 values: mon, tue; count 2 values from 3 to 4"
    )


def test_a_chart_counts_distinct_texts_and_truths() -> None:
    rows = [{"city": ("Bonn", "Ulm")[number % 2], "new": number % 5 == 0} for number in range(10)]
    text = chart_text(
        {"application/vnd.vegalite.v5+json": {"$schema": "vega-lite", "data": {"values": rows}}}
    )
    assert text is not None
    assert "city 10 values, 2 different: Bonn, Ulm; new 10 values: 2 true, 8 false" in text


def test_layers_are_told_each_with_what_they_share() -> None:
    base = alt.Chart(pd.DataFrame({"a": [1], "b": [2]})).encode(x="a:Q", y="b:Q")
    text = chart_text({"application/vnd.vegalite.v5+json": (base.mark_line() + base.mark_point()).to_dict()})
    assert text is not None
    assert "- line (layer): x a (quantitative); y b (quantitative)" in text
    assert "- point (layer): x a (quantitative); y b (quantitative)" in text


@pytest.mark.parametrize(
    "broken",
    [
        {"data": [{"x": {"dtype": "f8", "bdata": "!"}}], "layout": None},
        {"data": [None, {"x": "no list"}], "layout": {"title": []}},
        {},
    ],
)
def test_a_broken_figure_breaks_nothing(broken: dict[str, Any]) -> None:
    text = chart_text({"application/vnd.plotly.v1+json": broken}) or ""
    assert text.startswith("[Plotly chart")


def test_a_table_drawn_with_lines_is_told_in_rows() -> None:
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    text = bundle_text({"text/plain": str(frame), "text/html": frame._repr_html_()})
    assert text.splitlines()[0] == "shape: (2, 2)"
    assert '1 | "x"' in text
    assert "─" not in text
