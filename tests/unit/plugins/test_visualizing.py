"""Pictures of tables: which chart follows from which columns, what the kernel is asked for, and specifications that are valid."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import altair as alt
import pandas as pd
import polars as pl
import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.viewing.parts import read_part
from marimo_kernel_bridge.plugins import Cell, Column, Drawn, Refused, Table
from marimo_kernel_bridge.plugins.visualizing import graphs
from marimo_kernel_bridge.plugins.visualizing.plugin import Visualized, plugin, visualize
from marimo_kernel_bridge.protocol import messages as wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SALES = pd.DataFrame(
    {
        "day": pd.date_range("2026-01-01", periods=300),
        "city": ["Oslo", "Rome", "Lima"] * 100,
        "paid": [True, False] * 150,
        "price": [float(number % 50) for number in range(300)],
        "units": [number % 7 for number in range(300)],
    }
)


class Fake:
    """A kernel of a plugin: real parts of values of a test, and the charts that were drawn."""

    def __init__(self, cells: Sequence[Cell] = (), **values: object) -> None:
        self.cells, self.values = list(cells), values
        self.specs: list[Mapping[str, Any]] = []
        self.asked: list[dict[str, Any]] = []

    async def outline(self) -> list[Cell]:
        return self.cells

    async def table(self, name: str, columns: Sequence[str] = (), **asked: Any) -> Table:
        if name not in self.values:
            raise BridgeError("no_such_variable", f"There is no variable {name!r}.")
        self.asked.append({"columns": list(columns), **asked})
        for key in ("by",):
            asked[key] = list(asked.get(key, ()))
        part = read_part(self.values[name], wire.ReadTable(name=name, columns=list(columns), **asked))
        shown = tuple(Column(column.name, column.kind) for column in part.columns)
        return Table(part.kind, shown, part.rows, part.total, part.note)

    async def draw(self, spec: Mapping[str, Any]) -> Drawn:
        self.specs.append(spec)
        return Drawn(True, "[image 1]")  # noqa: FBT003  # the field is called so


def drawn(kernel: Fake, **arguments: Any) -> Visualized:
    answer = asyncio.run(visualize(kernel, **arguments))  # type: ignore[arg-type]  # the parts that the tool uses
    for spec in map(_short, kernel.specs):
        alt.Chart.from_dict(spec) if "layer" not in spec else alt.LayerChart.from_dict(spec)
    return answer


def _short(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a specification with two rows of data: Altair looks at each."""
    shown = dict(spec)
    if "data" in spec:
        shown["data"] = {"values": spec["data"]["values"][:2]}
    if "layer" in spec:
        shown["layer"] = [_short(layer) for layer in spec["layer"]]
    return shown


