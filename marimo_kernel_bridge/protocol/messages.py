"""The messages between a client and the reactive kernel, in addition to Jupyter's.

There is one additional type of request and reply, on two Jupyter channels. Reads go on *control* and are answered
while a cell runs; requests that run code are queued on *shell*. The content of a request is one of the tagged structs in
this module; the content of a reply is `{"status": "ok", "protocol": 2, "result": ...}` or
`{"status": "error", "protocol": 2, "ename": "BridgeError", "code": ..., "evalue": ..., "hint": ...,
"traceback": []}`. A request on shell is framed by Jupyter's `status` messages busy and idle, so that a client knows by
the reply *and* idle that it is over. A request on control is not: front ends take any idle for that of the kernel.
Texts in replies have marks in place of the secrets that the kernel knows, before anything in them is shortened, unless the
request says `"redacted": false`, as commands of the person do.

Running code does not need this protocol: it is a plain `execute_request`. Its metadata may contain
`{METADATA_KEY: {"client": "a name"}}`, which the kernel records as the author; `ReadRun` with the request's
message id then returns the cells that ran because of it, and all that the kernel sends in answer is redacted. With
`"outcome": true` in addition, the kernel sends the result of `ReadOutcome` in a second reply on shell (`REPLY`) before
idle, which saves the client a request; it may be missing.

This module sends nothing: `zmq_kernel` and `client` do. New optional fields may be added to replies without changing
`PROTOCOL`: a client ignores unknown fields.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from marimo_kernel_bridge.protocol import names as message_names
from marimo_kernel_bridge.protocol.bridge_request import PROTOCOL as _PROTOCOL
from marimo_kernel_bridge.protocol.bridge_request import BridgeRequest as _Request
from marimo_kernel_bridge.protocol.changes import (
    AddCell,
    ChangeCell,
    DeleteCell,
    EditReport,
    ExpectedRun,
    MoveCell,
)
from marimo_kernel_bridge.protocol.checkpoints import (
    CheckpointSaved,
    CheckpointSummary,
    DocumentLoaded,
    Restored,
)
from marimo_kernel_bridge.protocol.decoding import Decoder
from marimo_kernel_bridge.protocol.document_edits import (
    Changes,
    Comparison,
    DocumentContent,
    DocumentEdit,
    Proposal,
)
from marimo_kernel_bridge.protocol.environment import Environment, InstallReport
from marimo_kernel_bridge.protocol.inspection import (
    Completions,
    Documentation,
    Matches,
    OwnMarks,
    Redacted,
    RunOutcome,
    UiElement,
    Variable,
    VariableContent,
)
from marimo_kernel_bridge.protocol.notebook import (
    Cell,
    CellObservations,
    CellWithOutputs,
    EditorLink,
    KernelDescription,
    Outline,
    RunReport,
)

# Replies are a part of this module for all who speak the protocol; the viewer, which is small, has them alone
from marimo_kernel_bridge.protocol.replies import Content as Content  # noqa: PLC0414, TC001  # re-exported
from marimo_kernel_bridge.protocol.replies import decode_reply as decode_reply  # noqa: PLC0414  # re-exported
from marimo_kernel_bridge.protocol.replies import encode_error as encode_error  # noqa: PLC0414  # re-exported
from marimo_kernel_bridge.protocol.replies import encode_result as encode_result  # noqa: PLC0414  # re-exported
from marimo_kernel_bridge.protocol.view_requests import (
    ViewRequest,
)
from marimo_kernel_bridge.protocol.views import How, OpenedView, TablePart, ViewAnswer, ViewDescription

PROTOCOL: Final = _PROTOCOL
REQUEST: Final = message_names.REQUEST
READ_REQUEST: Final = message_names.READ_REQUEST
REPLY: Final = message_names.REPLY
METADATA_KEY: Final = message_names.METADATA_KEY


class Describe(_Request, frozen=True, tag="describe"):
    """Control. Result: `KernelDescription`."""


class ListCells(_Request, frozen=True, tag="list_cells"):
    """Control. Result: list of `Cell`, in the order in which the kernel first saw them."""


class ReadObservations(_Request, frozen=True, tag="read_observations"):
    """Control. Result: list of `CellObservations`, of the cells whose run has shown more than their text."""


class ReadOutline(_Request, frozen=True, tag="read_outline"):
    """Control. Result: `Outline`: `limit` cells from `offset` on, in the same order. Its cost does not grow with the notebook."""

    offset: int
    limit: int


class ReadCell(_Request, frozen=True, tag="read_cell"):
    """Control. Result: `CellWithOutputs`. `cell_id` may be the kernel's id or the notebook's.

    With `most_output`, text outputs are shortened to about that many characters, keeping the beginning and the end.
    """

    cell_id: str
    most_output: int | None = None


class ReadRun(_Request, frozen=True, tag="read_run"):
    """Control. Result: `RunReport` of the request with this message id, or of all requests of an operation on a document."""

    run_id: str


class ReadOutcome(_Request, frozen=True, tag="read_outcome"):
    """Control. Result: `RunOutcome`: everything that an answer about this run needs, from one moment.

    Combines `ReadRun`, and `ReadCell` for its cells, without their refusals.
    """

    run_id: str


class ReadHistory(_Request, frozen=True, tag="read_history"):
    """Control. Result: list of `RunReport`, newest first."""

    limit: int = 50


class SearchCells(_Request, frozen=True, tag="search_cells"):
    """Control. Result: `Matches` of a text in code and outputs, ignoring case."""

    query: str
    limit: int = 50


class ListVariables(_Request, frozen=True, tag="list_variables"):
    """Control. Result: list of `Variable`. Runs no code of the values."""


class ListUiElements(_Request, frozen=True, tag="list_ui_elements"):
    """Control. Result: list of `UiElement`: marimo's elements and ipywidgets, with their accepted values."""


