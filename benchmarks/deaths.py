"""What it costs to record what a kernel does, for the case that it dies."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.contenders import started
from benchmarks.measuring import NOT_RECORDED, OURS, Row, Settings, interleave, ratio
from benchmarks.requests import round_trip

if TYPE_CHECKING:
    from collections.abc import Iterator


def run(settings: Settings) -> Iterator[Row]:
    with started(OURS, NOT_RECORDED) as kernels:
        notes: list[str] = []
        count = settings.pick(300, 50)
        samples = interleave(
            3 * settings.rounds,  # a fiftieth is looked for
            {name: partial(round_trip, kernel, count) for name, kernel in kernels.items()},
            notes,
        )
        yield Row(
            "`x = 1` with a black box, kernel CPU",
            "≤ 1.02",
            1.02,
            ratio(samples, OURS, NOT_RECORDED, "cpu"),
            kind="cpu",
            samples=samples,
            notes=notes,
        )
