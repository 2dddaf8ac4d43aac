"""The death of a kernel in an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marimo_kernel_bridge.protocol.deaths import sentence

if TYPE_CHECKING:
    from marimo_kernel_bridge.protocol.notebook import Death


@dataclass(frozen=True)
class LostName:
    """A name whose value is lost. `cell_id` is the cell that had defined it, in `seconds`."""

    name: str
    type: str = ""
    size: str = ""
    cell_id: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class Died:
    """How a kernel's process ended that nobody had asked to end.

    `cause` is signal, out_of_memory, exit, killed (from outside), restarted (by force), limit_exceeded or abandoned (by the program that had started it). `cell_id`,
    `code` (the first line) and `line` say what ran. `at` is when the kernel was last heard of, in seconds since the epoch;
    `memory_used` and `memory_limit` are bytes, 0 if unknown. `lost` has the first 50 of `total_lost` names. `checkpoint`
    says what a checkpoint has of them. `exceeded` names the limit that the kernel died of.
    """

    message: str
    cause: str
    at: float
    signal: str | None = None
    exit_code: int | None = None
    cell_id: str | None = None
    code: str = ""
    line: int | None = None
    traceback: tuple[str, ...] = ()
    memory_used: int = 0
    memory_limit: int = 0
    lost: tuple[LostName, ...] = ()
    total_lost: int = 0
    checkpoint: str = ""
    exceeded: str = ""

    def lines(self) -> list[str]:
        """Return the death as lines of an answer."""
        return [self.message, *(f"  {frame}" for frame in self.traceback)]

    def text(self) -> str:
        return "\n".join(self.lines())


DeathField = Died | None
"""A death in another answer."""


def died(death: Death | None) -> Died | None:
    """Return a death as agents are told of it."""
    if death is None:
        return None
    lost = tuple(LostName(name.name, name.type, name.size, name.cell, name.seconds) for name in death.lost)
    return Died(
        sentence(death),
        death.cause,
        death.at,
        death.signal,
        death.exit_code,
        death.cell_id,
        death.code,
        death.line,
        death.traceback,
        death.used,
        death.limit,
        lost,
        death.total_lost,
        death.covered,
        death.exceeded,
    )