class InspectVariable(_Request, frozen=True, tag="inspect_variable"):
    """Either channel. Result: `VariableContent`; on control without a sample of its content.

    Rows are read on the main thread only, between cells: user code may change a table while another thread reads it.
    """

    name: str
    rows: int = 5
    offset: int = 0


class CompleteCode(_Request, frozen=True, tag="complete_code"):
    """Control. Result: `Completions` at the end of code. Evaluates nothing."""

    code: str
    limit: int = 50


class InspectCode(_Request, frozen=True, tag="inspect_code"):
    """Control. Result: `Documentation` of the expression at the end of code. Evaluates nothing."""

    code: str


class ReadTable(_Request, frozen=True, tag="read_table"):
    """Shell. Result: `TablePart`: at most `rows` rows of a variable's table, evenly chosen, or its groups.

    `columns` are names, none for the first ones. With `by`, one row for each of its values, the one column of `columns` combined by `how`;
    `bins`: ranges of the values of a single one. `edges`: a dict of names with lists of names is a table of pairs. Runs no code
    of the value. Refused with `no_such_variable`, `not_a_table`, `bad_request`; on control, where a cell may run, with `kernel_busy`.
    """

    name: Annotated[str, Meta(max_length=1000)]
    columns: Annotated[list[str], Meta(max_length=50)] = []  # noqa: RUF012  # a struct copies it
    rows: int = 1000
    by: Annotated[list[str], Meta(max_length=3)] = []  # noqa: RUF012  # a struct copies it
    how: How = "count"
    bins: bool = False
    edges: bool = False


class Redact(_Request, frozen=True, tag="redact"):
    """Control. Result: `Redacted`: the JSON with marks in place of the secrets that the kernel knows.

    For texts about the notebook that do not come from the kernel, such as its file.
    """

    value: Any


class ReadOwnMarks(_Request, frozen=True, tag="read_own_marks"):
    """Control. Result: `OwnMarks`: what in the texts of cells looks like a mark of redaction and is none."""


class PreviewRun(_Request, frozen=True, tag="preview_run"):
    """Control. Result: list of `ExpectedRun`: the cells that `RunCells` of these would run, in the kernel's order.

    For the cells that `EditCells` would run, use its `dry_run`.
    """

    cell_ids: list[str]


class ReadEnvironment(_Request, frozen=True, tag="read_environment"):
    """Control. Result: `Environment`: where packages are installed, and which imported modules are missing."""


class EditCells(_Request, frozen=True, tag="edit_cells"):
    """Shell. Result: `EditReport`. Applies a batch of changes wholly or not at all.

    Refused with `stale_version` if any version is not the current one. With problems in the resulting graph, or with
    `dry_run`, nothing is changed and the report describes the expected result.
    """

    changes: list[AddCell | ChangeCell | DeleteCell | MoveCell]
    run: bool = True
    dry_run: bool = False
    client: str = "agent"


