"""The loader as one module, as an anywidget wants it: the files in `page`, which import each other, joined in order.

An import names what it takes and gives it no other name, and no two files have the same name at the top, so that joining is to leave
out the imports.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).with_name("page")
_IMPORT: Final = re.compile(r"^import \{ [\w, ]+ \} from '\./(\w+\.js)';\n", re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?!default\b)", re.MULTILINE)


def loader_source(folder: Path = PAGE) -> str:
    """Return the module, each file after those that it imports. Raises `OSError` if a file is missing."""
    texts: dict[str, str] = {}
    entered: set[str] = set()

    def add(name: str) -> None:
        if name in entered:
            return
        entered.add(name)
        text = (folder / name).read_text("utf-8")
        for imported in _IMPORT.findall(text):
            add(imported)
        texts[name] = _EXPORT.sub("", _IMPORT.sub("", text))

    add("loader.js")
    return "\n".join(texts.values())
