"""What a verification found, as values, as text and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.notebooks.nbformat_json import JSONObject

CheckName = Literal["run_again", "in_reverse_order", "edits", "markdown", "pictures"]

_TEXT: Final[dict[CheckName, tuple[str, str]]] = {
    "run_again": ("run again one by one", "cells"),
    "in_reverse_order": ("run again from last to first", "cells"),
    "edits": ("edited, one literal each", "cells"),
    "markdown": ("Markdown as JupyterLab shows it", "cells"),
    "pictures": ("pictures by path", "pictures"),
}


@dataclass(frozen=True)
class Difference:
    """A difference in the outputs of one cell of the result, which is made of the .ipynb's cells at `positions`."""

    positions: tuple[int, ...]
    what: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.cell}: {self.what}: {self.before!r} became {self.after!r}"

    @property
    def cell(self) -> str:
        return f"cell {'+'.join(map(str, self.positions)) or 'added'}"

    def as_json(self) -> JSONObject:
        return {
            "cells": list(self.positions),
            "what": self.what,
            "before": self.before,
            "after": self.after,
        }


@dataclass(frozen=True)
class FirstRun:
    """The comparison of the first run. `compared` counts the cells with outputs.

    `varying` are positions of cells whose outputs differ between runs of the original, `failing` of cells that fail in
    the original: neither count as differences.
    """

    compared: int
    differences: tuple[Difference, ...]
    varying: tuple[int, ...] = ()
    failing: tuple[int, ...] = ()

    @property
    def same(self) -> bool:
        return not self.differences

    def __str__(self) -> str:
        if not self.compared and self.same:
            text = "no cell shows anything that can be compared"
        elif self.same and self.compared == 1:
            text = "the one cell that shows something shows the same"
        elif self.same:
            text = f"all {self.compared} cells that show something show the same"
        else:
            text = f"{len(self.differences)} of {self.compared} cells that show something differ"
        if self.varying:
            text += f"; {_cells(self.varying, 'varies', 'vary')} by {'itself' if len(self.varying) == 1 else 'themselves'}"
        if self.failing:
            text += f"; {_cells(self.failing, 'fails', 'fail')} in the original"
        return text


@dataclass(frozen=True)
class Check:
    """A further comparison: of `total` cells or pictures, `done` were tried, and `wrong` of these showed differences.

    `marked` counts cells that were marked stale after an edit, which is right.
    """

    name: CheckName
    done: int
    total: int
    differences: tuple[Difference, ...] = ()
    wrong: int = 0
    marked: int = 0

    def __str__(self) -> str:
        what, counted = _TEXT[self.name]
        verdict = f"{self.wrong} wrong" if self.wrong else "right" if self.done else "none tried"
        count = f"{self.done}" if self.done == self.total else f"{self.done} of {self.total}"
        marked = f", {self.marked} marked stale" if self.marked else ""
        return f"{what}: {count} {counted if self.total != 1 else counted[:-1]}, {verdict}{marked}"

    def as_json(self) -> JSONObject:
        return {
            "same": not self.differences,
            "done": self.done,
            "total": self.total,
            "wrong": self.wrong,
            "marked": self.marked,
            "differences": [each.as_json() for each in self.differences],
        }


@dataclass(frozen=True)
class Verdict:
    """All that was compared. `stopped`: the time was up before all checks were done."""

    first: FirstRun
    checks: tuple[Check, ...] = ()
    stopped: bool = False

    @property
    def same(self) -> bool:
        return not self.differences

    @property
    def differences(self) -> tuple[Difference, ...]:
        return self.first.differences + tuple(each for check in self.checks for each in check.differences)

    def lines(self) -> list[str]:
        """Return the report, a line each."""
        lines = [f"verified: {self.first}", *(f"  {each}" for each in self.first.differences)]
        for check in self.checks:
            if check.total:
                lines += [f"{check}", *(f"  {each}" for each in check.differences)]
        if self.stopped:
            lines.append("the time was up: not everything was tried (--within SECONDS gives it more)")
        return lines

    def as_json(self) -> JSONObject:
        first = self.first
        return {
            "same": self.same,
            "stopped": self.stopped,
            "compared": first.compared,
            "varying": list(first.varying),
            "failing_in_the_original": list(first.failing),
            "differences": [each.as_json() for each in first.differences],
            "checks": {check.name: check.as_json() for check in self.checks},
        }


def _cells(positions: Sequence[int], does: str, do: str) -> str:
    if len(positions) == 1:
        return f"cell {positions[0]} {does}"
    return f"cells {', '.join(map(str, positions))} {do}"
