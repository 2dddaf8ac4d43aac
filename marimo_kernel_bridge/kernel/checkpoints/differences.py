"""What a checkpoint lacks, and how this process differs from the one that saved it, as the person is told."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING

from marimo_kernel_bridge.kernel.checkpoints.planning import other_python
from marimo_kernel_bridge.kernel.checkpoints.saving import imported_version
from marimo_kernel_bridge.protocol.checkpoints import LostName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marimo_kernel_bridge.checkpoints.manifest import Manifest

_MOST_TOLD = 10


def lost_names(manifest: Manifest, present: Mapping[str, str]) -> tuple[LostName, ...]:
    """Return the names without values in a checkpoint. `present` are the ids of its cells here."""
    return tuple(
        LostName(
            lost.name, lost.kind, lost.reason, present.get(lost.cell_id, lost.cell_id) or None, lost.path
        )
        for lost in manifest.lost
    )


def differences(manifest: Manifest) -> list[str]:
    """Return sentences about how this process differs from the one that saved."""
    told: list[str] = []
    if other_python(manifest):
        told.append(
            f"It was saved by Python {manifest.python}: values with functions or classes of the notebook are not restored."
        )
    other = [
        f"{name} {version} then, {here} now"
        for name, version in manifest.packages.items()
        if (here := _version_here(name)) is not None and not _is_same(version, here)
    ]
    if other:
        more = f" and {len(other) - _MOST_TOLD} more" if len(other) > _MOST_TOLD else ""
        told.append(f"Other versions of packages: {', '.join(other[:_MOST_TOLD])}{more}.")
    return told


def _version_here(module: str) -> str | None:
    """Return the version of a module that is imported, or would be; None if it has none."""
    if module in sys.modules:
        return imported_version(module)
    try:
        if importlib.util.find_spec(module) is None:
            return "not installed"
    except ValueError:  # not a name of a module
        return None
    if (version := _version_of(module)) is not None:
        return version
    versions = map(_version_of, _distributions().get(module, ()))
    return next(filter(None, versions), None)


@cache
def _distributions() -> Mapping[str, list[str]]:
    """Return the distributions that modules are in (`sklearn` is in `scikit-learn`) of those that are installed at the first use."""
    return metadata.packages_distributions()


def _version_of(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _is_same(version: str, here: str) -> bool:
    """Return whether two versions are the same for a person: a distribution may say more of its build than its module does."""
    return here == version or here.startswith((f"{version}.post", f"{version}+"))
