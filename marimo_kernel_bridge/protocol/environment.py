"""A kernel's Python environment as values: what the notebook lacks, what may be installed, what an installation did."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from marimo_kernel_bridge.errors import BridgeError

Installer = Literal["pip", "uv"]

_FILES: Final = (".whl", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".egg")
"""A name like these would be taken for a file in the working directory."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9._\[\],<>=!~*+-]+")
"""No parentheses, and nothing that a shell or an installer could take for something else after `===`."""

_INSTALLS: Final = re.compile(
    r"(?m)^\s*(?:%|!{1,2})\s*(?:\S*python\S*\s+-m\s+)?(?:pip3?|uv|conda|mamba|micromamba)\b.*\b(?:install|add)\b"
)

MOST_PACKAGES: Final = 50
_LONGEST: Final = 200


@dataclass(frozen=True)
class MissingImport:
    """A module that cells import and that is not there. `package` is what to install for it."""

    module: str
    package: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Environment:
    """Where a kernel's packages are. `installer` is None if there is nothing to install with.

    `kind` says who made it: a virtual environment, uv's, conda's, or the system's own Python.
    """

    interpreter: str
    prefix: str
    kind: Literal["venv", "uv", "conda", "system"]
    installer: Installer | None
    missing: tuple[MissingImport, ...] = ()


@dataclass(frozen=True)
class PackageChange:
    """A package that an installation brought, changed (`before` is the version until then) or took away."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class InstallReport:
    """What became of an installation. `exit_code` is the installer's, None if it was interrupted.

    `cells` failed because they lacked what is there now; `loaded` are modules that the kernel still has in their old version.
    """

    installer: Installer
    interpreter: str
    exit_code: int | None
    changes: tuple[PackageChange, ...] = ()
    cells: tuple[str, ...] = ()
    loaded: tuple[str, ...] = ()


def installs_packages(code: str) -> bool:
    """Return whether a line of code installs packages: `%pip install`, `!uv pip install`, `!python -m pip install`."""
    return _INSTALLS.search(code) is not None


def requirements(texts: list[str]) -> tuple[str, ...]:
    """Return requirement specifiers without spaces: a name, extras, versions.

    Options, addresses, paths and markers are refused: what is installed is what a person reads. Raises
    `BridgeError`: bad_request.
    """
    if not 0 < len(texts) <= MOST_PACKAGES:
        raise BridgeError("bad_request", f"Give 1 to {MOST_PACKAGES} packages, not {len(texts)}.")
    return tuple(_requirement(text) for text in texts)


def _requirement(text: str) -> str:
    plain = "".join(text.split())
    if len(text) > _LONGEST or not _is_plain(text.strip()) or not _PLAIN.fullmatch(plain):
        raise BridgeError(
            "bad_request",
            f"{text[:_LONGEST]!r} is no plain requirement; nothing was installed.",
            'A name, with extras and versions if need be: "polars", "dask[array]>=2025.1,<2026". '
            "No options, addresses, paths or markers.",
        )
    return plain


def _is_plain(text: str) -> bool:
    """Return whether this is a requirement by PEP 508, without address and marker, and no file's name."""
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415  # a kernel starts without it

    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return False
    is_file = requirement.name.casefold().endswith(_FILES)
    return requirement.url is None and requirement.marker is None and not is_file
