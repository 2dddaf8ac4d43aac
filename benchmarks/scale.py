"""What a kernel costs a machine, and what a thousand of them would: memory, processor while idle, and how fast they start.

Kernels of one pool are started in steps, each runs a cell, and then all are left alone. Costs are a line over their number, fitted
to all steps but the last; the last one says how well that line foretells what was not measured. From there on figures
are the line's, and are called so.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from benchmarks.contenders import BUILD
from benchmarks.measuring import OURS, Row, Sample, Settings, check, run_alone, say
from marimo_kernel_bridge.client.client import KernelClient
from marimo_kernel_bridge.launch.owned_kernels import StartedKernels
from marimo_kernel_bridge.launch.pool.status import running_pools, stop_pools

if TYPE_CHECKING:
    from collections.abc import Sequence

SESSIONS: Final = (100, 250, 500, 1000)
"""Numbers of sessions that figures are given for."""
_AT_ONCE: Final = 4  # starts; more start none the sooner on a few processors
_SETTLE: Final = 2.0  # seconds
_MIB: Final = 2**20


@dataclass(frozen=True)
class Step:
    """What so many kernels cost together: bytes, processors while idle, and CPU seconds of all their starts."""

    kernels: int
    memory: float
    idle: float
    starting: float
    files: int


@dataclass(frozen=True)
class Line:
    """A cost over the number of kernels: what there is without any, and what each adds."""

    base: float
    each: float

    def at(self, kernels: int) -> float:
        return self.base + self.each * kernels


def fitted(points: Sequence[tuple[int, float]]) -> Line:
    """Return the line with the least squares; through the first point if there is only one."""
    count = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    each = (
        sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else mean_y / max(1.0, mean_x)
    )
    return Line(mean_y - each * mean_x, each)


def most_kernels(line: Line, available: float) -> int:
    """Return how many kernels have room in an amount of what the line is about."""
    return max(0, int((available - line.base) / line.each)) if line.each > 0 else 0


def _processes() -> list[psutil.Process]:
    """Return the pool's process and the kernels that it forked."""
    pids = {pid for state in running_pools() for pid in (state.pid, *state.kernels)}
    return [psutil.Process(int(pid)) for pid in pids]


def _memory(processes: Sequence[psutil.Process]) -> float:
    return float(sum(getattr(process.memory_full_info(), "pss", 0) for process in processes))


def _cpu(processes: Sequence[psutil.Process]) -> float:
    return float(sum(sum(process.cpu_times()[:2]) for process in processes))


async def _start(started: StartedKernels, gate: asyncio.Semaphore, folder: Path) -> None:
    """Start a kernel and run a cell in it, which loads marimo's graph."""
    async with gate:
        connection = await started.start(None, str(folder), None)
        client = await KernelClient.attach(connection, "benchmark")
        try:
            run = await client.execute("x = 20 + 1\nprint(2 * x)", store_history=True)
            await client.runs.wait(run, 120)
            check(run.over and run.printed().strip() == "42", f"a kernel printed {run.printed()[:100]!r}")
        finally:
            await client.close()


async def _steps(counts: Sequence[int], idle_for: float) -> list[Step]:
    steps: list[Step] = []
    started, gate = StartedKernels(), asyncio.Semaphore(_AT_ONCE)
    with tempfile.TemporaryDirectory(prefix="marimo-scale-") as name:
        folder = Path(name)
        try:
            for count in counts:
                new = count - (steps[-1].kernels if steps else 0)
                await asyncio.gather(*(_start(started, gate, folder) for _ in range(new)))
                await asyncio.sleep(_SETTLE)
                processes = _processes()
                forked = len(processes) - len(running_pools())
                check(forked == count, f"{forked} of {count} kernels are of a pool")
                spent = _cpu(processes)
                await asyncio.sleep(idle_for)
                idle = (_cpu(processes) - spent) / idle_for
                files = sum(process.num_fds() for process in processes)
                steps.append(Step(count, _memory(processes), idle, spent, files))
                say(f"[{count}]", end="")
        finally:
            await started.close()
            stop_pools()
    return steps


def rows_of(steps: Sequence[Step], began: float) -> list[Row]:
    """Return what was measured, and what follows for more kernels."""
    *fit, last = steps
    memory = fitted([(step.kernels, step.memory) for step in fit])
    starting = fitted([(step.kernels, step.starting) for step in steps])
    idle = sum(step.idle / step.kernels for step in steps) / len(steps)
    error = abs(memory.at(last.kernels) - last.memory) / last.memory * 100
    load = (
        f"Load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors; "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB of memory."
    )
    whole = fitted([(step.kernels, step.memory) for step in steps])
    rows = [
        Row("memory that each kernel adds (PSS)", "<= 35 MiB", 35.0, whole.each / _MIB, "MiB", notes=[load]),
        Row("memory of the pool without kernels", "reported", None, whole.base / _MIB, "MiB"),
        Row("processor of an idle kernel", "<= 0.1 %", 0.1, idle * 100, "%"),
        Row("CPU to start a kernel and run its first cell", "reported", None, starting.each, "s", kind="cpu"),
        Row("files that each kernel has open", "reported", None, last.files / last.kernels, ""),
        Row(
            f"memory of {last.kernels} kernels, foretold from {', '.join(str(step.kernels) for step in fit)}: error",
            "<= 10 %",
            10.0,
            error,
            "%",
            samples={OURS: [Sample(began)]},
        ),
    ]
    rows += [_sessions(count, steps, whole, idle, starting.each) for count in SESSIONS]
    rows += [
        Row(
            f"idle sessions in {gib} GiB, a quarter of it left free (foretold)",
            "reported",
            None,
            float(most_kernels(whole, 0.75 * gib * 2**30)),
            "",
        )
        for gib in (16, 64)
    ]
    return rows


def _sessions(count: int, steps: Sequence[Step], memory: Line, idle: float, start: float) -> Row:
    how = "measured" if any(step.kernels == count for step in steps) else "foretold"
    processors = os.cpu_count() or 1
    note = (
        f"{count} sessions ({how}): {idle * count:.2f} processors while all are idle; all are started, and have run a cell, "
        f"in {start * count / processors:.0f} s of {processors} processors."
    )
    gib = memory.at(count) / 2**30
    return Row(f"{count} idle sessions ({how}): memory", "reported", None, gib, "GiB", notes=[note])


def run(settings: Settings) -> list[Row]:
    folder = BUILD / "benchmarks" / "scale"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "r").mkdir(parents=True)
    # A pool of its own
    os.environ.update({"JUPYTER_DATA_DIR": str(folder), "JUPYTER_RUNTIME_DIR": str(folder / "r")})
    began = time.monotonic()
    counts = (4, 8, 16) if settings.quick else (10, 25, 50, 100)
    steps = run_alone(_steps(counts, 4.0 if settings.quick else 20.0))
    return rows_of(steps, time.monotonic() - began)
