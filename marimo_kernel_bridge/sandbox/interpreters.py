"""The interpreters that installed kernelspecs start, and their environments: code in a sandbox must not change them.

Read from the files, without jupyter_client, which is slow to import.
"""

from __future__ import annotations

import glob
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from jupyter_core.paths import jupyter_path

_RUN_IN_ENVIRONMENTS: Final = ("pyvenv.cfg", "conda-meta", "bin", "lib", "lib64", "etc", "share/jupyter")


def of_kernelspecs() -> list[str]:
    """Return what installed kernelspecs start by its whole path, and the environments of these, however deep they lie."""
    found: list[str] = []
    for folder in jupyter_path("kernels"):
        for path in glob.glob(f"{glob.escape(folder)}/*/kernel.json"):  # noqa: PTH207
            with suppress(OSError, ValueError, TypeError, LookupError, RecursionError):
                program = json.loads(Path(path).read_text(encoding="utf-8"))["argv"][0]
                if os.path.isabs(program):  # noqa: PTH117
                    found += filter(None, (program, environment_of(program)))
                    found += configurations_of(program)
    return list(dict.fromkeys(found))


def configurations_of(program: str) -> list[str]:
    """Return where an interpreter looks for what makes an environment of its place, also if there is none."""
    folder = os.path.dirname(program)  # noqa: PTH120
    return [f"{place}/pyvenv.cfg" for place in (folder, os.path.dirname(folder))]  # noqa: PTH120


def in_environment(folder: str) -> list[str]:
    """Return what Python runs of an environment, where a folder is one."""
    return [f"{folder}/{name}" for name in _RUN_IN_ENVIRONMENTS] if _is_environment(folder) else []


def _is_environment(folder: str) -> bool:
    # A folder of the first name is held by a kernel.
    return os.path.isfile(f"{folder}/pyvenv.cfg") or os.path.isdir(f"{folder}/conda-meta")  # noqa: PTH112, PTH113


def environment_of(program: str) -> str | None:
    """Return the environment of an interpreter as it is named, with links; None if it has none."""
    programs = os.path.dirname(program)  # noqa: PTH120
    real = os.path.dirname(os.path.realpath(programs))  # noqa: PTH120
    if not _is_environment(real):
        return None
    top = os.path.dirname(programs)  # noqa: PTH120
    return top if os.path.realpath(top) == real else real
