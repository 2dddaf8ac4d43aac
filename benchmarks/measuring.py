"""Measurements and their sums: samples, interleaved rounds, rows against targets. Starts nothing itself.

A figure is a ratio of what was measured in the same run, a round of one contender right beside a round of the other:
on a busy machine both are slow. Wall-clock time and the process's own CPU time are kept apart.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping

SUBJECTS = (
    "requests",
    "startup",
    "outputs",
    "interrupts",
    "reactive",
    "large",
    "agents",
    "jobs",
    "crowd",
    "documents",
    "live",
    "checkpoints",
    "saving",
    "sessions",
    "scale",
    "deaths",
    "views",
    "sandbox",
)
"""The modules that measure."""

OURS = "marimo-kernel-bridge"
POOL = "marimo-kernel-bridge, warm pool"
BEFORE = "marimo-kernel-bridge, before"
NOT_RECORDED = "marimo-kernel-bridge, nothing recorded"
ALL_SAVED = "marimo-kernel-bridge, all saved"
LIGHT = "marimo-kernel-bridge, sandbox light"
POOLED_LIGHT = "marimo-kernel-bridge, warm pool, sandbox light"
BUBBLEWRAP = "marimo-kernel-bridge, sandbox bubblewrap"
STOCK = "ipykernel"
XEUS = "xeus-python"
FLOW = "ipyflow"
MARIMO = "marimo, in process"
MARIMO_IPC = "marimo._ipc"
JUPYTER_MCP = "jupyter-mcp-server"
MARIMO_CODE = "marimo-code-mode"

Kind = Literal["wall", "cpu"]
_T = TypeVar("_T")


class WrongResultError(Exception):
    """The work that was to be measured was not done as it should have been."""


class UnavailableError(Exception):
    """A contender is not available here, or does not do what is measured."""


@dataclass(frozen=True)
class Sample:
    """Seconds, of the wall clock and of the measured process's CPU; bytes for sizes."""

    wall: float
    cpu: float | None = None


@dataclass
class Row:
    """One line of the table. `value` is what the target is about, in `unit`; None if it could not be measured."""

    name: str
    target: str
    limit: float | None
    value: float | None
    unit: str = "x"
    kind: Kind = "wall"
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    sample_unit: str = "ms"
    notes: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        if self.value is None or self.limit is None:
            return ""
        return "met" if self.value <= self.limit else "missed"


@dataclass(frozen=True)
class Settings:
    """How much to do. `quick` is for a look, in about a minute."""

    quick: bool = False
    rounds: int = 5
    profile: bool = False

    def pick(self, full: int, quick: int) -> int:
        return quick if self.quick else full


@dataclass
class Subject:
    """A file's worth of rows."""

    name: str
    run: Callable[[Settings], list[Row]]


@contextmanager
def timed(cpu: Callable[[], float] | None = None) -> Iterator[list[Sample]]:
    """Time a block; the sample is in the list afterwards."""
    taken: list[Sample] = []
    before, start = (cpu() if cpu else 0.0), time.perf_counter()
    yield taken
    wall = time.perf_counter() - start
    taken.append(Sample(wall, cpu() - before if cpu else None))


def interleave(
    rounds: int, contenders: Mapping[str, Callable[[], Sample]], notes: list[str], *, warm_up: int = 1
) -> dict[str, list[Sample]]:
    """Measure contenders in turn, in another order each round. Peers that fail are noted and left out."""
    samples: dict[str, list[Sample]] = {name: [] for name in contenders}
    left = list(contenders)
    for number in range(warm_up + rounds):
        for name in left[number % len(left) :] + left[: number % len(left)] if left else []:
            try:
                sample = contenders[name]()
            except (UnavailableError, WrongResultError) as error:
                if name in {OURS, POOL, BEFORE, STOCK} and isinstance(error, WrongResultError):
                    raise
                notes.append(f"{name}: {error}")
                left.remove(name)
                samples.pop(name)
                continue
            if number >= warm_up:
                samples[name].append(sample)
        say(".", end="")
    return samples


def ratio(samples: dict[str, list[Sample]], ours: str, base: str, kind: Kind = "wall") -> float | None:
    """Return the median of the rounds' ratios."""
    if not samples.get(ours) or not samples.get(base):
        return None
    pairs = zip(samples[ours], samples[base], strict=False)
    ratios = [getattr(a, kind) / getattr(b, kind) for a, b in pairs if getattr(b, kind)]
    return statistics.median(ratios) if ratios else None


def median(samples: list[Sample], kind: Kind = "wall") -> float | None:
    values = [value for sample in samples if (value := getattr(sample, kind)) is not None]
    return statistics.median(values) if values else None


def p95(samples: list[Sample]) -> float | None:
    values = sorted(sample.wall for sample in samples)
    return values[min(len(values) - 1, round(0.95 * (len(values) - 1)))] if values else None


def check(condition: object, what: str) -> None:
    """Raise `WrongResultError` unless the work was done."""
    if not condition:
        raise WrongResultError(what)


def say(text: str, end: str = "\n") -> None:
    """Print progress."""
    sys.stderr.write(text + end)
    sys.stderr.flush()


def run_alone(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine; raises the first error itself, not the groups that task groups wrap around it."""
    try:
        return asyncio.run(work)
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
