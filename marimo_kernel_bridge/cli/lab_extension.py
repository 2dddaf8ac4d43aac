"""Whether JupyterLab loads our extension: found where Jupyter looks, not disabled, and of this kernel's protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from jupyter_core.paths import jupyter_config_path, jupyter_path

from marimo_kernel_bridge.protocol.document import DOCUMENT_PROTOCOL

NAME: Final = "marimo-kernel-bridge-labextension"
REINSTALL: Final = "Run in the folder of the clone: pip install --force-reinstall --no-deps . (to work on the project: make extensions)"


def installed() -> tuple[Path, int | None] | None:
    """Return where the extension is that JupyterLab would load, and its protocol; None if there is none."""
    for folder in jupyter_path("labextensions"):
        package = Path(folder, NAME, "package.json")
        if package.exists():
            protocol = _read(package).get("marimoKernelBridge", {}).get("protocol")
            return package.parent, protocol
    return None


def problem() -> tuple[str, str]:
    """Return why JupyterLab would not show what agents do, and what to do about it; empty if it would."""
    found = installed()
    if found is None:
        return "Jupyter finds no such extension; what agents change shows as notices.", REINSTALL
    place, protocol = found
    if protocol != DOCUMENT_PROTOCOL:
        return f"{place} has version {protocol} of the protocol, the kernel {DOCUMENT_PROTOCOL}.", REINSTALL
    if file := disabled():
        return f"{file} disables it.", f"Run: jupyter labextension enable {NAME}"
    return "", ""


def disabled() -> Path | None:
    """Return the configuration that disables the extension, as `jupyter labextension disable` writes it."""
    for folder in jupyter_config_path():
        file = Path(folder, "labconfig/page_config.json")
        off = _read(file).get("disabledExtensions", {}) if file.exists() else {}
        named = [name for name, is_off in off.items() if is_off] if isinstance(off, dict) else off
        names = named if isinstance(named, list) else []
        if any(str(name).split(":")[0] == NAME for name in names):
            return file
    return None


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
