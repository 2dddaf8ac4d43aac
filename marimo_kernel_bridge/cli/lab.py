"""JupyterLab on a notebook with the marimo kernel selected.

Decides which notebook to open: the given one if it already names this kernel, otherwise a copy that does. JupyterLab
replaces the process.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_core.paths import jupyter_data_dir, jupyter_runtime_dir
from jupyter_core.utils import ensure_dir_exists

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.shipped import shipped
from marimo_kernel_bridge.notebooks.ipynb import read_notebook, text_of
from marimo_kernel_bridge.notebooks.nbformat_json import serialized
from marimo_kernel_bridge.notebooks.whole_files import write_whole
from marimo_kernel_bridge.protocol.names import KERNELSPEC
from marimo_kernel_bridge.protocol.own_python import module_command, python_command, python_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HOW_TO_ATTACH: Final = """\
To let an agent join this kernel, add the MCP server to its host once, for example:
  claude mcp add --scope user marimo -- {command} mcp
Run a cell, then ask the agent to list the kernels and to connect to the one of this notebook.
`{command} kernels` lists the connection files. Cells that the agent runs update the outputs on your page."""


def open_lab(notebook: Path | None, options: list[str], say: Callable[[str], None]) -> None:
    """Replace this process with JupyterLab. Raises `BridgeError`: bad_notebook, bad_request."""
    if find_spec("jupyterlab") is None:
        raise BridgeError(
            "bad_request",
            "JupyterLab is not installed in this environment.",
            "Run: pip install 'marimo-kernel-bridge[lab]'",
        )
    # The second is in the first unless a variable says otherwise.
    _require_writable({"JUPYTER_DATA_DIR": jupyter_data_dir(), "JUPYTER_RUNTIME_DIR": jupyter_runtime_dir()})
    kernelspec = _kernelspec()
    shown = _example(kernelspec) if notebook is None else _for_our_kernel(notebook, kernelspec)
    say(f"Opening {shown} with the kernel '{kernelspec['display_name']}'.")
    say(HOW_TO_ATTACH.format(command=_command()))
    sys.stdout.flush()
    arguments = python_command("-m", "jupyterlab", str(shown), *options)
    os.execve(arguments[0], arguments, python_environment())  # noqa: S606  # the current interpreter; JupyterLab takes over signals and the terminal


def _require_writable(folders: Mapping[str, str]) -> None:
    """Check Jupyter's folders, by the variable that names each: JupyterLab ends with a traceback. Raises `BridgeError`."""
    for variable, folder in folders.items():
        try:
            ensure_dir_exists(folder, 0o700)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise BridgeError(
                "bad_request",
                f"JupyterLab cannot start, because its folder {folder} cannot be written: {error.strerror}.",
                f"Make the folder writable, or set {variable} to one that is.",
            ) from error


def _kernelspec() -> dict[str, str]:
    try:
        spec = KernelSpecManager().get_kernel_spec(KERNELSPEC)
    except NoSuchKernel as error:
        raise BridgeError(
            "bad_request",
            f"Jupyter finds no kernelspec {KERNELSPEC!r}.",
            "Run: marimo-kernel-bridge install --sys-prefix",
        ) from error
    return {"name": KERNELSPEC, "display_name": str(spec.display_name), "language": "python"}


def _example(kernelspec: dict[str, str]) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="penguins-"))
    shutil.copytree(shipped("examples"), folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
    example = folder / "penguins.ipynb"
    return _for_our_kernel(example, kernelspec)


def _for_our_kernel(notebook: Path, kernelspec: dict[str, str]) -> Path:
    """Return the notebook if it names our kernelspec, else a copy of it that does; an existing copy is reused."""
    current = read_notebook(notebook).metadata.get("kernelspec")
    if isinstance(current, dict) and current.get("name") == kernelspec["name"]:
        return notebook
    copy = notebook.with_name(f"{notebook.stem}-{kernelspec['name']}.ipynb")
    if not copy.exists():
        document = json.loads(text_of(notebook))
        document["metadata"] = {**read_notebook(notebook).metadata, "kernelspec": kernelspec}
        write_whole(copy, serialized(document), overwrite=False, like=notebook)
    return copy


def _command() -> str:
    """Return a command that runs this program from any folder: an environment's scripts are rarely on PATH."""
    script = Path(sys.executable).with_name("marimo-kernel-bridge")
    return str(script) if script.exists() else shlex.join(module_command())
