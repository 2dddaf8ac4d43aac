"""Values of any library as cells: what JSON holds as it is, all else as text with its kind.

No method of a foreign class is called: its `__str__` might do anything, for any time. Of such an object the cell says the
class. The text of a nested value stops at the bound, however much there would be.
"""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, cast

from marimo_kernel_bridge.protocol.views import CellKind, CellValue, Column, ColumnKind, Detail, Marked
from marimo_kernel_bridge.viewing.tables.plain_values import Text, is_builtin, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LABEL_MAX: Final = 200
TEXT_MAX: Final = 300
"""Characters of a cell; `detail` has the rest."""
DETAIL_MAX: Final = 1_000_000
_EXACT: Final = 2**53
_DEPTH_MAX: Final = 20
_DIGITS_MAX: Final = 4000


def cell(value: Any) -> CellValue:
    """Return the value as a cell."""
    shown = plain(value)
    match shown:
        case None | bool():
            return shown
        case str():
            return _text_cell(shown)
        case int() if -_EXACT <= shown <= _EXACT:
            return shown
        case float() if math.isfinite(shown):
            return shown
    return Marked(bounded_text(shown, TEXT_MAX), _mark(shown))


def type_name(dtype: str) -> str:
    """Return the name of a type, without the values that the names of enumerations have."""
    kind = dtype.partition("(")[0]
    return kind if kind.lower() == "enum" else dtype[:TEXT_MAX]


def shown_cell(value: Any, column: Column) -> CellValue:
    """Return the value of a column as a cell; one that was read as text (a date, JSON) keeps the column's kind."""
    shown = cell(value)
    if isinstance(shown, str) and column.kind in {"date", "datetime", "time", "duration", "nested"}:
        return Marked(shown, cast("CellKind", column.kind))
    return shown


def detail(value: Any, kind: ColumnKind) -> Detail:
    """Return one cell in full, as far as the bound goes."""
    value = plain(value)
    text = bounded_text(value, DETAIL_MAX)
    cut = len(text) > DETAIL_MAX
    json = json_value(value) if isinstance(value, _NESTED) and not cut else None
    return Detail(text[:DETAIL_MAX] if cut else text, kind, json, cut)


def bounded_text(value: Any, most: int) -> str:
    """Return a value's text, at most so many characters and "…"."""
    value = plain(value)
    parts, length = [], 0
    for part in _parts(value, most, 0):
        parts.append(part)
        length += len(part)
        if length > most:
            return _encodable("".join(parts)[:most]) + "…"
    return _encodable("".join(parts))


def label_text(label: Any) -> str:
    """Return a column's label as text; those of several levels with slashes."""
    if type(label) is tuple:
        return " / ".join(filter(None, map(label_text, label)))
    if type(label) is str:
        return label[:_LABEL_MAX]
    return str(label) if is_builtin(type(label)) else bounded_text(label, _LABEL_MAX)


def duration_text(value: dt.timedelta) -> str:
    """Return "1d 02:03:04.5": the sign first, days only if there are some."""
    micro = (value.days * 86400 + value.seconds) * 1_000_000 + value.microseconds
    return nanoseconds_text(micro * 1000 + getattr(value, "nanoseconds", 0))  # which pandas' Timedelta has


def nanoseconds_text(value: int) -> str:
    """Return a duration of so many nanoseconds as `duration_text` does."""
    sign, total = ("-", -value) if value < 0 else ("", value)
    seconds, fraction = divmod(total, 1_000_000_000)
    days, seconds = divmod(seconds, 86400)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if fraction:
        clock += f".{fraction:09}".rstrip("0")
    return f"{sign}{days}d {clock}" if days else sign + clock


_NESTED: Final = (dict, list, tuple, set, frozenset)


def _text_cell(value: str) -> CellValue:
    if len(value) > TEXT_MAX:
        return Marked(_encodable(value[:TEXT_MAX]), "long")
    return value if value.isascii() else _encodable(value)


def _encodable(text: str) -> str:
    """Return the text without halves of surrogate pairs, which no JSON in UTF-8 holds."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def _not_finite(value: float) -> Marked:
    if math.isnan(value):
        return Marked("NaN", "nan")
    return Marked("inf" if value > 0 else "-inf", "inf")


def _integer(value: int) -> str:
    return str(value) if value.bit_length() < 3 * _DIGITS_MAX else f"{value.bit_length()} bits"


def _mark(value: Any) -> CellKind:
    if isinstance(value, Decimal | float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf"
    return next(
        (mark for type_, mark, _ in _SCALARS if isinstance(value, type_)),
        "nested" if isinstance(value, _NESTED) else "other",
    )


def _parts(value: Any, most: int, depth: int) -> Iterator[str]:
    """Yield the text of a value in parts, so that whoever joins them may stop."""
    value = plain(value)
    if not isinstance(value, _NESTED):
        yield _scalar(value, most, depth)
    elif depth >= _DEPTH_MAX:
        yield "…"
    elif isinstance(value, dict):
        yield from _mapping(value, most, depth)
    else:
        yield "["
        for number, one in enumerate(value):
            yield ", " if number else ""
            yield from _parts(one, most, depth + 1)
        yield "]"


def _scalar(value: Any, most: int, depth: int) -> str:
    if value is None:
        return "null" if depth else ""
    if isinstance(value, str):
        return _quoted(value[: most + 1]) if depth else value[: most + 1]
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value[: most // 2 + 1]).hex()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else _not_finite(value).t
    text = next((text for type_, _, text in _SCALARS if isinstance(value, type_)), None)
    assert text is not None, "plain values are of one of these classes"
    return text(value)


def _mapping(value: dict[Any, Any], most: int, depth: int) -> Iterator[str]:
    yield "{"
    for number, (key, one) in enumerate(value.items()):
        yield ", " if number else ""
        yield from _parts(key if type(key) is str else bounded_text(key, TEXT_MAX), most, depth + 1)
        yield ": "
        yield from _parts(one, most, depth + 1)
    yield "}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def json_value(value: Any, depth: int = 0) -> Any:
    """Return a nested value as JSON: objects, arrays, and cells."""
    value = plain(value)
    if depth >= _DEPTH_MAX:
        return "…"
    if isinstance(value, dict):
        return {bounded_text(key, TEXT_MAX): json_value(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_value(one, depth + 1) for one in value]
    if isinstance(value, str):
        return _encodable(value)
    shown = cell(value)
    return shown.t if isinstance(shown, Marked) else shown


_SCALARS: Final[tuple[tuple[type | tuple[type, ...], CellKind, Callable[[Any], str]], ...]] = (
    (int, "big", _integer),
    (Text, "other", lambda value: value.text),
    (Decimal, "decimal", Decimal.__str__),
    (dt.datetime, "datetime", lambda value: value.isoformat(" ")),
    (dt.date, "date", dt.date.isoformat),
    (dt.time, "time", dt.time.isoformat),
    (dt.timedelta, "duration", duration_text),
    ((bytes, bytearray, memoryview), "bytes", lambda value: bytes(value).hex()),
    (complex, "other", str),
)
"""What has a text of its own. A datetime is a date, so it comes before."""
