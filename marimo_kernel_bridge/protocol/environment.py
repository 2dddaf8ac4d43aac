"""A kernel's Python environment as values: missing imports, valid requirements, and the result of an installation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from marimo_kernel_bridge.errors import BridgeError

Installer = Literal["pip", "uv"]

OVERLAY_VARIABLE: Final = "MARIMO_KERNEL_BRIDGE_PACKAGES"
"""The environment variable that names the interpreter of the environment in which a sandboxed kernel installs packages."""

_FILES: Final = (
    ".whl",
    ".zip",
    ".tar",
    ".gz",
    ".tgz",
    ".bz2",
    ".tbz",
    ".xz",
    ".txz",
    ".tlz",
    ".lz",
    ".lzma",
    ".egg",
)
"""An installer would take such a name for a file in the working directory."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9._\[\],<>=!~*+-]+")
"""No parentheses, and after `===` only characters without a meaning for a shell or an installer."""

_INSTALLS: Final = re.compile(
    r"(?m)^[^\S\n]*+(?:%|!{1,2})[^\S\n]*+(?:(?=[^\s]*python)\S++[^\S\n]++-m[^\S\n]++)?"
    r"(?:pip3?|uv|conda|mamba|micromamba)\b[^\n]*\b(?:install|add)\b"
)

_SETTINGS: Final = re.compile(
    r"(?i)(?:PIP|UV)_\w+|SSL_CERT_(?:FILE|DIR)|(?:REQUESTS|CURL)_CA_BUNDLE|NETRC|XDG_CONFIG_(?:HOME|DIRS)"
)
_FOLDERS: Final = frozenset({"HOME", "USERPROFILE", "APPDATA", "PROGRAMDATA"})
"""In which installers find settings files and credentials of the user and the machine."""

MOST_PACKAGES: Final = 50
_LONGEST: Final = 200


@dataclass(frozen=True)
class MissingImport:
    """A module that cells import and that is not installed. `package` is the package that provides it."""

    module: str
    package: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Environment:
    """The environment of a kernel's packages. `installer` is None if there is neither pip nor uv.

    `kind` is a virtual environment, one of uv or conda, or the system's Python.
    """

    interpreter: str
    prefix: str
    kind: Literal["venv", "uv", "conda", "system"]
    installer: Installer | None
    missing: tuple[MissingImport, ...] = ()


@dataclass(frozen=True)
class PackageChange:
    """A package that an installation added, changed (`before` is the previous version) or removed."""

    name: str
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True)
class InstallReport:
    """The result of an installation. `exit_code` is the installer's, None if it was interrupted.

    `cells` had failed because of modules that are now installed; `loaded` are modules of changed packages that the
    kernel has imported in their old version.
    """

    installer: Installer
    interpreter: str
    exit_code: int | None
    changes: tuple[PackageChange, ...] = ()
    cells: tuple[str, ...] = ()
    loaded: tuple[str, ...] = ()


def installs_packages(code: str) -> bool:
    """Return whether a line of code installs packages, as with `%pip install`, `!uv pip install`, `!python -m pip install`."""
    return _INSTALLS.search(code) is not None


def is_installer_setting(name: str) -> bool:
    """Return whether a variable of the environment tells pip or uv what to install from where, and whom to trust.

    Also the folders in which they look for settings files and credentials.
    """
    return _SETTINGS.fullmatch(name) is not None or is_settings_folder(name)


def is_settings_folder(name: str) -> bool:
    """Return whether a variable is a folder of settings that a machine must have: without it, programs fail."""
    return name.upper() in _FOLDERS


def requirements(texts: list[str]) -> tuple[str, ...]:
    """Return requirement specifiers (a name, extras, versions) without spaces.

    Options, URLs, paths and markers are refused, so that the person who is asked sees exactly what is installed. Raises
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
            f"{text[:_LONGEST]!r} is not a plain requirement; nothing was installed.",
            'A name, with extras and versions if need be: "polars", "dask[array]>=2025.1,<2026". '
            "No options, addresses, paths or markers.",
        )
    return plain


def _is_plain(text: str) -> bool:
    """Return whether a text is a PEP 508 requirement without URL and marker, and not a file name."""
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415  # not needed when a kernel starts

    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return False
    is_file = requirement.name.casefold().endswith(_FILES)
    return requirement.url is None and requirement.marker is None and not is_file
