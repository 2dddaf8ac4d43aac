"""A kernel of another minor version of Python takes up the notebook: data comes back, and what carries code is stale.

The quick twin is `tests/unit/kernel/checkpoints/test_other_python.py`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from front_end import FrontEnd
from jupyter_client import KernelManager

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.checkpoints import Restored
from tests.house.pip_install import as_uv_says, pip_settings
from tests.isolation import Home, Homes

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
"""Installing takes most of a minute."""

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).parent / "uv"
CELLS = {
    "numbers": "import numpy as np\nnumbers = np.arange(100_000)",
    "double": "def double(x):\n    return 2 * x",
    "used": "used = double(21)",
    "kind": "class Kind:\n    def size(self): return 1\nkind = Kind()",
    "plain": "plain = {'a': [1]}\nsame = plain['a']",
}


@pytest.fixture(scope="module")
def other_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment of another minor version of Python, with this package."""
    found = next(filter(None, map(_python, ("3.13", "3.12", "3.14"))), None)
    if found is None:
        pytest.skip("there is no other Python here")
    folder = tmp_path_factory.mktemp("other") / "venv"
    python = folder / "bin/python"
    options, variables = as_uv_says(pip_settings())
    subprocess.run([UV, "venv", "--quiet", "--python", found, folder], check=True)
    install = [UV, "pip", "install", "--quiet", "--python", python, *options, "--editable", ROOT, "numpy"]
    subprocess.run(install, check=True, env=os.environ | variables)
    return python


def _python(version: str) -> str | None:
    """Return the interpreter of a version if that is installed here and is not that of the tests."""
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return None
    pyenv = Path(
        os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")
    )  # whose shims uv takes for interpreters
    if of_pyenv := sorted(pyenv.glob(f"versions/{version}.*/bin/python")):
        return str(of_pyenv[-1])
    find = [UV, "python", "find", "--no-project", "--system", version]
    return subprocess.run(find, capture_output=True, text=True, check=False).stdout.strip() or None


@contextmanager
def living(home: Home, python: Path | str, notebook: Path) -> Iterator[FrontEnd]:
    """Run a kernel of the notebook with this interpreter."""
    file = str(home.runtime / "kernel.json")
    manager = KernelManager(
        kernel_name="marimo", connection_file=file, transport="ipc", ip=str(home.folder / "s")
    )
    assert manager.kernel_spec is not None
    manager.kernel_spec.argv = [str(python), *manager.kernel_spec.argv[1:]]
    manager.start_kernel(env=home.environment(JPY_SESSION_NAME=str(notebook)))
    lab = FrontEnd(file)
    try:
        yield lab
    finally:
        lab.close()
        manager.shutdown_kernel()


def test_data_of_another_python_comes_back_and_functions_are_stale_with_the_reason(
    homes: Homes, tmp_path: Path, other_python: Path
) -> None:
    home, notebook = homes.new("k"), tmp_path / "notebook.ipynb"
    notebook.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    os.utime(notebook, (1, 1))  # the checkpoint's own cells are the notebook
    with living(home, sys.executable, notebook) as lab:
        for cell, code in CELLS.items():
            assert lab.run(cell, code).ok
        assert lab.run("save", "%marimo save").text.startswith("saved 5 cells")
    with living(home, other_python, notebook) as lab:
        reply = lab.ask(wire.RestoreCheckpoint(client="claude"), "shell")
        restored = wire.decode_reply(reply, Restored)
        assert {stale.code: stale.why.partition(" of Python ")[0] for stale in restored.stale} == {
            "def double(x):": "`double`: has functions or classes",
            "used = double(21)": "reads `double` of a stale cell",
            "class Kind:": "`Kind`: has functions or classes",
        }
        looked = lab.run("look", "import sys\nprint(sys.version_info[1], numbers.sum(), same is plain['a'])")
        minor, *values = looked.text.split("\n")[-1].split()
        assert minor != str(sys.version_info[1])
        assert values == ["4999950000", "True"]
