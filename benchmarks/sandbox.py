"""What a sandbox costs: the start of a kernel in one, spawned and from a pool, and each request.

The folder of the notebook is the benchmark's, the network is none. What a start costs more is the median of the differences to
the kernel without a sandbox in the same round.
"""

from __future__ import annotations

import os
import statistics
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.contenders import BUILD, Kernel, started
from benchmarks.measuring import (
    BUBBLEWRAP,
    LIGHT,
    OURS,
    POOL,
    POOLED_LIGHT,
    Row,
    Sample,
    Settings,
    UnavailableError,
    check,
    interleave,
    ratio,
)
from benchmarks.requests import round_trip
from benchmarks.startup import start
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.bounds import Sandbox
from marimo_kernel_bridge.sandbox.engines import engine_for

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENGINES = {LIGHT: "light", POOLED_LIGHT: "light", BUBBLEWRAP: "bubblewrap"}


def _available(name: str) -> bool:
    try:
        engine_for(Sandbox(engine=_ENGINES.get(name, "light")))  # type: ignore[arg-type]  # one of its engines
    except BridgeError:
        return False
    return True


def _start(name: str) -> Sample:
    if name in _ENGINES and not _available(name):
        raise UnavailableError("this machine has not what the engine needs")
    return start(name, {}, {})


def _more(samples: dict[str, list[Sample]], name: str, base: str) -> float | None:
    """Return the milliseconds that a start takes longer."""
    if not samples.get(name) or not samples.get(base):
        return None
    pairs = zip(samples[name], samples[base], strict=False)
    return 1e3 * statistics.median(one.wall - other.wall for one, other in pairs)


@contextmanager
def _folder() -> Iterator[None]:
    """Work in a folder of a notebook: one that is writable in a sandbox may not hold the home."""
    folder = BUILD / "benchmarks" / "folder"
    folder.mkdir(parents=True, exist_ok=True)
    before = os.getcwd()  # noqa: PTH109
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run(settings: Settings) -> Iterator[Row]:
    notes: list[str] = []
    with ExitStack() as stack:
        stack.enter_context(_folder())
        contenders = {name: partial(_start, name) for name in (OURS, LIGHT, BUBBLEWRAP, POOL, POOLED_LIGHT)}
        samples = interleave(settings.pick(9, 3), contenders, notes)
        for name, base, most in ((LIGHT, OURS, 50.0), (POOLED_LIGHT, POOL, 30.0), (BUBBLEWRAP, OURS, 500.0)):
            yield Row(
                f"start to first execute idle: {name}, beyond {base}",
                f"≤ {most:.0f} ms",
                most,
                _more(samples, name, base),
                unit="ms",
                samples={key: samples[key] for key in (base, name) if key in samples},
                notes=notes,
            )
        names = [OURS, *(name for name in (LIGHT, BUBBLEWRAP) if _available(name))]
        with started(*names) as kernels:
            count = settings.pick(100, 50)
            requests = interleave(
                settings.rounds,
                {name: partial(_requests, kernel, count) for name, kernel in kernels.items()},
                notes,
            )
        for name in names[1:]:
            yield Row(
                f"`x = 1` round trip, kernel CPU: {name}",
                "≤ 1.03",
                1.03,
                ratio(requests, name, OURS, "cpu"),
                kind="cpu",
                samples={key: requests[key] for key in (OURS, name)},
            )


def _requests(kernel: Kernel, count: int) -> Sample:
    """Run requests in a kernel. Its process is the innermost one: an engine's program has it for a child."""
    check(kernel.process.is_running(), "the kernel has ended")
    kernel.process = ([kernel.process, *kernel.process.children(recursive=True)])[-1]
    return round_trip(kernel, count)
