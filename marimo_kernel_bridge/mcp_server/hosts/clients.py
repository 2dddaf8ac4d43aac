"""What is known of each host: its name, the file of its settings, where in it this server belongs, and in which words.

The formats and places are those of the hosts' own documentation. Nothing here reads or writes a file.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from marimo_kernel_bridge.mcp_server.hosts.servers import NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.mcp_server.hosts.names import Client
    from marimo_kernel_bridge.mcp_server.hosts.servers import Stdio

Format = Literal["json", "toml", "yaml", "own file"]
"""Of the settings: one file for all of a host's settings, or a YAML file of this server's own."""


@dataclass(frozen=True)
class SettingsFile:
    """Where a host keeps its servers, in a file that this package may edit."""

    format: Format
    find: Callable[[], Path]
    path: tuple[str, ...]
    """The names under which the entry is in the file; its name is the last."""
    entry: Callable[[Stdio], dict[str, Any]]
    hint: str = ""
    """What else is to be said about the place."""


@dataclass(frozen=True)
class Host:
    """A host. `add` and `remove` are the arguments of its own `program`, where it has one that does it."""

    name: str
    settings: SettingsFile | None = None
    program: str = ""
    add: Callable[[Stdio], list[str]] | None = None
    remove: tuple[str, ...] = ()
    show: tuple[str, ...] = ()
    """Prints the entry of this server's name, and fails if there is none."""
    in_projects: tuple[str, ...] = ()
    """Names in a project's folder where the host finds servers, commands or instructions. Code in a sandbox must not make them."""


def _standard(server: Stdio) -> dict[str, Any]:
    return {"command": server.command[0], "args": list(server.command[1:])}


def _of_codex(server: Stdio) -> dict[str, Any]:
    return {**_standard(server), "startup_timeout_sec": _START, "tool_timeout_sec": _CALL}


def _of_gemini(server: Stdio) -> dict[str, Any]:
    return {**_standard(server), "timeout": 1000 * _CALL}


def _of_vscode(server: Stdio) -> dict[str, Any]:
    return {"type": "stdio", **_standard(server)}


def _of_goose(server: Stdio) -> dict[str, Any]:
    return {
        "enabled": True,
        "type": "stdio",
        "name": NAME,
        "description": "Joins the kernels of open notebooks",
        "cmd": server.command[0],
        "args": list(server.command[1:]),
        "envs": {},
        "env_keys": [],
        "timeout": 300,
    }


def _of_continue(server: Stdio) -> dict[str, Any]:
    return {
        "name": "marimo-kernel-bridge",
        "version": "1.0.0",
        "schema": "v1",
        "mcpServers": [{"name": NAME, **_standard(server)}],
    }


def _home(*names: str) -> Path:
    return Path.home().joinpath(*names)


def _configuration(*names: str, mac: tuple[str, ...] = (), windows: tuple[str, ...] = ()) -> Path:
    """Return a path in the folder of a user's settings; `mac` is one in the home directory, `windows` one in APPDATA."""
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", _home("AppData", "Roaming"))).joinpath(*(windows or names))
    if sys.platform == "darwin" and mac:
        return _home(*mac)
    return Path(os.environ.get("XDG_CONFIG_HOME") or _home(".config")).joinpath(*names)


def _claude_desktop() -> Path:
    names = ("Claude", "claude_desktop_config.json")
    return _configuration(*names, mac=("Library", "Application Support", *names))


def _of_vscode_user(*names: str) -> Path:
    return _configuration(
        "Code", "User", *names, mac=("Library", "Application Support", "Code", "User", *names)
    )


def _codex() -> Path:
    return Path(os.environ.get("CODEX_HOME") or _home(".codex")) / "config.toml"


