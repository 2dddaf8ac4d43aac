"""Configurations of MCP clients for this server: the text to paste, and the command that adds it.

Owns the clients' formats and the locations of their files. The interpreter is named by its absolute path, because the
PATH of clients that are started from a desktop does not contain this environment.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, assert_never

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.own_python import module_command

if TYPE_CHECKING:
    from marimo_kernel_bridge.mcp_server.transport.token import Token

Client = Literal["claude-code", "claude-desktop", "cursor", "vscode"]

NAME: Final = "marimo"
"""The server's name in clients, a prefix of its tools' names."""

_INPUT: Final = "marimo-mcp-token"

_NAMES: Final[dict[Client, str]] = {
    "claude-code": "Claude Code",
    "claude-desktop": "Claude Desktop",
    "cursor": "Cursor",
    "vscode": "VS Code",
}


@dataclass(frozen=True)
class Stdio:
    """The client starts its own server."""

    command: tuple[str, ...]


@dataclass(frozen=True)
class Http:
    """The client connects to a server that the user has started."""

    url: str
    token: Token = field(repr=False)


Way = Stdio | Http


@dataclass(frozen=True)
class Config:
    """A configuration `text` and `where` it belongs. With HTTP it may contain the token: show it only to the user."""

    text: str = field(repr=False)
    where: str


def our_command(*arguments: str) -> Stdio:
    """Return a command line that starts this installation's server from any directory."""
    suffix = ".exe" if sys.platform == "win32" else ""
    script = Path(sys.executable).with_name(f"marimo-kernel-bridge{suffix}")
    installed = (str(script),) if script.exists() else tuple(module_command())
    return Stdio((*installed, "mcp", *arguments))


def config_for(client: Client, way: Way) -> Config:
    """Return the configuration to paste. Raises `BridgeError`: bad_request, if the client does not support the transport.

    With HTTP none is a command line, which other users of the machine see, and none is for a file of a project, which others
    read in its repository.
    """
    match client:
        case "claude-code":
            if isinstance(way, Http):
                return Config(
                    _json({"mcpServers": {NAME: {"type": _type(way), **_entry(way)}}}),
                    "For ~/.claude.json, which only you can read: add it to the mcpServers there. Not for .mcp.json.",
                )
            return Config(
                f"claude {shlex.join(_claude_add(way))}",
                "Run this in a terminal. --scope user means in all your projects.",
            )
        case "claude-desktop":
            if isinstance(way, Http):
                raise BridgeError(
                    "bad_request",
                    "Claude Desktop reaches local servers over stdio only.",
                    "Omit --http: it then starts its own server.",
                )
            return Config(
                _json({"mcpServers": {NAME: _entry(way)}}),
                f"For {_claude_desktop_file()}; then start Claude Desktop again.",
            )
        case "cursor":
            where = "For ~/.cursor/mcp.json (all projects)"
            return Config(
                _json({"mcpServers": {NAME: _entry(way)}}),
                f"{where}. Not for .cursor/mcp.json: it has the token, and projects are shared."
                if isinstance(way, Http)
                else f"{where} or .cursor/mcp.json (one project).",
            )
        case "vscode":
            servers = {"servers": {NAME: {"type": _type(way), **_entry(way)}}}
            if isinstance(way, Http):
                servers["servers"][NAME]["headers"] = {"Authorization": f"Bearer ${{input:{_INPUT}}}"}
                return Config(
                    _json({"inputs": [_asked(way.token)], **servers}),
                    "For the file that the command 'MCP: Open User Configuration' opens. VS Code asks for the token once and "
                    f"keeps it; it is in {way.token.path}.",
                )
            return Config(
                _json(servers),
                "For .vscode/mcp.json, or the file that the command 'MCP: Open User Configuration' opens.",
            )
        case _:
            assert_never(client)


def _asked(token: Token) -> dict[str, Any]:  # JSON
    """Return the input by which VS Code asks for the token and keeps it encrypted."""
    return {
        "type": "promptString",
        "id": _INPUT,
        "description": f"The token in {token.path}",
        "password": True,
    }


def install(client: Client, way: Stdio) -> str:
    """Add the server with the client's command, and return the command line.

    Only for stdio: a token in a command line is visible to all users of the machine while the command runs.
    Raises `BridgeError`: bad_request, if the client has no such command, it is not found, or it fails.
    """
    match client:
        case "claude-code":
            command = ["claude", *_claude_add(way)]
        case "vscode":
            command = ["code", "--add-mcp", json.dumps({"name": NAME, "type": _type(way), **_entry(way)})]
        case "claude-desktop" | "cursor":
            raise BridgeError(
                "bad_request",
                f"{_NAMES[client]} has no command that adds a server; nothing was changed.",
                f"Paste what `marimo-kernel-bridge mcp --print-config {client}` prints.",
            )
        case _:
            assert_never(client)
    program = shutil.which(command[0])
    if program is None:
        raise BridgeError(
            "bad_request",
            f"{_NAMES[client]}'s command {command[0]!r} is not on the PATH; nothing was changed.",
            f"Install it or add its folder to PATH, or use what `marimo-kernel-bridge mcp --print-config {client}` prints.",
        )
    done = subprocess.run([program, *command[1:]], stdin=subprocess.DEVNULL, check=False)  # noqa: S603  # requested by the user
    if done.returncode:
        raise BridgeError(
            "bad_request",
            f"`{shlex.join(command)}` failed with exit code {done.returncode}.",
            "Its output says why.",
        )
    return shlex.join(command)


def _claude_add(way: Stdio) -> list[str]:
    return ["mcp", "add", "--scope", "user", NAME, "--", *way.command]


def _entry(way: Way) -> dict[str, Any]:  # JSON
    match way:
        case Stdio():
            return {"command": way.command[0], "args": list(way.command[1:])}
        case Http():
            return {"url": way.url, "headers": {"Authorization": f"Bearer {way.token.value}"}}


def _type(way: Way) -> str:
    return "stdio" if isinstance(way, Stdio) else "http"


def _json(config: dict[str, Any]) -> str:
    return json.dumps(config, indent=2)


def _claude_desktop_file() -> Path:
    home = Path.home()
    match sys.platform:
        case "darwin":
            folder = home / "Library" / "Application Support"
        case "win32":
            folder = Path(os.environ.get("APPDATA", home / "AppData" / "Roaming"))
        case _:
            folder = Path(os.environ.get("XDG_CONFIG_HOME", home / ".config"))
    return folder / "Claude" / "claude_desktop_config.json"
