"""The messages between the kernel and the documents that people have open in front ends, in addition to Jupyter's.

A front end with an extension of this project keeps the kernel informed about its notebook's cells, and applies what
agents change there in its own editor. It sends `DOCUMENT_REQUEST` on *control*, with one of the tagged structs of
`FrontEndRequest` as content, and gets `DOCUMENT_REPLY`; no status messages frame them, so they are answered while a cell
runs. The kernel sends `DOCUMENT` on *iopub* with one of the structs of `Order`; `to` is the client that it is for, None
for all. The kernel refuses unknown fields, front ends ignore them. VS Code gets the same contents as lines of JSON.

A cell's `key` is what its front end sends as `cellId` in an execute_request: JupyterLab's is the nbformat id, VS Code's the
URI of the cell's document. `base` identifies a text: the first 16 hexadecimal digits of the SHA-256 of its UTF-8 form.

An execute_request that a front end sends because of an order has `{METADATA_KEY: {"author": ..., "op": op_id}}` in its
metadata. This module sends nothing.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final, Literal

import msgspec

from marimo_kernel_bridge.protocol import names as message_names
from marimo_kernel_bridge.protocol.decoding import Decoder
from marimo_kernel_bridge.protocol.notebook import CellStatus, Seconds  # noqa: TC001  # msgspec looks at it

DOCUMENT_PROTOCOL: Final = 1
DOCUMENT_REQUEST: Final = message_names.DOCUMENT_REQUEST
DOCUMENT_REPLY: Final = "marimo_bridge_document_reply"
DOCUMENT: Final = "marimo_bridge_document"

CellType = Literal["code", "markdown", "raw"]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]
"""A client's id, a cell's key, an operation's id."""


def base_of(text: str) -> str:
    """Return the `base` of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


# -- from a front end to the kernel -------------------------------------------------------------------------------------


class CellSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What marimo keeps of a cell beside its code: its name in a marimo file, empty if it has none, and how its editor shows it.

    In an .ipynb it is the cell's metadata: `marimo`, and for hidden code `jupyter` as well.
    """

    name: Annotated[str, msgspec.Meta(max_length=1_000)] = ""
    hide_code: bool = False
    expand_output: bool = False
    column: int | None = None


NO_SETTINGS: Final = CellSettings()


class DocumentCell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A cell of a document. `by` is the author of its newest text: an agent's name, None for the person.

    `was` is the key that the cell had before, where a front end gives a moved cell another one, as VS Code does. It is sent
    once, with the order that has the new key.
    """

    key: Name
    type: CellType
    code: str
    by: str | None = None
    was: Name | None = None
    settings: CellSettings | None = None


class _Request(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", forbid_unknown_fields=True):
    client: Name
    protocol: int = DOCUMENT_PROTOCOL


class Attach(_Request, frozen=True, tag="attach"):
    """A document is open on this kernel. Reply: `Attached`.

    Sent when the kernel is ready, after each restart and reconnection, and when a reply asks for it. `version` is the front
    end's, for the kernel's log. `client` is chosen
    by the front end, another for each open view. `path` is that of the notebook as the front end names it. Clients with the
    same `shared_id` show one shared document; `can` is a part of "apply", "propose", "run", "save", "rename", "settings": what the
    front end can do with this document now (a read-only one is none of them).
    """

    front_end: str
    version: str
    path: str
    cells: list[DocumentCell]
    shared_id: str | None = None
    focused: bool = False
    dirty: bool = False
    editing: Name | None = None
    can: list[Literal["apply", "propose", "run", "save", "rename", "settings"]] = []


class Changed(_Request, frozen=True, tag="changed"):
    """The document changed, or who looks at it. Reply: `Noted`.

    `revision` grows by one with each message of a client after `attach`; with a gap the kernel asks to attach again. `order` are
    the keys of all cells, None if it is as before; `cells` are those that are new or have another text, type or settings. `editing` is the cell
    in which the person is. `path` is sent when it changed.
    """

    revision: int
    order: list[Name] | None = None
    cells: list[DocumentCell] = []
    dirty: bool = False
    focused: bool = False
    editing: Name | None = None
    path: str | None = None


class RunOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An execute_request that a front end sent because of an order; `msg_id` is None where the front end cannot know it."""

    key: Name
    msg_id: str | None = None


