"""CSV and JSON: their first rows from the file's head, the whole in a database of ours.

DuckDB finds separators and types from a sample. Where a later row does not fit, it looks at the whole file; lines that fit
nothing are left out and counted in a note.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.viewing.table import Cancellation
from marimo_kernel_bridge.viewing.tables.duck import Database
from marimo_kernel_bridge.viewing.tables.duck_sql import literal, quoted
from marimo_kernel_bridge.viewing.tables.duck_table import loaded_table
from marimo_kernel_bridge.viewing.tables.failures import reason, remedy
from marimo_kernel_bridge.viewing.tables.file_state import FileState
from marimo_kernel_bridge.viewing.tables.loading import LoadingTable
from marimo_kernel_bridge.viewing.tables.long_lines import (
    FOR_LONG_LINES,
    TOO_LONG,
    ends_in_a_long_line,
    has_long_lines,
    too_long,
)
from marimo_kernel_bridge.viewing.tables.plain import PlainTable, Tuples
from marimo_kernel_bridge.viewing.tables.text_encodings import (
    encoding_of,
    has_at_most,
    is_no_text,
    is_text,
    true_suffix,
)
from marimo_kernel_bridge.viewing.tables.text_sources import TextSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from marimo_kernel_bridge.viewing.table import Table

_HEAD: Final = 500
_SMALL: Final = 4_000_000
"""Bytes of a file that is loaded at once."""
_LATIN: Final = "The file is not UTF-8: it is read as Latin-1."
_WINDOWS: Final = "The file is not UTF-8: it is read as Windows-1252."
_WHOLE: Final = "Types were found from the whole file: a later row did not fit those of the first ones."


def open_text(path: Path, kind: str, function: str, suffix: str) -> Table:
    """Return a CSV or JSON file as a table. Raises `BridgeError`: bad_data, data_gone, data_locked, not_installed."""
    state = FileState(path)
    suffix = true_suffix(state, suffix)
    try:
        encoding = encoding_of(path, suffix)
        is_small = has_at_most(path, suffix, _SMALL)
        if not encoding and is_no_text(path, suffix):
            raise BridgeError("bad_data", f"{path.name} is no text: it has NULs.")
    except (OSError, EOFError, zlib.error):
        raise BridgeError("bad_data", f"{path.name} is broken, or only a part of a file.") from None
    is_read = encoding in ({"", "utf-8-sig", "utf-16-le"} if function == "read_csv" else {""})
    database = Database(path)
    try:
        has_lines = function == "read_csv" or "l" in suffix or "nd" in suffix
        text = TextSource(path, suffix, database, encoding, as_it_is=is_read, has_lines=has_lines)
        separator = "\t" if "tsv" in suffix else ","
        try:
            first = _first_that_reads(database, function, text.head(), state, encoding, separator)
        except _UnknownEncodingError:
            _take_for_windows(text)
            first = _first_that_reads(database, function, text.head(), state, "cp1252", separator)
        reading, notes, described, rows = first
        if text.encoding == "cp1252":
            notes = (_WINDOWS, *notes)
        headings = (
            _headings(database, text.head(), reading, [name for name, _ in described])
            if function == "read_csv"
            else {}
        )

        def load(cancellation: Cancellation) -> Table:
            loaded = _loaded(database, function, text, reading, state, cancellation)
            text.loaded()
            state.require_unchanged()
            return loaded_table(database, kind, state, (*notes, *loaded), headings)

        if is_small:
            return load(Cancellation())
        return LoadingTable(
            PlainTable(
                Tuples(
                    kind,
                    [headings.get(name, name) for name, _ in described],
                    [dtype for _, dtype in described],
                    rows,
                    state,
                )
            ),
            f"Loading {path.name}",
            load,
            database.close,
        )
    except BaseException:
        database.close()
        raise


def _take_for_windows(text: TextSource) -> None:
    """Read a text that is in none of DuckDB's encodings as one of Windows. Raises `BridgeError`: bad_data."""
    if not is_text(text.path, text.suffix):
        raise BridgeError("bad_data", f"{text.path.name} is no text.")
    text.read_as("cp1252")


