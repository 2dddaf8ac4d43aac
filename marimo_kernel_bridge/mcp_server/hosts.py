"""Configurations of MCP clients for this server: the text to paste, and the command that adds it.

Owns the clients' formats and the locations of their files. The interpreter is named by its absolute path, because the
PATH of clients that are started from a desktop does not contain this environment.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, assert_never

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.own_python import module_command, program_on_path

Client = Literal["claude-code", "claude-desktop", "cursor", "vscode"]

NAME: Final = "marimo"
"""The server's name in clients, a prefix of its tools' names."""

_NAMES: Final[dict[Client, str]] = {
    "claude-code": "Claude Code",
    "claude-desktop": "Claude Desktop",
    "cursor": "Cursor",
    "vscode": "VS Code",
}


@dataclass(frozen=True)
class Stdio:
    """A command that serves a client on its stdin and stdout."""

    command: tuple[str, ...]


@dataclass(frozen=True)
class Config:
    """A configuration `text` and `where` it belongs."""

    text: str
    where: str


def our_command(*arguments: str) -> Stdio:
    """Return a command line of this installation that works in any directory."""
    suffix = ".exe" if sys.platform == "win32" else ""
    script = Path(sys.executable).with_name(f"marimo-kernel-bridge{suffix}")
    installed = (str(script),) if script.exists() else tuple(module_command())
    return Stdio((*installed, "mcp", *arguments))


def config_for(client: Client, server: Stdio) -> Config:
    """Return the configuration to paste."""
    entry = {"command": server.command[0], "args": list(server.command[1:])}
    match client:
        case "claude-code":
            return Config(
                f"claude {shlex.join(_claude_add(server))}",
                "Run this in a terminal. --scope user means in all your projects.",
            )
        case "claude-desktop":
            where = f"For {_claude_desktop_file()}; then start Claude Desktop again."
            return Config(_json({"mcpServers": {NAME: entry}}), where)
        case "cursor":
            where = "For ~/.cursor/mcp.json (all projects) or .cursor/mcp.json (one project)."
            return Config(_json({"mcpServers": {NAME: entry}}), where)
        case "vscode":
            return Config(
                _json({"servers": {NAME: {"type": "stdio", **entry}}}),
                "For .vscode/mcp.json, or the file that the command 'MCP: Open User Configuration' opens.",
            )
        case _:
            assert_never(client)


def install(client: Client, server: Stdio) -> str:
    """Add the server with the client's command, and return the command line.

    Raises `BridgeError`: bad_request, if the client has no such command, it is not found, or it fails.
    """
    match client:
        case "claude-code":
            command = ["claude", *_claude_add(server)]
        case "vscode":
            command = [
                "code",
                "--add-mcp",
                json.dumps(
                    {"name": NAME, "type": "stdio", "command": server.command[0], "args": server.command[1:]}
                ),
            ]
        case "claude-desktop" | "cursor":
            raise BridgeError(
                "bad_request",
                f"{_NAMES[client]} has no command that adds a server; nothing was changed.",
                f"Paste what `marimo-kernel-bridge mcp --print-config {client}` prints.",
            )
        case _:
            assert_never(client)
    program = program_on_path(command[0])
    if program is None:
        raise BridgeError(
            "bad_request",
            f"{_NAMES[client]}'s command {command[0]!r} is not on the PATH, or in the working directory only; nothing was changed.",
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


def _claude_add(server: Stdio) -> list[str]:
    return ["mcp", "add", "--scope", "user", NAME, "--", *server.command]


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
