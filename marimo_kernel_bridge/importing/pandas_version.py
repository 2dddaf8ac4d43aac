"""Whether the pandas that a result runs with copies on write, as it does from version 3 on."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.version import Version

_COPIES_ON_WRITE: Final = 3


def copies_on_write(requirements: Iterable[str]) -> bool:
    """Return whether a shallow copy of a frame is a safe one.

    `requirements` are those of the result: where one allows only pandas 3 or newer, or only older ones, it decides, else
    the pandas that is installed. Without any it is not known, and taken for no.
    """
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415  # for notebooks that declare some
    from packaging.utils import canonicalize_name  # noqa: PLC0415  # for notebooks that declare some
    from packaging.version import Version  # noqa: PLC0415  # for notebooks that declare some

    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if canonicalize_name(requirement.name) == "pandas" and requirement.specifier:
            tried = [Version(text) for text in _TRIED]
            for each in requirement.specifier:
                tried += _at_and_above(each.version)
            allowed = {
                version.major >= _COPIES_ON_WRITE
                for version in tried
                if requirement.specifier.contains(version, prereleases=True)
            }
            if len(allowed) == 1:
                return allowed.pop()
    try:
        return int(metadata.version("pandas").partition(".")[0]) >= _COPIES_ON_WRITE
    except (metadata.PackageNotFoundError, ValueError):
        return False


def _at_and_above(text: str) -> list[Version]:
    """Return the version that a specifier has, and the nearest ones above it."""
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415  # for notebooks that declare some

    try:
        version = Version(text.removesuffix(".*"))
    except InvalidVersion:  # of an arbitrary equality
        return []
    major, minor, micro = version.major, version.minor, version.micro
    return [version, Version(f"{major}.{minor}.{micro + 1}"), Version(f"{major}.{minor + 1}")]


_TRIED: Final = [f"{major}.{minor}.{micro}" for major in range(5) for minor in range(6) for micro in range(6)]
"""Versions that a requirement is tried with, besides its own."""
