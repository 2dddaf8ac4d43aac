"""The command with which a host starts this server: an absolute one, of this installation.

The PATH of hosts that are started from a desktop does not contain this environment. One of `uvx` is in uv's cache, which uv
may clear: then the command is uv's own, which makes the environment again.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from marimo_kernel_bridge.protocol.own_python import module_command

NAME: Final = "marimo"
"""The server's name in hosts, a prefix of its tools' names."""

PROGRAM: Final = "marimo-kernel-bridge"
"""The name of the distribution and of its program."""


@dataclass(frozen=True)
class Stdio:
    """A command that serves a client on its stdin and stdout."""

    command: tuple[str, ...]


def our_command(*arguments: str) -> Stdio:
    """Return a command line of this installation that works in any directory."""
    return Stdio((*(_of_uv() or _installed()), "mcp", *arguments))


def _installed() -> tuple[str, ...]:
    suffix = ".exe" if sys.platform == "win32" else ""
    script = Path(sys.executable).with_name(f"{PROGRAM}{suffix}")
    return (str(script),) if script.exists() else tuple(module_command())


def _of_uv() -> tuple[str, ...] | None:
    """Return uv's command for this program if uv has made this environment for one run; None for any other."""
    uv = os.environ.get("UV", "")
    if not uv or not Path(uv).is_absolute() or not _in_a_cache(Path(sys.prefix)):
        return None
    return (uv, "tool", "run", "--from", _source(), PROGRAM)


def _in_a_cache(prefix: Path) -> bool:
    """Return whether a folder above has the tag of cache directories, which uv writes into its cache."""
    return any((folder / "CACHEDIR.TAG").is_file() for folder in prefix.parents)


def _source() -> str:
    """Return what this program was installed from, as uv takes it: a folder, a wheel, a repository, or the version of an index."""
    installed = distribution(PROGRAM)
    written = installed.read_text("direct_url.json")
    if written is None:
        return f"{PROGRAM}=={installed.version}"
    told = json.loads(written)
    url: str = told["url"]
    if urlsplit(url).scheme == "file":
        return url2pathname(urlsplit(url).path)
    vcs = told.get("vcs_info")
    return f"{vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else url