class Conflict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A cell whose text is not the one that a change was made for, with its present text, None if the cell is gone."""

    key: Name
    code: str | None


class Done(_Request, frozen=True, tag="done"):
    """The result of an order: applied as a whole, or not at all. Reply: `Noted`.

    conflict: the texts of `conflicts` have changed. refused: the document cannot be changed; `message` says why. `added` are the
    keys of the cells that `insert` made, by token.
    """

    op_id: Name
    result: Literal["applied", "conflict", "refused"]
    conflicts: list[Conflict] = []
    added: dict[str, Name] = {}
    runs: list[RunOf] = []
    message: str = ""


class Decided(_Request, frozen=True, tag="decided"):
    """The person's decision on one change of a proposal. Reply: `Noted`.

    `change` is its place in the proposal's list. `code` is the accepted text, if the person has edited the proposed one: then it is theirs; `key` is the cell that an
    accepted insertion made. `rest` is the number of changes that are still open in the page: if that is another one than the kernel's, it is sent the
    proposal again. gone: the cell of the proposal does not exist any more.
    """

    op_id: Name
    change: int
    decision: Literal["accepted", "rejected", "gone"]
    rest: int
    code: str | None = None
    key: Name | None = None
    runs: list[RunOf] = []


class Undo(_Request, frozen=True, tag="undo"):
    """The person undoes what an agent's operation changed. Reply: `Noted`; the inverse comes as an order."""

    op_id: Name


class Pause(_Request, frozen=True, tag="pause"):
    """The person restricts agents to reading, or ends that. Reply: `Noted`; all clients get `AgentsOrder`."""

    paused: bool


class Compare(_Request, frozen=True, tag="compare"):
    """Reply: `Compared`: which cells differ from what ran, and which a sync would run, in order."""


class Detach(_Request, frozen=True, tag="detach"):
    """The document is closed, or shows another kernel. Reply: `Noted`."""


FrontEndRequest = Attach | Changed | Done | Decided | Undo | Pause | Compare | Detach


# -- replies --------------------------------------------------------------------------------------------------------------


class AgentAction(msgspec.Struct, frozen=True):
    """What an agent did, in words, and when, in seconds since the epoch."""

    at: Seconds
    what: str


class AgentInfo(msgspec.Struct, frozen=True):
    """An agent that is attached to the kernel. `last_heard` is in seconds since the epoch.

    `told` says how often and how long it ran something; `actions` are what it did last, the newest first.
    """

    name: str
    last_heard: Seconds
    runs: int
    refused: int
    told: str = ""
    actions: list[AgentAction] = []


class CellState(msgspec.Struct, frozen=True):
    """The kernel's knowledge of a cell of the document.

    `changed`: its text is not the one that ran. `upstream` are keys of the cells whose names it uses.
    """

    cell_id: str | None = None
    status: CellStatus = "new"
    stale: bool = False
    changed: bool = False
    edited_by: str | None = None
    defines: list[str] = []
    upstream: list[str] = []


class Attached(msgspec.Struct, frozen=True, tag_field="op", tag="attached"):
    """`parents` are the ids of the newest request of each cell, whose late outputs the page takes over, by key.

    `open` are proposals that wait for a decision, and changes that agents made while no document was attached (`kept`). `live` says
    which files of marimo's front end draw elements here, as the kernel names them when a page asks for elements; empty if unknown.
    """

    agents: list[AgentInfo]
    paused: bool
    mode: Literal["autorun", "lazy"]
    parents: dict[str, str]
    open: list[Propose]
    cells: dict[str, CellState]
    live: str = ""


class Noted(msgspec.Struct, frozen=True, tag_field="op", tag="noted"):
    """`attach`: the kernel does not know this client, or has lost a message; it must attach again.

    `over`: the `Done` of a `Run` comes too late; what was to run after it must not.
    """

    attach: bool = False
    paused: bool | None = None
    over: bool = False


class Compared(msgspec.Struct, frozen=True, tag_field="op", tag="compared"):
    """Keys of cells by state, and `to_run`: those that a sync runs, in the document's order; their dependents follow."""

    changed: list[str]
    never_run: list[str]
    stale: list[str]
    failed: list[str]
    kernel_only: list[str]
    to_run: list[str]


Reply = Attached | Noted | Compared


# -- from the kernel to front ends -------------------------------------------------------------------------------------------


class ChangeText(msgspec.Struct, frozen=True, tag_field="kind", tag="change"):
    """Another text for a cell."""

    key: str
    base: str
    code: str


