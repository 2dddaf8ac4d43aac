"""Kernels that can be started: installed kernelspecs, and the reactive kernel of any Python with this package.

Starts none; that is the work of `owned_kernels`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel

from marimo_kernel_bridge.client.notebook_names import at_home
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.names import MODULE
from marimo_kernel_bridge.protocol.regular_files import is_file, is_folder, read_bytes

_LOOK: Final = (
    f"import importlib.util, sys; found = importlib.util.find_spec({MODULE!r}); print(sys.prefix); "
    "print(found is not None and found.origin is not None)"  # a mere directory of that name has no origin
)
_LOOK_BOUND: Final = 30.0


@dataclass(frozen=True)
class Startable:
    """An installed kernelspec. `interpreter` is the program that it starts, None if it does not exist."""

    name: str
    display_name: str
    language: str
    interpreter: str | None
    reactive: bool


def installed() -> list[Startable]:
    """Return the installed kernelspecs, reactive ones first."""
    specs = KernelSpecManager().get_all_specs()
    kernels = [_startable(name, entry["spec"]) for name, entry in specs.items()]
    return sorted(kernels, key=lambda kernel: (not kernel.reactive, kernel.name))


def by_name(name: str) -> KernelSpec:
    """Return an installed kernelspec. Raises `BridgeError`: no_such_kernelspec."""
    try:
        spec = KernelSpecManager().get_kernel_spec(name)
    except NoSuchKernel:
        names = ", ".join(kernel.name for kernel in installed()) or "none"
        raise BridgeError(
            "no_such_kernelspec", f"No kernelspec {name!r} is installed.", f"Installed: {names}."
        ) from None
    if _program(spec.argv) is None:
        raise BridgeError(
            "no_such_kernelspec",
            f"The kernelspec {name!r} starts {spec.argv[0] if spec.argv else 'nothing'}, which does not exist.",
            "Its environment may have been deleted. list_kernelspecs shows those that can be started.",
        )
    return spec


def asks_for_sandbox(name: str) -> bool | None:
    """Return whether an installed kernelspec starts its kernels in a sandbox, None if there is none of that name."""
    try:
        spec = KernelSpecManager().get_kernel_spec(name)
    except NoSuchKernel:
        return None
    return any(argument.startswith("--sandbox") for argument in spec.argv)


def of_interpreter(interpreter: str) -> KernelSpec:
    """Return a kernelspec for the reactive kernel of a Python, given by its path or its environment's directory.

    Raises `BridgeError`: bad_request, if it is not a Python, or does not have this package.
    """
    program = _python_at(Path(at_home(interpreter)))
    if program is None:
        raise BridgeError(
            "bad_request",
            f"There is no Python at {interpreter!r}; nothing was started.",
            "Give the path of a python, or the directory of a virtual or conda environment.",
        )
    prefix, has_bridge = _look(program)
    if not has_bridge:
        raise BridgeError(
            "bad_request",
            f"marimo-kernel-bridge is not installed for {program}; nothing was started.",
            f"With the person's consent: {_install_command(program, prefix)}",
        )
    # As if the environment were activated, for the programs that the notebook starts.
    path = os.pathsep.join([str(program.parent), os.environ.get("PATH", os.defpath)])
    conda = is_folder(Path(prefix, "conda-meta"))
    return KernelSpec(
        argv=[str(program), "-P", "-m", MODULE, "kernel", "-f", "{connection_file}"],
        display_name=f"marimo (reactive Python) of {prefix}",
        language="python",
        interrupt_mode="signal",
        metadata={"supported_encryption": ["curve"]},
        env={"PATH": path, "CONDA_PREFIX" if conda else "VIRTUAL_ENV": prefix},
    )


class OneSpec(KernelSpecManager):
    """A kernelspec manager with a single kernelspec, for a kernel without an installed one."""

    def __init__(self, spec: KernelSpec) -> None:
        super().__init__()
        self._spec = spec

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:  # noqa: ARG002  # jupyter_client's signature
        return self._spec


def _startable(name: str, spec: dict[str, object]) -> Startable:
    argv = [str(part) for part in (spec.get("argv") or ())]  # type: ignore[attr-defined]  # JSON: a list or null
    return Startable(
        name,
        str(spec.get("display_name") or name),
        str(spec.get("language") or ""),
        _program(argv),
        MODULE in argv,
    )


def _program(argv: list[str]) -> str | None:
    """Return the program that a kernelspec starts, as jupyter_client finds it: `python` is `sys.executable`."""
    first = argv[0] if argv else ""
    major, minor = sys.version_info[:2]
    if first in {"python", f"python{major}", f"python{major}.{minor}"}:
        return sys.executable
    return shutil.which(first) if first else None


_LARGEST_SETTINGS: Final = 64 * 1024


def _python_at(path: Path) -> Path | None:
    """Return the interpreter at a path. Keeps symbolic links, by which Python finds its environment."""
    here = Path(os.path.abspath(path))  # noqa: PTH100  # resolve() follows links
    candidates = (
        [here] if is_file(here) else [here / "bin/python", here / "Scripts/python.exe", here / "python.exe"]
    )
    return next((path for path in candidates if is_file(path) and os.access(path, os.X_OK)), None)


def _look(program: Path) -> tuple[str, bool]:
    """Return a Python's prefix and whether it has this package. Raises `BridgeError` bad_request."""
    try:
        with tempfile.TemporaryDirectory() as empty:  # so that no module of a folder is imported instead
            done = subprocess.run(  # noqa: S603  # a program that the user allows to be started
                [str(program), "-c", _LOOK],
                capture_output=True,
                text=True,
                timeout=_LOOK_BOUND,
                check=True,
                cwd=empty,
                stdin=subprocess.DEVNULL,
            )
        prefix, has_bridge = done.stdout.split("\n")[:2]
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise BridgeError(
            "bad_request", f"{program} does not answer as a Python: {error}.", "Nothing was started."
        ) from None
    return prefix, has_bridge == "True"


def _install_command(program: Path, prefix: str) -> str:
    try:
        made_by_uv = b"\nuv = " in read_bytes(Path(prefix, "pyvenv.cfg"), _LARGEST_SETTINGS)
    except OSError:
        made_by_uv = False
    if made_by_uv:
        return f"uv pip install --python {program} marimo-kernel-bridge"
    return f"{program} -m pip install marimo-kernel-bridge"
