"""The measures: what of a notebook is right on the kernel as it is, or once it is imported."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from marimo_kernel_bridge.importing.verifying.literals import count_equal, edit_like
from tests.corpus.forks import ForkError, copied, forked
from tests.corpus.kernels import ReactiveKernel
from tests.corpus.reference import Bounds, Edited, Reference
from tests.corpus.shown import Page, Shown, apart, lacking, page


@dataclass
class Result:
    """What became of one notebook. None: it was not measured.

    `edits` counts edits after which each cell is right, or marked stale; `marked` counts marked cells, `needless` those of
    them that show what a fresh run shows.
    """

    notebook: str
    cells: int = 0
    deterministic: bool = False
    runs: bool | None = None
    faithful: bool | None = None
    pictures: bool | None = None
    stable: bool | None = None
    backwards: bool | None = None
    tried: int = 0
    edits: int = 0
    marked: int = 0
    needless: int = 0
    markdown: bool | None = None
    why: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def fails(self, measure: str, why: Sequence[str]) -> bool:
        """Note why a measure is not met; return whether it is met."""
        self.why += [f"{measure}: {each}" for each in why]
        return not why


@dataclass(frozen=True)
class Cells:
    """The cells of a notebook as they run, and of which cells of the original each is made."""

    codes: Mapping[str, str]
    made_of: Mapping[str, tuple[str, ...]]

    def wanted(self, cell: str, pages: Page) -> Shown:
        """What a cell should show, by a page of the original."""
        return sum((pages[each] for each in self.made_of[cell] if each in pages), Shown())

    def edited(self, edited: Edited, original: Mapping[str, str]) -> tuple[str, str] | None:
        """Return the cell to change and its new code, None if the literal cannot be found in it."""
        cell = next((cell for cell, parts in self.made_of.items() if edited.cell in parts), None)
        if cell is None:
            return None
        parts = [part for part in self.made_of[cell] if part in original]
        counts = {part: count_equal(edited.edit, original[part]) for part in parts}
        above = sum(counts[part] for part in parts[: parts.index(edited.cell)])
        like = edit_like(edited.edit, self.codes[cell], above, sum(counts.values()))
        return None if like is None else (cell, like.code)


def measure(
    path: Path, cells: Cells, expected: Reference, bounds: Bounds, result: Result, *, strict: bool
) -> None:
    """Run the cells on the kernel, in a fork of this process, and note what is right."""

    def on_kernel() -> Result:
        with copied(path.parent) as folder:
            kernel = ReactiveKernel(bounds.run, strict=strict)
            _measure(kernel, folder, cells, expected, bounds, result)
        return result

    measured = forked(on_kernel, 2 * (bounds.run + bounds.edits), fresh=True)
    vars(result).update(vars(measured))


def _measure(  # noqa: PLR0917  # as `measure`
    kernel: ReactiveKernel, folder: Path, cells: Cells, expected: Reference, bounds: Bounds, result: Result
) -> None:
    kernel.run_all(cells.codes)
    first = page(kernel.outputs(), str(folder)) | {}
    first = {cell: first.get(cell, Shown()) for cell in cells.codes}
    judge_first(first, cells, expected, result)

    def again(order: Sequence[str]) -> list[str]:
        with copied(folder) as copy:
            changes = []
            before = first
            for cell in order:
                if not cells.codes[cell].strip():
                    continue
                kernel.run(cell, cells.codes[cell])
                after = page(kernel.outputs(), str(copy))
                changes += [
                    f"{cell} again: {other} shows {apart(shown, before[other])}"
                    for other, shown in after.items()
                    if not shown.same(before[other])
                ]
                before = before | after
            return changes

    if expected.deterministic:
        order = list(cells.codes)
        for name, way in (("stable", order), ("backwards", order[::-1])):
            with _noted(result, name):
                setattr(result, name, result.fails(name, forked(lambda way=way: again(way), bounds.run)))
    comparable = {
        cell
        for cell, parts in cells.made_of.items()
        if all(expected.steady(part) for part in parts if part in expected.codes)
        and first[cell].same(cells.wanted(cell, expected.one))
        and any(part in expected.codes for part in parts)
    }
    for edited in expected.edits:
        change = cells.edited(edited, expected.codes)
        if change is None:
            continue

        def after_edit(change: tuple[str, str] = change) -> tuple[Page, set[str]]:
            with copied(folder) as copy:
                kernel.run(*change)
                return page(kernel.outputs(), str(copy)), kernel.stale()

        with _noted(result, f"edit of {edited.cell}"):
            result.tried += 1
            shown, stale = forked(after_edit, bounds.run)
            _judge_edit(edited, shown, stale, cells, comparable, result)


class _noted(suppress):  # noqa: N801  # a context like `suppress`
    """Notes a fork that did not return."""

    def __init__(self, result: Result, what: str) -> None:
        super().__init__(ForkError)
        self._result, self._what = result, what

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, ForkError):
            self._result.why.append(f"{self._what}: {str(error)[-300:]}")
        return bool(super().__exit__(kind, error, trace))


def judge_first(first: Page, cells: Cells, expected: Reference, result: Result) -> None:
    """Judge a first run."""
    failing = [
        f"{cell}: {shown.error}"
        for cell, shown in first.items()
        if shown.error
        and not any(expected.may_fail(part) for part in cells.made_of[cell] if part in expected.codes)
    ]
    result.runs = result.fails("runs", failing)
    agreed = {
        cell: Shown(
            tuple(text for text in shown.texts if text in expected.two[cell].texts),
            shown.pictures if shown.same(expected.two[cell]) else (),
        )
        for cell, shown in expected.one.items()
    }
    lost = [f"{part} is gone" for part, shown in agreed.items() if shown.texts and not _holder(cells, part)]
    lacks = [
        f"{cell} lacks {text[:80]!r}"
        for cell, shown in first.items()
        for text in lacking(cells.wanted(cell, agreed), shown)
    ]
    result.faithful = result.fails("faithful", lost + lacks) and result.runs
    pictures = [
        f"{cell}: {apart(Shown(pictures=wanted.pictures), Shown(pictures=shown.pictures))}"
        for cell, shown in first.items()
        if (wanted := cells.wanted(cell, agreed)).pictures
        and not Shown(pictures=wanted.pictures).same(Shown(pictures=shown.pictures))
    ]
    result.pictures = result.fails("pictures", pictures)


def _holder(cells: Cells, part: str) -> str | None:
    return next((cell for cell, parts in cells.made_of.items() if part in parts), None)


def _judge_edit(  # noqa: PLR0917  # as `measure`
    edited: Edited, shown: Page, stale: set[str], cells: Cells, comparable: set[str], result: Result
) -> None:
    wrong = []
    for cell in comparable & shown.keys():
        right = shown[cell].same(cells.wanted(cell, edited.page))
        if cell in stale:
            result.marked += 1
            result.needless += right
        elif not right:
            wrong.append(f"{cell} shows {apart(shown[cell], cells.wanted(cell, edited.page))}")
    result.edits += result.fails(f"edit of {edited.cell}, {edited.edit}", wrong)


def as_it_is(expected: Reference) -> Cells:
    """The notebook on the kernel, as it is."""
    return Cells(expected.codes, {cell: (cell,) for cell in expected.codes})
