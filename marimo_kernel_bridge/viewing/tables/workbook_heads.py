"""The first rows of a workbook: a small one with the same parts, in which each sheet ends early.

The reader of workbooks reads whole sheets. What it makes of the small one's cells it makes of the large one's.
"""

from __future__ import annotations

import io
import re
import zipfile
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_COPIED: Final = frozenset(
    {
        "[content_types].xml",
        "_rels/.rels",
        "xl/workbook.xml",
        "xl/_rels/workbook.xml.rels",
        "xl/styles.xml",
    }
)
"""What the reader needs beside the sheets and their texts. Names of parts are compared without case."""
_SHEETS: Final = "xl/worksheets/"
_TEXTS: Final = "xl/sharedstrings.xml"
_LONGEST: Final = 16_000_000
"""Bytes of all sheets that are cut, and of the texts: a workbook that needs more has no head."""
_CHUNK: Final = 256 * 1024
_TAG: Final = 64
"""Bytes of the longest tag that ends a row or a text."""
_ROW: Final = re.compile(rb"</((?:\w{1,20}:)?)row>")
_TEXT: Final = re.compile(rb"</((?:\w{1,20}:)?)si>|<((?:\w{1,20}:)?)si ?/>")
_NUMBER: Final = re.compile(
    rb'<(?:\w{1,20}:)?c\s(?>[^<>]{0,200}?\bt="s")[^<>]{0,200}+>\s{0,9}+<(?:\w{1,20}:)?v>(\d{1,9})<'
)
"""A cell whose text is one of the shared ones, by its number. Each part is bounded: a search takes linear time."""


def first_rows(path: Path, count: int) -> bytes | None:
    """Return a workbook with the first rows of each sheet; None if that is not much less than the whole.

    Raises `zipfile.BadZipFile`, `OSError`, `ValueError` or `NotImplementedError` for a broken package.
    """
    small = io.BytesIO()
    texts, needed, total = None, 0, 0
    with zipfile.ZipFile(path) as package, zipfile.ZipFile(small, "w") as written:
        for part in package.infolist():
            name = part.filename.lower()
            if name in _COPIED:
                content = _until(package, part, None, 0, "")
            elif name.startswith(_SHEETS) and name.endswith(".xml"):
                content = _until(package, part, _ROW, count, "</{0}sheetData></{0}worksheet>")
                numbers = _NUMBER.findall(content or b"")
                needed = max(needed, *(int(number) + 1 for number in numbers)) if numbers else needed
            else:
                texts = part if name == _TEXTS else texts
                continue
            total += 0 if content is None else len(content)
            if content is None or total > _LONGEST:
                return None
            written.writestr(part.filename, content)
        if texts is not None and needed:
            content = _until(package, texts, _TEXT, needed, "</{0}sst>")
            if content is None:
                return None
            written.writestr(texts.filename, content)
    return small.getvalue()


def _until(
    package: zipfile.ZipFile, part: zipfile.ZipInfo, end: re.Pattern[bytes] | None, count: int, closing: str
) -> bytes | None:
    """Return a part up to the end of so many elements, and what closes those around them; None if it is too long."""
    found, searched, left = b"", 0, count
    with package.open(part) as file:
        while chunk := file.read(_CHUNK):
            found += chunk
            if len(found) > _LONGEST:
                return None
            for match in end.finditer(found, searched) if end else ():
                left, searched = left - 1, match.end()
                if not left:
                    prefix = next((one for one in match.groups() if one is not None), b"").decode()
                    return found[: match.end()] + closing.format(prefix).encode()
            searched = max(searched, len(found) - _TAG)
    return found