class RunCells(_Request, frozen=True, tag="run_cells"):
    """Shell. Result: `RunReport`. Runs known cells with their current code, and their dependents."""

    cell_ids: list[str]
    client: str = "agent"


class RunStale(_Request, frozen=True, tag="run_stale"):
    """Shell. Result: `RunReport`. Runs all stale cells once, also in lazy mode."""

    client: str = "agent"


class CancelRun(_Request, frozen=True, tag="cancel_run"):
    """Control. Result: none. Prevents a queued request on shell from starting: its reply has the status "aborted".

    A request that has started continues; it can only be interrupted.
    """

    run_id: str


class SetUiValue(_Request, frozen=True, tag="set_ui_value"):
    """Shell. Result: `RunReport`. Sets a marimo UI element, which runs the cells that read it, or an ipywidget.

    A widget's callbacks run, and cells only if a callback causes it; `not_run` of the report are the cells that read it.

    `ui_element` is the global variable that holds it, or the element's id. `value` is its new `.value`,
    as JSON: a number, text, the option or its key, an ISO date, row numbers; a list or dict of those for an array or
    a dictionary; anything but false clicks a button. Refused with `no_such_ui_element` or `ui_value_refused`.
    """

    ui_element: str
    value: Any  # its type depends on the element
    client: str = "agent"


class InstallPackages(_Request, frozen=True, tag="install_packages"):
    """Shell. Result: `InstallReport`. Installs packages into the kernel's environment; may be interrupted.

    The installer's output is published as `stream` messages of this request. No cell is run again. Refused with
    `bad_request` unless each entry is a plain requirement: a name, with extras and versions. `settings` are the person's
    variables for the installer, which replace those of the kernel's environment.
    """

    requirements: list[str]
    settings: dict[str, str] = {}  # noqa: RUF012  # a struct copies it
    client: str = "agent"


class ReadDocument(_Request, frozen=True, tag="read_document"):
    """Control. Result: `DocumentContent`: the document that the person has open, as it is now, unsaved text included.

    `document` is the client id of one of several; None: the one in which the person was last.
    """

    document: str | None = None


class EditDocument(_Request, frozen=True, tag="edit_document"):
    """Control. Result: `DocumentEdit`. Applies a batch in the document that the person has open, wholly or not at all.

    Cells are named by key or by the kernel's id. The front end runs the cells with a new text if `run`; the result names
    those requests. Without a document nothing is done (`kept`: send `EditCells`), but a proposal waits for one. `on_conflict`: with "propose" (default) a batch with a cell that the person has changed since `version`
    becomes a proposal. `propose`: all of it is a proposal from the start, with `note` as its reason. The reply comes when the
    front end has answered, or when none did in time (`kept`).
    """

    changes: list[AddCell | ChangeCell | DeleteCell | MoveCell]
    run: bool = True
    propose: bool = False
    note: str = ""
    on_conflict: Literal["propose", "refuse"] = "propose"
    dry_run: bool = False
    document: str | None = None
    client: str = "agent"


class ReadProposal(_Request, frozen=True, tag="read_proposal"):
    """Control. Result: `Proposal`. With `wait`, the reply comes when all is decided, or after that many seconds (at most 60)."""

    op_id: str
    wait: float = 0.0


class WithdrawProposal(_Request, frozen=True, tag="withdraw_proposal"):
    """Control. Result: `Proposal`. Takes back what is not decided yet."""

    op_id: str


class CompareDocument(_Request, frozen=True, tag="compare_document"):
    """Control. Result: `Comparison` of the open document with what ran. Refused with `no_document` if none is attached."""


class SyncDocument(_Request, frozen=True, tag="sync_document"):
    """Control. Result: `DocumentEdit`. Lets the front end run what differs from what ran, each cell once, with its dependents.

    Refused with `no_document` if none is attached.
    """

    client: str = "agent"


class ReadChanges(_Request, frozen=True, tag="read_changes"):
    """Control. Result: `Changes` of document and kernel after a point; None: since this agent last asked."""

    after: int | None = None
    client: str = "agent"


class UndoEdit(_Request, frozen=True, tag="undo_edit"):
    """Control. Result: `DocumentEdit`. The inverse of an applied operation, refused if a cell's text is another by now."""

    op_id: str
    client: str = "agent"


class SaveDocument(_Request, frozen=True, tag="save_document"):
    """Control. Result: `DocumentEdit`. Asks the front end to save, or with `name` to rename the file in its folder."""

    name: str | None = None
    client: str = "agent"


