"""Whether pages of this environment's JupyterLab and of VS Code can show marimo's own elements, and what is missing."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final, Literal

from jupyter_core.paths import jupyter_path

from marimo_kernel_bridge.cli import lab_extension
from marimo_kernel_bridge.runtime.live import release_check
from marimo_kernel_bridge.runtime.supported_api import installed

_MANAGER: Final = "@jupyter-widgets/jupyterlab-manager"
_INSTALL: Final = "Run: pip install 'marimo-kernel-bridge[live]'"
_STATIC: Final = "Elements of mo.ui keep their static forms"


def state() -> tuple[Literal["ok", "FAILED", "skipped"], str, str]:
    """Return whether elements are live, where or why not, and what to do."""
    if missing := release_check.missing():
        return "FAILED", f"{_STATIC}: marimo {installed()} lacks {'; '.join(missing)}.", ""
    widgets = importlib.util.find_spec("anywidget") is not None
    extension = lab_extension.problem()[0] == ""
    manager = all(_lab_has(name) for name in (_MANAGER, "anywidget"))
    places = [
        *(["JupyterLab, by the extension"] if extension else []),
        *(["JupyterLab, by its widget manager"] if widgets and manager and not extension else []),
        *(["VS Code"] if widgets else []),
    ]
    if not places:
        return (
            "skipped",
            f"{_STATIC}: neither anywidget nor the extension for JupyterLab is installed.",
            _INSTALL,
        )
    detail = f"elements of mo.ui are live in {' and '.join(places)}"
    if not widgets:
        return "ok", detail, f"For VS Code: {_INSTALL[0].lower()}{_INSTALL[1:]}"
    if not (extension or manager):
        return "ok", f"{detail}; JupyterLab here has no widget manager", _INSTALL
    return "ok", detail, ""


def _lab_has(extension: str) -> bool:
    return any(Path(folder, extension, "package.json").exists() for folder in jupyter_path("labextensions"))
