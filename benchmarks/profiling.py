"""Profiles of the kernel: cProfile inside it while it does what the benchmarks measure."""

from __future__ import annotations

import pstats
from io import StringIO
from typing import TYPE_CHECKING

from benchmarks.contenders import Kernel, started
from benchmarks.measuring import OURS
from benchmarks.reactive import chain, run_all

if TYPE_CHECKING:
    from pathlib import Path

_LINES = 25
_START = "import cProfile; profiler = cProfile.Profile(); profiler.enable()"
_STOP = "profiler.disable(); profiler.dump_stats({path!r})"


def _round_trips(kernel: Kernel) -> None:
    for number in range(300):
        kernel.run(f"x = {number}", "cell")


def _root_changed(kernel: Kernel) -> None:
    for number in range(3):
        kernel.run(f"v0 = {number + 10}", "cell-0")


def _run_all(kernel: Kernel) -> None:
    run_all(kernel, [(cell, code + " # again") for cell, code in chain(300, 1)])


def profile(folder: Path) -> str:
    """Profile the kernel; returns the tables, and leaves each as a file for other viewers."""
    report = []
    for name, work in {
        "300 round trips": _round_trips,
        "a chain of 300, its root changed three times": _root_changed,
        "a Run All of 300": _run_all,
    }.items():
        with started(OURS) as kernels:
            kernel = kernels[OURS]
            run_all(kernel, chain(300, 1))
            path = folder / f"{work.__name__.strip('_')}.prof"
            kernel.run(_START, hidden=True)
            work(kernel)
            kernel.run(_STOP.format(path=str(path)), hidden=True)
        text = StringIO()
        pstats.Stats(str(path), stream=text).sort_stats("tottime").print_stats(_LINES)
        report.append(f"## {name}\n\n```\n{text.getvalue().strip()}\n```\n")
    return "\n".join(report)
