"""What a page may ask of its view: the requests as values, with their bounds.

None names a file, a variable or a query language: columns are indexes, rows numbers, operators of a table. What has another
field is refused.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.views import COLUMNS_MAX, ROWS_MAX, StateChange

LONGEST: Final = 64 * 1024
"""Bytes of a request."""

_Id = Annotated[int, Meta(ge=0, le=2**53)] | Annotated[str, Meta(max_length=64)]
_Index = Annotated[int, Meta(ge=0, le=2**53)]
_Version = Annotated[int, Meta(ge=0, le=2**53)]


class _Request(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", forbid_unknown_fields=True):
    id: _Id


class Describe(_Request, frozen=True, tag="describe"):
    """Answer: the fields of `ViewDescription`, and `n`. Where it cannot hold all `columns`, `columns_total` says how many there are."""


class Columns(_Request, frozen=True, tag="columns"):
    """Answer: `columns` from the index `start` on, as many as it can hold."""

    start: _Index
    version: _Version


class Rows(_Request, frozen=True, tag="rows"):
    """Answer: `rows`, `ids`, `matching`, `version`; `unsettled` if a running cell may be changing them.

    `cut`: there are fewer rows than asked for, because they would be too large; the next ones are asked for.
    """

    start: _Index
    count: Annotated[int, Meta(ge=1, le=ROWS_MAX)]
    columns: Annotated[list[_Index], Meta(max_length=COLUMNS_MAX)]
    version: _Version


class StatisticsOf(_Request, frozen=True, tag="statistics"):
    """Answer: the fields of `Statistics`, and `version`."""

    column: _Index
    version: _Version


class Set(_Request, frozen=True, tag="set"):
    """Answer: `state`, and `matching` as far as it is known."""

    state: StateChange


class DetailOf(_Request, frozen=True, tag="detail"):
    """Answer: the fields of `Detail`. `row` is a row's id."""

    row: _Index
    column: _Index
    version: _Version


class Export(_Request, frozen=True, tag="export"):
    """Answer: `url`, good once, or in an App the `text`."""

    format: Literal["csv", "parquet", "json", "jsonl"]
    columns: Literal["shown", "all"] = "shown"


class News(_Request, frozen=True, tag="news"):
    """Answer: `events` since event number `since`, and `n`, the number of the newest."""

    since: _Index = 0
    version: _Version = 0


class _OnlyId(msgspec.Struct, frozen=True):
    id: _Id


PageRequest = Describe | Columns | Rows | StatisticsOf | Set | DetailOf | Export | News

_DECODER: Final = msgspec.json.Decoder(PageRequest)
_ID: Final = msgspec.json.Decoder(_OnlyId)


def decode(text: str | bytes) -> PageRequest:
    """Parse a request. Raises `BridgeError`: bad_request."""
    if len(text) > LONGEST:
        raise BridgeError("bad_request", "The request is too long.")
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise BridgeError("bad_request", f"Not a request of a page: {str(error)[:200]}") from None


def id_of(text: str | bytes) -> int | str | None:
    """Return the id of a request that is otherwise wrong, so that its sender knows which one."""
    if len(text) > LONGEST:
        return None
    try:
        return _ID.decode(text).id
    except (ValueError, RecursionError):
        return None
