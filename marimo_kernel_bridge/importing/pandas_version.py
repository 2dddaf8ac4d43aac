"""Whether the pandas that a result runs with copies on write, as it does from version 3 on."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_COPIES_ON_WRITE: Final = 3


def copies_on_write(requirements: Iterable[str]) -> bool:
    """Return whether a shallow copy of a frame is a safe one.

    `requirements` are those of the result: where one allows only pandas 3 or newer, or only older ones, it decides, else
    the pandas that is installed. Without any it is not known, and taken for no.
    """
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415  # for notebooks that declare some

    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.name == "pandas" and requirement.specifier:
            allowed = {
                new
                for new in (False, True)
                if any(requirement.specifier.contains(each) for each in _TRIED[new])
            }
            if len(allowed) == 1:
                return allowed.pop()
    try:
        return int(metadata.version("pandas").partition(".")[0]) >= _COPIES_ON_WRITE
    except (metadata.PackageNotFoundError, ValueError):
        return False


_TRIED: Final = {
    new: [f"{major}.{minor}.{micro}" for major in majors for minor in range(6) for micro in range(6)]
    for new, majors in {False: (0, 1, 2), True: (3, 4)}.items()
}
"""Versions that a requirement is tried with, before and from version 3 on."""
