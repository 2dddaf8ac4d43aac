"""What a person waits while an automatic checkpoint is written: `x = 1` now and then, beside the same without a save.

Requests come with pauses, as a person sends them: a save goes on in the pauses, and a request comes at any moment of it.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from benchmarks.contenders import BUILD, Kernel, started
from benchmarks.measuring import ALL_SAVED, OURS, Row, Sample, Settings, check, p95, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PAUSES: Final = (0.35, 0.65)  # seconds between two requests, of which a save takes all but the first 0.3
_FEWEST, _MOST = 10, 60
"""Requests of one round: until the data is written, and that many in any case, but no more."""
_BOUND: Final = 300.0
_FOLDER: Final = "MARIMO_KERNEL_BRIDGE_CHECKPOINTS"
_VALUES: Final = {
    "an array of {bytes:,} MB": "import numpy as np\ndata = np.random.default_rng({round}).random({size} // 8)",
    "{objects:,} small dicts and lists": "data = [{{'number': n, 'tags': [{round}]}} for n in range({size} // 3_000)]",
}


def run(settings: Settings) -> Iterator[Row]:
    folder = BUILD / "benchmarks" / "checkpoints-of-a-kernel"
    outer = os.environ.get(_FOLDER)
    os.environ[_FOLDER] = str(folder)
    try:
        for what, code in _VALUES.items():
            shutil.rmtree(folder, ignore_errors=True)
            yield _row(settings, what, code, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.environ.pop(_FOLDER)
        os.environ |= {} if outer is None else {_FOLDER: outer}


def _row(settings: Settings, what: str, code: str, folder: Path) -> Row:
    size = settings.pick(1_000_000_000, 100_000_000)
    samples: dict[str, list[Sample]] = {OURS: [], ALL_SAVED: []}
    with started(OURS, ALL_SAVED) as kernels:
        for kernel in kernels.values():
            kernel.run("x = 0", "cell")
        for number in range(settings.rounds):
            large = _large(folder)
            for kernel in kernels.values():  # both have the objects, which collections of garbage look at
                kernel.run(code.format(size=size, round=number), "data")
            done = partial(_is_written, folder, large)
            for name, kernel in kernels.items():
                samples[name] += _asked(kernel, done if name == ALL_SAVED else lambda: True)
            _wait(done)
            say(".", end="")
    alone, during = (p95(samples[name]) or 0.0 for name in (OURS, ALL_SAVED))
    return Row(
        f"`x = 1` during the save of {what.format(bytes=size // 10**6, objects=2 * size // 3_000)}, p95 beyond that alone",
        "≤ 15 ms",
        15.0,
        (during - alone) * 1000,
        unit="ms",
        samples=samples,
        notes=[f"Load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors."],
    )


def _asked(kernel: Kernel, done: Callable[[], bool]) -> list[Sample]:
    """Run `x = 1` now and then until something is written."""
    taken: list[Sample] = []
    numbers = random.Random(0)  # noqa: S311  # not a secret
    while len(taken) < _FEWEST or (len(taken) < _MOST and not done()):
        time.sleep(numbers.uniform(*_PAUSES))
        start = time.perf_counter()
        seen: list[dict[str, Any]] = kernel.run("x = 1", "cell")
        taken.append(Sample(time.perf_counter() - start))
        check(seen, "nothing came")
    return taken


def _large(folder: Path) -> set[str]:
    """Return the blobs that are as large as one of the values, or as its stream."""
    return {
        path.name
        for path in folder.glob("blobs/*")
        if path.stat().st_size > 1_000_000 and "." not in path.name
    }


def _is_written(folder: Path, before: set[str]) -> bool:
    return bool(_large(folder) - before)


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _BOUND
    while not done():
        check(time.monotonic() < deadline, "the value is not saved")
        time.sleep(0.1)