def channels(spec: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    return {
        name: (one["field"], one.get("title")) for name, one in spec["encoding"].items() if "title" in one
    }


@pytest.mark.parametrize(
    ("columns", "options", "mark", "said"),
    [
        (["day", "price"], {}, "line", "line: price over day"),
        (["city", "price"], {}, "bar", "bar: mean of price by city. Means of all 300 rows, 3 groups."),
        (["price", "units"], {}, "point", "point: units over price"),
        (["price"], {}, "bar", "bar: counts of price. Counts of all 300 rows."),
        (["city"], {}, "bar", "bar: counts of city. Counts of all 300 rows, 3 groups."),
        (["day"], {}, "bar", "bar: counts of day. Counts of all 300 rows."),
        (["city", "paid"], {"x": "city", "y": "paid"}, "rect", "rect: counts of city and paid"),
        (["day", "city", "price"], {"color": "city"}, "line", "price over day, colored by city"),
        (["city", "price"], {"aggregate": "sum", "mark": "point"}, "point", "sum of price by city"),
        (["city", "price"], {"mark": "boxplot"}, "boxplot", "price over city. All 300 rows."),
        (["city", "price"], {"x": "price", "y": "city"}, "bar", "mean of price by city"),
        (["city", "paid", "price"], {"x": "city", "color": "paid"}, "bar", "counts of city, colored by paid"),
        (["price", "units"], {"x": "price", "y": "price"}, "point", "price over price"),
        (["city", "price"], {"aggregate": "count", "x": "city", "y": "price"}, "bar", "counts of city"),
    ],
)
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_the_chart_follows_from_the_columns_and_the_options(
    columns: list[str], options: dict[str, Any], mark: str, said: str, library: str
) -> None:
    frame = SALES[columns]
    kernel = Fake(df=frame if library == "pandas" else pl.DataFrame(frame.to_dict("list")))
    answer = drawn(kernel, data="df", options=options)
    assert answer.type == "chart"
    assert answer.spec["mark"]["type"] == mark
    assert said in answer.said
    assert str(answer) == answer.said


def test_numbers_and_times_of_a_chart_are_those_of_the_table() -> None:
    kernel = Fake(df=SALES)
    drawn(kernel, data="df", options={"x": "city", "y": "units", "aggregate": "sum"})
    (spec,) = kernel.specs
    expected = SALES.groupby("city")["units"].sum().to_dict()
    assert {row["x"]: row["value"] for row in spec["data"]["values"]} == expected
    assert channels(spec)["y"] == ("value", "sum of units")
    assert spec["encoding"]["x"]["sort"] == "-y"


@pytest.mark.parametrize(
    ("mark", "from_zero"), [("point", False), ("line", False), ("bar", True), ("area", True)]
)
def test_axes_begin_at_zero_where_lengths_mean_something(mark: str, from_zero: bool) -> None:
    kernel = Fake(df=SALES)
    drawn(kernel, data="df", options={"x": "price", "y": "units", "mark": mark})
    assert ("scale" not in kernel.specs[0]["encoding"]["y"]) is from_zero


def test_names_of_columns_need_no_care() -> None:
    kernel = Fake(df=pd.DataFrame({"a.b[0]": ["x", "y"], "it's \\ \"": [1, 2]}))
    answer = drawn(kernel, data="df")
    assert answer.spec["encoding"]["x"]["title"] == "a.b[0]"
    drawn(kernel, data="df", type="table")


def test_large_tables_are_bounded_and_it_is_said() -> None:
    frame = pd.DataFrame({"x": range(50_000), "y": range(50_000)})
    kernel = Fake(df=frame)
    answer = drawn(kernel, data="df")
    assert "Each 50th row: 1,000 of 50,000." in answer.said
    assert len(kernel.specs[0]["data"]["values"]) == 1000
    assert answer.spec["data"] == {"name": "df"}
    whole = drawn(kernel, data="df", options={"spec_data": True, "rows": 100})
    assert len(whole.spec["data"]["values"]) == 100


def test_a_table_is_drawn_as_cells_of_text() -> None:
    kernel = Fake(df=SALES)
    answer = drawn(kernel, data="df", type="table", options={"columns": ["city", "price"], "rows": 3})
    assert answer.said.startswith("df, pandas DataFrame: table: 3 of 300 rows.")
    texts = [cell["text"] for cell in kernel.specs[0]["data"]["values"]]
    assert texts == ["Oslo", "0", "Rome", "0", "Lima", "0"] or len(texts) == 6
    assert drawn(Fake(df={"a": [[1], [2]]}), data="df").type == "table"  # nothing has an axis


def test_a_graph_is_laid_out_in_layers_or_on_a_circle() -> None:
    kernel = Fake(deps={"load": ["clean"], "clean": ["plot", "model"], "model": ["plot"]})
    answer = drawn(kernel, data="deps", type="graph")
    assert answer.said == "deps, dict of lists: graph: 4 nodes, 4 edges; edges lead from left to right."
    places = {node["name"]: node["x"] for node in kernel.specs[0]["layer"][1]["data"]["values"]}
    assert places == {"load": 0.0, "clean": 1.0, "model": 2.0, "plot": 3.0}
    heights = [node["y"] for node in kernel.specs[0]["layer"][1]["data"]["values"]]
    assert len(set(heights)) == 4, "an edge that skips a layer is seen"
    assert "on a circle" in drawn(Fake(g={"a": ["b"], "b": ["a"]}), data="g", type="graph").said
    pairs = pd.DataFrame({"Source": ["a", "b"], "Target": ["b", "c"], "weight": [1, 2]})
    assert drawn(Fake(df=pairs), data="df").type == "graph"
    chosen = {"source": "weight", "target": "Target"}
    assert "3 nodes" not in drawn(Fake(df=pairs), data="df", type="graph", options=chosen).said


def test_a_graph_of_very_many_nodes_is_cut_and_it_is_said() -> None:
    many = {str(number): [str(number + 1)] for number in range(400)}
    answer = drawn(Fake(g=many), data="g", type="graph")
    assert "150 nodes, 149 edges" in answer.said
    assert "251 edges are left out" in answer.said


def test_layers_of_a_long_chain_take_no_recursion() -> None:
    edges = [(str(number), str(number + 1)) for number in range(50_000)]
    layers = graphs.layered(edges)
    assert layers is not None
    assert layers["50000"] == 50_000


def test_a_cell_means_the_name_in_its_last_line_or_the_last_table_that_it_defines() -> None:
    cells = [
        Cell("one", 1, "df = load()\nn = 5", "ok", stale=False, defines=("df", "n")),
        Cell("two", 1, "x = 1\nother", "ok", stale=False, defines=("x",), notebook_cell_id="nb-two"),
        Cell("three", 1, "%time x", "ok", stale=False, defines=("x",)),
    ]
    kernel = Fake(cells, df=SALES, n=5, x=1, other=SALES[["city"]])
    assert drawn(kernel, data="one").variable == "df"
    assert drawn(kernel, data="nb-two").variable == "other"
    with pytest.raises(BridgeError, match=r"no table"):
        drawn(kernel, data="three")
    with pytest.raises(BridgeError, match="no variable 'nosuch'"):
        drawn(kernel, data="nosuch")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"data": "nosuch"}, "no variable"),
        ({"data": "df", "options": {"x": "prise"}}, "no column 'prise'"),
        ({"data": "df", "options": {"colour": "city"}}, "unknown field `colour`.*They are x, y, color"),
        ({"data": "df", "options": {"mark": "pie"}}, "mark"),
        ({"data": "df", "options": {"rows": 10**9}}, "rows"),
        ({"data": "empty"}, "no rows"),
        ({"data": "one", "type": "graph"}, "table of pairs"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_way_out(arguments: dict[str, Any], why: str) -> None:
    kernel = Fake(
        df=SALES, empty=pd.DataFrame({"a": pd.Series([], dtype=float)}), one=pd.DataFrame({"a": [1]})
    )
    with pytest.raises(BridgeError, match=why):
        drawn(kernel, **arguments)


def test_its_answer_without_a_picture_says_why() -> None:
    class Undrawn(Fake):
        async def draw(self, spec: Mapping[str, Any]) -> Drawn:
            self.specs.append(spec)
            return Drawn(False, "[Vega-Lite chart] it can be drawn with vl-convert-python")  # noqa: FBT003  # whether it is drawn

    assert "vl-convert-python" in drawn(Undrawn(df=SALES), data="df").said


def test_it_needs_the_permission_to_read_alone() -> None:
    (tool,) = plugin().tools
    assert (tool.tier, tool.runs_code) == ("read", False)
    assert isinstance(Refused("x"), BridgeError)
