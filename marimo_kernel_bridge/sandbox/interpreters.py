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
    """Return the environments of the programs that installed kernelspecs start, however deep they lie."""
    found = []
    for folder in jupyter_path("kernels"):
        for path in glob.glob(f"{glob.escape(folder)}/*/kernel.json"):  # noqa: PTH207
            with suppress(OSError, ValueError, TypeError, LookupError, RecursionError):
                program = json.loads(Path(path).read_text(encoding="utf-8"))["argv"][0]
                if os.path.isabs(program):  # noqa: PTH117
                    programs = os.path.realpath(os.path.dirname(program))  # noqa: PTH120
                    top = os.path.dirname(programs)  # noqa: PTH120
                    is_environment = any(os.path.lexists(f"{top}/{name}") for name in _OF_ENVIRONMENTS)
                    found.append(top if is_environment else programs)
    return list(dict.fromkeys(found))
