"""The kernel that a plugin's function gets: what its tier allows, and nothing of the server itself.

Owns the translation between the plugin's values and this server's own reads, runs and edits.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import anyio
from pydantic import ValidationError

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.runs import RunView
from marimo_kernel_bridge.mcp_server.safety.marks import require_no_mark
from marimo_kernel_bridge.mcp_server.tools.edits import Edit, changes_of, texts_of
from marimo_kernel_bridge.mcp_server.tools.installing_code import require_no_installing
from marimo_kernel_bridge.mcp_server.tools.run_waiting import INTERRUPT_GRACE, wait
from marimo_kernel_bridge.mcp_server.views.document_edits import edited
from marimo_kernel_bridge.mcp_server.views.runs import run_view
from marimo_kernel_bridge.mcp_server.views.window import MOST_OUTPUT, Window
from marimo_kernel_bridge.plugins.values import (
    Cell,
    Column,
    Drawn,
    Outcome,
    Table,
    Variable,
    VariableContent,
)
from marimo_kernel_bridge.protocol.permissions import includes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marimo_kernel_bridge.client.runs import Run
    from marimo_kernel_bridge.mcp_server.arguments import Ctx
    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.mcp_server.media.output_text import Image
    from marimo_kernel_bridge.plugins import Tier
    from marimo_kernel_bridge.protocol.views import How

_VEGA_LITE: Final = "application/vnd.vegalite.v6+json"
_LONGEST_WAIT: Final = 600.0


class PluginKernel:
    """One call's view of a kernel."""

    def __init__(self, ctx: Ctx, attached: Attached, tier: Tier, tool: str) -> None:
        self._ctx = ctx
        self._attached = attached
        self._tier = tier
        self._tool = tool
        self._images: list[Image] = []

    @property
    def images(self) -> tuple[Image, ...]:
        """The pictures that were drawn, for the answer."""
        return tuple(self._images)

    @property
    def handle(self) -> str:
        return self._attached.handle

    @property
    def reactive(self) -> bool:
        return self._attached.reactive

    async def outline(self) -> list[Cell]:
        return [
            Cell(
                cell.cell_id,
                cell.version,
                cell.code,
                cell.status,
                cell.stale,
                tuple(cell.defines),
                tuple(cell.uses),
                cell.notebook_cell_id,
            )
            for cell in await self._attached.list_cells()
        ]

    async def variables(self) -> list[Variable]:
        found = await self._attached.client.reads.list_variables()
        return [Variable(one.name, one.type, one.summary, one.defined_by) for one in found]

    async def variable(self, name: str, rows: int = 5, offset: int = 0) -> VariableContent:
        read = await self._attached.client.reads.inspect_variable(name, rows, offset)
        one = read.variable
        return VariableContent(
            Variable(one.name, one.type, one.summary, one.defined_by),
            tuple((column.name, column.dtype) for column in read.columns),
            read.rows,
            read.total_rows,
            read.items,
            read.total_items,
            read.facts,
            read.sampled,
        )

    async def table(
        self,
        name: str,
        columns: Sequence[str] = (),
        *,
        rows: int = 1000,
        by: Sequence[str] = (),
        how: How = "count",
        bins: bool = False,
        edges: bool = False,
    ) -> Table:
        read = await self._attached.client.reads.read_table(
            name, list(columns), rows, list(by), how, bins=bins, edges=edges
        )
        return Table(
            read.kind,
            tuple(Column(column.name, column.kind) for column in read.columns),
            read.rows,
            read.total,
            read.note,
        )

    async def draw(self, spec: Mapping[str, Any]) -> Drawn:
        output = {"output_type": "display_data", "data": {_VEGA_LITE: dict(spec)}, "metadata": {}}
        try:
            json.dumps(output, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise BridgeError(
                "plugin_failed", f"The chart of {self._tool} is no JSON: {error}.", ""
            ) from error
        shown = await self._attached.show([output])
        self._images += shown.images
        return Drawn(bool(shown.images), shown.text)

    async def evaluate(self, code: str, timeout: float = 30.0) -> Outcome:  # noqa: ASYNC109  # the code is stopped then
        self._require("scratch", "evaluate")
        require_no_mark(code)
        await require_no_installing(self._ctx, [code])
        run = await self._attached.client.execute(code, store_history=False)
        return await self._finished(run, timeout)

    async def edit(self, edits: Sequence[Mapping[str, Any]], *, run: bool = False) -> Outcome:
        self._require("run" if run else "edit", "edit(run=True)" if run else "edit")
        try:
            checked = [Edit.model_validate(dict(edit)) for edit in edits]
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise BridgeError(
                "plugin_failed", f"An edit of {self._tool} is none: {where}: {first['msg']}.", ""
            ) from error
        await require_no_installing(self._ctx, texts_of(checked))
        started = await edited(self._attached, await changes_of(self._attached, checked), run=run)
        if isinstance(started, RunView):
            return Outcome(started.status, started.outputs, started.message)
        return await self._finished(started, _LONGEST_WAIT)

    async def _finished(self, run: Run, bound: float) -> Outcome:
        """Wait for a run; whatever keeps it from ending in time stops it: nobody could wait on for a run of a plugin's."""
        client = self._attached.client
        try:
            await wait(self._ctx, self._attached, run, bound)
        except asyncio.CancelledError:
            with anyio.move_on_after(INTERRUPT_GRACE, shield=True), suppress(BridgeError):
                await client.abandon(run)
            raise
        if not run.over:
            await client.abandon(run)
            await client.runs.wait(run, INTERRUPT_GRACE)
        view, images = await run_view(self._attached, run, Window(MOST_OUTPUT))
        self._images += images
        ran = tuple(cell.cell_id for cell in (*view.ran, *view.reran))
        return Outcome(view.status, view.outputs, view.message, ran)

    def _require(self, tier: Tier, what: str) -> None:
        if not includes(self._tier, tier):
            raise BridgeError(
                "plugin_failed",
                f"{self._tool} states the tier {self._tier!r}, and {what} needs {tier!r}; nothing was done.",
                "That is a mistake of the plugin's author.",
            )
