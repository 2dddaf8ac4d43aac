"""Which paths are those of a notebook's files, and not of Python's installation, the system or some cache."""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Final

from marimo_kernel_bridge.startup.working_directory import working_directory

PATH_TYPES: Final = frozenset({str, type(Path()), PurePath, PurePosixPath, PureWindowsPath})
"""Not those derived from them, whose methods are the user's code."""


def notebooks_path(path: object) -> str | None:
    """Return the absolute path of a file of the notebook, None for any other."""
    if issubclass(type(path), str):
        path = str.__str__(path)  # of a derived class: without its methods
    elif type(path) not in PATH_TYPES and type(path) is not bytes:  # a file descriptor, say
        return None
    try:
        absolute = os.path.abspath(os.path.expanduser(os.fsdecode(path)))  # type: ignore[arg-type]  # noqa: PTH100, PTH111  # quicker
    except (ValueError, OSError):  # the working directory was deleted, say
        return None
    return absolute if _belongs_to_notebook(absolute, working_directory()) else None


@lru_cache(maxsize=2000)
def _belongs_to_notebook(path: str, folder: str) -> bool:
    if path.startswith(_not_notebooks(folder)) or path.endswith(".pyc"):
        return False
    return "ipykernel_" not in path


@lru_cache(maxsize=20)
def _not_notebooks(folder: str) -> tuple[str, ...]:
    """Return the beginnings of paths that are Python's, the system's or some cache's, unless work goes on in there."""
    installed = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    places = {sys.prefix, *installed, "/proc", "/dev", "/sys", "/etc", "/usr"}
    home = os.path.expanduser("~")  # noqa: PTH111  # raises nothing where there is none
    beginnings = [*(f"{place}{os.sep}" for place in places), f"{home}{os.sep}."]
    return tuple(beginning for beginning in beginnings if not f"{folder}{os.sep}".startswith(beginning))
