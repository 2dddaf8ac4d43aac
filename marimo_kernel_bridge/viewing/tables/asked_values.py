"""The values of filters, as a page or an agent writes them, as values of the column's kind."""

from __future__ import annotations

import datetime as dt
import math
import re
import string
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from marimo_kernel_bridge.protocol.views import Column, Filter

TEXT_OPERATORS: Final = frozenset({"contains", "starts"})
_SMALL_IS_NO_MATTER: Final = frozenset(map(chr, range(128))) - frozenset(string.ascii_letters)
_DURATION: Final = re.compile(
    r"(?P<sign>-?)(?:(?P<days>\d{1,9})\s*d(?:ays?)?,?)?\s*(?:(?P<h>\d{1,9}):(?P<m>\d{1,2})(?::(?P<s>\d{1,2}(?:\.\d{1,9})?))?)?"
)
_TRUE: Final = frozenset({"true", "1", "yes"})
_FALSE: Final = frozenset({"false", "0", "no"})


def asked_values(column: Column, condition: Filter) -> list[Any]:
    """Return the values of a filter: one, or those of `one_of`; None stays None. Raises `BridgeError`: bad_request."""
    given = condition.value if isinstance(condition.value, list) else [condition.value]
    if condition.op in {"null", "not_null"}:
        return []
    if condition.op in TEXT_OPERATORS:
        return [str(one) for one in given]
    return [None if one is None else asked_value(column, one) for one in given]


def has_no_letters(needle: str) -> bool:
    """Return whether a text is found in others as they are, and not in small letters alone: no letter is a digit when it is small."""
    return _SMALL_IS_NO_MATTER.issuperset(needle)


def asked_value(column: Column, given: str | float | bool) -> Any:  # noqa: FBT001  # a cell may be one
    """Return a value of the column's kind. Raises `BridgeError`: bad_request."""
    try:
        return _value(column, given)
    except (ValueError, OverflowError, InvalidOperation):
        raise BridgeError(
            "bad_request",
            f"{str(given)[:80]!r} is no {column.kind}: the column {column.name[:80]!r} holds {column.dtype[:80]}.",
        ) from None


def _value(column: Column, given: str | float | bool) -> Any:  # noqa: FBT001, PLR0911  # one return for each kind
    text = str(given).strip()
    match column.kind:
        case "integer" | "number":
            return _number(given)
        case "decimal":
            return _decimal(text)
        case "boolean":
            if text.lower() in _TRUE | _FALSE:
                return text.lower() in _TRUE
            raise ValueError
        case "date":
            return dt.date.fromisoformat(text[:10]) if len(text) >= 10 else dt.date.fromisoformat(text)  # noqa: PLR2004  # YYYY-MM-DD
        case "datetime":
            return _micro(text)
        case "time":
            return dt.time.fromisoformat(text)
        case "duration":
            return _duration(given)
        case "bytes":
            return bytes.fromhex(text)
        case _:
            return str(given)


def _number(given: str | float | bool) -> int | float:  # noqa: FBT001  # a cell may be one
    if isinstance(given, bool):
        return int(given)
    if isinstance(given, int | float):
        return given
    try:
        return int(given)
    except ValueError:
        number = float(given)
    if math.isnan(number):
        raise ValueError
    return number


def _decimal(text: str) -> Decimal:
    number = Decimal(text)
    if number.is_nan():
        raise ValueError
    return number


def _micro(text: str) -> dt.datetime:
    """Python's datetimes have microseconds: digits after them are left out."""
    return dt.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))


def _duration(given: str | float | bool) -> dt.timedelta:  # noqa: FBT001  # a cell may be one
    if not isinstance(given, str):
        return dt.timedelta(seconds=float(given))
    found = _DURATION.fullmatch(given.strip())
    if found is None or not given.strip(" -"):
        return dt.timedelta(seconds=float(given))
    value = dt.timedelta(
        days=int(found["days"] or 0),
        hours=int(found["h"] or 0),
        minutes=int(found["m"] or 0),
        seconds=float(found["s"] or 0),
    )
    return -value if found["sign"] else value


def at_zone(value: dt.datetime, *, aware: bool) -> dt.datetime:
    """Return the moment as columns with zones, or without any, compare it: text without a zone is UTC."""
    if aware:
        return value if value.tzinfo else value.replace(tzinfo=dt.UTC)
    return value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
