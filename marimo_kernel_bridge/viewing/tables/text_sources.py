"""A file of text as DuckDB reads it: itself, or copies of it in UTF-8, of its first lines at once and of all of it later."""

from __future__ import annotations

import codecs
import errno
import gzip
import shutil
import zlib
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.viewing.table import Cancellation
from marimo_kernel_bridge.viewing.tables.duck_sql import literal
from marimo_kernel_bridge.viewing.tables.text_encodings import end_of, is_cut_array, unpacked

if TYPE_CHECKING:
    from pathlib import Path

    from marimo_kernel_bridge.viewing.tables.duck import Database

_CHUNK: Final = 1 << 20
_HEAD: Final = 8_000_000
"""Bytes of the first lines: more than DuckDB looks at to find separators and types."""
_COPY_MAX: Final = 20_000_000_000
"""Bytes of a copy, and half of what the disk has room for: some kilobytes may unpack to more."""
_AT_ONCE_MAX: Final = 100_000_000
"""Bytes of a copy that is made whole before anything is shown."""


class TextSource:
    """Where DuckDB reads a text from. A copy has the character that stands for unknown ones in place of what is none."""

    def __init__(
        self, path: Path, suffix: str, database: Database, encoding: str, *, as_it_is: bool, has_lines: bool
    ) -> None:
        """`as_it_is`: DuckDB reads the encoding. `has_lines`: the first lines alone are a text of the same kind."""
        self.encoding = encoding
        self.path = path
        self.suffix = suffix
        self._folder = database.folder
        self._has_lines = has_lines
        self._is_array = "json" in suffix and not has_lines
        self._linked = literal(database.link(suffix)) if as_it_is else ""
        self._head: Path | None = None
        self._whole: Path | None = None

    def read_as(self, encoding: str) -> None:
        """Read it as a text in another encoding from now on."""
        self.encoding, self._linked = encoding, ""
        self._head = self._whole = None

    def head(self) -> str:
        """Return the source of the first lines at least. Raises `BridgeError`: too_large, disk_full."""
        if self._linked:
            return self._linked
        if self._head is None:
            most = _HEAD if self._has_lines else None
            self._head, is_whole = self._copied("head", Cancellation(), _AT_ONCE_MAX, most)
            if is_whole:
                self._whole = self._head
        return literal(str(self._head))

    def whole(self, cancellation: Cancellation) -> str:
        """Return the source of all of it. Raises as `head`; `BridgeError`: bad_data; `CancelledError`."""
        if self._linked:
            self._require_whole(self.path, self.suffix, cancellation)
            return self._linked
        if self._whole is None:
            self._whole, _ = self._copied("text", cancellation, _COPY_MAX)
        self._require_whole(self._whole, "", cancellation)
        return literal(str(self._whole))

    def loaded(self) -> None:
        """Remove the copies: it is read no more."""
        for copy in (self._head, self._whole):
            if copy is not None:
                copy.unlink(missing_ok=True)

    def _require_whole(self, path: Path, suffix: str, cancellation: Cancellation) -> None:
        """Refuse a part of a file that DuckDB would take for all of it. Raises `BridgeError`: bad_data; `CancelledError`."""
        try:
            end = end_of(path, suffix, cancellation.check)
            is_cut = self._is_array and is_cut_array(path, suffix, end)
        except (OSError, EOFError, zlib.error):
            is_cut = True
        if is_cut:
            raise BridgeError("bad_data", f"{self.path.name} is broken, or only a part of a file.")

    def _copied(
        self, name: str, cancellation: Cancellation, most: int, head: int | None = None
    ) -> tuple[Path, bool]:
        """Write a copy, and return it and whether it has all. `head`: it ends with a line after so many bytes."""
        copy = self._folder / f"{name}-{self.encoding}{self.suffix.removesuffix('.gz')}"
        room = min(most, shutil.disk_usage(self._folder).free // 2)
        try:
            with (
                unpacked(self.path, self.suffix) as file,
                copy.open("w", encoding="utf-8", newline="") as written,
            ):
                reader = codecs.getreader(self.encoding)(file, "replace")
                while text := reader.read(_CHUNK):
                    cancellation.check()
                    end = text.rfind("\n") + 1 if head is not None and written.tell() > head else 0
                    part = text[:end] if end else text
                    written.write(part if written.tell() else part.removeprefix("\ufeff"))
                    if end:
                        return copy, False
                    if written.tell() > room:
                        raise BridgeError(
                            "too_large",
                            f"{self.path.name} is not UTF-8, and its copy has more than {room:,} bytes.",
                            "Save it in UTF-8.",
                        )
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise BridgeError("bad_data", f"{self.path.name} is broken, or only a part of a file.") from None
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise BridgeError("disk_full", f"There is no space left in {self._folder.parent}.") from None
            raise
        return copy, True
