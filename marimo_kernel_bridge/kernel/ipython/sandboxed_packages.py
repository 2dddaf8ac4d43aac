"""`%pip` and its like in a kernel in a sandbox: they say in a sentence what the sandbox does not let them do, and leave the rest to IPython's."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Final

from IPython.core.error import UsageError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from marimo_kernel_bridge.protocol.bounds import Sandbox

REFUSED: Final = (
    "Packages cannot be installed in this kernel's sandbox; one with packages=yes has a place for them."
)
NO_NETWORK: Final = (
    "This kernel's sandbox has no network: only files of the folder can be installed. A sandbox with the network pypi.org and "
    "files.pythonhosted.org can fetch packages."
)
_NAMES: Final = ("pip", "uv", "conda", "mamba", "micromamba")
_CHANGES: Final = frozenset({"install", "uninstall", "remove", "update", "upgrade", "create"})


def register(shell: InteractiveShell, sandbox: Sandbox) -> None:
    """Put the magics in place of IPython's, which are imported at their first use."""
    for name in _NAMES:
        shell.magics_manager.register_function(partial(_run, shell, sandbox, name), "line", name)


def _run(shell: InteractiveShell, sandbox: Sandbox, name: str, line: str) -> object:
    from IPython.core.magics.packaging import PackagingMagics  # noqa: PLC0415  # slow to import, and seldom needed

    changes = bool(_CHANGES & set(line.split()[:2]))
    if changes and not sandbox.packages:
        raise UsageError(REFUSED)
    if changes and sandbox.network in {"none", ()}:
        sys.stdout.write(f"{NO_NETWORK}\n")
    of_ipython = getattr(PackagingMagics(shell), name, None)
    if of_ipython is None:
        raise UsageError(f"This version of IPython has no %{name}.")
    return of_ipython(line)
