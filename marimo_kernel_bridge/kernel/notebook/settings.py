"""What a notebook's own metadata says about how it runs.

`{"marimo_kernel_bridge": {"on_cell_change": "lazy", "redefinitions": "strict"}}`, either or both. It goes before marimo's
configuration (`pyproject.toml`, the user's), which is the runtime's to read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from marimo_kernel_bridge.protocol import names as message_names


@dataclass(frozen=True)
class Settings:
    """What a notebook asks for; None where it does not say."""

    on_cell_change: Literal["autorun", "lazy"] | None = None
    redefinitions: Literal["relaxed", "strict"] | None = None


def read_settings(notebook: str) -> Settings:
    """Read what a notebook on disk asks for; nothing where it cannot be read."""
    try:
        document = json.loads(Path(notebook).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Settings()
    match document:
        case {"metadata": {message_names.METADATA_KEY: {**ours}}}:
            pass
        case _:
            return Settings()
    mode, redefinitions = ours.get("on_cell_change"), ours.get("redefinitions")
    return Settings(
        mode if mode in ("autorun", "lazy") else None,  # a list or an object cannot be in a set
        redefinitions if redefinitions in ("relaxed", "strict") else None,  # as above
    )
