"""The process that whoever started a kernel knows, where an engine's program has the kernel: it lives and ends with it.

The program ends when this process does, however that ends, and the kernel with the program. A program that was this process
itself could be killed, and would leave the kernel behind, with its ports.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final, NoReturn

from marimo_kernel_bridge.sandbox.system_calls import control_process

if TYPE_CHECKING:
    from collections.abc import Iterable

_SIGNAL_AT_PARENTS_END: Final = 1


def supervise(
    command: list[str], variables: dict[str, str], *, leaving: Iterable[int], dies_with_parent: bool
) -> NoReturn:
    """Run a program, which ends with this process, and end as it does.

    `leaving` are descriptors that are the program's alone. `dies_with_parent`: end with who started this process, too.
    """
    parent = os.getppid()
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Jupyter interrupts the process group: the kernel takes it again
    child = os.fork()
    if not child:
        try:
            os.execve(command[0], command, variables)  # noqa: S606  # the engine's program
        finally:
            os._exit(127)
    for descriptor in leaving:
        os.close(descriptor)
    if dies_with_parent:
        control_process(_SIGNAL_AT_PARENTS_END, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(child, signal.SIGKILL)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(child, number))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