class _UnknownEncodingError(Exception):
    """The text is in none of the encodings that DuckDB knows."""


class _LongLineError(Exception):
    """A line is longer than DuckDB takes it, unless it is told to."""


def _first_that_reads(  # noqa: PLR0917  # each is a fact of the text
    database: Database, function: str, source: str, state: FileState, encoding: str, separator: str
) -> tuple[str, tuple[str, ...], list[tuple[str, str]], list[Any]]:
    """Return the arguments with which the head can be read, what is to be said of them, and the columns and rows of it.

    `encoding` is "" if it is not known. Raises `BridgeError`: bad_data, too_large; `_UnknownEncodingError`.
    """
    failure: Exception | None = None
    for arguments, notes in _ways(function, encoding, separator, is_long=has_long_lines(state)):
        if "latin-1" in arguments and not _is_of_encoding(failure):
            continue
        select = f"SELECT * FROM {function}({source}{arguments})"
        try:
            found, rows = database.head(select, _HEAD)
        except database.error as error:
            failure = failure or error
            if TOO_LONG in str(error) and FOR_LONG_LINES in arguments:
                raise too_long(state.path.name) from None
            if encoding == "" and "latin-1" in arguments and _is_of_encoding(error):
                raise _UnknownEncodingError from None
            continue
        if (
            len(found) == 1
            and function == "read_csv"
            and separator in found[0][0]
            and "delim" not in arguments
        ):
            continue  # no separator made all first lines of one length
        return arguments, notes, found, rows
    raise BridgeError("bad_data", f"{state.path.name} cannot be read: {reason(failure)}.", remedy(failure))


def _headings(database: Database, source: str, arguments: str, names: list[str]) -> dict[str, str]:
    """Return the file's own headings of columns that DuckDB has given other names: those of one name, and those without any."""
    known = {name.lower() for name in names}
    bases = list(map(_base, names))
    if not any(base is not None and (base.lower() in known or base == "column") for base in bases):
        return {}
    try:
        first = database.head(
            f"SELECT * FROM read_csv({source}{arguments.replace(', header=true', '')}, header=false, all_varchar=true)",
            1,
        )[1]
    except database.error:
        return {}
    headings = [str(one or "") for one in (first[0] if first else ())]
    if len(headings) != len(names) or not all(
        name == heading or (base in {heading, "" if heading else "column"})
        for name, heading, base in zip(names, headings, bases, strict=True)
    ):
        return {}  # the file has none
    return {name: heading for name, heading in zip(names, headings, strict=True) if name != heading}


def _ways(
    function: str, encoding: str, separator: str, *, is_long: bool
) -> Iterator[tuple[str, tuple[str, ...]]]:
    if function != "read_csv":
        yield ", map_inference_threshold=-1", ()  # many keys are columns
        return
    quoted_is_text = ", allow_quoted_nulls=false"  # "" is text without letters
    if encoding == "utf-16-le":
        yield f"{quoted_is_text}, encoding='utf-16'", ()
        return
    if not is_long:
        yield quoted_is_text, ()
        if encoding == "":
            yield f"{quoted_is_text}, encoding='latin-1'", (_LATIN,)
    yield f"{quoted_is_text}{FOR_LONG_LINES}", ()
    yield f"{quoted_is_text}{FOR_LONG_LINES}, delim={literal(separator)}, store_rejects=true, header=true", ()


def _is_of_encoding(error: Exception | None) -> bool:
    return bool(re.search(r"invalid unicode|not (utf-8|latin-1) encoded", str(error), re.IGNORECASE))


def _loaded(  # noqa: PLR0917  # as `_load`
    database: Database,
    function: str,
    text: TextSource,
    reading: str,
    state: FileState,
    cancellation: Cancellation,
) -> tuple[str, ...]:
    """Create the table "loaded" as `_load` does, and find how the text is to be read where the first lines do not say it."""
    arguments = reading
    notes: tuple[str, ...] = ()
    if function == "read_csv" and ("store_rejects" in reading or ends_in_a_long_line(state)):
        arguments = _for_long_lines(reading, state, cancellation)
    while True:
        try:
            source = text.whole(cancellation)
            return (*notes, *_load(database, function, source, arguments, cancellation, text.encoding))
        except _LongLineError:
            arguments = _for_long_lines(arguments, state, cancellation)
            if FOR_LONG_LINES not in arguments:  # it is longer in UTF-8 than in the file
                arguments += FOR_LONG_LINES
        except _UnknownEncodingError:
            _take_for_windows(text)
            notes = (_WINDOWS,)


