"""Answers about checkpoints of a notebook's state: those that there are, one that was saved, restored or deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from marimo_kernel_bridge.mcp_server.answers.view import quoted

_SHOWN: Final = 20


@dataclass(frozen=True)
class CheckpointLine:
    """A checkpoint. `cells` counts those whose values it has, `size` bytes; `lost` says what it lacks.

    `verified` is "whole", or why it cannot be used; empty if that was not asked.
    """

    name: str
    kind: str
    at: str
    cells: int
    size: int
    lost: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    verified: str = ""


@dataclass(frozen=True)
class CheckpointList:
    """The checkpoints of a notebook, the newest first."""

    checkpoints: tuple[CheckpointLine, ...]

    def text(self) -> str:
        if not self.checkpoints:
            return "This notebook has no checkpoint. save_checkpoint makes one."
        lines = []
        for one in self.checkpoints:
            facts = (one.kind, one.at, f"{one.cells} cells", _size(one.size)) if one.at else ()
            lines.append(" · ".join((f"- {one.name}", *facts, *filter(None, [one.verified]))))
            lines += [f"  without {value}" for value in one.lost[:_SHOWN]]
            lines += [f"  {sentence}" for sentence in one.told]
        return "\n".join(lines)


@dataclass(frozen=True)
class SavedCheckpoint:
    """A checkpoint that was written: the number of cells whose values it has, and the bytes that were new on disk."""

    name: str
    cells: int
    bytes_written: int
    seconds: float
    lost: tuple[str, ...] = ()

    def text(self) -> str:
        done = f"Saved {self.cells} cells as {self.name} in {self.seconds:.1f} s, {_size(self.bytes_written)} new on disk."
        return "\n".join([done, *(f"- without {value}" for value in self.lost[:_SHOWN])])


@dataclass(frozen=True)
class StaleLine:
    """A stale cell, and how long its last run took."""

    cell_id: str
    code: str
    why: str
    seconds: float | None = None


@dataclass(frozen=True)
class RestoredCheckpoint:
    """What a restore brought back, or, with `preview`, would bring back."""

    name: str
    at: str
    seconds: float
    fresh: tuple[str, ...] = ()
    stale: tuple[StaleLine, ...] = ()
    lost: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    preview: bool = False

    def text(self) -> str:
        count, total = len(self.fresh), len(self.fresh) + len(self.stale)
        done = "Would restore" if self.preview else "Restored"
        took = "" if self.preview else f" in {self.seconds:.1f} s"
        lines = [f"{done} {count} of {total} cells of {self.name}, {self.at}{took}."]
        if self.stale:
            last = sum(cell.seconds or 0.0 for cell in self.stale)
            lines.append(
                f'Stale: run_cells(which="stale") runs these {len(self.stale)}, {last:.1f} s the last time:'
            )
            lines += [f"- [{cell.cell_id}] {quoted(cell.code)} ({cell.why})" for cell in self.stale]
        lines += [f"- without {value}" for value in self.lost[:_SHOWN]]
        return "\n".join([*lines, *self.told])


@dataclass(frozen=True)
class CheckpointDeleted:
    """The result of deleting a checkpoint."""

    name: str
    message: str

    def text(self) -> str:
        return self.message


def _size(count: int) -> str:
    for size, unit in ((10**9, "GB"), (10**6, "MB"), (1000, "KB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
