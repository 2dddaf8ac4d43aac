"""The files that come with the package: the example notebook, the kernelspec and the extension for VS Code.

A wheel carries them inside the package; a checkout has them at its root, once, and the extension where it is built.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

_PACKAGE = Path(__file__).parents[1]
_BUILT: Final = {"vscode": Path("extensions", "vscode", "build")}


def shipped(folder: Literal["examples", "kernelspec", "vscode"]) -> Path:
    """Return the folder in the installed package, or in the checkout."""
    installed = _PACKAGE / folder
    return installed if installed.is_dir() else _PACKAGE.parent / _BUILT.get(folder, folder)
