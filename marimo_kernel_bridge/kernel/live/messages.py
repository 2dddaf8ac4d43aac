"""The messages between the kernel and pages that show marimo's own elements: parsed once, on arrival, and bounded.

A page is one in a browser, with as many notebooks as it shows. Object ids are those of the kernel here; on a page
they have its key and `~` before them (`page_ids`).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from marimo_kernel_bridge.protocol import names

LOADER: Final = names.LIVE_LOADER
"""The version of these messages. A page with another one gets no answer, and keeps the static forms."""

MOST_PARTS: Final = 100
"""marimo takes files of 100 MB, which are 133 in base64."""
LARGEST_PART: Final = 3_000_000  # characters

_Id: TypeAlias = Annotated[str, Meta(max_length=200)]
_Name: TypeAlias = Annotated[str, Meta(max_length=200)]
_Json: TypeAlias = Any  # what marimo's front end and its elements agree on


class Hello(Struct, tag="hello", tag_field="type", frozen=True):
    """A page has the loader."""

    page: _Id
    loader: int


class Get(Struct, tag="get", tag_field="type", frozen=True):
    """A page asks for marimo's HTML of a placeholder."""

    req: _Id
    page: _Id
    out: _Id


class Assets(Struct, tag="assets", tag_field="type", frozen=True):
    """A page asks for files of marimo's front end: these, or None for those that start it."""

    req: _Id
    names: Annotated[list[_Name], Meta(max_length=100)] | None = None


class Set(Struct, tag="set", tag_field="type", frozen=True):
    """A person has set elements."""

    page: _Id
    values: Annotated[list[tuple[_Id, _Json]], Meta(max_length=1000)]


class Call(Struct, tag="call", tag_field="type", frozen=True):
    """An element on a page calls one of its functions."""

    page: _Id
    call: _Id
    namespace: _Id
    name: _Name
    args: dict[str, _Json]


class Failed(Struct, tag="failed", tag_field="type", frozen=True):
    """A page cannot start marimo's front end."""

    page: _Id
    reason: Annotated[str, Meta(max_length=4000)]


Whole: TypeAlias = Hello | Get | Assets | Set | Call | Failed


class Part(Struct, tag="part", tag_field="type", frozen=True):
    """A part of the JSON of a message that is too large for one of Jupyter's. `whole` names that message."""

    page: _Id
    whole: _Id
    index: Annotated[int, Meta(ge=0, lt=MOST_PARTS)]
    count: Annotated[int, Meta(ge=1, le=MOST_PARTS)]
    text: Annotated[str, Meta(max_length=LARGEST_PART)]


FromPage: TypeAlias = Whole | Part


class Welcome(Struct, tag="welcome", tag_field="type", frozen=True):
    """The answer to `hello`: the kernel's key in placeholders, and which files its front end has."""

    key: str
    assets: str


class ShownHtml(Struct, tag="html", tag_field="type", frozen=True):
    """The answer to `get`: None if no cell shows the object any more. `values` are the elements' present values, by id."""

    req: str
    html: str | None
    values: dict[str, _Json]


class Pack(Struct, tag="assets", tag_field="type", frozen=True):
    """The answer to `assets`. Each of the message's buffers has a part of the files, joined in this order and compressed with gzip.

    `sizes` are those of the buffers. A page asks for the files `later` next. `mount` is marimo's configuration, `ready` the text
    of the first message of its server.
    """

    req: str
    parts: tuple[tuple[tuple[str, int], ...], ...]
    sizes: tuple[int, ...]
    entry: str
    later: tuple[str, ...]
    css: tuple[str, ...]
    mount: dict[str, _Json]
    ready: str


class Notification(Struct, tag="notification", tag_field="type", frozen=True, rename={"but": "except"}):
    """A notification for marimo's front end, on all pages but one. `data` is its JSON."""

    but: str
    op: str
    data: str


class Static(Struct, tag="static", tag_field="type", frozen=True):
    """How the output with a placeholder looks in a saved notebook now: its data, by mime type."""

    out: str
    data: dict[str, _Json]


class LateOutputs(Struct, tag="outputs", tag_field="type", frozen=True, rename={"but": "except"}):
    """The outputs of a cell that ran by itself, by the notebook's id. The page `but` gets them as other outputs."""

    cell: str
    outputs: list[_Json]
    but: str


ToPage: TypeAlias = Welcome | ShownHtml | Pack | Notification | Static | LateOutputs


_WHOLE: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(Whole)


def decode(data: object) -> FromPage:
    """Parse a message of a page. Raises `msgspec.ValidationError`."""
    message: FromPage = msgspec.convert(data, FromPage)
    return message


def decode_whole(text: str) -> Whole:
    """Parse the text of a message that came in parts. Raises `msgspec.DecodeError`."""
    message: Whole = _WHOLE.decode(text)
    return message


def encode(message: ToPage) -> dict[str, Any]:
    """Return the data of a message to pages."""
    encoded: dict[str, Any] = msgspec.to_builtins(message, enc_hook=str)
    return encoded


def only_reads(data: object) -> bool:
    """Return whether a comm's message, of a widget or not, may be answered while a cell runs: it changes nothing."""
    content = data.get("content", data) if isinstance(data, dict) else None
    return isinstance(content, dict) and content.get("type") in {"hello", "get", "assets", "failed"}