class LoadDocument(_Request, frozen=True, tag="load_document"):
    """Shell. Result: `DocumentLoaded`. Registers, as stale, the notebook's code cells that the kernel does not know; runs nothing.

    They are those of the open document, else of the saved file. Afterwards `RunCells` and `RunStale` can run them.
    """

    client: str = "agent"


class SaveCheckpoint(_Request, frozen=True, tag="save_checkpoint"):
    """Shell. Result: `CheckpointSaved`. Saves the state of the notebook under a name, replacing an earlier checkpoint of that name."""

    name: str
    client: str = "agent"


class RestoreCheckpoint(_Request, frozen=True, tag="restore_checkpoint"):
    """Shell. Result: `Restored`. Brings a checkpoint's values back, of the cells whose code and inputs are as they were.

    The other cells become stale and wait until somebody runs them. `name` None: the newest. `preview`: says what a restore
    would do and changes nothing.
    """

    name: str | None = None
    preview: bool = False
    client: str = "agent"


class OpenEditor(_Request, frozen=True, tag="open_editor"):
    """Shell. Result: `EditorLink`: an address of marimo's own editor on this kernel, or with `app` of its app view, for the person."""

    app: bool = False
    client: str = "agent"


class ListCheckpoints(_Request, frozen=True, tag="list_checkpoints"):
    """Control. Result: list of `CheckpointSummary` of this notebook, newest first.

    `verify`: all of their data is read and compared with what was saved, and those that cannot be used are listed, too. The reply
    comes when that is done; other requests are answered meanwhile.
    """

    verify: bool = False


class DeleteCheckpoint(_Request, frozen=True, tag="delete_checkpoint"):
    """Control. Result: none. Deletes a checkpoint of this notebook."""

    name: str
    client: str = "agent"


ReadRequest = (
    Describe
    | ListCells
    | ReadObservations
    | ReadOutline
    | ReadCell
    | ReadRun
    | ReadOutcome
    | ReadHistory
    | SearchCells
    | ListVariables
    | ListUiElements
    | InspectVariable
    | CompleteCode
    | InspectCode
    | Redact
    | ReadEnvironment
    | PreviewRun
)
DocumentRequest = (
    ReadDocument
    | EditDocument
    | ReadProposal
    | WithdrawProposal
    | CompareDocument
    | SyncDocument
    | ReadChanges
    | UndoEdit
    | SaveDocument
)
ControlRequest = (
    ReadRequest
    | ReadOwnMarks
    | ReadTable
    | CancelRun
    | DocumentRequest
    | ViewRequest
    | ListCheckpoints
    | DeleteCheckpoint
)
ShellRequest = (
    EditCells
    | RunCells
    | RunStale
    | SetUiValue
    | InstallPackages
    | LoadDocument
    | SaveCheckpoint
    | RestoreCheckpoint
    | OpenEditor
)
Request = ControlRequest | ShellRequest
Result = (
    KernelDescription
    | list[Cell]
    | list[CellObservations]
    | Outline
    | CellWithOutputs
    | RunReport
    | RunOutcome
    | list[RunReport]
    | Matches
    | list[Variable]
    | list[UiElement]
    | VariableContent
    | Completions
    | Documentation
    | Environment
    | Redacted
    | OwnMarks
    | EditReport
    | list[ExpectedRun]
    | InstallReport
    | DocumentContent
    | DocumentEdit
    | Proposal
    | Comparison
    | Changes
    | DocumentLoaded
    | CheckpointSaved
    | Restored
    | list[CheckpointSummary]
    | EditorLink
    | TablePart
    | OpenedView
    | ViewDescription
    | list[ViewDescription]
    | ViewAnswer
    | None
)


def encode_request(request: Request) -> Content:
    """Return a request as the content of a Jupyter message."""
    content: Content = msgspec.to_builtins(request)
    return content


_DECODER: Final = Decoder(
    "bridge", PROTOCOL, "request", "Install the same version of marimo-kernel-bridge on both sides."
)


def decode_request(content: object) -> Request:
    """Parse the content of a request. Raises `BridgeError`: unsupported_version or bad_request."""
    request: Request = _DECODER.decode(content, Request)
    client = getattr(request, "client", None)
    return (
        request
        if client is None
        else msgspec.structs.replace(request, client=message_names.agent_name(client))
    )
