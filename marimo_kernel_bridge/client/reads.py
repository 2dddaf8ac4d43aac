"""Reads of a reactive kernel, which it answers also while a cell runs.

Owns one method for each read of the bridge protocol. Requires an open link; changes nothing in the kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from marimo_kernel_bridge.client.link import ANSWER_BOUND
from marimo_kernel_bridge.client.message_contents import check_outputs
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import EditReport, ExpectedRun
from marimo_kernel_bridge.protocol.environment import Environment
from marimo_kernel_bridge.protocol.inspection import (
    Completions,
    Documentation,
    Matches,
    OwnMarks,
    Redacted,
    RunOutcome,
    UiElement,
    Variable,
    VariableContent,
)
from marimo_kernel_bridge.protocol.notebook import (
    Cell,
    CellObservations,
    CellWithOutputs,
    KernelDescription,
    Outline,
    RunReport,
)
from marimo_kernel_bridge.protocol.views import TablePart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.client.link import KernelLink
    from marimo_kernel_bridge.protocol.changes import Change
    from marimo_kernel_bridge.protocol.views import How

_T = TypeVar("_T")


class Reads:
    """The reads of one reactive kernel.

    Each read raises `BridgeError`: not_reactive (a plain kernel), kernel_dead, kernel_silent (no answer in time),
    unsupported_version, and the codes in its own docstring.
    """

    def __init__(self, link: KernelLink, client_name: str, *, redacted: bool = True) -> None:
        """`redacted`: texts have marks in place of the secrets that the kernel knows."""
        self._link = link
        self._client_name = client_name
        self.redacted = redacted

    async def describe(self) -> KernelDescription:
        """Return the kernel's state: the running request, the mode, and the stale cells."""
        return await self.ask(wire.Describe(), KernelDescription)

    def unredacted(self) -> Reads:
        """Return reads of the same kernel without marks in place of its secrets, for the notebook's own file."""
        return Reads(self._link, self._client_name, redacted=False)

    async def list_cells(self) -> list[Cell]:
        """Return all cells with their code, in the order in which the kernel first saw them."""
        return await self.ask(wire.ListCells(), list[Cell])

    async def observations(self) -> list[CellObservations]:
        """Return what runs have shown of cells that their texts do not say."""
        return await self.ask(wire.ReadObservations(), list[CellObservations])

    async def outline(self, offset: int, limit: int) -> Outline:
        """Return `limit` cells from `offset` on, in the same order, and the number of all cells."""
        return await self.ask(wire.ReadOutline(offset=offset, limit=limit), Outline)

    async def read_cell(self, cell_id: str, most_output: int | None = None) -> CellWithOutputs:
        """Return a cell by the kernel's id or the notebook's, text outputs cut to about `most_output` characters.

        Raises `BridgeError`: no_such_cell, unsupported_version.
        """
        read = await self.ask(wire.ReadCell(cell_id=cell_id, most_output=most_output), CellWithOutputs)
        try:
            check_outputs(read.outputs)
        except ValueError as error:
            raise BridgeError(
                "unsupported_version",
                f"The kernel's reply does not match this version: an output of cell {cell_id}: {error}.",
                "Code in the kernel may have sent it. The other cells can be read.",
            ) from error
        return read

    async def outcome(self, run_id: str, bound: float = ANSWER_BOUND) -> RunOutcome:
        """Return the kernel's record of a run: its report, if there is one, and its cells."""
        return await self.ask(wire.ReadOutcome(run_id=run_id), RunOutcome, bound)

    async def history(self, limit: int) -> list[RunReport]:
        """Return the latest runs of all clients, the newest first."""
        return await self.ask(wire.ReadHistory(limit=limit), list[RunReport])

    async def search(self, query: str, limit: int) -> Matches:
        """Return the first lines of code and outputs that contain `query`, ignoring case."""
        return await self.ask(wire.SearchCells(query=query, limit=limit), Matches)

    async def list_variables(self) -> list[Variable]:
        """Return the notebook's global variables. Runs no code of their values' classes."""
        return await self.ask(wire.ListVariables(), list[Variable])

    async def list_ui_elements(self) -> list[UiElement]:
        """Return the marimo UI elements and ipywidgets, with the values that they accept."""
        return await self.ask(wire.ListUiElements(), list[UiElement])

    async def environment(self) -> Environment:
        """Return the kernel's package environment, and the imports in cells that cannot be resolved."""
        return await self.ask(wire.ReadEnvironment(), Environment)

    async def redact(self, value: Any, bound: float = ANSWER_BOUND) -> Any:
        """Return JSON about the notebook with marks in place of the secrets that the kernel knows."""
        return (await self.ask(wire.Redact(value=value), Redacted, bound)).value

    async def own_marks(self) -> OwnMarks:
        """Return what in the texts of cells looks like a mark of redaction and is none. Nothing, where the kernel does not say."""
        try:
            return await self.ask(wire.ReadOwnMarks(), OwnMarks)
        except BridgeError as refusal:
            if refusal.code in {
                "bad_request",
                "unsupported_version",
                "not_reactive",
            }:  # of an older kernel, or a plain one
                return OwnMarks({})
            raise

    async def inspect_variable(self, name: str, rows: int, offset: int = 0) -> VariableContent:
        """Return a variable, with a sample of `rows` from `offset` on if the kernel is idle.

        Raises `BridgeError` no_such_variable.
        """
        request = wire.InspectVariable(name=name, rows=rows, offset=offset)
        if not (await self.describe()).busy:
            try:
                reply = await self._link.ask("shell", wire.REQUEST, wire.encode_request(request))
                return wire.decode_reply(reply, VariableContent)
            except BridgeError as refusal:
                if refusal.code != "kernel_silent":
                    raise
        return await self.ask(request, VariableContent)

    async def complete(self, code: str, limit: int) -> Completions:
        """Return what may stand at the end of code, the likeliest `limit`. Evaluates nothing."""
        return await self.ask(wire.CompleteCode(code=code, limit=limit), Completions)

    async def explain(self, code: str) -> Documentation:
        """Return what the expression at the end of code is. Evaluates nothing."""
        return await self.ask(wire.InspectCode(code=code), Documentation)

    async def read_table(
        self,
        name: str,
        columns: list[str],
        rows: int,
        by: list[str],
        how: How = "count",
        *,
        bins: bool = False,
        edges: bool = False,
    ) -> TablePart:
        """Return rows of a variable's table, or its groups: `ReadTable` says which.

        Raises `BridgeError`: no_such_variable, not_a_table, bad_request; kernel_busy unless the kernel is idle.
        """
        require_reactive(self._link)
        request = wire.ReadTable(
            name=name,
            columns=columns,
            rows=rows,
            by=by,
            how=how,
            bins=bins,
            edges=edges,
            redacted=self.redacted,
        )
        return wire.decode_reply(await self._between_runs(request), TablePart)

    async def _between_runs(self, request: wire.Request, more: str = "") -> wire.Content:
        """Send a request that only reads, but on the main thread. Raises `BridgeError` kernel_busy unless the kernel is idle."""
        try:
            return await self._link.ask("shell", wire.REQUEST, wire.encode_request(request))
        except BridgeError as refusal:
            if refusal.code == "kernel_silent" and await self._link.liveness() == "alive":
                raise BridgeError(
                    "kernel_busy",
                    "The kernel is busy, and this is read between runs.",
                    f"Try again when kernel_status says idle.{more}",
                ) from None
            raise

    async def preview_run(self, cell_ids: Sequence[str]) -> list[ExpectedRun]:
        """Return the cells that a run of these cells would run. Raises `BridgeError` no_such_cell."""
        return await self.ask(wire.PreviewRun(cell_ids=list(cell_ids)), list[ExpectedRun])

    async def preview_edits(self, changes: Sequence[Change]) -> EditReport:
        """Return the effects that a batch of edits would have. Raises `BridgeError` kernel_busy unless the kernel is idle."""
        require_reactive(self._link)
        request = wire.EditCells(changes=list(changes), dry_run=True, client=self._client_name)
        reply = await self._between_runs(request, " Without `edits` a preview is always available.")
        return wire.decode_reply(reply, EditReport)

    async def ask(self, request: wire.ControlRequest, kind: type[_T], bound: float = ANSWER_BOUND) -> _T:
        """Send a request on control, and return its result."""
        require_reactive(self._link)
        request = msgspec.structs.replace(request, redacted=self.redacted)
        content = await self._link.ask("control", wire.READ_REQUEST, wire.encode_request(request), bound)
        return wire.decode_reply(content, kind)


def require_reactive(link: KernelLink) -> None:
    """Raise `BridgeError` not_reactive for a plain kernel, which would never reply."""
    if not link.info.reactive:
        raise BridgeError(
            "not_reactive",
            f"This kernel is a plain {link.info.implementation} kernel ({link.info.language}): it has no "
            "reactive cells to list, read, edit or run.",
            "execute_code and kernel_status work. For the rest, choose the kernel "
            "'marimo (reactive Python)' in the notebook and connect to that one.",
        )
