"""Where an installer takes packages from: the person's settings of pip and uv, which the MCP server reads.

They are the server's environment and the settings files of the user and of the machine. A notebook's folder has no say in
it, and neither has code of the kernel: the kernel's installer gets these variables in place of its own.
"""

from __future__ import annotations

import configparser
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from marimo_kernel_bridge.protocol.environment import is_installer_setting
from marimo_kernel_bridge.protocol.regular_files import read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from marimo_kernel_bridge.protocol.environment import Installer

_VARIABLES: Final[Mapping[Installer, tuple[str, ...]]] = {
    "pip": ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"),
    "uv": ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"),
}
_KEYS: Final = ("index-url", "extra-index-url", "find-links")
_PIP_S: Final = "pip.ini" if os.name == "nt" else "pip.conf"
_LONGEST: Final = 200
_LARGEST: Final = 64 * 1024
_SPACES: Final = re.compile(r"[ \t]{2,}+")
_MANY_PARTS: Final = re.compile(r"(?:\.[^.\n]{0,40}+){100}")


def own_settings(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables of an environment that tell installers where packages come from, and how they are fetched.

    With PATH, on which uv is found.
    """
    return {name: value for name, value in environ.items() if is_installer_setting(name) or name == "PATH"}


def named(
    installer: Installer | None, prefix: str, environ: Mapping[str, str] = os.environ
) -> tuple[str, ...]:
    """Return the addresses that the person's settings name for an installer, without credentials; none for its default.

    `prefix` is the kernel's environment, where pip has a settings file as well.
    """
    if installer is None:
        return ()
    found = [address for name in _VARIABLES[installer] for address in environ.get(name, "").split()]
    of_files = _of_pip if installer == "pip" else _of_uv
    files = [*_files(installer, environ), *([Path(prefix, _PIP_S)] if installer == "pip" else ())]
    found += (address for path in files for address in of_files(path))
    return tuple(dict.fromkeys(map(_shown, found)))


def printable(text: str) -> str:
    """Return a text of a kernel for a question to the person: one line of limited length, without control characters."""
    clean = "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[: _LONGEST + 1]
    )
    return clean if len(clean) <= _LONGEST else f"{clean[:_LONGEST]}…"


def _shown(address: str) -> str:
    """Return an address without user, password and query; uv allows a name in front of it."""
    name, separator, rest = address.partition("=")
    if separator and "/" not in name:
        address = rest
    try:
        parts = urlsplit(address)
        bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        bare = "an address that is not valid"
    return printable(bare)


def _files(installer: Installer, environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the settings files of the user and the machine that may exist."""
    named = environ.get(f"{installer.upper()}_CONFIG_FILE")
    if named:
        yield Path(named)
    name = _PIP_S if installer == "pip" else "uv.toml"
    home = Path(environ.get("HOME") or Path.home())
    folders = [environ.get("XDG_CONFIG_HOME") or home / ".config", environ.get("APPDATA")]
    folders += [
        *environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep),
        "/etc",
        environ.get("PROGRAMDATA"),
    ]
    folders.append(home / "Library/Application Support")
    yield from (Path(folder, installer, name) for folder in folders if folder)
    if installer == "pip":
        yield from (home / ".pip" / name, Path("/etc", name))


def _of_pip(path: Path) -> Iterable[str]:
    settings = configparser.RawConfigParser(strict=False)
    try:
        settings.read_string(_text(path))
    except (OSError, ValueError, configparser.Error):  # then pip fails, and says why
        return ()
    return [
        address
        for section in ("global", "install")
        if settings.has_section(section)
        for key, value in settings.items(section)
        if key.replace("_", "-").removeprefix("--") in _KEYS  # pip takes all these spellings
        for address in value.split()
    ]


def _text(path: Path) -> str:
    """Return the text of a settings file. Raises OSError or ValueError; the kernel may say that a pipe or a large file is one.

    Python's readers take quadratic time for many spaces, and for names of many parts.
    """
    text = read_text(path, _LARGEST)
    if _MANY_PARTS.search(text):
        raise ValueError("a name of very many parts")
    return _SPACES.sub(" ", text)


def _of_uv(path: Path) -> Iterable[str]:
    try:
        settings = tomllib.loads(_text(path))
    except (OSError, ValueError, RecursionError):
        return ()
    indexes = settings.get("index")
    tables = [settings, settings.get("pip"), *(indexes if isinstance(indexes, list) else ())]
    return [
        str(address)
        for table in tables
        if isinstance(table, dict)
        for key in (*_KEYS, "url")
        for address in (table[key] if isinstance(table.get(key), list) else [table.get(key, "")])
        if address
    ]
