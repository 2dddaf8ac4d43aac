"""The user's own configuration of the server: `marimo_kernel_bridge/config.toml` in Jupyter's configuration directory.

No file of a project is read: a checkout must not choose what runs beside the server's keys.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path
from typing import Final

import msgspec
from jupyter_core.paths import jupyter_config_dir

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.regular_files import read_bytes

_LARGEST: Final = 1_000_000  # bytes


class McpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[mcp]`. `plugins` are names of distributions."""

    plugins: tuple[str, ...] = ()


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file. What it does not have is as without it."""

    mcp: McpSettings = McpSettings()


def configuration_path() -> Path:
    """Return the path of the file."""
    return Path(jupyter_config_dir(), "marimo_kernel_bridge", "config.toml")


def configuration(path: Path | None = None) -> Configuration:
    """Return the user's configuration; the defaults if there is no file. Raises `BridgeError` bad_request for an unusable one."""
    path = path or configuration_path()
    try:
        content = read_bytes(path, _LARGEST)
        _require_own(path)
        return msgspec.toml.decode(content, type=Configuration)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            return Configuration()
        raise _unusable(path, f"it cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise _unusable(path, str(error)) from error


def _require_own(path: Path) -> None:
    if sys.platform == "win32":
        return
    status = path.stat()
    if status.st_uid not in {os.getuid(), 0}:
        raise _unusable(
            path, f"it belongs to user id {status.st_uid}, but this process runs as {os.getuid()}"
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _unusable(path, "other users can write to it")


def _unusable(path: Path, why: str) -> BridgeError:
    return BridgeError(
        "bad_request",
        f"The configuration {path} cannot be used: {why}.",
        "Correct it, or remove it. docs/plugins.md says what it may have.",
    )
