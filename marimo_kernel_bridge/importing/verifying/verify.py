"""Verification of an import: runs the original and the result, and compares what their cells show.

The original runs under ipykernel, twice; the result runs on this package's kernel, which is marimo's runtime with
Jupyter's outputs. Then each cell of the result runs again, from first to last and from last to first, and once with one
literal changed, against a new run of the changed notebook. Owns the order of all this and its bound in time; what counts
as showing the same is in `comparison` and `outputs`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from marimo_kernel_bridge.importing.verifying.comparison import compare
from marimo_kernel_bridge.importing.verifying.effects import Effects
from marimo_kernel_bridge.importing.verifying.literals import edits
from marimo_kernel_bridge.importing.verifying.outputs import (
    fails,
    first_difference,
    show_the_same,
    shown_text,
)
from marimo_kernel_bridge.importing.verifying.running import (
    LONGEST_CELL,
    Deadline,
    TimeIsUpError,
    original,
    original_again,
    running,
)
from marimo_kernel_bridge.importing.verifying.texts_and_pictures import markdown_check, picture_check
from marimo_kernel_bridge.importing.verifying.verdict import Check, Difference, Verdict
from marimo_kernel_bridge.protocol.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from marimo_kernel_bridge.importing.verifying.literals import Edit
    from marimo_kernel_bridge.importing.verifying.outputs import Outputs
    from marimo_kernel_bridge.importing.verifying.running import Page, RunningNotebook
    from marimo_kernel_bridge.importing.verifying.verdict import CheckName, FirstRun
    from marimo_kernel_bridge.notebooks.ipynb import Conversion, Notebook

SECONDS: Final = 600.0
"""The time for everything after the first run, unless another is given."""
_TRIES: Final = 3
"""The literals of a cell that are tried, if the cell fails with the change."""


_CELL: Final = "cell "

Progress: TypeAlias = "Callable[[int, str], object]"
"""What is told of the work: how many more steps are done, and what is done, as `part: detail`."""


def steps(notebook: Notebook, conversion: Conversion) -> int:
    """Return how many steps `verify` reports at most: a step is the run of a cell, or of all cells after an edit."""
    editable = len(_editable(notebook, conversion))
    return 2 * sum(cell.kind == "code" for cell in notebook.cells) + 3 * len(conversion.codes) + editable


def verify(
    notebook: Notebook,
    conversion: Conversion,
    progress: Progress,
    *,
    strict: bool = True,
    seconds: float = SECONDS,
) -> Verdict:
    """Run the notebooks in the folder of the original.

    With `strict`, the result runs by marimo's own rules. What follows the first run takes at most `seconds`.

    Raises `BridgeError`: kernel_dead, kernel_silent.
    """
    return asyncio.run(_Verification(notebook, conversion, progress, strict, seconds).verdict())


def _code_of(notebook: Notebook, conversion: Conversion) -> dict[str, str]:
    """Return the cells of the result that are made of code cells, by their ids."""
    code = {cell.position for cell in notebook.cells if cell.kind == "code"}
    return {
        _id(number): text
        for number, (text, positions) in enumerate(zip(conversion.codes, conversion.positions, strict=True))
        if code & set(positions)
    }


def _editable(notebook: Notebook, conversion: Conversion) -> dict[str, list[Edit]]:
    """Return the edits to try of each cell of the result that has some, by the cells' ids."""
    effects = Effects(conversion.codes)
    tries = {
        cell: list(islice(edits(code, effects), _TRIES))
        for cell, code in _code_of(notebook, conversion).items()
    }
    return {cell: some for cell, some in tries.items() if some}


def _id(number: int) -> str:
    return f"result-{number}"


