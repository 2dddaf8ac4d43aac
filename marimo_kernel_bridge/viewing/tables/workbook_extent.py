"""How many cells a sheet has up to its last one, looked at in a process of its own.

The reader of workbooks makes room for all of them at once. One cell in the far corner of an empty sheet asks for half a
terabyte, and where there is no memory the reader ends its process, which is that of all views.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.own_python import python_command, python_environment

if TYPE_CHECKING:
    from pathlib import Path

    from marimo_kernel_bridge.viewing.table import Cancellation

_MOST: Final = 50_000_000
"""Cells that are read."""
_MEMORY: Final = 4_000_000_000
"""Bytes that the other process may take: more than so many cells, and the workbook, need."""
_FAILED: Final = 1
"""The exit code of Python after an exception: the reader refuses the workbook, and says why where it is read."""
_LOOK: Final = """
import io, sys
memory, sheet, path = int(sys.argv[1]), sys.argv[2], sys.argv[3]
if sys.platform != "win32":
    import resource
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    memory = memory if most == resource.RLIM_INFINITY else min(memory, most)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
from python_calamine import CalamineWorkbook
workbook = CalamineWorkbook.from_path(path) if path else CalamineWorkbook.from_filelike(io.BytesIO(sys.stdin.buffer.read()))
looked_at = workbook.get_sheet_by_name(sheet or workbook.sheet_names[0])
print(looked_at.total_height * looked_at.total_width)
"""


def require_room(workbook: Path | bytes, sheet: str, name: str, cancellation: Cancellation) -> None:
    """Refuse a sheet, the first one if none is named, that has more cells than are read. `name` is that of the file.

    Raises `BridgeError`: too_large; `CancelledError`.
    """
    path, content = ("", workbook) if isinstance(workbook, bytes) else (str(workbook), b"")
    process = subprocess.Popen(  # noqa: S603  # this interpreter; a path and a name are no code
        python_command("-c", _LOOK, str(_MEMORY), sheet, path),
        env=python_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        cancellation.stopped_by(process.kill)
        told, _ = process.communicate(content)
        cancellation.finished(process.kill)
    cancellation.check()
    cells = int(told) if process.returncode == 0 else None
    if process.returncode == _FAILED or (cells is not None and cells <= _MOST):
        return
    how_many = "more cells than memory has room for" if cells is None else f"{cells:,} cells"
    raise BridgeError(
        "too_large",
        f"The sheet {sheet or 'that is shown first'} of {name} has {how_many} up to its last one; {_MOST:,} are read.",
        "Often one cell far away from the others is left over: delete the empty rows and columns, or save the sheet as CSV.",
    )
