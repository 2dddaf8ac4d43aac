"""Adding this server to a host, and taking it away: by editing the host's file, or with the host's own command.

A file keeps everything else that is in it, comments too; one that cannot be edited safely is left as it is. What is there
already is left alone, so a second time changes nothing. An entry of the same name that starts another program is somebody
else's: it is neither replaced nor removed.
"""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.hosts import json_entries, toml_entries, yaml_entries
from marimo_kernel_bridge.mcp_server.hosts.clients import HOSTS, Host, SettingsFile
from marimo_kernel_bridge.mcp_server.hosts.json_entries import CannotEditError
from marimo_kernel_bridge.mcp_server.hosts.servers import NAME, PROGRAM, Stdio
from marimo_kernel_bridge.notebooks.whole_files import write_whole
from marimo_kernel_bridge.protocol.names import MODULE
from marimo_kernel_bridge.protocol.own_python import program_on_path
from marimo_kernel_bridge.protocol.regular_files import read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marimo_kernel_bridge.mcp_server.hosts.names import Client

_LARGEST: Final = 10_000_000
_STARTS: Final = frozenset({"command", "cmd", "url", "uri", "httpUrl", "serverUrl"})
"""Fields with which entries of hosts say where a server is; without one of them it is nobody's."""
_EDITORS: Final = {"json": json_entries, "toml": toml_entries, "yaml": yaml_entries}


@dataclass(frozen=True)
class Config:
    """A configuration `text` and `where` it belongs."""

    text: str
    where: str


def config_for(client: Client, server: Stdio) -> Config:
    """Return the configuration to paste."""
    host = HOSTS[client]
    if host.add is not None:
        line = f"{host.program} {shlex.join(host.add(server))}"
        return Config(line, "Run this in a terminal. --scope user means in all your projects.")
    assert host.settings is not None
    hint = f", {host.settings.hint}" if host.settings.hint else ""
    return Config(
        _edited("", host.settings, server).rstrip("\n"), f"For {_short(host.settings.find())}{hint}."
    )


def install(client: Client, server: Stdio) -> str:
    """Add the server to a host; return a sentence about what was done.

    Raises `BridgeError`: bad_request, if the host's command is not found or fails, or its file cannot be edited.
    """
    host = HOSTS[client]
    if host.add is not None:
        command = [host.program, *host.add(server)]
        if _run(host, command, client, quiet=True) != 0:  # it may be there, with another command
            if _shown(host, client):
                _run(host, [host.program, *host.remove], client, quiet=True)
            _require_done(command, _run(host, command, client))
        return f"Done: {shlex.join(command)}"
    assert host.settings is not None
    settings, file = host.settings, host.settings.find()
    text = _text_of(file, host, client)
    edited = _edit(host, client, file, lambda: _edited(text, settings, server))
    if edited == text:
        return f"{file} has it already; nothing was changed."
    _write(file, edited)
    return f"Done: added to {file}. Start {host.name} again if it runs."


def uninstall(client: Client) -> str:
    """Take the server away from a host; return a sentence about what was done. Raises `BridgeError` as `install`."""
    host = HOSTS[client]
    if host.add is not None:
        command = [host.program, *host.remove]
        _shown(host, client)
        _require_done(command, _run(host, command, client))
        return f"Done: {shlex.join(command)}"
    assert host.settings is not None
    settings, file = host.settings, host.settings.find()
    text = _text_of(file, host, client)
    edited = _edit(host, client, file, lambda: _without(text, settings))
    if edited == text:
        return f"{file} does not have it; nothing was changed."
    if settings.format == "own file":
        file.unlink()
    else:
        _write(file, edited)
    return f"Done: removed from {file}."


def _edited(text: str, settings: SettingsFile, server: Stdio) -> str:
    entry = settings.entry(server)
    if settings.format != "own file":
        _require_ours(text, settings)
        edited: str = _EDITORS[settings.format].with_entry(text, settings.path, entry)
        return edited
    _require_own(text, settings)
    return _written(entry)


def _without(text: str, settings: SettingsFile) -> str:
    if settings.format != "own file":
        _require_ours(text, settings)
        edited: str = _EDITORS[settings.format].without_entry(text, settings.path)
        return edited
    _require_own(text, settings)
    return ""


def _require_ours(text: str, settings: SettingsFile) -> None:
    """Raise for an entry of this server's name that starts another program, or none."""
    assert settings.format != "own file"
    entry: Any = _EDITORS[settings.format].read(text)
    for name in settings.path:
        entry = entry.get(name, {}) if isinstance(entry, dict) else {}
    if not _STARTS.isdisjoint(entry) and not _starts_us(entry):
        raise CannotEditError(f"its {settings.path[-1]!r} is another server, which stays")


