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

_OF_ENVIRONMENTS: Final = ("pyvenv.cfg", "conda-meta")
"""What the folder of an environment has, as `venv` and conda make them."""


def of_kernelspecs() -> list[str]:
    """Return what installed kernelspecs start by its whole path, and the environments of these, however deep they lie."""
    found: list[str] = []
    for folder in jupyter_path("kernels"):
        for path in glob.glob(f"{glob.escape(folder)}/*/kernel.json"):  # noqa: PTH207
            with suppress(OSError, ValueError, TypeError, LookupError, RecursionError):
                program = json.loads(Path(path).read_text(encoding="utf-8"))["argv"][0]
                if os.path.isabs(program):  # noqa: PTH117
                    found += (program, environment_of(program))
    return list(dict.fromkeys(found))


def environment_of(program: str) -> str:
    """Return the environment of an interpreter, else its folder; as it is named, with links."""
    programs = os.path.dirname(program)  # noqa: PTH120
    real = os.path.dirname(os.path.realpath(programs))  # noqa: PTH120
    if not any(os.path.lexists(f"{real}/{name}") for name in _OF_ENVIRONMENTS):
        return programs
    top = os.path.dirname(programs)  # noqa: PTH120
    return top if os.path.realpath(top) == real else real
