"""What agents did, in words for the person: a sentence's end for each request that ran or changed something. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, DeleteCell, MoveCell

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST: Final = 60
_VERBS: Final[dict[type, str]] = {
    ChangeCell: "changed",
    AddCell: "added",
    DeleteCell: "deleted",
    MoveCell: "moved",
}


def of_code(code: str, *, scratch: bool) -> str:
    """Return words for code that an agent ran."""
    return f"ran {'scratch code ' if scratch else ''}`{_short(code)}`"


def of_request(request: Any) -> str:  # noqa: C901, PLR0911, PLR0912  # one for each kind of request
    """Return words for a request of the bridge protocol; empty for one that only reads."""
    match request:
        case wire.EditCells(dry_run=True) | wire.EditDocument(dry_run=True):
            return ""
        case wire.EditDocument(propose=True, changes=changes):
            return f"proposed: {_changes(changes)}"
        case wire.EditCells(changes=changes) | wire.EditDocument(changes=changes):
            return _changes(changes)
        case wire.RunCells(cell_ids=cells):
            return f"ran {_counted(cells)}"
        case wire.RunStale():
            return "ran the stale cells"
        case wire.SyncDocument():
            return "ran what differs from the notebook"
        case wire.SetUiValue(ui_element=element, value=value):
            return f"set {_short(element)} to {_short(str(value))}"
        case wire.InstallPackages(requirements=packages):
            return f"installed {_short(', '.join(packages))}"
        case wire.UndoEdit():
            return "took a change back"
        case wire.WithdrawProposal():
            return "withdrew a proposal"
        case wire.SaveDocument(name=name):
            return "saved the notebook" if name is None else f"renamed the notebook to {_short(name)}"
        case wire.LoadDocument():
            return "loaded the notebook's cells"
        case wire.SaveCheckpoint(name=name):
            return f"saved the checkpoint {_short(name)}"
        case wire.RestoreCheckpoint(preview=False, name=name):
            return f"restored {'the newest checkpoint' if name is None else f'the checkpoint {_short(name)}'}"
        case wire.DeleteCheckpoint(name=name):
            return f"deleted the checkpoint {_short(name)}"
        case wire.OpenEditor():
            return "opened marimo's editor"
        case wire.CancelRun():
            return "gave up a run"
        case _:
            return ""


def _changes(changes: Sequence[object]) -> str:
    counts = Counter(_VERBS.get(type(change), "changed") for change in changes)
    return (
        ", ".join(f"{verb} {number} cell{'' if number == 1 else 's'}" for verb, number in counts.items())
        or "changed nothing"
    )


def _counted(cells: Sequence[str]) -> str:
    return f"cell {_short(cells[0])}" if len(cells) == 1 else f"{len(cells)} cells"


def _short(text: str) -> str:
    """Return the first line of a text, as much as fits; characters that are no text on a page are escaped."""
    start = text[: _LONGEST * 4].strip()
    line = start.split("\n", 1)[0]
    line = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line)
    cut = len(line) > _LONGEST or len(text.strip()) > len(line)
    return f"{line[:_LONGEST].rstrip()}…" if cut else line
