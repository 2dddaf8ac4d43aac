"""Which limit an exception comes from, and how that is said. Pure."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.kernel.limits.resources import CPU_GRACE
from marimo_kernel_bridge.protocol.bounds import amount_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marimo_kernel_bridge.protocol.bounds import Limits

GRACE: Final = 10.0
"""Seconds from the interrupt of a cell that runs too long to the end of the kernel."""
_DEEPEST: Final = 20
_LIMITS: Final = {
    errno.EMFILE: "open_files",
    errno.EFBIG: "file_size",
    errno.EAGAIN: "processes",
    errno.ENOSPC: "temporary",
}
_STARTS: Final = frozenset({"_execute_child", "_launch", "fork", "spawnv_passfds", "_spawnvef", "forkpty"})
"""Functions that start processes, as they stand in tracebacks: others fail with the same error for want of data."""


def grace(limits: Limits) -> float:
    """Return the seconds from a cell's interrupt to the kernel's end."""
    return GRACE if limits.grace_seconds is None else limits.grace_seconds


def hit_by(error: BaseException, limits: Limits) -> str:
    """Return the name of the limit that made an exception, or one behind it; "" if none did."""
    given = limits.given()
    return next((name for cause in _causes(error) if (name := _limit_of(cause)) in given), "")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(_DEEPEST):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _limit_of(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, RuntimeError):
        return "processes" if str(error) == "can't start new thread" else ""
    if not isinstance(error, OSError):
        return ""
    limit = _LIMITS.get(error.errno or 0, "")
    other = (limit == "processes" and _innermost(error) not in _STARTS) or (
        limit == "temporary" and not _may_be_temporary(error.filename)
    )
    return "" if other else limit


def _innermost(error: BaseException) -> str:
    name, traceback = "", error.__traceback__
    while traceback is not None:
        name, traceback = traceback.tb_frame.f_code.co_name, traceback.tb_next
    return name


def _may_be_temporary(path: object) -> bool:
    return not isinstance(path, str) or Path(path).is_relative_to(tempfile.gettempdir())


def told(name: str, limits: Limits) -> str:
    """Return the sentence about a limit that was hit."""
    amount = amount_text(name, limits.given().get(name, 0.0))
    match name:
        case "cell_seconds":
            what = f"the cell ran for {amount}, as long as one may run here, and was interrupted."
        case "cpu_seconds":
            what = (
                f"the kernel has used the {amount} of CPU time that it has: it runs no more cells, and ends after another "
                f"{CPU_GRACE} s of it. Restart the kernel."
            )
        case "memory":
            what = (
                f"the kernel may use {amount} of memory. `del` what no cell needs, or work on less at once."
            )
        case "processes":
            what = f"there may be {amount} processes and threads at one time."
        case "open_files":
            what = f"{amount} files and connections may be open at one time."
        case "file_size":
            what = f"a file may have {amount}."
        case _:
            what = f"temporary files may take {amount}."
    return f"limit_exceeded: {name}: {what}"
