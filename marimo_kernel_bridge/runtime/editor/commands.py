"""What marimo's editor asks for, as the kernel's commands. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo._messaging.notebook import changes
from marimo._runtime import commands

from marimo_kernel_bridge.runtime.editor.interface import (
    Arrange,
    CallFunction,
    Complete,
    Configure,
    DeleteCell,
    RunCells,
    RunStale,
    SetSettings,
    SetValues,
)
from marimo_kernel_bridge.runtime.editor.news import settings_of

if TYPE_CHECKING:
    from marimo._messaging.notebook.document import NotebookDocument
    from marimo._types.ids import CellId_t

    from marimo_kernel_bridge.runtime.editor.interface import Command


def command_of(request: commands.CommandMessage, document: NotebookDocument) -> Command | None:  # noqa: PLR0911  # one for each
    """Return the command for a request of a page; None: there is nothing to do, or it is not offered here."""
    match request:
        case commands.ExecuteCellsCommand(cell_ids=cell_ids, codes=codes):
            return RunCells(tuple(zip(cell_ids, codes, strict=True)), tuple(document.cell_ids))
        case commands.ExecuteStaleCellsCommand():
            return RunStale()
        case commands.DeleteCellCommand(cell_id=cell_id):
            return DeleteCell(cell_id)
        case commands.UpdateCellConfigCommand(configs=configs):
            disabled = [
                (cell_id, bool(config["disabled"]))
                for cell_id, config in configs.items()
                if "disabled" in config
            ]
            return Configure(tuple(disabled)) if disabled else None
        case commands.UpdateUIElementCommand():
            return SetValues(tuple(request.ids_and_values))
        case commands.InvokeFunctionCommand():
            return CallFunction(
                request.function_call_id, request.namespace, request.function_name, request.args
            )
        case commands.CodeCompletionCommand():
            return Complete(request.id, request.document)
        case _:
            return None


def commands_of(transaction: changes.Transaction, document: NotebookDocument) -> list[Command]:
    """Return the commands for changes that a person has made in the editor's document: all but texts, which count when they run."""
    found: list[Command] = []
    for change in transaction.changes:
        match change:
            case changes.DeleteCell(cell_id=cell_id):
                found.append(DeleteCell(cell_id))
            case changes.SetConfig(cell_id=cell_id, disabled=disabled):
                found.append(Configure(((cell_id, disabled),)))
                found += _settings(cell_id, document)
            case changes.SetName(cell_id=cell_id) | changes.CreateCell(cell_id=cell_id):
                found += _settings(cell_id, document)
            case _:
                pass
    if any(isinstance(change, changes.MoveCell | changes.ReorderCells) for change in transaction.changes):
        found.append(Arrange(tuple(document.cell_ids)))
    return found


def _settings(cell_id: CellId_t, document: NotebookDocument) -> list[Command]:
    cell = document.get(cell_id)
    return [] if cell is None else [SetSettings(cell_id, settings_of(cell))]
