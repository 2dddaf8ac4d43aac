"""Checkpoints as values: what is saved of a notebook's state, what a restore brings back, and what it does not.

Values only; `checkpoints` has the files, `kernel.checkpoints` saves and restores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from marimo_kernel_bridge.protocol.notebook import Seconds  # noqa: TC001  # msgspec looks at it

CheckpointKind = Literal["named", "automatic"]


@dataclass(frozen=True)
class LostName:
    """A name whose value is not in a checkpoint, or cannot be loaded from it.

    `reason` is a clause. `path` is where in the value the object is that cannot be kept, such as `["model"].lock`; empty:
    the value itself. Running `cell_id` makes the value again; None: no cell defines it.
    """

    name: str
    type: str
    reason: str
    cell_id: str | None = None
    path: str = ""


@dataclass(frozen=True)
class CheckpointSaved:
    """A written checkpoint: the number of cells whose values it has, and the bytes that were new on disk.

    `told` are sentences about the space that checkpoints take.
    """

    name: str
    cells: int
    bytes_written: int
    seconds: Seconds
    lost: tuple[LostName, ...] = ()
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckpointSummary:
    """A checkpoint of a notebook. `at` is seconds since the epoch, `cells` the number whose values it has, `size` bytes.

    `told` are sentences about what a restore here would not bring back: another version of Python or of a package. `verified` is
    "whole" if all of its data is as it was saved, else why it cannot be used; empty if nobody asked.
    """

    name: str
    kind: CheckpointKind
    at: Seconds
    cells: int
    size: int
    lost: tuple[LostName, ...] = ()
    python: str = ""
    told: tuple[str, ...] = ()
    verified: str = ""


@dataclass(frozen=True)
class StaleCell:
    """A cell that a restore leaves stale: its first line of code, why, and the seconds that its last run took."""

    cell_id: str
    code: str
    why: str
    seconds: Seconds | None = None


@dataclass(frozen=True)
class Restored:
    """The result of a restore; with `preview`, of one that was not done.

    `fresh` are ids of cells whose values are back. The stale cells run when somebody runs them.
    """

    name: str
    at: Seconds
    seconds: Seconds
    fresh: tuple[str, ...]
    stale: tuple[StaleCell, ...]
    lost: tuple[LostName, ...] = ()
    told: tuple[str, ...] = ()
    preview: bool = False


@dataclass(frozen=True)
class DocumentLoaded:
    """The cells that were registered from the notebook's document, and where that was read: the page or the saved file."""

    cells: tuple[str, ...]
    source: Literal["page", "file"]
    path: str | None = None
