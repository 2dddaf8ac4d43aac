"""Facts about notebooks: an example of a plugin for the MCP server of marimo-kernel-bridge."""

from pathlib import Path
from typing import Annotated

import msgspec
from pydantic import Field

from marimo_kernel_bridge.plugins import Kernel, Plugin, PluginResource, PluginTool, Refused


class Missing(msgspec.Struct, frozen=True):
    """The columns with missing values: how many of the rows that were looked at."""

    rows: int
    missing: dict[str, int]
    note: str = ""


async def missing(
    kernel: Kernel, *, table: Annotated[str, Field(description="A variable that holds a table.")]
) -> Missing:
    """Count the missing values of each column of a table. Looks at 5,000 rows at most."""
    found = await kernel.table(table, rows=5000)
    if not found.rows:
        raise Refused(f"{table} has no rows.", "Give another table.")
    counts = {
        column.name: sum(row[number] is None for row in found.rows)
        for number, column in enumerate(found.columns)
    }
    return Missing(len(found.rows), {name: count for name, count in counts.items() if count}, found.note)


async def size(kernel: Kernel, *, variable: str) -> str:
    """Tell how many bytes an object takes by itself, without what it refers to."""
    if not variable.isidentifier():
        raise Refused(f"{variable!r} is no name.", "list_variables shows the names.")
    outcome = await kernel.evaluate(f"__import__('sys').getsizeof({variable})")
    return f"{variable}: {outcome.text} bytes" if outcome.status == "ok" else outcome.text


async def note(kernel: Kernel, *, text: Annotated[str, Field(max_length=2000)]) -> str:
    """Put a note for the person at the end of the notebook, as a Markdown cell."""
    outcome = await kernel.edit([{"action": "add", "type": "markdown", "code": text}])
    return outcome.message or outcome.status


async def tables(kernel: Kernel) -> str:
    """Name the variables that hold tables, one in a line."""
    kinds = ("DataFrame", "Table", "RecordBatch")
    return "\n".join(one.name for one in await kernel.variables() if one.type.endswith(kinds))


def plugin() -> Plugin:
    """Return what this distribution adds to the server."""
    return Plugin(
        name="Facts about notebooks",
        api=1,
        tools=[
            PluginTool(missing, "Missing values", tier="read"),
            PluginTool(size, "Size of an object", tier="scratch", runs_code=True),
            PluginTool(note, "Leave a note", tier="edit"),
        ],
        resources=[PluginResource("tables", tables, "The tables")],
        templates=[Path(__file__).with_name("quality.ipynb")],
    )
