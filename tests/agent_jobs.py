"""Two jobs that an agent does in a notebook that a person has open, and what they cost: calls, and tokens of arguments and answers.

Each job is the calls of an agent that knows the tools and nothing of the notebook: it uses only what answers have told it. The same
jobs are done with a page in memory (`tests/mcp`), in a real JupyterLab (`tests/browser`) and beside peers (`benchmarks.jobs`).
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from marimo_kernel_bridge.mcp_tools import objects_of
from tests.tokens import tokens

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mcp import Client

FIND_AND_FIX_CALLS, FIND_AND_FIX_TOKENS = 10, 3000
BUILD_CALLS, BUILD_TOKENS = 12, 2500
STRUCTURED = 1.1
"""Tokens of structured answers per token of their text: some hosts show a model these alone. The text as JSON alone is 1.06."""

# Job (a): the notebook with the wrong groupby. (type, text) of 25 cells.
ORDERS: Sequence[tuple[str, str]] = (
    ("markdown", "# Orders of the last quarter\n\nWho buys where, and for how much."),
    ("code", "import numpy as np\nimport pandas as pd"),
    ("code", "seed = 7\nrng = np.random.default_rng(seed)"),
    ("markdown", "## Data"),
    (
        "code",
        "customers = pd.DataFrame({\n    'customer': range(1, 121),\n    'region': rng.choice(['north', 'south', 'east', 'west'], 120),\n    'since': rng.integers(2015, 2026, 120),\n})",
    ),
    (
        "code",
        "raw = pd.DataFrame({\n    'order': range(1, 901),\n    'customer': rng.integers(1, 121, 900),\n    'amount': rng.gamma(2.0, 40.0, 900).round(2),\n    'channel': rng.choice(['web', 'shop', 'phone'], 900, p=[0.6, 0.3, 0.1]),\n})",
    ),
    ("code", "raw.loc[rng.choice(900, 25, replace=False), 'amount'] = np.nan"),
    ("markdown", "## Cleaning\n\nOrders without an amount were cancelled, so they do not count."),
    ("code", "paid = raw.dropna(subset=['amount'])"),
    ("code", "orders = paid.merge(customers, on='customer')"),
    ("code", "len(raw), len(paid), len(orders)"),
    (
        "markdown",
        "## Regions\n\n**Customers** means distinct customers with at least one order in the region; **share** is the part of all revenue.",
    ),
    (
        "code",
        "by_region = orders.groupby('region').agg(\n    customers=('customer', 'count'),\n    orders=('order', 'count'),\n    revenue=('amount', 'sum'),\n)\nby_region.round(1)",
    ),
    ("code", "share = by_region['revenue'] / by_region['revenue'].sum()\nshare.round(3)"),
    ("code", "per_customer = by_region['revenue'] / by_region['customers']\nper_customer.round(1)"),
    ("code", "best = per_customer.idxmax()\nprint('best region:', best, per_customer.max().round(1))"),
    ("markdown", "## Channels"),
    (
        "code",
        "by_channel = orders.pivot_table(index='region', columns='channel', values='amount', aggfunc='sum')\nby_channel.round(0)",
    ),
    ("code", "web_part = by_channel['web'] / by_channel.sum(axis=1)\nweb_part.round(2)"),
    ("markdown", "## Age of customers"),
    ("code", "age = 2026 - orders['since']\nby_age = orders.assign(age=age).groupby('age')['amount'].mean()"),
    ("code", "slope, offset = np.polyfit(by_age.index, by_age.values, 1)"),
    ("code", "print(f'{slope:+.2f} per year')"),
    ("markdown", "## Summary"),
    (
        "code",
        "summary = pd.DataFrame({'share': share.round(3), 'per customer': per_customer.round(1), 'web': web_part.round(2)})\nsummary",
    ),
)
assert len(ORDERS) == 25  # the job's

# Job (b): the files beside the empty notebook.
SALES = "order,customer,date,amount\n" + "".join(
    f"{number},{number % 40 + 1},2026-{number % 12 + 1:02},{'' if number % 50 == 3 else round(20 + (number * 37 % 113) + number / 9, 2)}\n"
    for number in range(1, 401)
)
BUYERS = "customer,region,age\n" + "".join(
    f"{number},{('north', 'south', 'east')[number % 3]},{20 + number * 7 % 50}\n" for number in range(1, 41)
)


def page_cells(cells: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return a notebook as a page in memory has it: texts by keys, Markdown with a mark."""
    return {
        f"{number:08x}": f"#%md {text}" if kind == "markdown" else text
        for number, (kind, text) in enumerate(cells)
    }


@dataclass
class Cost:
    """What a job has cost so far."""

    calls: int = 0
    arguments: int = 0
    text: int = 0
    structured: int = 0
    images: int = 0
    by_tool: dict[str, list[int]] = field(default_factory=dict)

    def __str__(self) -> str:
        each = ", ".join(f"{tool} {'+'.join(map(str, texts))}" for tool, texts in self.by_tool.items())
        return (
            f"{self.calls} calls, {self.arguments} tokens of arguments, {self.text} of text, {self.structured} structured, "
            f"{self.images} images ({each})"
        )


@dataclass
class Reply:
    """What a tool answered."""

    text: str
    data: dict[str, Any]
    images: int


