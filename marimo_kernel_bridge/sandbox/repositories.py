"""What the Git repository of a folder leads to elsewhere, and git runs or follows there: read from its files, without git."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.protocol.regular_files import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

_LARGEST: Final = 1_000_000
_NAMES_HOOKS, _NAMES_SETTINGS = "hookspath", "path"  # core.hooksPath; path of include and includeIf
_SECTIONS: Final = re.compile(r'\s*(?:\[[^]"]*(?:"(?:[^"\\]|\\.)*"\s*)?\]\s*)*')
_PARTS: Final = re.compile(r'\\.|[\\"#;]|[^\\"#;]+')
_ESCAPED: Final = {r"\n": "\n", r"\t": "\t", r"\b": "\b"}


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
    for key, value in _settings(text):
        path = os.path.expanduser(value)  # noqa: PTH111
        if path and key == _NAMES_HOOKS:
            found.append(os.path.join(top, path))  # noqa: PTH118
        elif path and key == _NAMES_SETTINGS:
            found.append(os.path.join(git, path))  # noqa: PTH118
    return found


def _settings(text: str) -> Iterator[tuple[str, str]]:
    """Yield the keys, in lower case, and the values of a configuration of git, without its sections."""
    lines = iter(text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n"))
    for line in lines:
        setting = _SECTIONS.sub("", line, count=1)
        if not setting.startswith(("#", ";")):
            key, _, value = setting.partition("=")
            yield key.strip().lower(), _value(value.lstrip(), lines)


def _value(text: str, lines: Iterator[str]) -> str:
    """Return a value as git understands it: quotes anywhere, comments and spaces outside of them, and `lines` that go on."""
    parts: list[str] = []
    spaces, quoted = "", False
    while True:
        goes_on = False
        for part in _PARTS.findall(text):
            if part == '"':
                quoted = not quoted
            elif part in {"#", ";"} and not quoted:
                return "".join(parts)
            elif part == "\\":  # the end of the line
                goes_on = True
            else:
                kept = said = _ESCAPED.get(part, part.removeprefix("\\"))
                if said == part and not quoted:
                    said = said if parts else said.lstrip()
                    kept = said.rstrip()
                spaces += "" if kept else said
                if kept:
                    parts += (spaces, kept)
                    spaces = said[len(kept) :]
        if not goes_on:
            return "".join(parts)
        text = next(lines, "")


def _text(path: str) -> str:
    """Return what is in a regular file, "" where there is none."""
    try:
        return read_bytes(path, _LARGEST).decode(errors="replace")
    except (OSError, ValueError):
        return ""