def _for_long_lines(arguments: str, state: FileState, cancellation: Cancellation) -> str:
    """Return the arguments with those for long lines, if there are some. Raises `BridgeError`: too_large; `CancelledError`."""
    is_long = has_long_lines(state, cancellation)
    return f"{arguments}{FOR_LONG_LINES}" if is_long and FOR_LONG_LINES not in arguments else arguments


def _load(  # noqa: PLR0917  # each is a fact of the text
    database: Database,
    function: str,
    source: str,
    arguments: str,
    cancellation: Cancellation,
    encoding: str,
) -> tuple[str, ...]:
    """Create the table "loaded", and return what is to be said of it. Raises `BridgeError`; `_UnknownEncodingError`."""
    ways: list[tuple[str, tuple[str, ...]]] = [("", ())]
    if function == "read_csv":
        ways += [(", sample_size=-1", (_WHOLE,)), (", sample_size=-1, store_rejects=true", ())]
        if not encoding and "encoding" not in arguments:
            ways.insert(1, (", encoding='latin-1'", (_LATIN,)))
    failure: Exception | None = None
    for more, notes in ways:
        if "store_rejects" in arguments:
            more = more.replace(", store_rejects=true", "")  # noqa: PLW2901  # it is there already
        if "latin-1" in more and not _is_of_encoding(failure):
            continue
        rejecting = "store_rejects" in arguments + more
        select = f"SELECT * FROM {function}({source}{arguments}{more})"
        try:
            rejected = database.create(
                f"CREATE OR REPLACE TABLE loaded AS {select}", cancellation, rejecting=rejecting
            )
        except database.error as error:
            failure = failure or error
            if function == "read_csv" and TOO_LONG in str(error) and FOR_LONG_LINES not in arguments:
                raise _LongLineError from None
            if not encoding and "latin-1" in arguments + more and _is_of_encoding(error):
                raise _UnknownEncodingError from None
            continue
        if function != "read_csv":
            _keep_digits(database, select, cancellation)
        return (*notes, *_rejected(rejected))
    raise BridgeError("bad_data", f"The file cannot be read: {reason(failure)}.", remedy(failure))


def _keep_digits(database: Database, select: str, cancellation: Cancellation) -> None:
    """Read the numbers of JSON that no float holds as text: DuckDB makes floats of them."""
    floats = [quoted(name) for name, dtype in database.described("loaded") if dtype == "DOUBLE"]
    if not floats:
        return
    large = ", ".join(f"coalesce(bool_or(abs({name}) >= 9007199254740992), false)" for name in floats)
    found = database.run(f"SELECT {large} FROM loaded", (), cancellation)[0]
    chosen = [name for name, is_large in zip(floats, found, strict=True) if is_large]
    if chosen:
        types = ", ".join(
            f"{literal(name)}: {literal('VARCHAR' if quoted(name) in chosen else dtype)}"
            for name, dtype in database.described("loaded")
        )
        reading = select.rstrip(")") + f", columns={{{types}}})"
        database.run(f"CREATE OR REPLACE TABLE loaded AS {reading}", (), cancellation)


def _rejected(lines: list[Any]) -> tuple[str, ...]:
    if not lines:
        return ()
    named = ", ".join(str(line) for (line,) in lines[:5])
    more = ", …" if len(lines) > 5 else ""  # noqa: PLR2004  # as many as are named
    return (f"{len(lines)} lines do not fit the columns and are left out: line {named}{more}.",)


def _base(name: str) -> str | None:
    """Return what DuckDB has numbered: a heading that another column has ("a_1"), or none ("column3"); None for other names."""
    base = name.rstrip("0123456789")
    return None if base == name else base.removesuffix("_")
