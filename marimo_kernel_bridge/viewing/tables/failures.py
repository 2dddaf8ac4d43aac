"""Why a library cannot read some data, in words of our own: its message may quote the data.

Such a reason goes to agents too, which are not shown any value. So nothing of a message is passed on but the number of a
line, from where DuckDB writes it before it quotes anything.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORDS: Final = {
    "ConversionException": "a value does not fit the type of its column",
    "TypeMismatchException": "a value does not fit the type of its column",
    "OutOfRangeException": "a number is too large for the type of its column",
    "OutOfMemoryException": "there is not enough memory for it",
    "IOException": "it is broken, or only a part of a file",
    "SerializationException": "it is broken, or only a part of a file",
    "NotImplementedException": "it has a type that the reader does not know",
    "ConnectionException": "its connection is closed",
    "ColumnNotFoundError": "it names a column that is not there",
    "SchemaError": "it takes a column for one of another type",
    "UnicodeDecodeError": "it is not UTF-8",
    "BadZipFile": "it is no ZIP archive, or only a part of one",
}
"""By the class of the error."""
_LINES: Final = (
    re.compile(r"[A-Z][A-Za-z ]+: CSV Error on Line: (?P<line>\d+)\s"),
    re.compile(
        r"[A-Z][A-Za-z ]+: (?P<broken>Malformed JSON) in file \"[^\"]*\", at byte \d+ in line (?P<line>\d+):"
    ),
    re.compile(r"[A-Z][A-Za-z ]+: JSON transform error in file \"[^\"]*\", in line (?P<line>\d+):"),
    re.compile(r"[A-Z][A-Za-z ]+: JSON transform error in file \"[^\"]*\", in record/value (?P<record>\d+):"),
    re.compile(r"[A-Z][A-Za-z ]+: (?P<broken>Malformed JSON) in file \"[^\"]*\", at byte \d+ in "),
)
"""How messages of DuckDB begin. The files are those of `Database.link`, whose names have no quotation mark."""
_TWICE: Final = ' has duplicate key "'
"""In DuckDB's message behind the object; a value with these words makes the reason wrong, and tells nothing of itself."""


def reason(error: BaseException | None) -> str:
    """Return why data cannot be read: words for the class of the error, and the line or record if it is told."""
    if error is None:
        return "nothing in it is a table"
    kind = type(error).__name__
    found = next(filter(None, (pattern.match(str(error)) for pattern in _LINES)), None)
    groups = {} if found is None else found.groupdict()
    words = "it is not valid JSON" if groups.get("broken") else _WORDS.get(kind, f"the reader fails ({kind})")
    if _TWICE in str(error):
        words = "an object has one key twice"
    place = next(
        (f", in {name} {number}" for name, number in groups.items() if name != "broken" and number), ""
    )
    return f"{words}{place}"


def remedy(error: BaseException | None) -> str:
    """Return what helps; "" if that is not known."""
    return "Rename one of the two in the file, or remove it." if _TWICE in str(error) else ""


class PanicError(Exception):
    """A library in Rust (Polars, Calamine) has met what its authors took for impossible."""


@contextmanager
def panics_as_errors() -> Iterator[None]:
    """Raise a panic as a `PanicError`: PyO3's class is no `Exception`, so a broken file would end the thread that reads it."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise PanicError(str(error).partition("\n")[0][:200]) from None
