"""A check that an interpreter can import the modules that a pool is to preload.

Used by the installation of a kernelspec and by `doctor`. A pool makes its own check when it starts.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.protocol.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

_BOUND: Final = 60.0  # seconds for one module, as for all that a pool does before it serves

STARTS_A_THREAD: Final = "it starts a thread on import, and a process with threads cannot be forked"

# Reports on the last line of stderr. `os._exit` ends it without waiting for the module's threads.
_TRY: Final = f"""
import importlib, os, sys, threading
importlib.import_module(sys.argv[1])
if threading.active_count() > 1:
    os.write(2, {STARTS_A_THREAD.encode()!r})
    os._exit(1)
"""


def trouble(interpreter: str, modules: Iterable[str]) -> str:
    """Import modules in an interpreter; return which cannot be preloaded and why, "" if all can."""
    reasons = ((module, _reason(interpreter, module)) for module in modules)
    return "; ".join(f"{module}: {reason}" for module, reason in reasons if reason)


def _reason(interpreter: str, module: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603  # a kernelspec's interpreter, which Jupyter would run as well
            [interpreter, "-c", _TRY, module],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_BOUND,
            cwd="/",  # like a pool, so that no module is found in the working directory
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return (split_lines(done.stderr.strip()) or [f"the interpreter ended with {done.returncode}"])[-1]
