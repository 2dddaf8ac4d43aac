"""The names of versions: the original name, a numbered one, or one that is private to its cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.analysis.model import PYTHON

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from marimo_kernel_bridge.analysis.model import Version


def name_versions(
    all_versions: Mapping[str, list[Version]], words: AbstractSet[str], quoted: AbstractSet[str]
) -> None:
    """Set the name of each version. `words` are all words in the cells, which new names must avoid.

    `quoted` names also occur in evaluated strings, where marimo does not mangle private names.
    """
    taken = set(words)
    for name, versions in all_versions.items():
        crossing = [version for version in versions if version.readers - {version.cell} or name in quoted]
        if name.startswith("_") and not name.startswith("__"):
            _name_private(name, versions, crossing, taken)
        elif len(versions) == 1:
            versions[0].text = name
        else:
            _name_several(name, versions, crossing, taken)


def _name_private(name: str, versions: list[Version], crossing: list[Version], taken: set[str]) -> None:
    """Name the versions of a `_name`, which marimo makes local to its cell: versions read elsewhere become public."""
    base = name
    if crossing:
        base = name.strip("_") or "underscore"
        base = _next_free(base, taken) if base in taken else base
        taken.add(base)
    for version in versions:
        if version not in crossing:
            version.text = name
        else:
            version.text = base if version is crossing[0] else _next_free(base, taken)
        if crossing:
            taken.add(version.text)


def _name_several(name: str, versions: list[Version], crossing: list[Version], taken: set[str]) -> None:
    """Name several versions: private if no other cell reads them; the first other one keeps its name."""
    plain_free = True
    for version in versions:
        public = version in crossing or version.derived or version.definition or version.cell == PYTHON
        if not public and f"_{name}" not in taken:
            version.text = f"_{name}"
        elif plain_free:
            version.text, plain_free = name, False
        else:
            version.text = _next_free(name, taken)
            taken.add(version.text)


def _next_free(name: str, taken: set[str]) -> str:
    number = 1
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