def _starts_us(entry: object) -> bool:
    """Return whether an entry starts this program: by its name, as a module, or by a tool that runs programs."""
    if not isinstance(entry, dict):
        return False
    arguments = entry.get("args")
    words = [entry.get("command", entry.get("cmd")), *(arguments if isinstance(arguments, list) else ())]
    return any(isinstance(word, str) and _names_us(word) for word in words)


def _names_us(word: str) -> bool:
    name = word.replace("\\", "/").rpartition("/")[2].removesuffix(".exe")
    return name in {PROGRAM, MODULE}


def _shown(host: Host, client: Client) -> bool:
    """Return whether a host has an entry of this server's name. Raises `BridgeError` bad_request if it starts another program."""
    done = _captured(host, [host.program, *host.show], client)
    if done is not None and not any(_names_us(word) for word in done.split()):
        raise BridgeError(
            "bad_request",
            f"{host.name} has another server called {NAME!r}; it stays, and nothing was changed.",
            f"Rename that one, or add this one by another name: see `marimo-kernel-bridge mcp --print-config {client}`.",
        )
    return done is not None


def _require_own(text: str, settings: SettingsFile) -> None:
    """Raise for a file of this server's own that is not as this package writes it, for whatever command."""
    if not text.strip():
        return
    said = yaml_entries.read(text)
    servers = said.get("mcpServers")
    server = servers[0] if isinstance(servers, list) and servers and isinstance(servers[0], dict) else {}
    arguments = server.get("args")
    words = (server.get("command"), *(arguments if isinstance(arguments, list) else ()))
    entry = settings.entry(Stdio(tuple(map(str, words))))
    if not _starts_us(server) or text.replace("\r\n", "\n") != _written(entry):
        raise CannotEditError("somebody has changed it")


def _written(said: dict[str, Any]) -> str:
    text: str = yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=1000)
    return text


def _edit(host: Host, client: Client, file: Path, edit: Callable[[], str]) -> str:
    try:
        return edit()
    except CannotEditError as problem:
        raise BridgeError(
            "bad_request",
            f"{file} of {host.name} cannot be edited: {problem}; nothing was changed.",
            f"Paste what `marimo-kernel-bridge mcp --print-config {client}` prints.",
        ) from None


def _text_of(file: Path, host: Host, client: Client) -> str:
    """Return what a file has; nothing if there is none. Raises `BridgeError` bad_request."""
    try:
        return read_bytes(file, _LARGEST).decode()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise BridgeError(
            "bad_request",
            f"{file} of {host.name} cannot be read: {error}; nothing was changed.",
            f"Paste what `marimo-kernel-bridge mcp --print-config {client}` prints.",
        ) from None


def _write(file: Path, text: str) -> None:
    target = file.resolve()  # a link to a file elsewhere stays one
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BridgeError("bad_request", f"{target.parent} cannot be made: {error.strerror}.") from error
    write_whole(target, text, overwrite=True)


def _captured(host: Host, command: Sequence[str], client: Client) -> str | None:
    """Return what a host's own command prints; None if it fails. Raises `BridgeError` bad_request if it is not found."""
    done = subprocess.run(  # noqa: S603  # requested by the user
        [_program(host, command, client), *command[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return None if done.returncode else done.stdout


def _run(host: Host, command: Sequence[str], client: Client, *, quiet: bool = False) -> int:
    """Run a host's own command and return its exit code. Raises `BridgeError` bad_request if it is not found."""
    program = _program(host, command, client)
    output = subprocess.DEVNULL if quiet else None
    return subprocess.run(  # noqa: S603  # requested by the user
        [program, *command[1:]], stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
    ).returncode


def _program(host: Host, command: Sequence[str], client: Client) -> str:
    program = program_on_path(command[0])
    if program is None:
        raise BridgeError(
            "bad_request",
            f"{host.name}'s command {command[0]!r} is not on the PATH, or in the working directory only; nothing was changed.",
            f"Install it or add its folder to PATH, or use what `marimo-kernel-bridge mcp --print-config {client}` prints.",
        )
    return program


def _require_done(command: Sequence[str], code: int) -> None:
    if code:
        raise BridgeError(
            "bad_request",
            f"`{shlex.join(command)}` failed with exit code {code}.",
            "Its output says why.",
        )


def _short(file: Path) -> str:
    """Return a path with ~ for the home directory."""
    return f"~/{file.relative_to(Path.home())}" if file.is_relative_to(Path.home()) else str(file)
