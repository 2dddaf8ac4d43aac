"""The names of the hosts, as commands take them. Light: the command line has them before it knows what it is to do."""

from __future__ import annotations

from typing import Final, Literal, get_args

Client = Literal[
    "claude-code",
    "claude-desktop",
    "cursor",
    "vscode",
    "codex",
    "gemini-cli",
    "windsurf",
    "zed",
    "cline",
    "continue",
    "goose",
]
CLIENTS: Final[tuple[Client, ...]] = get_args(Client)

Linked = Literal["cursor", "vscode"]
"""Those that take a link."""
LINKED: Final[tuple[Linked, ...]] = get_args(Linked)
