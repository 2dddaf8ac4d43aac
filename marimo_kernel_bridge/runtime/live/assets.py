"""The files of marimo's front end, taken from the installed marimo as they are and packed for a page.

The front end is a graph of small modules without cycles. A page gets those that draw elements at once, then those that connect
the front end, and others, for charts for example, with what they import when it asks for them. Packs are kept, as each takes
some tenths of a second to make.
"""

from __future__ import annotations

import functools
import gzip
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import marimo

from marimo_kernel_bridge.runtime.interface import AssetPack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STATIC: Final = Path(marimo.__file__).parent / "_static"
_ENTRY: Final = re.compile(r'<script type="module"[^<>]*\ssrc="\./assets/([^"]+\.js)"')
_IMPORT: Final = re.compile(r"""(?:from|import)\s*["']\./([^"']+\.js)["']""")
_LEVEL: Final = 4  # of gzip: a tenth less than 1 takes; 6 takes off another twenty-fifth, in twice the time
_PARTS: Final = 2  # compressed at the same time
_SMALL: Final = 200_000  # bytes that are one part


class FrontEndFiles:
    """marimo's front end in a folder."""

    def __init__(self, static: Path = STATIC) -> None:
        self._static, self._assets = static, static / "assets"
        self._making = threading.Lock()
        self._packs: dict[tuple[str, ...] | None, AssetPack] = {}

    def fault(self) -> str:
        """Return what is missing, empty if nothing is. It is looked for once: each shown element asks."""
        return self._fault

    @functools.cached_property
    def _fault(self) -> str:
        try:
            self._entry  # noqa: B018  # read from the file
            self._page  # noqa: B018  # looked for
        except (OSError, LookupError) as error:
            return f"marimo's front end cannot be used: {error}"
        return ""

    @functools.cached_property
    def _entry(self) -> str:
        found = _ENTRY.search((self._static / "index.html").read_text("utf-8"))
        if found is None:
            raise LookupError("index.html names no script to start with")
        return found[1]

    @functools.cached_property
    def _page(self) -> str:
        """The module of the page that shows an app, which has the elements."""
        pages = [path.name for path in self._assets.glob("run-page-*.js")]
        if len(pages) != 1:
            raise LookupError(f"there is not one run-page in {self._assets}, but {len(pages)}")
        return pages[0]

    @functools.cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(path.name for path in self._assets.iterdir())

    @functools.cached_property
    def _drawing(self) -> tuple[str, ...]:
        """The modules that draw elements, each after those that it imports."""
        return self._with_imports([self._entry])

    @functools.cached_property
    def base(self) -> tuple[str, ...]:
        """The modules that each page has, each after those that it imports."""
        return self._with_imports([self._entry, self._page])

    def text(self, name: str) -> str:
        """Return a module's text."""
        return (self._assets / name).read_text("utf-8")

    def imports(self, name: str) -> list[str]:
        """Return the modules that one imports."""
        return _IMPORT.findall(self.text(name))

    def pack(self, names: Sequence[str] | None) -> AssetPack:
        """Return the files that a page starts with, or these modules and what they import beyond those that it has. Any thread.

        Raises `OSError` or `LookupError` if marimo's files are not as they should be.
        """
        with self._making:
            wanted = None if names is None else tuple(sorted(set(names) & self._names))
            if wanted not in self._packs:
                self._packs[wanted] = self._start() if wanted is None else self._pack(self._beyond(wanted))
            return self._packs[wanted]

    def _start(self) -> AssetPack:
        css = sorted(name for name in self._names if name.endswith(".css"))
        pack = self._pack([*self._drawing, *css])
        return AssetPack(pack.data, pack.parts, self._entry, (self._page,), tuple(css))

    def _beyond(self, names: Sequence[str]) -> list[str]:
        there = set(self._drawing if names == (self._page,) else self.base)
        scripts = self._with_imports(name for name in names if name.endswith(".js"))
        return [name for name in scripts if name not in there] + [
            name for name in names if not name.endswith(".js")
        ]

    def _pack(self, names: Iterable[str]) -> AssetPack:
        contents = [(name, (self._assets / name).read_bytes()) for name in names]
        parts = _halved(contents) if sum(len(content) for _, content in contents) > _SMALL else [contents]
        with ThreadPoolExecutor(_PARTS) as threads:
            data = tuple(threads.map(_compressed, parts))
        return AssetPack(data, tuple(tuple((name, len(content)) for name, content in part) for part in parts))

    def _with_imports(self, names: Iterable[str]) -> tuple[str, ...]:
        found: dict[str, None] = {}
        entered: set[str] = set()

        def add(name: str) -> None:
            if name not in entered:
                entered.add(name)
                for imported in self.imports(name):
                    add(imported)
                found[name] = None

        for name in names:
            add(name)
        return tuple(found)


def _compressed(contents: Iterable[tuple[str, bytes]]) -> bytes:
    return gzip.compress(b"".join(content for _, content in contents), _LEVEL, mtime=0)


def _halved(contents: Sequence[tuple[str, bytes]]) -> list[list[tuple[str, bytes]]]:
    """Divide files into parts of about the same size."""
    parts: list[list[tuple[str, bytes]]] = [[] for _ in range(_PARTS)]
    sizes = [0] * _PARTS
    for one in sorted(contents, key=lambda one: -len(one[1])):
        smallest = sizes.index(min(sizes))
        parts[smallest].append(one)
        sizes[smallest] += len(one[1])
    return parts
