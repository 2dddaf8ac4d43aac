"""Replacements for steps of marimo's runs that take time proportional to the notebook for each cell.

They use indexes, and their results are the same as marimo's; the tests compare runs with and without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marimo._runtime.context.types import get_context
from marimo._runtime.runner import hooks_pre_execution

if TYPE_CHECKING:
    from collections.abc import Collection

    from marimo._ast.cell import CellImpl
    from marimo._runtime.runner.hook_context import (
        PostExecutionHookContext,
        PreExecutionHookContext,
        PreparationHookContext,
    )


def update_staleness(ctx: PreparationHookContext) -> None:
    """Do what marimo's hook does, without notifying its frontend of each stale cell."""
    graph: Any = ctx.graph  # an `IndexedGraph`
    if ctx.execution_mode == "lazy":
        graph.stale_cells.update(graph.fresh_below(ctx.cells_to_run, prune_imports=True))
    for cell_id in ctx.cells_to_run:
        if graph.is_disabled(cell_id):
            graph.stale_cells.add(cell_id)
        else:
            graph.cells[cell_id].set_runtime_state(status="queued")
            graph.stale_cells.discard(cell_id)


def clear_staleness(cell: CellImpl, ctx: PreExecutionHookContext) -> None:
    """Do what marimo's hook does, without visiting the ancestors of fresh cells."""
    if cell.stale:
        hooks_pre_execution._set_staleness(cell, ctx)


class _Either:
    """The union of two collections, without copying them."""

    def __init__(self, one: Collection[str], other: Collection[str]) -> None:
        self._one, self._other = one, other

    def __contains__(self, name: object) -> bool:
        return name in self._one or name in self._other


def note_states(cell: CellImpl, ctx: PostExecutionHookContext, _result: object) -> None:
    """Do what marimo's hook `_store_state_reference` does, without a set of all names after each cell."""
    registry = get_context().state_registry
    registry.register_scope(ctx.glbls, defs=cell.defs)
    names: Any = _Either(ctx.graph.definitions, ctx.all_temporaries)  # marimo only tests membership
    registry.retain_active_states(names)