def _cline() -> Path:
    """Return the file that all of Cline's programs share, or that of an older extension for VS Code, if only that is there."""
    if named := os.environ.get("CLINE_MCP_SETTINGS_PATH"):
        return Path(named)
    name = "cline_mcp_settings.json"
    shared = _home(".cline", "data", "settings", name)
    older = _of_vscode_user("globalStorage", "saoudrizwan.claude-dev", "settings", name)
    return older if older.exists() and not shared.exists() else shared


def _goose() -> Path:
    names = ("goose", "config.yaml")
    return _configuration(
        *names, mac=(".config", *names), windows=("Block", "goose", "config", "config.yaml")
    )


def _zed() -> Path:
    names = ("zed", "settings.json")
    return _configuration(*names, mac=(".config", *names), windows=("Zed", "settings.json"))


_START: Final = 60
"""Seconds until a server has started, for hosts that wait ten: a first start compiles all modules, or has uv install them."""
_CALL: Final = 660
"""Seconds that a call may take, for hosts that end it after one minute, or look for a server for five seconds: a tool waits for ten minutes at most, but to verify an import."""
_SERVERS: Final = ("mcpServers", NAME)

HOSTS: Final[dict[Client, Host]] = {
    "claude-code": Host(
        "Claude Code",
        program="claude",
        add=lambda server: ["mcp", "add", "--scope", "user", NAME, "--", *server.command],
        remove=("mcp", "remove", "--scope", "user", NAME),
        show=("mcp", "get", NAME),
        in_projects=(".claude", ".mcp.json", "CLAUDE.md", "CLAUDE.local.md"),
    ),
    "claude-desktop": Host(
        "Claude Desktop",
        SettingsFile("json", _claude_desktop, _SERVERS, _standard, "then start Claude Desktop again"),
    ),
    "cursor": Host(
        "Cursor",
        SettingsFile(
            "json",
            lambda: _home(".cursor", "mcp.json"),
            _SERVERS,
            _standard,
            "or .cursor/mcp.json of one project",
        ),
        in_projects=(".cursor", ".cursorrules", "AGENTS.md"),
    ),
    "vscode": Host(
        "VS Code",
        SettingsFile(
            "json",
            lambda: _of_vscode_user("mcp.json"),
            ("servers", NAME),
            _of_vscode,
            "or .vscode/mcp.json of one project",
        ),
        in_projects=(".vscode", ".github", ".devcontainer", "AGENTS.md"),
    ),
    "codex": Host(
        "Codex",
        SettingsFile("toml", _codex, ("mcp_servers", NAME), _of_codex),
        in_projects=(".codex", ".agents", "AGENTS.md", "AGENTS.override.md"),
    ),
    "gemini-cli": Host(
        "Gemini CLI",
        SettingsFile(
            "json",
            lambda: _home(".gemini", "settings.json"),
            _SERVERS,
            _of_gemini,
            "or .gemini/settings.json of one project",
        ),
        in_projects=(".gemini", "GEMINI.md", ".agents"),
    ),
    "windsurf": Host(
        "Windsurf",
        SettingsFile("json", lambda: _home(".codeium", "windsurf", "mcp_config.json"), _SERVERS, _standard),
        in_projects=(".windsurf", ".windsurfrules", "AGENTS.md"),
    ),
    "zed": Host(
        "Zed",
        SettingsFile("json", _zed, ("context_servers", NAME), _standard),
        in_projects=(".zed", ".rules", "AGENTS.md"),
    ),
    "cline": Host(
        "Cline",
        SettingsFile("json", _cline, _SERVERS, _standard),
        in_projects=(".cline", ".clinerules", "AGENTS.md"),
    ),
    "continue": Host(
        "Continue",
        SettingsFile(
            "own file",
            lambda: _home(".continue", "mcpServers", f"{NAME}.yaml"),
            (),
            _of_continue,
            "a file of its own",
        ),
        in_projects=(".continue", ".continuerules"),
    ),
    "goose": Host(
        "Goose",
        SettingsFile("yaml", _goose, ("extensions", NAME), _of_goose),
        in_projects=(".goose", ".goosehints", "AGENTS.md"),
    ),
}
