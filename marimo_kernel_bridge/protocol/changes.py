"""A batch of changes to cells, and what is to be expected of it. Values only.

A batch holds wholly or not at all. `version` is the version last read; another one now, and the batch is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from marimo_kernel_bridge.protocol.notebook import RunReport  # noqa: TC001  # msgspec looks at it


class _Change(msgspec.Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True):
    pass


class AddCell(_Change, frozen=True, tag="add"):
    """A new cell. `after` is the cell in whose place in the order it comes next; None: the last."""

    code: str
    after: str | None = None


class ChangeCell(_Change, frozen=True, tag="change"):
    """New code for a cell."""

    cell_id: str
    version: int
    code: str


class DeleteCell(_Change, frozen=True, tag="delete"):
    """A cell leaves the graph with the names it defines. A notebook that shows it goes on showing it."""

    cell_id: str
    version: int


class MoveCell(_Change, frozen=True, tag="move"):
    """A cell gets another place in the kernel's order, after `after`; None: the first.

    Only cells that use another definition of a name by that run again.
    """

    cell_id: str
    version: int
    after: str | None = None


Change = AddCell | ChangeCell | DeleteCell | MoveCell


@dataclass(frozen=True)
class GraphProblem:
    """Why the graph would not take a batch, or (`undefined_name`) what would fail once it has.

    `cells` are ids; a cell that the batch adds is called `new1`, `new2`, ... in the order of the batch.
    """

    kind: Literal["multiple_definition", "cycle", "syntax", "undefined_name"]
    message: str
    cells: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExpectedRun:
    """A cell that would run. `last_seconds` is how long it took the last time, None if it never ran."""

    cell_id: str
    last_seconds: float | None


@dataclass(frozen=True)
class EditReport:
    """What became of a batch, or would (`applied` False). Problems other than `undefined_name` keep it from applying.

    `added` are the ids of the new cells in the order of the batch; `run` is what applying it caused.
    """

    applied: bool
    problems: tuple[GraphProblem, ...] = ()
    would_run: tuple[ExpectedRun, ...] = ()
    added: tuple[str, ...] = ()
    run: RunReport | None = None
