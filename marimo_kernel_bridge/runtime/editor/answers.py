"""marimo's notifications for what the kernel answers or tells by itself. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marimo._messaging.cell_output import CellOutput
from marimo._messaging.completion_option import CompletionOption
from marimo._messaging.errors import UnknownError
from marimo._messaging.notification import (
    CellNotification,
    CompletionResultNotification,
    RemoveUIElementsNotification,
    VariableValuesNotification,
)
from marimo._messaging.variables import create_variable_value
from marimo._types.ids import CellId_t, RequestId

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marimo_kernel_bridge.protocol.changes import GraphProblem


def completions(
    request_id: str, prefix_length: int, names: Sequence[tuple[str, str]]
) -> CompletionResultNotification:
    """Return completions, given with their types."""
    options = [CompletionOption(name, kind, None) for name, kind in names]
    return CompletionResultNotification(RequestId(request_id), prefix_length, options)


def refusal(cell_id: str, problems: Sequence[GraphProblem]) -> tuple[CellNotification, ...]:
    """Return what shows in a cell why the kernel has not taken its code."""
    output = CellOutput.errors([UnknownError(problem.message, problem.kind) for problem in problems])
    marimo_id = CellId_t(cell_id)
    return (
        CellNotification(marimo_id, status="queued"),
        CellNotification(marimo_id, status="running", output=output, console=[]),
        CellNotification(marimo_id, status="idle", stale_inputs=False),
    )


def elements_removed(cell_id: str) -> RemoveUIElementsNotification:
    """Return what says that a cell's elements are gone, or made again."""
    return RemoveUIElementsNotification(CellId_t(cell_id))


def variable_values(names: Sequence[str], values: Mapping[str, Any]) -> VariableValuesNotification | None:
    """Return the values of variables for the editor's panel, None if there are none. Runs code of the values."""
    shown = [create_variable_value(name, values[name]) for name in names if name in values]
    return VariableValuesNotification(shown) if shown else None
