"""The trace of an import: runs the original once under this package's kernel, and takes what the run shows of each cell.

What is observed is the kernel's (decision 0008): objects that names share, objects that a cell mutates, objects that
something outside holds. Owns the order of the run and its bound in time. A cell that fails is evidence like any other.
"""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.importing.verifying.outputs import fails
from marimo_kernel_bridge.importing.verifying.running import Deadline, TimeIsUpError, running
from marimo_kernel_bridge.inspecting.packages import imports, is_there

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marimo_kernel_bridge.notebooks.ipynb import Notebook
    from marimo_kernel_bridge.notebooks.nbformat_json import JSONObject

_STATEMENT: Final = re.compile(r"\.\.\.\[(\w++)(:?)(\w*+)(?::1)?\]")
_MUTATED: Final = re.compile(r"\n\.\.\.\[(\w+)\]")
SECONDS: Final = 600.0
"""The time for a trace, unless another is given."""


@dataclass(frozen=True)
class Trace:
    """What a run of the original has shown. `statements` has it by position, as the kernel renders it for the analysis.

    `ran` of `total` cells ran; `failing` are the positions of those that failed.
    """

    statements: Mapping[int, str]
    ran: int
    total: int
    failing: tuple[int, ...] = ()

    @property
    def stopped(self) -> bool:
        return self.ran < self.total

    @property
    def observed(self) -> dict[int, str]:
        """What the analysis of an import takes.

        What only a run has shown a cell to mutate counts as held elsewhere, too: it orders cells, and never makes a copy,
        because nobody knows who else holds it.
        """
        return {
            position: _MUTATED.sub(r"\n...[\1:]\g<0>", text) for position, text in self.statements.items()
        }

    def lines(self) -> list[str]:
        """Return the report, a line each."""
        count = (
            f"{self.ran} of {self.total} cells, then the time was up" if self.stopped else f"{self.ran} cells"
        )
        lines = [f"traced: {count}"]
        for position in sorted(self.statements.keys() | set(self.failing)):
            facts = _facts(self.statements.get(position, ""))
            told = [
                *(f"changes {name}" for name in facts["changes"]),
                *(f"{one} and {other} share an object" for one, other in facts["shares"]),
                *(f"{name} is held elsewhere" for name in facts["held_elsewhere"]),
                *(["it fails"] if position in self.failing else []),
            ]
            lines += [f"  cell {position}: {'; '.join(told)}"] if told else []
        return lines

    def as_json(self) -> JSONObject:
        return {
            "cells": self.total,
            "ran": self.ran,
            "failing": list(self.failing),
            "observed": {str(position): _facts(text) for position, text in self.statements.items()},
        }


def _of_objects(text: str) -> str:
    """Return the statements about objects. What concerns files has no name in a marimo notebook that could order cells."""
    return "".join(f"\n{line}" for line in text.split("\n") if _STATEMENT.fullmatch(line))


def _facts(text: str) -> dict[str, list[Any]]:
    """Return what statements of `analysis.observations` say, as JSON."""
    found = [line.groups() for line in _STATEMENT.finditer(text)]
    return {
        "changes": [name for name, colon, _ in found if not colon],
        "shares": [[name, other] for name, colon, other in found if colon and other],
        "held_elsewhere": [name for name, colon, other in found if colon and not other],
    }


def trace(notebook: Notebook, progress: Callable[[int, str], object], seconds: float = SECONDS) -> Trace:
    """Run the notebook in its folder. `progress` is told after each cell. Raises `BridgeError`: kernel_dead."""
    return asyncio.run(_trace(notebook, progress, seconds))


async def _trace(notebook: Notebook, progress: Callable[[int, str], object], seconds: float) -> Trace:
    codes = {f"c{cell.position}": cell.source for cell in notebook.cells if cell.kind == "code"}
    folder = notebook.path.parent if notebook.path is not None else Path()
    ran, deadline = 0, Deadline.within(seconds)
    async with running(folder, codes, strict=False) as original:
        await original.lazily()
        with suppress(TimeIsUpError):  # what was seen by then is kept
            for cell, code in codes.items():
                await original.run(cell, code, deadline.left)
                ran += 1
                progress(1, f"the original: cell {cell.removeprefix('c')}")
        observed, page = await original.observed(), original.page()
    return Trace(
        {
            int(cell.removeprefix("c")): about
            for cell, text in observed.items()
            if cell in codes and (about := _of_objects(text))
        },
        ran,
        len(codes),
        tuple(int(cell.removeprefix("c")) for cell, outputs in page.items() if fails(outputs)),
    )


def packages(notebook: Notebook) -> dict[str, bool]:
    """Return the packages that the notebook imports, and whether each is here. Imports none."""
    codes = [cell.source for cell in notebook.cells if cell.kind == "code"]
    named = {module.partition(".")[0] for code in codes for module in imports(code)}
    folder = notebook.path.parent if notebook.path is not None else Path()
    beside = {path.stem for path in folder.glob("*.py")}
    return {
        name: name in beside or is_there(name)
        for name in sorted(named - {"", "__main__", *sys.stdlib_module_names})
    }
