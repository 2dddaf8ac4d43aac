"""The environment variables of a sandboxed kernel: what programs need to run, and none of the person's keys and tokens.

A process keeps the environment that it was executed with in its memory, where code in it can read it. So it is made small
by who starts the kernel, or the kernel executes itself again, before it has imported anything: this module imports little.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # `typing` is slow to import: for nothing, where a process executes itself again
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Final

_NEEDED: Final = frozenset(
    [
        "PATH",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TERM",
        "COLORTERM",
        "COLUMNS",
        "LINES",
        "NO_COLOR",
        "FORCE_COLOR",
        "USER",
        "LOGNAME",
        "SHELL",
        "HOME",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_STATE_HOME",
        "JUPYTER_DATA_DIR",
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_RUNTIME_DIR",
        "JUPYTER_PLATFORM_DIRS",
        "MARIMO_KERNEL_BRIDGE_CHECKPOINTS",
        "MPLCONFIGDIR",
        "MPLBACKEND",
        "TMPDIR",
        "VIRTUAL_ENV",
        "CONDA_PREFIX",
        "CONDA_DEFAULT_ENV",
        "LD_LIBRARY_PATH",
        "COVERAGE_PROCESS_CONFIG",
        "JPY_PARENT_PID",
        "JPY_SESSION_NAME",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "CUDA_VISIBLE_DEVICES",
        "SOURCE_DATE_EPOCH",
    ]
)
_NEEDED_OF: Final = (
    *("LC_", "PYTHON", "OMP_", "MKL_", "OPENBLAS_", "BLIS_", "NUMEXPR_", "NUMBA_", "VECLIB_", "POLARS_"),
    *("ARROW_", "MALLOC_"),
)
"""The beginnings of names of whole libraries' settings."""


def cleaned(environment: Mapping[str, str], let_through: Iterable[str] = ()) -> dict[str, str]:
    """Return what of an environment goes into a sandbox: what programs need, and what the person has named."""
    named = frozenset(let_through)
    return {
        name: value
        for name, value in environment.items()
        if name in named or name in _NEEDED or name.startswith(_NEEDED_OF)
    }


def leave_secrets(let_through: Iterable[str]) -> None:
    """Execute this program again if it was executed with more than goes into a sandbox; forget what its start has set since."""
    named = frozenset(let_through)
    if any(name not in cleaned({name: ""}, named) for name in _executed_with()):
        kept = cleaned(os.environ, named)
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], kept)  # noqa: S606  # this program
    for name in set(os.environ) - set(cleaned(os.environ, named)):
        del os.environ[name]


def _executed_with() -> list[str]:
    """Return the names of the variables that this process was executed with, which stay in its memory."""
    try:
        with open("/proc/self/environ", "rb") as file:  # noqa: PTH123  # pathlib is not imported yet
            return [os.fsdecode(entry.partition(b"=")[0]) for entry in file.read().split(b"\0") if entry]
    except OSError:
        return list(os.environ)


def name_an_image(arguments: Iterable[str]) -> bool:
    """Return whether a kernel's arguments ask for a sandbox of an image: as a field, not as a part of some other text."""
    for argument in arguments:
        text = argument.partition("=")[2]
        if text.lstrip().startswith("{"):
            if "image" in text or "\\" in text:
                import json  # noqa: PLC0415  # slow to import

                try:
                    if json.loads(text).get("image") is not None:
                        return True
                except (ValueError, RecursionError):  # which is told later
                    continue
        elif any(pair.partition("=")[0].strip() == "image" for pair in text.split(",")):
            return True
    return False


def named_in(arguments: Iterable[str]) -> list[str]:
    """Return the variables that a kernel's arguments may let through: more than they do, if a word is a variable by chance.

    What is too much is left when the arguments have been read.
    """
    text = "".join(each if each.isalnum() or each == "_" else " " for each in " ".join(arguments))
    return sorted(set(text.split()) & set(os.environ))
