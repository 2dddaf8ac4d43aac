"""What a notebook's own metadata says about how it runs: `{"marimo_kernel_bridge": {"on_cell_change": "lazy"}}`.

It goes before marimo's configuration (`pyproject.toml`, the user's), which is the runtime's to read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from marimo_kernel_bridge import wire


def on_cell_change(notebook: str) -> Literal["autorun", "lazy"] | None:
    """Return the mode that a notebook on disk asks for; None where it does not, or cannot be read."""
    try:
        document = json.loads(Path(notebook).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    match document:
        case {"metadata": {wire.METADATA_KEY: {"on_cell_change": "autorun"}}}:
            return "autorun"
        case {"metadata": {wire.METADATA_KEY: {"on_cell_change": "lazy"}}}:
            return "lazy"
    return None
