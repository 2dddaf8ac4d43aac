"""What agents read of a document and change in it, as values. `messages` has the requests, `document` the front end's side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from marimo_kernel_bridge.protocol.changes import ExpectedRun, GraphProblem  # noqa: TC001  # msgspec looks at it
from marimo_kernel_bridge.protocol.document import CellType  # noqa: TC001
from marimo_kernel_bridge.protocol.notebook import CellStatus, Seconds  # noqa: TC001

Where = Literal["document", "saved", "kept", "kernel_only", "no_notebook"]
"""Where a change is: in the document that the person has open; in the file of a notebook that no front end has open, which the agent's server
saves; kept for the document, to be offered when it attaches or answers; only in the kernel, because the cell is no notebook's; or in a kernel
that no notebook shows."""

LONGEST_WAIT: Final = 60.0
"""Seconds for which a kernel holds back the reply about a proposal, at the most."""


@dataclass(frozen=True)
class OpenDocument:
    """A document that a front end has open on this kernel. `editing` is the key of the cell in which the person is.

    `heard_at` is when the front end last said something, in seconds since the epoch.
    """

    client: str
    front_end: str
    path: str
    dirty: bool
    focused: bool
    editing: str | None
    writable: bool
    heard_at: Seconds
    cells: int


@dataclass(frozen=True)
class NotebookCell:
    """A cell as the document shows it.

    `key` is the front end's id and `cell_id` the kernel's, None if it never ran. `ran`: whether its present text is what ran;
    None for Markdown and raw cells. `version` is that of the present text, for `ChangeCell`. `by` is the author of the text.
    """

    key: str
    cell_id: str | None
    type: CellType
    code: str
    version: int
    by: str
    ran: Literal["as_shown", "changed", "never"] | None
    status: CellStatus
    stale: bool


@dataclass(frozen=True)
class DocumentContent:
    """The document that the person has open, `active`, of those that are. Without any, `cells` is empty and `active` None.

    `kernel_only` are ids of cells of the kernel that the document does not have. `revision` grows with each change.
    """

    active: OpenDocument | None
    documents: tuple[OpenDocument, ...]
    cells: tuple[NotebookCell, ...]
    kernel_only: tuple[str, ...]
    revision: int


@dataclass(frozen=True)
class EditConflict:
    """A cell whose text has changed since the agent read it. `code` is the present text, None if the cell is gone."""

    cell: str
    code: str | None


@dataclass(frozen=True)
class DocumentEdit:
    """The result of a change to the document.

    applied: the document has it. proposed: the person decides, because it was proposed or because of `conflicts`. kept: no document is attached, or none
    answers; the kernel's own cells are changed by `EditCells`. refused: `problems` or `message` say why. `added` are the
    keys of new cells in the order of the batch; `runs` are the ids of the requests that run the changed cells, or `op_id`
    alone, by which all of them can be read, if the front end does not know theirs. `order` are the document's keys, where a cell that the
    batch names is gone. With `dry_run`, `outcome` is the expected one and `op_id` None. Ids are keys, where the document has the cell.
    """

    outcome: Literal["applied", "proposed", "kept", "refused"]
    op_id: str | None
    front_end: str | None = None
    added: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    conflicts: tuple[EditConflict, ...] = ()
    problems: tuple[GraphProblem, ...] = ()
    would_run: tuple[ExpectedRun, ...] = ()
    message: str = ""
    order: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """A person's decision on one change of a proposal. `code` is the accepted text; `cell` is the cell's key."""

    change: int
    decision: Literal["open", "accepted", "rejected", "gone"]
    code: str | None = None
    cell: str | None = None


@dataclass(frozen=True)
class Proposal:
    """A proposal and the decisions on its changes. `shown_in` is the front end that shows it; None: none does now."""

    op_id: str
    author: str
    note: str
    decisions: tuple[Decision, ...]
    shown_in: str | None
    withdrawn: bool = False
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Which cells of a document differ from what ran, by key, and the cells that a sync would run, in order.

    `to_run` are the roots; `would_run` are all cells that run, dependents included. `kernel_only` are ids of the kernel.
    """

    source: Literal["document", "file", "given"]
    changed: tuple[str, ...]
    never_run: tuple[str, ...]
    stale: tuple[str, ...]
    failed: tuple[str, ...]
    in_step: tuple[str, ...]
    kernel_only: tuple[str, ...]
    to_run: tuple[str, ...] = ()
    would_run: tuple[ExpectedRun, ...] = ()


@dataclass(frozen=True)
class CellChange:
    """A change of a cell's text, place or existence in the document or the kernel. `at` is in seconds since the epoch."""

    number: int
    at: Seconds
    by: str
    kind: Literal["changed", "added", "deleted", "moved", "ran"]
    key: str
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True)
class Changes:
    """The changes after a point. `point` is the newest one, to ask from next. `incomplete`: older ones are not kept any more."""

    changes: tuple[CellChange, ...]
    point: int
    incomplete: bool = False
