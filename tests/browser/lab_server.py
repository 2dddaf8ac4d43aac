"""A real `jupyter lab` process of its own, for tests and screenshots.

Owns the process, its directories and its REST interface. Everything that could carry a person's settings into
the server (HOME, JUPYTER_*, marimo's and IPython's configuration) points into a fresh directory; Lab's defaults
are changed in two ways only: no news and no update check, and its kernels are encrypted. Knows nothing of browsers.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from unittest.mock import patch

from marimo_kernel_bridge.launch.pool.protocol import PROVISIONER
from marimo_kernel_bridge.launch.pool.status import stop_pools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).parents[2]
EXTENSIONS = REPOSITORY / "extensions/jupyterlab/build/labextensions"
PERSONAL = re.compile(r"^(JUPYTER|JPY_|IPYTHON|MARIMO|XDG_|MPL)")
QUIET = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}

WARM = "warm"
"""The kernelspec of kernels that are forked from a pool: that takes a tenth of a start."""

STARTS = 240.0
"""Seconds that Lab has to start, which is work of the CPU alone: as long as it takes on a machine that computes."""

T = TypeVar("T")


def wait_for(condition: Callable[[], T | None], what: str, timeout: float = 60) -> T:
    """Ask until the answer is truthy and return it; for what no event announces (a file, another process)."""
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout:g} s: {what}")
        time.sleep(0.05)
    return answer


@dataclass(frozen=True)
class LabServer:
    """`url` ends in a slash. `notebooks` is what Lab shows as its root directory."""

    url: str
    home: Path
    token: str = field(repr=False)

    @property
    def notebooks(self) -> Path:
        return self.home / "notebooks"

    @property
    def log(self) -> str:
        return (self.home / "lab.log").read_text(errors="replace")

    def connection_file(self, notebook: str) -> Path:
        """Where the kernel of an open notebook listens: what a person hands to an agent."""
        kernels = {session["path"]: session["kernel"]["id"] for session in self._rest("GET", "api/sessions")}
        return self.home / "runtime" / f"kernel-{kernels[notebook]}.json"

    def end_kernels(self) -> None:
        for session in self._rest("GET", "api/sessions"):
            self._rest("DELETE", f"api/sessions/{session['id']}")

    def _rest(self, method: str, path: str) -> Any:
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(self.url + path, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read() or b"null")


@contextmanager
def running_lab(
    home: Path, *, extension: bool = False, widgets: bool = False, environment: Path | None = None
) -> Iterator[LabServer]:
    """Start `jupyter lab` on a free loopback port with all of its directories below `home`.

    Notebook 7, which the same process serves, has our extension; Lab has it if asked, and the manager of Jupyter's widgets.
    `environment` is another one that has Lab, with all of its extensions; the kernels are still of this one.
    """
    for name in ("notebooks", "runtime", "config/labconfig", "tmp"):
        (home / name).mkdir(parents=True, exist_ok=True)
    (home / "config/labconfig/default_setting_overrides.json").write_text(json.dumps(QUIET))
    _install_kernelspec(home / "data/kernels/marimo")
    _install_kernelspec(home / f"data/kernels/{WARM}", warm=True)
    token = secrets.token_hex(16)
    labextensions = [EXTENSIONS] if extension else []
    if widgets:
        labextensions.append(_widget_extensions(home / "labextensions"))
    if environment is not None:
        labextensions.append(environment / "share/jupyter/labextensions")
    with (home / "lab.log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable if environment is None else str(environment / "bin/python"),
                "-m",
                "jupyterlab",
                "--no-browser",
                "--ip=127.0.0.1",
                "--port=0",
                "--allow-root",
                "--LabApp.expose_app_in_browser=True",
                "--JupyterNotebookApp.expose_app_in_browser=True",
                # Whatever else this environment has.
                *(f"--LabApp.labextensions_path={folder}" for folder in labextensions or ("[]",)),
                f"--JupyterNotebookApp.labextensions_path={EXTENSIONS}",
                "--JupyterNotebookApp.labextensions_url=/notebook-extensions/",  # else Lab serves them, from its own path
                "--KernelManager.transport_encryption=auto",  # plain sockets are those of tests/kernel
                f"--IdentityProvider.token={token}",
                f"--ServerApp.root_dir={home / 'notebooks'}",
            ],
            cwd=home,  # jupyter-collaboration writes its database there
            env=_environment(home),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        url = wait_for(lambda: _announced_url(home, process), "jupyter lab announces its address", STARTS)
        yield LabServer(url=url, home=home, token=token)
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with patch.dict(os.environ, _environment(home)):
            stop_pools()


def _widget_extensions(folder: Path) -> Path:
    """Return a folder with Lab's extensions for widgets and no others."""
    folder.mkdir()
    for name in ("@jupyter-widgets", "anywidget"):
        (folder / name).symlink_to(Path(sys.prefix) / "share/jupyter/labextensions" / name)
    return folder


def _environment(home: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not PERSONAL.match(name)}
    return inherited | {
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_PATH": str(home / "data"),  # before the environment's own kernelspecs
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "TMPDIR": str(home / "tmp"),  # it outlives the test that starts it
    }


def _install_kernelspec(directory: Path, *, warm: bool = False) -> None:
    """Put this repository's kernelspec where only this server looks, bound to the running interpreter."""
    shutil.copytree(REPOSITORY / "kernelspec", directory)
    spec = json.loads((directory / "kernel.json").read_text())
    assert spec["argv"][0] == "python", spec["argv"]
    spec["argv"][0] = sys.executable
    if warm:
        spec["metadata"]["kernel_provisioner"] = {"provisioner_name": PROVISIONER}
    (directory / "kernel.json").write_text(json.dumps(spec))


def _announced_url(home: Path, process: subprocess.Popen[bytes]) -> str | None:
    if process.poll() is not None:
        raise RuntimeError(f"jupyter lab ended at once:\n{(home / 'lab.log').read_text()}")
    for path in (home / "runtime").glob("jpserver-*.json"):
        try:
            url = json.loads(path.read_text())["url"]
        except json.JSONDecodeError:  # half written
            return None
        assert isinstance(url, str)
        return url
    return None
