"""The time that a cell goes on after an interrupt."""

from __future__ import annotations

import time
from functools import partial

from benchmarks.contenders import Kernel, started
from benchmarks.measuring import (
    FLOW,
    OURS,
    STOCK,
    XEUS,
    Row,
    Sample,
    Settings,
    UnavailableError,
    WrongResultError,
    check,
    interleave,
    ratio,
    timed,
)

KERNELS = (STOCK, OURS, XEUS, FLOW)
_CODES = {
    "interrupt of `while True`": "while True: pass",
    "interrupt of `time.sleep`": "import time; time.sleep(60)",
}


def interrupt(kernel: Kernel, code: str) -> Sample:
    """Interrupt a cell that runs; until its reply and idle."""
    if not kernel.manager.is_alive():
        raise UnavailableError("its kernel is gone since the benchmark before")
    sent = kernel.send(f"print('runs')\n{code}", "cell")
    kernel.until("stream", "runs")
    time.sleep(0.05)  # what was printed was sent before the line after it began
    with timed(kernel.cpu) as taken:
        kernel.manager.interrupt_kernel()
        try:
            kernel.until_idle({sent}, bound=10.0)
        except WrongResultError:
            kernel.process.kill()  # or it computes on beside the others
            raise
        reply = kernel.reply()
    check(reply["content"].get("ename") == "KeyboardInterrupt", "the cell was not interrupted")
    kernel.run("pass", "after")
    return taken[0]


def run(settings: Settings) -> list[Row]:
    rows = []
    with started(*KERNELS) as kernels:
        for name, code in _CODES.items():
            notes: list[str] = []
            contenders = {n: partial(interrupt, k, code) for n, k in kernels.items()}
            samples = interleave(settings.pick(10, 5), contenders, notes)
            rows.append(Row(name, "≤ 1.1", 1.1, ratio(samples, OURS, STOCK), samples=samples, notes=notes))
    return rows