@dataclass
class _Verification:
    notebook: Notebook
    conversion: Conversion
    progress: Progress
    strict: bool
    seconds: float
    folder: Path = field(init=False)
    codes: dict[str, str] = field(init=False)
    made_of: dict[str, tuple[int, ...]] = field(init=False)
    first: Page = field(init=False, default_factory=dict)
    ran: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        path = self.notebook.path
        self.folder = path.parent if path is not None else Path()
        self.codes = {_id(number): code for number, code in enumerate(self.conversion.codes)}
        self.made_of = dict(zip(self.codes, self.conversion.positions, strict=True))

    async def verdict(self) -> Verdict:
        before, again = [await self._original(f"the original, run {number} of 2") for number in (1, 2)]
        async with running(self.folder, self.codes, strict=self.strict) as result:
            endless = await self._run_all(result)
            page = result.page()
            self.first = {cell: page[cell] for cell in self.ran}
            if endless is not None:
                return self._verdict_without(endless, before, again)
            first = self._compared(before, again)
            checks = self._shown_checks(before)
            unsteady = {*first.varying, *first.failing}
            steady = {cell for cell in self.codes if unsteady.isdisjoint(self.made_of[cell])}
            again_check = _Again(self, steady)
            edit_check = _Edits(self, steady)
            deadline = Deadline.within(self.seconds)
            stopped = False
            try:
                await again_check.run(result, deadline)
                await edit_check.run(result, deadline)
            except TimeIsUpError:
                stopped = True
        return Verdict(first, (*again_check.checks(), edit_check.check(), *checks), stopped)

    def _verdict_without(
        self, endless: str, before: Mapping[int, Outputs], again: Mapping[int, Outputs]
    ) -> Verdict:
        """Return what is known when a cell of the first run does not end, as in the original it does."""
        rest = {
            position for cell, made_of in self.made_of.items() if cell not in self.ran for position in made_of
        }
        first = self._compared(*({p: run[p] for p in run if p not in rest} for run in (before, again)))
        ends = Difference(self.made_of[endless], "time", "ends", f"does not end in {LONGEST_CELL:g} s")
        first = replace(first, differences=(*first.differences, ends))
        return Verdict(first, tuple(self._shown_checks(before)), stopped=True)

    def _compared(self, before: Mapping[int, Outputs], again: Mapping[int, Outputs]) -> FirstRun:
        shown = ((self.made_of[cell], outputs) for cell, outputs in self.first.items())
        return compare(before, again, [each for each in shown if not self._are_comments(each[0])])

    def _are_comments(self, positions: tuple[int, ...]) -> bool:
        """Whether cells of the original have nothing but comments. The result shows these as text: marimo has no such cells."""
        cells = [cell for cell in self.notebook.cells if cell.position in positions]
        lines = [line.strip() for cell in cells for line in split_lines(cell.source)]
        code = all(cell.kind == "code" for cell in cells)
        return code and any(lines) and all(line.startswith("#") for line in lines if line)

    def _shown_checks(self, before: Mapping[int, Outputs]) -> list[Check]:
        made_of = {cell: self.made_of[cell] for cell in self.ran}
        return [
            markdown_check(self.notebook, made_of, self.first),
            picture_check(self.notebook, made_of, self.first, before),
        ]

    async def _original(self, what: str) -> dict[int, Outputs]:
        page = await original(
            self.folder, self._original_codes, lambda cell: self.progress(1, f"{what}: {cell}")
        )
        return _by_position(page)

    async def original_fails_again(self, deadline: Deadline) -> set[int]:
        """Return the cells of the original that fail when they run again, by position."""
        page = await original_again(self.folder, self._original_codes, deadline)
        return {position for position, outputs in _by_position(page).items() if fails(outputs)}

    @property
    def _original_codes(self) -> dict[str, str]:
        return {f"{_CELL}{cell.position}": cell.source for cell in self.notebook.cells if cell.kind == "code"}

    async def _run_all(self, result: RunningNotebook) -> str | None:
        """Run the cells in order. Return the one that does not end, if there is one."""
        for cell, code in self.codes.items():
            try:
                await result.run(cell, code, LONGEST_CELL)
            except TimeIsUpError:
                return cell
            self.ran.append(cell)
            self.progress(1, f"the result: {self.named(cell)}")
        return None

    def named(self, cell: str) -> str:
        return f"cell {'+'.join(map(str, self.made_of[cell])) or 'added'}"

    def differences(self, cells: Iterable[str], wanted: Page, shown: Page, what: str) -> list[Difference]:
        return [
            Difference(
                self.made_of[cell],
                what,
                first_difference(*_texts(wanted[cell], shown[cell])),
                first_difference(*_texts(shown[cell], wanted[cell])),
            )
            for cell in cells
            if not show_the_same(wanted[cell], shown[cell])
        ]


def _by_position(page: Page) -> dict[int, Outputs]:
    return {int(cell.removeprefix(_CELL)): outputs for cell, outputs in page.items()}


def _texts(one: Outputs, other: Outputs) -> tuple[str, str]:
    texts = shown_text(one), shown_text(other)
    return texts if texts[0] != texts[1] else ("a picture", "another picture")


