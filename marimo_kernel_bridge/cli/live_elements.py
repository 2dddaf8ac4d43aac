"""Whether pages of this environment's JupyterLab and of VS Code can show marimo's own elements, and what is missing."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from jupyter_core.paths import jupyter_path

from marimo_kernel_bridge.cli import lab_extension, vscode
from marimo_kernel_bridge.runtime.live import release_check
from marimo_kernel_bridge.runtime.supported_api import installed

if TYPE_CHECKING:
    from collections.abc import Mapping

_MANAGER: Final = "@jupyter-widgets/jupyterlab-manager"
_INSTALL: Final = "Run: pip install 'marimo-kernel-bridge[live]'"
_STATIC: Final = "Elements of mo.ui keep their static forms"


def state(policies: Mapping[str, str]) -> tuple[Literal["ok", "FAILED", "skipped"], str, str]:
    """Return whether elements are live, where or why not, and what to do. `policies` are those of running servers, by address."""
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
    if closed := [url for url, policy in policies.items() if not allows_blobs(policy)]:
        return (
            "FAILED",
            f"{_STATIC} on the pages of {', '.join(closed)}: their Content-Security-Policy forbids scripts from blob: addresses.",
            "Add blob: to its script-src, where the server or a proxy before it is configured.",
        )
    if not widgets:
        return "ok", detail, f"For VS Code: {_INSTALL[0].lower()}{_INSTALL[1:]}"
    if not (extension or manager):
        return "ok", f"{detail}; JupyterLab here has no widget manager", _INSTALL
    return "ok", *_in_editors(detail)


def _in_editors(detail: str) -> tuple[str, str]:
    """Return where elements are live, and what to do, where VS Code may show them."""
    editors = vscode.without_widgets()
    if not editors:
        return detail, ""
    static = f"static forms in {' and '.join(editors)}, without the extension Jupyter Notebook Renderers"
    return (
        f"{detail}; {static}",
        f"For live elements there: {editors[0]} --install-extension {vscode.RENDERERS}",
    )


def allows_blobs(policy: str) -> bool:
    """Return whether a page with a Content-Security-Policy runs the modules of marimo's front end."""
    for one in policy.split(","):  # each of several policies holds
        rules = {words[0].lower(): words[1:] for rule in one.split(";") if (words := rule.split())}
        for name in ("script-src-elem", "script-src", "default-src"):
            if name in rules:
                if "blob:" not in map(str.lower, rules[name]):
                    return False
                break
    return True


def _lab_has(extension: str) -> bool:
    return any(Path(folder, extension, "package.json").exists() for folder in jupyter_path("labextensions"))
