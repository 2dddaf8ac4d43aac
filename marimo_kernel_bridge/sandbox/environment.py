"""The private home of a sandboxed kernel, and the variables that lead programs there."""

from __future__ import annotations

import glob
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from marimo_kernel_bridge.checkpoints.places import FOLDER_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marimo_kernel_bridge.sandbox.own_places import OwnPlaces


def inside(own: OwnPlaces, *, home: bool) -> dict[str, str | None]:
    """Return the variables that a sandbox sets, None: takes away. `home`: it has a home of its own, too."""
    private = own.home
    values: dict[str, str | None] = {
        "TMPDIR": f"{private}/tmp",  # noqa: S108  # its own
        "IPYTHONDIR": f"{private}/.ipython",
        "MPLCONFIGDIR": f"{private}/.config/matplotlib",
        "XDG_RUNTIME_DIR": None,
        "JUPYTER_DATA_DIR": own.data,  # the pauses of agents are there, and the kernel's black box
        "JUPYTER_CONFIG_DIR": f"{private}/.jupyter",
        "JUPYTER_RUNTIME_DIR": f"{private}/runtime",
        "JPY_PARENT_PID": None,  # a process that is not seen inside
        FOLDER_VARIABLE: own.checkpoints,
    }
    for kind, place in (
        ("CACHE", ".cache"),
        ("CONFIG", ".config"),
        ("DATA", ".local/share"),
        ("STATE", ".local/state"),
    ):
        values[f"XDG_{kind}_HOME"] = f"{private}/{place}"
    if home:
        values["HOME"] = private
    return values


def apply(values: Mapping[str, str | None]) -> None:
    """Set variables of this process."""
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def fonts() -> dict[str, bytes]:
    """Return matplotlib's lists of fonts, which take seconds to make: the name of each and its content."""
    folder = os.environ.get("MPLCONFIGDIR") or os.path.join(  # noqa: PTH118  # pathlib is not needed for more
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),  # noqa: PTH111
        "matplotlib",
    )
    found = {}
    for path in glob.glob(f"{glob.escape(folder)}/fontlist-*.json"):  # noqa: PTH207
        with suppress(OSError):
            found[os.path.basename(path)] = Path(path).read_bytes()  # noqa: PTH119
    return found


def furnish(home: str, lists_of_fonts: Mapping[str, bytes]) -> None:
    """Make the folders of a private home."""
    for name in (
        "tmp",
        "runtime",
        ".ipython",
        ".jupyter",
        ".cache",
        ".config/matplotlib",
        ".local/share",
        ".local/state",
    ):
        Path(home, name).mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content in lists_of_fonts.items():
        Path(home, ".config/matplotlib", name).write_bytes(content)
