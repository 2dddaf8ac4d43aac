"""The check that this package supports the installed marimo.

The range of versions is stated once, in the package's metadata. The names are in `startup/supported_api.json`, with the
versions that they were recorded with: derived from the code, and checked before anything is replaced (`patches`).
Importing this module does not import marimo.
"""

from __future__ import annotations

import functools
from importlib import metadata
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.startup import patching

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

_DISTRIBUTION: Final = "marimo-kernel-bridge"


@functools.cache
def supported(package: str = "marimo") -> SpecifierSet:
    """Return the version range of a dependency, from this package's metadata."""
    from packaging.requirements import Requirement  # noqa: PLC0415  # takes 30 ms, and is rarely needed at a kernel's start
    from packaging.utils import canonicalize_name  # noqa: PLC0415  # needed with it

    for line in metadata.requires(_DISTRIBUTION) or ():
        requirement = Requirement(line)
        if canonicalize_name(requirement.name) == canonicalize_name(package) and "extra" not in str(
            requirement.marker
        ):
            return requirement.specifier
    raise LookupError(f"{_DISTRIBUTION} does not depend on {package}")


def installed() -> str | None:
    """Return the version of the installed marimo, None if there is none. Does not import marimo."""
    try:
        return metadata.version("marimo")
    except metadata.PackageNotFoundError:
        return None


def check_version() -> None:
    """Refuse a marimo outside of the supported range. Raises `BridgeError`: runtime_mismatch."""
    version = installed()
    if version in patching.recorded_versions("marimo"):
        return
    command = f"Run: pip install 'marimo{supported()}'"
    if version is None:
        raise BridgeError("runtime_mismatch", "marimo is not installed.", command)
    if not supported().contains(version, prereleases=True):
        raise BridgeError(
            "runtime_mismatch",
            f"marimo {version} is installed; this version of marimo-kernel-bridge needs marimo{supported()}.",
            command,
        )


def missing_api() -> list[str]:
    """Return the names that the kernel replaces and that differ in the installed marimo, as readable lines.

    Imports marimo.
    """
    from marimo_kernel_bridge.runtime import patches  # noqa: PLC0415  # imports marimo

    return patches.mismatches()
