"""The files that come with the package: the example notebook and the kernelspec.

A wheel carries them inside the package; a checkout has them at its root, once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).parents[1]


def shipped(folder: Literal["examples", "kernelspec"]) -> Path:
    """Return the folder in the installed package, or in the checkout."""
    installed = _PACKAGE / folder
    return installed if installed.is_dir() else _PACKAGE.parent / folder
