"""The skill that teaches an agent how to work in a reactive notebook, as a file in the folder of a host.

The file is replaced and removed only while it is as this package wrote it: its last line has a digest of the text above.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Final

from marimo_kernel_bridge import __version__
from marimo_kernel_bridge.notebooks.whole_files import write_whole

SKILL: Final = "marimo-kernel-bridge"
_SIGNED: Final = re.compile(r"<!-- marimo-kernel-bridge \S+ ([0-9a-f]{16}) -->\n\Z")
_LARGEST: Final = 1_000_000


def skill_text() -> str:
    """Return the file's content."""
    text = Path(__file__).with_name("SKILL.md").read_text(encoding="utf-8")
    return f"{text}\n<!-- marimo-kernel-bridge {__version__} {_digest(text)} -->\n"


def skill_file() -> Path:
    """Return where Claude Code looks for a skill of this user."""
    folder = os.environ.get("CLAUDE_CONFIG_DIR")
    return (Path(folder) if folder else Path.home() / ".claude") / "skills" / SKILL / "SKILL.md"


def install_skill() -> str:
    """Write the skill; return a sentence about what was done."""
    file, text = skill_file(), skill_text()
    if file.exists():
        if file.read_bytes()[:_LARGEST] == text.encode():
            return f"{file} has the skill already."
        if not _is_ours(file):
            return f"{file} was changed by somebody; it stays as it is."
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file.resolve(), text, overwrite=True)
    return f"The skill that teaches the reactive rules: {file}"


def uninstall_skill() -> str:
    """Remove the skill; return a sentence about what was done."""
    file = skill_file()
    if not file.exists():
        return f"{file} does not exist."
    if not _is_ours(file):
        return f"{file} was changed by somebody; it stays."
    file.unlink()
    if not any(file.parent.iterdir()):
        file.parent.rmdir()
    return f"Removed {file}."


def _is_ours(file: Path) -> bool:
    text = file.read_bytes()[:_LARGEST].decode(errors="replace").replace("\r\n", "\n")
    signed = _SIGNED.search(text)
    return signed is not None and signed[1] == _digest(text[: signed.start() - 1])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
