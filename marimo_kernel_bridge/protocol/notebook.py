"""The parts of a reactive notebook as values: cells, runs, and the kernel's state.

Independent of Jupyter, marimo and sockets. All values are frozen; the kernel replaces them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CellStatus = Literal[
    "new",  # registered, never run
    "queued",  # its execute_request waits behind another
    "running",
    "ok",
    "error",  # its code raised an exception
    "refused",  # refused by marimo's graph: a cycle, a syntax error; in strict mode, a name defined twice
    "cancelled",  # not run, because a cell upstream failed
    "interrupted",
    "superseded",  # another cell took over a name that it defined: not in the graph until it runs again
]

Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]
"""A time or duration; NaN and infinity, which no JSON has, are none."""

Output: TypeAlias = dict[str, Any]
"""An output of a cell in the shape of nbformat 4: `output_type`, and `text`, `data` and `metadata`, or `ename`, ..."""

NOTEBOOK: Literal["notebook"] = "notebook"
"""The author of runs that a person's front end requested."""


@dataclass(frozen=True)
class CellError:
    """Why a cell failed. `traceback` lines contain no ANSI colors. `limit` names the limit of the kernel that it has hit."""

    ename: str
    evalue: str
    traceback: tuple[str, ...] = ()
    limit: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell as the kernel knows it.

    `cell_id` is the kernel's own short id (four letters); `notebook_cell_id` is the front end's id (JupyterLab:
    the nbformat id; VS Code: the document URI), None for a cell that no notebook shows. `version` grows by one
    each time `code` changes. `uses` and `defines` are global names; `upstream` and `downstream` are cell ids one
    edge away. `last_run_at` is seconds since the epoch, `duration` seconds. `not_watched` are names of objects that are too
    large to see whether the cell changes them.
    """

    cell_id: str
    notebook_cell_id: str | None
    code: str
    version: int
    status: CellStatus
    stale: bool
    execution_count: int | None
    edited_by: str
    last_run_by: str | None
    last_run_at: Seconds | None
    duration: Seconds | None
    error: CellError | None
    defines: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()
    downstream: tuple[str, ...] = ()
    not_watched: tuple[str, ...] = ()


@dataclass(frozen=True)
class CellObservations:
    """What the run of a cell has shown that its text does not say, as statements for the analysis of cells."""

    cell_id: str
    notebook_cell_id: str | None
    text: str


@dataclass(frozen=True)
class Outline:
    """Some of the `total` cells of a notebook."""

    cells: tuple[Cell, ...]
    total: int


@dataclass(frozen=True)
class CellWithOutputs:
    """A cell and its outputs, each in the shape of nbformat 4 (`output_type`, `data`, `metadata`, ...)."""

    cell: Cell
    outputs: tuple[Output, ...]


@dataclass(frozen=True)
class EditorLink:
    """An address that opens a page on the kernel once, on the kernel's machine, and the port of its server."""

    url: str
    port: int


@dataclass(frozen=True)
class CellRun:
    """One execution of one cell inside a run."""

    cell_id: str
    notebook_cell_id: str | None
    status: CellStatus
    execution_count: int | None
    duration: Seconds
    error: CellError | None = None
    outputs_changed: bool = False


@dataclass(frozen=True)
class RunReport:
    """The effects of one request.

    `run_id` is the message id of the request. `cells` are in the order in which they ran, the requested ones
    among them. `still_stale` names cells that are stale at the end of the run (lazy mode, or an interrupt).
    `superseded` names cells that lost a name to a requested one, and left the graph. `started_at` is in seconds since
    the epoch. `not_run` names cells that read the widget that was set and do not run automatically (ipywidgets are not part
    of the graph). `not_taken` are names that a requested cell would have taken over from a notebook's cells, if it had
    not failed, been stopped by `mo.stop`, or used values made from them.
    """

    run_id: str
    requested: tuple[str, ...]
    client: str
    finished: bool
    cells: tuple[CellRun, ...] = ()
    still_stale: tuple[str, ...] = ()
    superseded: tuple[str, ...] = ()
    started_at: Seconds = 0.0
    not_run: tuple[str, ...] = ()
    not_taken: tuple[str, ...] = ()


def joined(
    run_id: str, client: str, reports: Sequence[RunReport], *, started_at: float, finished: bool
) -> RunReport:
    """Return the effects of several requests as those of one. A cell that ran for several counts once, as it ended last."""
    runs = {run.cell_id: run for report in reports for run in report.cells}
    return RunReport(
        run_id,
        _once(cell for report in reports for cell in report.requested),
        client,
        finished,
        tuple(runs.values()),
        reports[-1].still_stale if reports else (),
        _once(cell for report in reports for cell in report.superseded),
        started_at,
        _once(cell for report in reports for cell in report.not_run),
        _once(name for report in reports for name in report.not_taken),
    )


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


_Name = Annotated[str, msgspec.Meta(max_length=500)]
_Bytes = Annotated[int, msgspec.Meta(ge=0)]


class RecordedName(msgspec.Struct, frozen=True, omit_defaults=True):
    """A name that a cell has defined, as a kernel recorded it. `seconds` is how long the cell took."""

    name: _Name
    type: _Name = ""
    size: _Name = ""
    cell: _Name = ""
    seconds: Seconds | None = None


class Death(msgspec.Struct, frozen=True, omit_defaults=True):
    """The end of a kernel's process that nobody had asked for.

    `at` is when the kernel was last heard of, in seconds since the epoch. `cell_id` and `code`, the first line, are of the
    cell that ran (`ran` says whether any code did), and `line` is the one in it that crashed, where that is known.
    `used` and `limit` are bytes of memory, 0 if unknown. `lost` are the names that cells had defined, at most 50 of
    `total_lost`. `covered` says what a checkpoint has of it, "" if there is none.
    `exceeded` names the limit that the kernel died of, "" if it was none.
    """

    cause: Literal["signal", "out_of_memory", "exit", "killed", "restarted", "abandoned", "limit_exceeded"]
    what: str
    at: Seconds
    certain: bool = True
    signal: str | None = None
    exit_code: int | None = None
    ran: bool = False
    cell_id: str | None = None
    code: str = ""
    line: int | None = None
    traceback: tuple[str, ...] = ()
    used: _Bytes = 0
    limit: _Bytes = 0
    lost: tuple[RecordedName, ...] = ()
    total_lost: int = 0
    covered: str = ""
    exceeded: str = ""


@dataclass(frozen=True)
class KernelDescription:
    """The state of a reactive kernel. Times are seconds since the epoch.

    `queued` is the number of waiting requests; `settling`: dependents will run, or outputs are held until a front end
    is ready for them. `agents_paused`: the person has restricted agents to reading. `died`: how the process before this one
    did, if nobody had asked for its end. `memory` warns where little is left. `limits` and `sandbox` are those that the process is held
    to, as JSON; "" for none. `asks` is the prompt with which running code waits for a person to type, in the front end that
    has sent the code.
    """

    protocol: int
    bridge_version: str
    marimo_version: str | None
    python_version: str
    pid: int
    cwd: str
    notebook: str | None
    mode: Literal["autorun", "lazy"]
    started_at: Seconds
    busy: bool
    running_cell: str | None
    running_since: Seconds | None
    queued: int
    settling: bool
    cells: int
    stale: tuple[str, ...] = field(default=())
    agents_paused: bool = False
    interpreter: str | None = None
    died: Death | None = None
    memory: str = ""
    limits: str = ""
    sandbox: str = ""
    asks: str | None = None
