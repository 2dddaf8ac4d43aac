"""The comparison of a first run: what the cells of the result show, against two runs of the original. Pure.

Differences between the runs of the original are nondeterministic and ignored, and a cell that fails in them is the
original's own failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.importing.verifying.outputs import (
    CLOSE,
    Outputs,
    apart,
    fails,
    first_difference,
    images,
    show_the_same,
    shown_text,
)
from marimo_kernel_bridge.importing.verifying.verdict import Difference, FirstRun
from marimo_kernel_bridge.protocol.lines import split_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def compare(
    before: Mapping[int, Outputs],
    again: Mapping[int, Outputs],
    after: Sequence[tuple[tuple[int, ...], Outputs]],
) -> FirstRun:
    """Compare outputs. `before` and `again` are by position; `after` has the source positions of each cell."""
    differences: list[Difference] = []
    varying: set[int] = set()
    failing = {position for run in (before, again) for position in run if fails(run[position])}
    compared = 0
    kept = {position for positions, _ in after for position in positions}
    left: list[tuple[tuple[int, ...], Outputs]] = [
        ((position,), []) for position in before if position not in kept
    ]
    for positions, outputs in [*after, *left]:
        if not any(position in before for position in positions) or not failing.isdisjoint(positions):
            continue
        one, other = (
            [output for position in sorted(positions) for output in run.get(position, [])]
            for run in (before, again)
        )
        compared += bool(one)
        if not show_the_same(one, other):
            varying.update(positions)
        differences += _differences(positions, one, other, outputs)
    return FirstRun(compared, tuple(differences), tuple(sorted(varying)), tuple(sorted(failing)))


def _differences(
    positions: tuple[int, ...], before: Outputs, again: Outputs, after: Outputs
) -> list[Difference]:
    """Compare a cell's outputs with those of two runs of the original, neither of which fails.

    Where these differ, any output matches, but no failure, and nothing only if one of them shows nothing.
    """
    old, new = shown_text(before), shown_text(after)
    missing = bool(old and shown_text(again) and not new)
    if (
        fails(after)
        or missing
        or not _matches(split_lines(new), split_lines(old), split_lines(shown_text(again)))
    ):
        return [Difference(positions, "text", first_difference(old, new), first_difference(new, old))]
    pictures, others, steady = images(before), images(after), images(again)
    if pictures and steady and not others:
        return [Difference(positions, "images", f"{len(pictures)} images", "0 images")]
    if len(pictures) != len(steady):
        return []
    if len(pictures) != len(others):
        return [Difference(positions, "images", f"{len(pictures)} images", f"{len(others)} images")]
    return [
        Difference(positions, "images", f"image {number}", f"a picture of which {share:.0%} looks different")
        for number, (one, two, other) in enumerate(zip(pictures, steady, others, strict=True), start=1)
        if (share := apart(one, other)) > CLOSE and apart(one, two) <= CLOSE
    ]


def _matches(new: list[str], old: list[str], again: list[str]) -> bool:
    """Return whether lines match those on which two runs agree; where these differ, any line matches."""
    if len(old) != len(again):
        return True
    return len(new) == len(old) and all(
        line == one or one != two for line, one, two in zip(new, old, again, strict=True)
    )
