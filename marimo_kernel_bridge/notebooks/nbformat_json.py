"""The JSON of an .ipynb: names for its parts, and its convention for text.

nbformat allows any JSON in metadata, mime bundles and unknown fields, so its parts stay dictionaries. What this package
reads of them is parsed by `ipynb`.
"""

from __future__ import annotations

import json
from io import StringIO
from typing import Any, Final, TypeAlias

from marimo_kernel_bridge.protocol.output_text import joined

JSONObject: TypeAlias = dict[str, Any]
"""Any JSON object."""
DocumentJSON: TypeAlias = dict[str, Any]
"""A whole notebook of nbformat 4."""
CellJSON: TypeAlias = dict[str, Any]
"""A cell of a notebook."""
OutputJSON: TypeAlias = dict[str, Any]
"""An output of a code cell."""


LONGEST_ID: Final = 64
"""Characters of a cell's id in nbformat."""


def is_cell_id(name: str) -> bool:
    """Return whether nbformat allows this id; VS Code's, for example, are URIs."""
    return 0 < len(name) <= LONGEST_ID and all(
        letter.isascii() and (letter.isalnum() or letter in "-_") for letter in name
    )


def source_of(cell: CellJSON) -> str:
    """Return the source of a cell."""
    return joined(cell.get("source"))


def lines(text: str) -> list[str]:
    """Split a text into lines as nbformat stores it: at line feeds only, unlike `str.splitlines`."""
    return [line for line in StringIO(text, newline="\n")]  # noqa: C416  # `list` lets no other thread go on meanwhile


def without_outputs(document: DocumentJSON) -> DocumentJSON:
    """Return a notebook without the outputs of its cells, and without their counts."""
    cells = [
        {**cell, "outputs": [], "execution_count": None} if cell.get("cell_type") == "code" else cell
        for cell in document["cells"]
    ]
    return {**document, "cells": cells}


def serialized(content: JSONObject) -> str:
    """Return the text of an .ipynb file, or of another file in its style."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
