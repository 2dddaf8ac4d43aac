"""What marimo's host API sends and takes, as far as it is used here: version 1, of marimo 0.25.2. Values only.

Unknown fields and kinds are ignored, as marimo's own description of the protocol asks for.
"""

from __future__ import annotations

import datetime as dt  # msgspec looks at it
from typing import Annotated, Any, Final, Literal

import msgspec

_Time = Annotated[dt.datetime, msgspec.Meta(tz=True)]
_Text = Annotated[str, msgspec.Meta(max_length=1000)]


class _Record(msgspec.Struct, frozen=True):
    """Something that marimo sends."""


class Process(_Record, frozen=True):
    pid: int


class HostRecord(_Record, frozen=True):
    """The file that a server writes for clients of the same user. `token` is its secret."""

    version: Literal[1]
    process: Process
    url: _Text
    token: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class ServerRecord(_Record, frozen=True):
    """The file of a server that takes requests without a token. It does not tell of the host API."""

    pid: int
    host: _Text
    port: int
    base_url: _Text = ""


class Project(_Record, frozen=True):
    id: str
    root: str | None = None


class Notebook(_Record, frozen=True):
    """A notebook of the catalog. `path` is relative to the project's root."""

    id: str
    project_id: str
    path: str | None = None
    name: str = ""


class Runtime(_Record, frozen=True):
    """A marimo kernel. Each start has an id of its own."""

    id: str
    notebook_id: str
    status: str
    marimo_version: str | None = None
    message: str | None = None


class Document(_Record, frozen=True):
    order: tuple[str, ...]
    etag: str
    order_etag: str
    saved_etag: str | None = None
    version: int = 0


class Config(_Record, frozen=True):
    column: int | None = None
    disabled: bool = False
    expand_output: bool = False
    hide_code: bool = False


class Cell(_Record, frozen=True):
    """A cell's text; `etag` is the precondition of an edit, `code_hash` identifies the code alone."""

    id: str
    code: str
    etag: str
    code_hash: str
    version: int
    name: str = "_"
    config: Config = Config()


class Related(_Record, frozen=True):
    cell_id: str


class DisplayData(_Record, frozen=True):
    mimetype: str
    data: str


class Error(_Record, frozen=True):
    kind: str
    message: str
    name: str | None = None
    traceback: DisplayData | None = None
    related: tuple[Related, ...] = ()
    severity: str = "error"


class CellAnalysis(_Record, frozen=True):
    defs: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    errors: tuple[Error, ...] = ()


class Analysis(_Record, frozen=True):
    document_etag: str
    cells: dict[str, CellAnalysis]


class Outcome(_Record, frozen=True):
    """How an execution ended: a `value`, an `error`, or `interrupted`."""

    kind: str
    display: DisplayData | None = None
    error: Error | None = None


class Execution(_Record, frozen=True):
    """An execution of a cell, or of scratch code, which has no cell."""

    id: str
    status: str
    code_hash: str = ""
    cell_id: str | None = None
    run_id: str | None = None
    runtime_id: str | None = None
    outcome: Outcome | None = None
    started_at: _Time | None = None
    completed_at: _Time | None = None


class Run(_Record, frozen=True):
    id: str
    status: str
    outcome: str | None = None
    started_at: _Time | None = None


class Item(_Record, frozen=True):
    """Printed text (`name` is its stream) or a display of an execution."""

    id: str
    execution_id: str
    seq: int
    name: str = ""
    text: str = ""
    mimetype: str = ""
    data: str = ""


class CellVersion(_Record, frozen=True):
    etag: str
    version: int


class EditResponse(_Record, frozen=True):
    document: Document
    cells: dict[str, CellVersion | None] = {}


class _Conflict(_Record, frozen=True):
    cell: Cell | None = None


class Problem(_Record, frozen=True):
    """Why a request was refused. `type` ends in the kind of the problem."""

    type: str = ""
    detail: str = ""
    edit: _Conflict | None = None

    @property
    def kind(self) -> str:
        return self.type.rpartition("/")[2]


class Message(_Record, frozen=True):
    """The data of an event: one of the objects, or the id of one that was removed."""

    id: str = ""
    project: Project | None = None
    notebook: Notebook | None = None
    runtime: Runtime | None = None
    document: Document | None = None
    cell: Cell | None = None
    analysis: Analysis | None = None
    run: Run | None = None
    execution: Execution | None = None
    console: Item | None = None
    display: Item | None = None
    request_id: str | None = None


# Made at the import, by one thread: msgspec crashes if two look at a class for the first time.
MESSAGE: Final = msgspec.json.Decoder(Message)
HOST_RECORD: Final = msgspec.json.Decoder(HostRecord)
SERVER_RECORD: Final = msgspec.json.Decoder(ServerRecord)
PROBLEM: Final = msgspec.json.Decoder(Problem)
RUN: Final = msgspec.json.Decoder(Run)
EDIT_RESPONSE: Final = msgspec.json.Decoder(EditResponse)
Json = Any
"""The body of a request."""
