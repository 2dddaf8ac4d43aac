"""Installation of the kernelspec in Jupyter's data directories.

`pip install` already puts a kernelspec into the environment. This one names the interpreter by its absolute path, so
that a Jupyter in another environment can start the kernel.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_client.kernelspec import KernelSpecManager

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.pool.preload_check import trouble
from marimo_kernel_bridge.launch.pool.protocol import PROVISIONER
from marimo_kernel_bridge.launch.shipped import shipped
from marimo_kernel_bridge.protocol.names import KERNELSPEC, METADATA_KEY

if TYPE_CHECKING:
    from marimo_kernel_bridge.launch.pool.protocol import PoolOptions
    from marimo_kernel_bridge.protocol.bounds import Bounds


def install_kernelspec(
    *,
    name: str = KERNELSPEC,
    display_name: str | None = None,
    user: bool = False,
    prefix: Path | None = None,
    pool: PoolOptions | None = None,
    bounds: Bounds | None = None,
) -> Path:
    """Write the kernelspec for this interpreter and return its folder.

    To the user's folder, below `prefix`, or, with neither, where all users of this machine find it. `pool`: its
    kernels come from a warm pool with these options. `bounds`: its kernels are held to them, whoever starts them.
    Raises `BridgeError`: bad_request.
    """
    if pool is not None and (unfit := trouble(sys.executable, pool.preload)):
        raise BridgeError(
            "bad_request",
            f"A pool of {sys.executable} cannot preload {unfit}.",
            "Nothing was installed. Correct --preload, or omit the module: kernels import it on first use.",
        )
    manager = KernelSpecManager()
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder, "spec")
        shutil.copytree(shipped("kernelspec"), spec)
        written = json.loads((spec / "kernel.json").read_text())
        written["argv"][0] = sys.executable
        if display_name is not None:
            written["display_name"] = display_name
        elif name != KERNELSPEC or pool is not None or bounds:  # front ends list kernels by their titles
            written["display_name"] += f" {name}" + "".join(_marks(pool, bounds))
        if bounds:
            written["argv"] += bounds.arguments()
            texts = bounds.texts()
            written["metadata"][METADATA_KEY] = {key: json.loads(text) for key, text in texts.items() if text}
        if pool is not None:
            config = {"preload": list(pool.preload), "idle_timeout": pool.idle_timeout, "limit": pool.limit}
            written["metadata"]["kernel_provisioner"] = {"provisioner_name": PROVISIONER, "config": config}
        (spec / "kernel.json").write_text(json.dumps(written, indent=1) + "\n")
        try:
            place = manager.install_kernel_spec(
                str(spec), kernel_name=name, user=user, prefix=str(prefix) if prefix else None
            )
        except ValueError as error:
            raise BridgeError(
                "bad_request", f"{name!r} is not a valid name of a kernelspec: {error}"
            ) from error
        except OSError as error:
            raise BridgeError(
                "bad_request",
                f"The kernelspec cannot be written: {error}.",
                "Choose a location that you can write to: --user, --sys-prefix, or --prefix with one of your folders.",
            ) from error
    return Path(place)


def _marks(pool: PoolOptions | None, bounds: Bounds | None) -> list[str]:
    marks = [", warm pool"] if pool is not None else []
    if bounds:
        marks.append(", limits" if bounds.sandbox is None else ", sandbox")
    return marks


def found_by_jupyter(name: str) -> Path | None:
    """Return the folder of the kernelspec that a Jupyter started in this environment finds under this name."""
    folder = KernelSpecManager().find_kernel_specs().get(name.lower())
    return None if folder is None else Path(folder).resolve()