class _Again:
    """Runs each cell again, with what depends on it: no other cell may change.

    Cells that fail in the original, too, when they run again, do not count: they use what a cell below has closed, say.
    """

    def __init__(self, verification: _Verification, steady: set[str]) -> None:
        self._of = verification
        self._steady = [cell for cell in verification.codes if cell in steady]
        self._done: dict[CheckName, int] = {"run_again": 0, "in_reverse_order": 0}
        self._changed: dict[CheckName, list[list[Difference]]] = {name: [] for name in self._done}
        self._failing: set[int] = (
            set()
        )  # positions of cells that fail when they run again, and did not before

    async def run(self, result: RunningNotebook, deadline: Deadline) -> None:
        codes = list(self._of.codes)
        await self._in_order(result, deadline, "run_again", codes)
        await self._in_order(result, deadline, "in_reverse_order", codes[::-1])
        if self._failing:
            self._of.progress(0, "the original, each cell run again")
            excused = self._failing & await self._of.original_fails_again(deadline)
            for name, runs in self._changed.items():
                self._changed[name] = [
                    [each for each in changed if excused.isdisjoint(each.positions)] for changed in runs
                ]

    async def _in_order(
        self, result: RunningNotebook, deadline: Deadline, name: CheckName, order: Sequence[str]
    ) -> None:
        before = result.page()
        for cell in order:
            await result.run(cell, self._of.codes[cell], deadline.left)
            after = result.page()
            what = f"after {self._of.named(cell)} ran again"
            self._changed[name].append(self._of.differences(self._steady, before, after, what))
            self._failing.update(*(self._of.made_of[each] for each in self._steady if fails(after[each])))
            self._done[name] += 1
            before = after
            self._of.progress(1, f"{name.replace('_', ' ')}: {self._of.named(cell)}")

    def checks(self) -> list[Check]:
        total = len(self._of.codes)
        return [
            Check(
                name,
                done,
                total,
                tuple(each for changed in self._changed[name] for each in changed),
                sum(map(bool, self._changed[name])),
            )
            for name, done in self._done.items()
        ]


class _Edits:
    """Changes one literal in each cell: all cells then show what a new run of the changed notebook shows."""

    def __init__(self, verification: _Verification, steady: set[str]) -> None:
        self._of = verification
        self._steady = [cell for cell in verification.codes if cell in steady]
        editable = _editable(verification.notebook, verification.conversion)
        self._editable = {cell: tries for cell, tries in editable.items() if cell in steady}
        self._done = self._marked = 0
        self._wrong: set[str] = set()
        self._differences: list[Difference] = []

    async def run(self, result: RunningNotebook, deadline: Deadline) -> None:
        if self._editable:
            await self._restore(result, deadline)
        for cell, tries in self._editable.items():
            for edit in tries:
                await result.run(cell, edit.code, deadline.left)
                shown, stale = result.page(), await result.stale()
                if not fails(shown[cell]):
                    await self._compare(cell, edit, shown, stale, deadline)
                await self._undo(result, cell, edit, deadline, was_right=cell not in self._wrong)
                if not fails(shown[cell]):
                    break
            self._of.progress(1, f"edits: {self._of.named(cell)}")

    async def _compare(
        self, cell: str, edit: Edit, shown: Page, stale: frozenset[str], deadline: Deadline
    ) -> None:
        codes = self._of.codes | {cell: edit.code}
        async with running(self._of.folder, codes, strict=self._of.strict) as fresh:
            for each, code in codes.items():
                await fresh.run(each, code, deadline.left)
            wanted = fresh.page()
        what = f"after an edit of {self._of.named(cell)}, {edit}"
        self._marked += len(stale)
        unmarked = [each for each in self._steady if each not in stale]
        self._note(cell, self._of.differences(unmarked, wanted, shown, what))
        self._done += 1

    async def _undo(
        self, result: RunningNotebook, cell: str, edit: Edit, deadline: Deadline, *, was_right: bool
    ) -> None:
        before = {each: outputs for each, outputs in self._of.first.items() if each in self._steady}
        await result.run(cell, self._of.codes[cell], deadline.left)
        what = f"after {self._of.named(cell)} is as it was, {edit.after} -> {edit.before}"
        apart = self._of.differences(before, before, result.page(), what)
        if was_right:
            self._note(cell, apart)
        if apart:
            await self._restore(result, deadline)

    async def _restore(self, result: RunningNotebook, deadline: Deadline) -> None:
        """Run all cells in order, so that the next edit starts from what the first run shows."""
        for cell, code in self._of.codes.items():
            await result.run(cell, code, deadline.left)

    def _note(self, cell: str, differences: list[Difference]) -> None:
        self._differences += differences
        self._wrong |= {cell} if differences else set()

    def check(self) -> Check:
        return Check(
            "edits",
            self._done,
            len(self._editable),
            tuple(self._differences),
            wrong=len(self._wrong),
            marked=self._marked,
        )
