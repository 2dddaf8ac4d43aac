"""One request after the other, and many at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.contenders import Kernel, started
from benchmarks.measuring import (
    FLOW,
    OURS,
    STOCK,
    XEUS,
    Row,
    Sample,
    Settings,
    check,
    interleave,
    ratio,
    timed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

KERNELS = (STOCK, OURS, XEUS, FLOW)


def round_trip(kernel: Kernel, count: int) -> Sample:
    """Run `x = i` in one cell, each time after reply and idle; per request."""
    with timed(kernel.cpu) as taken:
        for number in range(count):
            kernel.run(f"x = {number}", "cell")
    check(kernel.value("x") == str(count - 1), "x has another value")
    return Sample(taken[0].wall / count, (taken[0].cpu or 0.0) / count)


def pipelined(kernel: Kernel, count: int, run: list[int]) -> Sample:
    """Send the requests of a Run All at once; per request. Each round has other code, so that all of it runs."""
    run[0] += 1
    with timed(kernel.cpu) as taken:
        sent = {kernel.send(f"n{number} = {number} + {run[0]}", f"cell-{number}") for number in range(count)}
        kernel.until_idle(sent)
        replies = [kernel.reply() for _ in sent]
    check(all(reply["content"]["status"] == "ok" for reply in replies), "a request failed")
    wanted = sum(range(count)) + count * run[0]
    check(kernel.value(f"sum(globals()[f'n{{i}}'] for i in range({count}))") == str(wanted), "wrong values")
    return Sample(taken[0].wall / count, (taken[0].cpu or 0.0) / count)


def _share(name: str, count: int) -> int:
    return count // 5 if name == FLOW else count  # each takes ipyflow several times as long


def run(settings: Settings) -> Iterator[Row]:
    with started(*KERNELS) as kernels:
        notes: list[str] = []
        count = settings.pick(100, 50)
        samples = interleave(
            settings.rounds, {n: partial(round_trip, k, _share(n, count)) for n, k in kernels.items()}, notes
        )
        yield Row(
            "`x = 1` round trip, kernel CPU",
            "≤ 1.10",
            1.10,
            ratio(samples, OURS, STOCK, "cpu"),
            kind="cpu",
            samples=samples,
            notes=notes,
        )
    with started(*KERNELS) as kernels:
        notes = []
        count = settings.pick(100, 50)
        samples = interleave(
            settings.rounds,
            {n: partial(pipelined, k, _share(n, count), [0]) for n, k in kernels.items()},
            notes,
        )
        yield Row(
            f"{count} requests sent at once, per request",
            "≤ 0.5",
            0.5,
            ratio(samples, OURS, STOCK),
            samples=samples,
            notes=notes,
        )
