"""What the Git repository of a folder leads to elsewhere, and git runs or follows there: read from its files, without git."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

from marimo_kernel_bridge.protocol.regular_files import read_bytes

_LARGEST: Final = 1_000_000
_NAMES_HOOKS, _NAMES_SETTINGS = "hookspath", "path"  # core.hooksPath; path of include and includeIf


def led_to(folder: str) -> list[str]:
    """Return where the repository of a folder lies, links in it, and the hooks and settings that its config names."""
    git = f"{folder}/.git"
    found = []
    if (said := _text(git)).startswith("gitdir:"):
        found.append(git := os.path.join(folder, said.removeprefix("gitdir:").strip()))  # noqa: PTH118
    places = [git, folder]  # which may be one itself
    if common := _text(f"{git}/commondir").strip():
        found.append(common := os.path.join(git, common))  # noqa: PTH118
        places.append(common)
    for place in places[:1] + places[2:]:
        with suppress(OSError), os.scandir(place) as entries:
            found += [entry.path for entry in entries if entry.is_symlink()]
    for place in places:
        for name in ("config", "config.worktree"):
            found += _named_in(_text(f"{place}/{name}"), folder, place)
    return found


def _named_in(text: str, top: str, git: str) -> list[str]:
    """Return the paths in settings of git that it runs or follows."""
    found = []
    for line in text.split("\n"):
        key, _, value = line.rpartition("]")[2].partition("=")
        path = os.path.expanduser(value.split("#")[0].split(";")[0].strip().strip('"'))  # noqa: PTH111
        if path and key.strip().lower() == _NAMES_HOOKS:
            found.append(os.path.join(top, path))  # noqa: PTH118
        elif path and key.strip().lower() == _NAMES_SETTINGS:
            found.append(os.path.join(git, path))  # noqa: PTH118
    return found


def _text(path: str) -> str:
    """Return what is in a regular file, "" where there is none."""
    try:
        return read_bytes(path, _LARGEST).decode(errors="replace")
    except (OSError, ValueError):
        return ""
