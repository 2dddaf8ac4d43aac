"""The kernel of a checkout beside that of an earlier one: what a change costs, or gains.

Owns no way of measuring: the rounds are those of the other modules, with more repetitions, since what matters here is
some percent of CPU time. `--against` names the interpreter of the other checkout's environment.
"""

from __future__ import annotations

import statistics
import sys
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.agents import MCP_ARGUMENTS, served
from benchmarks.contenders import Kernel, started
from benchmarks.measuring import BEFORE, OURS, Row, Sample, check, interleave, ratio, run_alone, say
from benchmarks.outputs import Output, put_out, samples_of_output
from benchmarks.reactive import Changing, chain, register, run_all
from benchmarks.requests import pipelined, round_trip
from benchmarks.startup import start
from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.measuring import Kind, Settings

LIMIT = 1.03
"""A figure that is this much higher than before is worse, not noise."""


def run_against(python: Path, settings: Settings) -> Iterator[Row]:
    """Measure both kernels in turn. Raises `WrongResultError` if either did not do the work, or both are the same."""
    rounds = settings.pick(9, 3)
    with started(OURS, BEFORE) as kernels:
        packages = {
            kernel.value("__import__('marimo_kernel_bridge').__file__") for kernel in kernels.values()
        }
        check(len(packages) == 2, f"both kernels run {packages}")
    yield from _starts(rounds * 2)
    with started(OURS, BEFORE) as kernels:
        yield _row("`x = 1` round trip", rounds, kernels, partial(round_trip, count=settings.pick(300, 100)))
    with started(OURS, BEFORE) as kernels:
        turns = {name: [0] for name in kernels}
        count = settings.pick(200, 50)
        contenders = {
            name: partial(pipelined, kernel, count, turns[name]) for name, kernel in kernels.items()
        }
        yield _compared(f"{count} requests sent at once", interleave(rounds, contenders, []))
    with started(OURS, BEFORE) as kernels:
        changing = {name: Changing("chain", 100) for name in kernels}
        for name, kernel in kernels.items():
            run_all(kernel, changing[name].cells())
        contenders = {name: partial(changing[name].reactively, kernel) for name, kernel in kernels.items()}
        yield _compared("chain of 100 cells, root changed", interleave(rounds * 2, contenders, []))
    yield from _registering(settings.pick(1000, 200), settings.pick(5, 2))
    with started(OURS, BEFORE) as kernels:
        for number, output in enumerate(samples_of_output(settings)):
            yield _row(output.name, rounds, kernels, partial(_put_out, output=output, cell=f"cell-{number}"))
    yield run_alone(_mcp_start(python, settings.pick(9, 3)))


def _put_out(kernel: Kernel, output: Output, cell: str) -> Sample:
    return put_out(kernel, output, cell)


def _row(name: str, rounds: int, kernels: dict[str, Kernel], measure: Callable[[Kernel], Sample]) -> Row:
    contenders = {contender: partial(measure, kernel) for contender, kernel in kernels.items()}
    return _compared(name, interleave(rounds, contenders, []))


def _compared(name: str, samples: dict[str, list[Sample]], kind: Kind = "cpu", unit: str = "ms") -> Row:
    value = ratio(samples, OURS, BEFORE, kind)
    return Row(name, f"≤ {LIMIT}", LIMIT, value, kind=kind, samples=samples, sample_unit=unit)


def _starts(rounds: int) -> Iterator[Row]:
    infos: dict[str, list[Sample]] = {}
    memory: dict[str, list[Sample]] = {}
    contenders = {name: partial(start, name, infos, memory) for name in (OURS, BEFORE)}
    samples = interleave(rounds, contenders, [])
    yield _compared("spawn to first execute idle, cold", samples)
    yield _compared("spawn to kernel_info reply", {name: infos[name][-rounds:] for name in infos})
    yield _compared("RSS after the first cell", memory, "wall", "MiB")


def _registering(count: int, rounds: int) -> Iterator[Row]:
    """Yield nothing where the earlier kernel does not know the requests of this version."""
    cells = chain(count - 1, 1)

    def registered(name: str) -> Sample:
        with started(name) as kernels:
            kernels[name].run("pass", "first")  # marimo is there
            return register(kernels[name], cells)

    contenders = {name: partial(registered, name) for name in (OURS, BEFORE)}
    try:
        samples = interleave(rounds, contenders, [], warm_up=0)
    except BridgeError as error:
        if error.code != "unsupported_version":
            raise
        say(f"\nRegistering cells is left out: {error.message}\n")
    else:
        yield _compared(f"registering {count:,} cells", samples)


async def _mcp_start(python: Path, rounds: int) -> Row:
    samples: dict[str, list[Sample]] = {OURS: [], BEFORE: []}
    for number in range(rounds):
        pair = [(OURS, sys.executable), (BEFORE, str(python))]
        for name, interpreter in pair if number % 2 else reversed(pair):
            async with served([interpreter, *MCP_ARGUMENTS]) as server:
                await server("list_kernels")
                samples[name].append(Sample(server.cpu(), server.cpu()))
        say(".", end="")
    row = _compared("MCP server, cold start to the first tool's reply", samples)
    row.notes.append(f"medians of CPU: {_median(samples[OURS])}, before {_median(samples[BEFORE])}")
    return row


def _median(samples: list[Sample]) -> str:
    return f"{statistics.median(sample.wall for sample in samples) * 1000:.0f} ms"
