"""The standard streams of a kernel in a sandbox."""

from __future__ import annotations

import os
import stat


def leave_streams() -> None:
    """Keep no stream of the program that started the kernel but its log.

    Its output may be a protocol of its own. A terminal can be read, too: the person types there. The mode and the times of
    a file can be changed by its descriptor, and it lies outside.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    if os.isatty(2) or stat.S_ISREG(os.fstat(2).st_mode):
        os.dup2(nothing, 2)
    os.dup2(2, 1)
    os.close(nothing)
