"""Symbolic links on the way to what code in a sandbox must not change: whoever can replace one leads elsewhere. Changes nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from marimo_kernel_bridge.sandbox import placeholders

_MOST_LINKS: Final = 40
"""As the system has it."""


@dataclass(frozen=True)
class Way:
    """Over which links a path leads, each with what it says, and where it ends.

    `missing` is the first part of the end that is not there, or that a kernel holds in the place of something.
    """

    links: tuple[tuple[str, str], ...]
    end: str
    missing: str | None = None


def way(path: str) -> Way:
    """Return where an absolute path leads. Links that lead in a circle lead nowhere."""
    links: list[tuple[str, str]] = []
    missing: str | None = None
    here, left = "/", [part for part in path.split("/") if part not in {"", "."}]
    while left:
        part = left.pop(0)
        if part == "..":
            here = os.path.dirname(here)  # noqa: PTH120
            continue
        there = os.path.join(here, part)  # noqa: PTH118
        try:
            said = os.readlink(there)  # noqa: PTH115
        except OSError:  # no link
            if missing is None and (not os.path.lexists(there) or placeholders.is_one(there)):
                missing = there
            here = there
            continue
        links.append((there, said))
        if len(links) > _MOST_LINKS:
            return Way(tuple(dict.fromkeys(links)), here, there)
        left = [each for each in said.split("/") if each not in {"", "."}] + left
        here = "/" if said.startswith("/") else here
    return Way(tuple(dict.fromkeys(links)), here, missing)