class Insert(msgspec.Struct, frozen=True, tag_field="kind", tag="insert"):
    """A new cell after `after`, a key or the token of an insertion of the same order; None: the first place."""

    token: str
    after: str | None
    type: CellType
    code: str


class Delete(msgspec.Struct, frozen=True, tag_field="kind", tag="delete"):
    """Removes a cell."""

    key: str
    base: str


class Move(msgspec.Struct, frozen=True, tag_field="kind", tag="move"):
    """Moves a cell after `after`; None: to the first place."""

    key: str
    after: str | None


DocumentChange = ChangeText | Insert | Delete | Move


class _Order(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    to: str | None = None
    protocol: int = DOCUMENT_PROTOCOL


class Apply(_Order, frozen=True, tag="apply"):
    """Change the document as one step of undo, and with `run` run the code cells that have a new text. Answered by `Done`.

    Wholly or not at all: each `base` is compared with the text at that moment. Never applied twice: a client remembers `op_id`, and
    answers an order that it has applied with the same `Done`. `author` is "notebook" for what the person undoes.
    """

    op_id: str
    author: str
    changes: list[DocumentChange]
    run: bool = True


class Run(_Order, frozen=True, tag="run"):
    """Run these cells with their present text. Answered by `Done`."""

    op_id: str
    author: str
    keys: list[str]


class Propose(_Order, frozen=True, tag="propose"):
    """Show changes to the person, outside of the document's text. Answered by one `Decided` for each.

    `note` is the agent's reason. `kept`: the change was made in the kernel while no document was attached. `conflict`: it was to be
    applied, but the person has changed the cell. `decided` are the places of changes that are decided already.
    """

    op_id: str
    author: str
    changes: list[DocumentChange]
    note: str = ""
    kept: bool = False
    conflict: bool = False
    decided: list[int] = []


class Withdraw(_Order, frozen=True, tag="withdraw"):
    """A proposal is decided elsewhere, or its agent took it back."""

    op_id: str


class AgentsOrder(_Order, frozen=True, tag="agents"):
    """Who is attached."""

    agents: list[AgentInfo]
    paused: bool


class State(_Order, frozen=True, tag="state"):
    """The states of the cells that changed, by key."""

    cells: dict[str, CellState]


class Who(_Order, frozen=True, tag="who"):
    """Send what is not sent yet, now. Answered by `Changed`, also if nothing changed."""


class Save(_Order, frozen=True, tag="save"):
    """Save the document. Answered by `Done`."""

    op_id: str


class Rename(_Order, frozen=True, tag="rename"):
    """Rename the document's file, in its folder. Answered by `Done`."""

    op_id: str
    name: str


class ShownOutputs(msgspec.Struct, frozen=True):
    """Outputs as nbformat has them, and the number of the run that they are of."""

    outputs: list[dict[str, Any]]
    execution_count: int | None = None


class Outputs(_Order, frozen=True, tag="outputs"):
    """Show outputs in the cells that show none, by key: they were restored from a checkpoint."""

    cells: dict[str, ShownOutputs]


class Settings(_Order, frozen=True, tag="settings"):
    """Give cells other settings, by key. Not answered: the document has told of them when it says `Changed`."""

    cells: dict[str, CellSettings]


Order = Apply | Run | Propose | Withdraw | AgentsOrder | State | Who | Save | Rename | Outputs | Settings


_DECODER: Final = Decoder(
    "document",
    DOCUMENT_PROTOCOL,
    "front end",
    "Install the same version of marimo-kernel-bridge for the kernel and for the front end, and reload the page.",
)


def decode_front_end_request(content: object) -> FrontEndRequest:
    """Parse the content of a `DOCUMENT_REQUEST`. Raises `BridgeError`: unsupported_version or bad_request."""
    request: FrontEndRequest = _DECODER.decode(content, FrontEndRequest)
    return request


def encode_reply(reply: Reply) -> dict[str, Any]:
    """Return a reply as the content of an ok `DOCUMENT_REPLY`."""
    return {"status": "ok", "protocol": DOCUMENT_PROTOCOL, **msgspec.to_builtins(reply)}


def encode_order(order: Order) -> dict[str, Any]:
    """Return an order as the content of a `DOCUMENT` message."""
    content: dict[str, Any] = msgspec.to_builtins(order)
    return content
