"""The state of a notebook that exists before its runtime is loaded: cells, outputs, runs, the published graph.

Holds the parts that `session`, `execution` and `agent_edits` share; decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marimo_kernel_bridge.kernel.notebook.early_answers import EarlyAnswers
from marimo_kernel_bridge.kernel.notebook.run_history import RunHistory
from marimo_kernel_bridge.kernel.notebook.view import PublishedGraph

if TYPE_CHECKING:
    from marimo_kernel_bridge.kernel.cells import CellTable
    from marimo_kernel_bridge.kernel.outputs.router import OutputRouter


@dataclass(frozen=True)
class NotebookState:
    """The mutable parts that the notebook's classes share. `early` has answers to queued requests."""

    cells: CellTable
    router: OutputRouter
    runs: RunHistory = field(default_factory=RunHistory)
    published: PublishedGraph = field(default_factory=PublishedGraph)
    early: EarlyAnswers = field(default_factory=EarlyAnswers)
