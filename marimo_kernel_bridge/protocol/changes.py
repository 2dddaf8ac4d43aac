"""Batches of changes to cells, and their expected results. Values only.

A batch is applied wholly or not at all. `version` is the version that the author last read; the batch is refused if the
cell has another one now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from marimo_kernel_bridge.protocol.notebook import RunReport, Seconds  # noqa: TC001  # msgspec looks at it


class _Change(msgspec.Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True, omit_defaults=True):
    """Defaults are not sent, so that an older kernel, which refuses unknown fields, takes what it knows."""


class AddCell(_Change, frozen=True, tag="add"):
    """A new cell. `after` is the cell before it in the kernel's order; None: it becomes the last cell, or with `first` the first.

    Only an open document has cells that are no code. `after` may name a cell that the same batch has added: they are called
    `new1`, `new2`, ... in the order of the batch.
    """

    code: str
    after: str | None = None
    type: Literal["code", "markdown", "raw"] = "code"
    first: bool = False


class ChangeCell(_Change, frozen=True, tag="change"):
    """New code for a cell."""

    cell_id: str
    version: int
    code: str


class DeleteCell(_Change, frozen=True, tag="delete"):
    """Removes a cell from the graph, with the names that it defines. A notebook continues to show it."""

    cell_id: str
    version: int


class MoveCell(_Change, frozen=True, tag="move"):
    """Moves a cell in the kernel's order, after `after`; None: to the first place.

    Only cells that use another definition of a name as a result run again.
    """

    cell_id: str
    version: int
    after: str | None = None


Change = AddCell | ChangeCell | DeleteCell | MoveCell


@dataclass(frozen=True)
class GraphProblem:
    """Why the graph refuses a batch, or (`undefined_name`) what would fail. Cells that it adds are called `new1`, `new2`, ..."""

    kind: Literal["multiple_definition", "cycle", "syntax", "undefined_name"]
    message: str
    cells: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExpectedRun:
    """A cell that would run. `last_seconds` is the duration of its last run, None if it never ran."""

    cell_id: str
    last_seconds: Seconds | None


@dataclass(frozen=True)
class EditReport:
    """The result of a batch, or with `applied` False the expected result.

    Problems other than `undefined_name` prevent a batch from being applied. `added` are the ids of the new cells in the
    order of the batch; `run` is the run that it caused.
    """

    applied: bool
    problems: tuple[GraphProblem, ...] = ()
    would_run: tuple[ExpectedRun, ...] = ()
    added: tuple[str, ...] = ()
    run: RunReport | None = None
