"""The time from starting a kernel to its first answers, and the memory that it then has."""

from __future__ import annotations

import statistics
from functools import partial

from benchmarks.contenders import Kernel
from benchmarks.measuring import (
    FLOW,
    OURS,
    POOL,
    STOCK,
    XEUS,
    Row,
    Sample,
    Settings,
    interleave,
    ratio,
    timed,
)

KERNELS = (STOCK, OURS, POOL, XEUS, FLOW)


def start(name: str, infos: dict[str, list[Sample]], memory: dict[str, list[Sample]]) -> Sample:
    """Start a kernel, ask for kernel_info, run `x = 1`; return when that was idle."""
    with timed() as ran:
        with timed() as answered:
            kernel = Kernel(name)
            kernel.kernel_info()
            answered_cpu = kernel.cpu()
        try:
            kernel.ready()
            kernel.run("x = 1", "cell")
        except BaseException:
            kernel.close()
            raise
    infos.setdefault(name, []).append(Sample(answered[0].wall, answered_cpu))
    full = kernel.process.memory_full_info()
    memory.setdefault(name, []).append(Sample(full.rss, getattr(full, "pss", full.rss)))
    cpu = kernel.cpu()
    kernel.close()
    return Sample(ran[0].wall, cpu)


def run(settings: Settings) -> list[Row]:
    infos: dict[str, list[Sample]] = {}
    memory: dict[str, list[Sample]] = {}
    notes: list[str] = []
    contenders = {name: partial(start, name, infos, memory) for name in KERNELS}
    samples = interleave(settings.pick(7, 3), contenders, notes)
    for kept in (infos, memory):
        for name in list(kept):
            if name in samples:
                kept[name] = kept[name][-len(samples[name]) :]
            else:
                del kept[name]
    shared = statistics.median(sample.cpu or 0.0 for sample in memory[POOL]) / 2**20
    return [
        Row(
            "spawn to kernel_info reply",
            "≤ 1.1",
            1.1,
            ratio(infos, OURS, STOCK),
            samples=infos,
        ),
        Row(
            "spawn to first execute idle, cold",
            "≤ 2.0",
            2.0,
            ratio(samples, OURS, STOCK),
            samples=samples,
            notes=notes,
        ),
        Row(
            "spawn to first execute idle, warm pool",
            "≤ 0.5",
            0.5,
            ratio(samples, POOL, STOCK),
            samples={name: samples[name] for name in (STOCK, POOL) if name in samples},
        ),
        Row(
            "RSS after the first cell",
            "≤ 1.35",
            1.35,
            ratio(memory, OURS, STOCK),
            samples=memory,
            sample_unit="MiB",
            notes=[f"A kernel from the pool has {shared:.0f} MiB as its proportional share (PSS)."],
        ),
    ]
