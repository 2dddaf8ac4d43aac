"""What a notebook shows under ipykernel: in two runs, and from top to bottom after each of some edits. Kept in a folder."""

import hashlib
import pickle
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path

from marimo_kernel_bridge.importing.verifying.literals import Edit, edits
from marimo_kernel_bridge.notebooks.ipynb import Notebook, read_notebook
from tests.corpus.forks import ForkError, copied, forked
from tests.corpus.kernels import PlainKernel
from tests.corpus.shown import Page, page

KEPT = Path(".build/corpus/references")
TRIES = 3
"""The literals of a cell that are tried, if the notebook fails with the change."""


@dataclass(frozen=True)
class Edited:
    """An edit of a cell, and what a run of the changed notebook shows."""

    cell: str
    edit: Edit
    page: Page = field(repr=False)


@dataclass(frozen=True)
class Reference:
    """Two runs of the original, and the edits. `untried` counts cells of which each edit fails, or that took too long."""

    codes: Mapping[str, str]
    one: Page
    two: Page
    edits: tuple[Edited, ...] = ()
    untried: int = 0

    def steady(self, cell: str) -> bool:
        return self.one[cell].same(self.two[cell]) and not self.one[cell].error

    @property
    def deterministic(self) -> bool:
        return all(self.one[cell].same(self.two[cell]) for cell in self.codes)

    def may_fail(self, cell: str) -> bool:
        return bool(self.one[cell].error or self.two[cell].error)


@dataclass(frozen=True)
class Bounds:
    """Seconds for one run of a notebook, seconds for all edits of one, and how many cells of it are edited at most."""

    run: float = 300
    edits: float = 300
    most: int = 12


def codes_of(notebook: Notebook) -> dict[str, str]:
    """The code cells by their positions."""
    return {f"c{cell.position}": cell.source for cell in notebook.cells if cell.kind == "code"}


def reference(path: Path, bounds: Bounds) -> Reference:
    """Return what the notebook shows, from the kept results if it is there."""
    about = f"{sys.prefix} {path.resolve()} {bounds} {[each.name for each in fields(Reference)]}"
    key = hashlib.sha256(about.encode() + path.read_bytes()).hexdigest()[:24]
    kept = KEPT / f"{key}.pickle"
    if kept.exists():
        return pickle.loads(kept.read_bytes())
    codes = codes_of(read_notebook(path))
    two = forked(lambda: _run(path, codes), bounds.run, fresh=True)
    whole = bounds.run + bounds.edits
    one, edited, untried = forked(lambda: _run_with_edits(path, codes, bounds), whole, fresh=True)
    result = Reference(codes, one, two, edited, untried)
    KEPT.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(pickle.dumps(result))
    return result


def _run(path: Path, codes: Mapping[str, str]) -> Page:
    with copied(path.parent) as folder:
        kernel = PlainKernel()
        for cell, code in codes.items():
            kernel.run(cell, code)
        return page(kernel.outputs(), str(folder))


def _run_with_edits(
    path: Path, codes: Mapping[str, str], bounds: Bounds
) -> tuple[Page, tuple[Edited, ...], int]:
    """Run the notebook; where a cell is edited, also run the rest of it in a fork."""
    editable = [cell for cell, code in codes.items() if next(edits(code), None) is not None]
    step = max(1.0, len(editable) / bounds.most)
    chosen = {editable[int(number * step)] for number in range(int(len(editable) / step))}
    tried: list[list[Edited]] = []
    spent = 0.0
    with copied(path.parent) as folder:
        kernel = PlainKernel()
        for cell, code in codes.items():
            if cell in chosen and spent < bounds.edits * 0.8:
                started = time.monotonic()
                tried.append(list(_tries(kernel, cell, codes, folder, bounds.edits * 0.2)))
                spent += time.monotonic() - started
            kernel.run(cell, code)
        one = page(kernel.outputs(), str(folder))
    fails = {cell for cell, shown in one.items() if shown.error}
    good = (
        next((each for each in tries if not {c for c, s in each.page.items() if s.error} - fails), None)
        for tries in tried
    )
    edited = tuple(each for each in good if each is not None)
    return one, edited, len(chosen) - len(edited)


def _tries(
    kernel: PlainKernel, cell: str, codes: Mapping[str, str], folder: Path, bound: float
) -> Iterator[Edited]:
    for edit in islice(edits(codes[cell]), TRIES):

        def rest(edit: Edit = edit) -> Page:
            with copied(folder) as copy:
                on = False
                for other, code in codes.items():
                    on = on or other == cell
                    if on:
                        kernel.run(other, edit.code if other == cell else code)
                return page(kernel.outputs(), str(copy))

        try:
            shown = forked(rest, bound)
        except ForkError:
            continue
        yield Edited(cell, edit, shown)
        if not any(each.error for each in shown.values()):
            return