class CountingAgent:
    """Calls tools of a server and counts."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.cost = Cost()

    async def __call__(self, tool: str, **arguments: Any) -> Reply:
        result = await self._client.call_tool(tool, arguments)
        text = "".join(block.text for block in result.content if block.type == "text")
        images = sum(block.type == "image" for block in result.content)
        assert not result.is_error, f"{tool}: {text}"
        cost, data = self.cost, result.structured_content or {}
        cost.calls += 1
        cost.arguments += tokens(compact(arguments))
        cost.text += (spent := tokens(text))
        cost.structured += tokens(compact(data))
        cost.images += images
        cost.by_tool.setdefault(tool, []).append(spent)
        return Reply(text, objects_of(tool, data), images)


def compact(value: object) -> str:
    """Return JSON as it is sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


async def find_and_fix(agent: CountingAgent, **where: str) -> str:
    """Job (a): the customers per region cannot be right: find out why, and mend it. Returns the id of the mended cell.

    `where` is the notebook as a person names it: `notebook="orders.ipynb"`, or its kernel's connection file.
    """
    assert next(iter(where.values())) in (await agent("list_kernels")).text
    await agent("connect_to_kernel", **where)
    outline = (await agent("list_cells")).data["cells"]
    found = (await agent("search_cells", query="customers")).data["matches"]
    meaning = next(match["cell_id"] for match in found if "distinct" in match["text"])
    (suspect,) = (cell["cell_id"] for cell in outline if "by_region" in cell.get("defines", ()))
    read = (await agent("read_cell", cell_ids=[meaning, suspect])).data["cells"]
    assert "('customer', 'count')" in read[1]["code"]
    seen = await agent("read_variable", variable="orders", limit=2)
    assert "distinct" in seen.text
    code = "orders.groupby('region')['customer'].agg(['count', 'nunique'])"
    assert "nunique" in (await agent("execute_code", code=code, scratch=True)).text
    edit = {
        "action": "change",
        "cell_id": suspect,
        "old": "('customer', 'count')",
        "new": "('customer', 'nunique')",
    }
    edited = await agent("edit_cells", edits=[edit])
    # The dependents are in the answer: nothing is to be read again.
    assert "best region" in edited.text
    assert edited.data["status"] == "ok"
    assert "0 of" in (await agent("list_errors")).text
    return str(suspect)


async def build(agent: CountingAgent, folder: Path, **where: str) -> None:
    """Job (b): an analysis in an empty notebook: load, clean, join, model, three charts, a slider, export."""
    assert next(iter(where.values())) in (await agent("list_kernels")).text
    await agent("connect_to_kernel", **where)

    async def added(*cells: str) -> Reply:
        edits = [
            {"action": "add", "type": "markdown", "code": cell}
            if cell.startswith("#")
            else {"action": "add", "code": cell}
            for cell in cells
        ]
        reply = await agent("edit_cells", edits=edits, timeout=600)
        assert reply.data["status"] == "ok", reply.text
        return reply

    await added(
        "# Sales by region",
        "import altair as alt\nimport marimo as mo\nimport matplotlib.pyplot as plt\nimport numpy as np\nimport pandas as pd",
        "sales = pd.read_csv('sales.csv')\nbuyers = pd.read_csv('buyers.csv')",
    )
    assert "8 nulls" in (await agent("read_variable", variable="sales", limit=2)).text
    await agent("read_variable", variable="buyers", limit=2)
    joined = await added(
        "## Clean and join",
        "paid = sales.dropna(subset=['amount'])",
        "joined = paid.merge(buyers, on='customer')\nlen(sales), len(paid), len(joined)",
    )
    assert "(400, 392, 392)" in joined.text
    model = await added(
        "## Model",
        "slope, start = np.polyfit(joined['age'], joined['amount'], 1)\nprint(f'amount = {start:.1f} {slope:+.3f} * age')",
    )
    assert "amount = " in model.text
    charts = await added(
        "## Charts",
        "_, ax = plt.subplots(figsize=(4, 3))\njoined.groupby('region')['amount'].sum().plot.bar(ax=ax)\nax.figure",
        "_, points = plt.subplots(figsize=(4, 3))\npoints.scatter(joined['age'], joined['amount'])\npoints.axline((0, start), slope=slope)\npoints.figure",
        "alt.Chart(joined.groupby('date', as_index=False)['amount'].sum()).mark_line().encode(x='date', y='amount')",
    )
    assert charts.images >= 2, charts.text  # as drawn; Altair's needs a program that draws
    await added(
        "least = mo.ui.slider(0, 100, value=50, label='least amount')\nleast",
        "large = joined[joined['amount'] >= least.value]\nlen(large)",
    )
    moved = await agent("set_ui_value", element="least", value=80)
    assert moved.data["reran"], moved.text
    exported = await agent("export_notebook", format="html", output="report.html")
    assert (folder / "report.html").stat().st_size > 10_000, exported.text  # a page with pictures
    await agent("save_notebook")


def within(cost: Cost, calls: int, text: int) -> None:
    """Fail if a job has cost more than it may."""
    sys.stderr.write(f"{cost}\n")
    assert cost.calls <= calls, cost
    assert cost.text <= text, cost
    assert cost.structured <= STRUCTURED * cost.text, cost
