"""The standard streams of a kernel in a sandbox."""

from __future__ import annotations

import os


def leave_streams() -> None:
    """Keep no stream of the program that started the kernel but its log.

    Its output may be a protocol of its own. What is a terminal can be read, too: the person types there.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    if os.isatty(2):
        os.dup2(nothing, 2)
    os.dup2(2, 1)
    os.close(nothing)
