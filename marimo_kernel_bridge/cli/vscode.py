"""The extension for VS Code that comes with this package: installing it by the editor's own command, and which editors have what.

Records the interpreter for the extension, which runs the relay and the MCP server with it unless its setting names another.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jupyter_core.paths import jupyter_data_dir

from marimo_kernel_bridge import __version__
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.shipped import shipped
from marimo_kernel_bridge.notebooks.whole_files import write_whole
from marimo_kernel_bridge.protocol.own_python import own_interpreter, program_on_path, python_environment

if TYPE_CHECKING:
    from collections.abc import Callable

EXTENSION: Final = "marimo-kernel-bridge.marimo-kernel-bridge"
_JUPYTER: Final = "ms-toolsai.jupyter"
RENDERERS: Final = "ms-toolsai.jupyter-renderers"
"""Shows widgets, which carry marimo's elements. The Jupyter extension brings it along, unless somebody removes it."""

_FILE: Final = "marimo-kernel-bridge.vsix"
_EDITORS: Final = {  # by command, the folder of its extensions below the user's home
    "code": (".vscode", ".vscode-server"),
    "code-insiders": (".vscode-insiders", ".vscode-server-insiders"),
    "codium": (".vscode-oss", ".vscodium-server"),
    "cursor": (".cursor", ".cursor-server"),
    "windsurf": (".windsurf", ".windsurf-server"),
    "positron": (".positron", ".positron-server"),
    "code-server": (".local/share/code-server",),
}
_BOUND: Final = 120.0


@dataclass(frozen=True)
class EditorState:
    """An editor of this user, and the version of the extension that it has, None without it."""

    editor: str
    version: str | None

    @property
    def fits(self) -> bool:
        return self.version == _release(__version__)

    @property
    def detail(self) -> str:
        if self.version is None:
            return (
                f"{self.editor} does not have the extension, which shows in your notebook what agents change"
            )
        return f"{self.editor} has the extension {self.version}" + (
            "" if self.fits else f"; this is {__version__}"
        )

    @property
    def hint(self) -> str:
        """How to install it, empty if there is nothing to do."""
        editor = "" if self.editor == "code" else f" --editor {self.editor}"
        return "" if self.fits else f"To install it: marimo-kernel-bridge vscode --install{editor}"


def package() -> Path:
    """Return the extension's file. Raises `BridgeError`: bad_request."""
    path = shipped("vscode") / _FILE
    if not path.is_file():
        raise BridgeError(
            "bad_request",
            "This installation has no extension for VS Code: it was installed from a checkout without it.",
            "In the checkout, with Node.js: cd extensions/vscode && npm ci && npm run package",
        )
    return path


def states() -> list[EditorState]:
    """Return the editors that have a folder of extensions, or whose command is on the PATH. Starts none."""
    found = []
    for editor, folders in _EDITORS.items():
        there = _folders(folders)
        if any(folder.is_dir() for folder in there) or program_on_path(editor):
            versions = [version for folder in there if (version := _versions_in(folder).get(EXTENSION))]
            found.append(EditorState(editor, versions[0] if versions else None))
    return found


def without_widgets() -> list[str]:
    """Return the editors that have the Jupyter extension, and not the one that shows widgets."""
    return [
        editor
        for editor, folders in _EDITORS.items()
        if any(
            _JUPYTER in (has := _versions_in(folder)) and RENDERERS not in has for folder in _folders(folders)
        )
    ]


def install(editor: str | None, say: Callable[[str], None]) -> None:
    """Install the extension, and record this interpreter for it. Raises `BridgeError`: bad_request."""
    command = [_program(editor), "--install-extension", str(package()), "--force"]
    _run(command)
    folder = Path(jupyter_data_dir(), "marimo-kernel-bridge")
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "vscode.json", json.dumps({"python": own_interpreter()}) + "\n", overwrite=True)
    say(f"Installed the extension; it uses {own_interpreter()}. Reload the editor's windows that are open.")


def uninstall(editor: str | None, say: Callable[[str], None]) -> None:
    """Remove the extension. Raises `BridgeError`: bad_request."""
    _run([_program(editor), "--uninstall-extension", EXTENSION])
    Path(jupyter_data_dir(), "marimo-kernel-bridge", "vscode.json").unlink(missing_ok=True)
    say("Removed the extension.")


def _program(editor: str | None) -> str:
    for name in [editor] if editor else _EDITORS:
        if (program := program_on_path(name)) is not None:
            return program
    named = editor or ", ".join(_EDITORS)
    raise BridgeError(
        "bad_request",
        f"None of these commands is on the PATH: {named}. Nothing was changed.",
        "In VS Code, 'Shell Command: Install code command in PATH' adds it; or use "
        "'Extensions: Install from VSIX...' with the file that `marimo-kernel-bridge vscode` names.",
    )


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603  # requested by the user
            command, stdin=subprocess.DEVNULL, env=python_environment(), timeout=_BOUND, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BridgeError("bad_request", f"`{shlex.join(command)}` did not run: {error}.") from error
    if done.returncode:
        raise BridgeError(
            "bad_request",
            f"`{shlex.join(command)}` failed with exit code {done.returncode}.",
            "Its output says why.",
        )


def _folders(below_home: tuple[str, ...]) -> list[Path]:
    return [Path.home() / folder / "extensions" for folder in below_home]


def _versions_in(folder: Path) -> dict[str, str]:
    """Return the versions of the extensions in a folder, by VS Code's own list of them."""
    try:
        listed = json.loads((folder / "extensions.json").read_text())
        return {one["identifier"]["id"].lower(): str(one["version"]) for one in listed}
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ):  # none, or of another kind
        return {}


def _release(version: str) -> str:
    return ".".join(version.split(".")[:3])
