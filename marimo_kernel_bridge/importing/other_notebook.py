"""The code cells of a notebook that another one runs with `%run`, read from its text."""

from __future__ import annotations

import json


def code_of(path: str, text: str) -> list[str] | None:
    """Return the sources of the code cells of an .ipynb, or the text of an .ipy as one; None if it is no notebook."""
    if not path.endswith(".ipynb"):
        return [text]
    try:
        cells = json.loads(text)["cells"]
        return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
