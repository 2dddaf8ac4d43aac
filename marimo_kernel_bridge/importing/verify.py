"""Verification of an import: runs the original and the result, and compares their outputs cell by cell.

The original runs under ipykernel, twice: differences between these runs are nondeterministic and ignored, and a cell
that fails in them is the original's own failure. The result runs on this package's kernel, which is marimo's runtime
with Jupyter's outputs. Text is compared exactly, line by line, except memory addresses; images are compared visually.
"""

from __future__ import annotations

import asyncio
import base64
import io
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from marimo_kernel_bridge.client.front_end import opened, started_kernel
from marimo_kernel_bridge.protocol.lines import split_lines
from marimo_kernel_bridge.protocol.names import KERNELSPEC
from marimo_kernel_bridge.protocol.output_text import plain_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from marimo_kernel_bridge.notebooks.ipynb import Conversion, Notebook
    from marimo_kernel_bridge.notebooks.nbformat_json import JSONObject, OutputJSON

_Outputs: TypeAlias = "list[OutputJSON]"

LONGEST_CELL: Final = 1800.0
"""The time limit of one cell in seconds."""
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]+")
_TIMED: Final = re.compile(r"CPU times: |Wall time: |.* per loop\b|The slowest run took ")
"""The start of lines that report a duration. The Python that replaces a magic words them differently."""
_SIDE: Final = 64
"""Blocks per side in which pictures are compared, so that text shifted by a pixel is equal."""
_VISIBLE: Final = 24
"""The smallest visible difference of a block's color, of 255."""
_CLOSE: Final = 0.01
"""The largest share of visibly different blocks in pictures that count as equal."""
_SHAPE: Final = 0.1
"""The largest relative difference in size of pictures that count as equal."""


@dataclass(frozen=True)
class Difference:
    """A difference in the outputs of one cell of the result, which is made of the .ipynb's cells at `positions`."""

    positions: tuple[int, ...]
    what: str
    before: str
    after: str

    def __str__(self) -> str:
        name = "+".join(map(str, self.positions)) or "added"
        return f"cell {name}: {self.what}: {self.before!r} became {self.after!r}"


@dataclass(frozen=True)
class Verdict:
    """The result of the comparison. `compared` counts the cells with outputs.

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
        if self.same:
            text = f"all {self.compared} cells that show something show the same"
        else:
            text = f"{len(self.differences)} of {self.compared} cells that show something differ"
        if self.varying:
            text += f"; by itself varies {_cells(self.varying)}"
        if self.failing:
            text += f"; in the original fails {_cells(self.failing)}"
        return text

    def as_json(self) -> JSONObject:
        return {
            "same": self.same,
            "compared": self.compared,
            "varying": list(self.varying),
            "failing_in_the_original": list(self.failing),
            "differences": [
                {
                    "cells": list(difference.positions),
                    "what": difference.what,
                    "before": difference.before,
                    "after": difference.after,
                }
                for difference in self.differences
            ],
        }


def _cells(positions: Sequence[int]) -> str:
    return f"cell {positions[0]}" if len(positions) == 1 else f"cells {', '.join(map(str, positions))}"


def steps(notebook: Notebook, conversion: Conversion) -> int:
    """Return the number of cells that `verify` runs."""
    return 2 * sum(cell.kind == "code" for cell in notebook.cells) + len(conversion.codes)


def verify(notebook: Notebook, conversion: Conversion, progress: Callable[[int], object]) -> Verdict:
    """Run the notebooks in the folder of the original; `progress` is called with 1 after each cell.

    Raises `BridgeError`: kernel_dead, kernel_silent.
    """
    folder = notebook.path.parent if notebook.path is not None else Path()
    codes = [(cell.cell_id, cell.source) for cell in notebook.cells if cell.kind == "code"]
    before = asyncio.run(_run("python3", folder, codes, progress))
    again = asyncio.run(_run("python3", folder, codes, progress))
    results = [(f"result-{number}", code) for number, code in enumerate(conversion.codes)]
    after = asyncio.run(_run(KERNELSPEC, folder, results, progress))
    positions = [cell.position for cell in notebook.cells if cell.kind == "code"]
    return compare(
        dict(zip(positions, before, strict=True)),
        dict(zip(positions, again, strict=True)),
        list(zip(conversion.positions, after, strict=True)),
    )


async def _run(
    kernel: str, folder: Path, cells: Sequence[tuple[str, str]], progress: Callable[[int], object]
) -> list[_Outputs]:
    shown = []
    async with started_kernel(kernel, folder, subprocess.DEVNULL) as manager, opened(manager) as front_end:
        for cell_id, code in cells:
            cell = await front_end.run(cell_id, code, bound=LONGEST_CELL)
            shown.append(cell)
            progress(1)
    return [list(cell.log.outputs()) for cell in shown]


def compare(
    before: Mapping[int, _Outputs],
    again: Mapping[int, _Outputs],
    after: Sequence[tuple[tuple[int, ...], _Outputs]],
) -> Verdict:
    """Compare outputs. `before` and `again` are by position; `after` has the source positions of each cell."""
    differences: list[Difference] = []
    varying: set[int] = set()
    failing = {position for run in (before, again) for position in run if _fails(run[position])}
    compared = 0
    kept = {position for positions, _ in after for position in positions}
    left: list[tuple[tuple[int, ...], _Outputs]] = [
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
        if _varies(one, other):
            varying.update(positions)
        differences += _differences(positions, one, other, outputs)
    return Verdict(compared, tuple(differences), tuple(sorted(varying)), tuple(sorted(failing)))


def _fails(outputs: _Outputs) -> bool:
    return any(output["output_type"] == "error" for output in outputs)


def _varies(before: _Outputs, again: _Outputs) -> bool:
    """Return whether two runs of the same cell have different outputs."""
    one, other = _images(before), _images(again)
    return (
        shown_text(before) != shown_text(again)
        or len(one) != len(other)
        or any(_apart(*pair) > _CLOSE for pair in zip(one, other, strict=True))
    )


def _differences(
    positions: tuple[int, ...], before: _Outputs, again: _Outputs, after: _Outputs
) -> list[Difference]:
    """Compare a cell's outputs with those of two runs of the original; where these differ, any output matches."""
    old, new = shown_text(before), shown_text(after)
    if not _matches(split_lines(new), split_lines(old), split_lines(shown_text(again))):
        return [Difference(positions, "text", _excerpt(old, new), _excerpt(new, old))]
    images, others, steady = _images(before), _images(after), _images(again)
    if len(images) != len(steady):
        return []
    if len(images) != len(others):
        return [Difference(positions, "images", f"{len(images)} images", f"{len(others)} images")]
    return [
        Difference(positions, "images", f"image {number}", f"a picture of which {apart:.0%} looks different")
        for number, (one, two, other) in enumerate(zip(images, steady, others, strict=True), start=1)
        if (apart := _apart(one, other)) > _CLOSE and _apart(one, two) <= _CLOSE
    ]


def _matches(new: list[str], old: list[str], again: list[str]) -> bool:
    """Return whether lines match those on which two runs agree; where these differ, any line matches."""
    if len(old) != len(again):
        return True
    return len(new) == len(old) and all(
        line == one or one != two for line, one, two in zip(new, old, again, strict=True)
    )


def shown_text(outputs: _Outputs) -> str:
    """Return a cell's streams, then its other outputs: their relative order depends on the kernel."""
    streams, shown = [], []
    for output in outputs:
        match output["output_type"]:
            case "stream" if output.get("name") == "stdout":
                streams.append(plain_text(output))
            case "execute_result" | "display_data" | "error":
                shown.append(plain_text(output))
    text = "".join(streams) + "\n".join(shown)
    lines = [line for line in split_lines(text) if not _TIMED.match(line)]
    return _ADDRESS.sub("0x", "\n".join(lines)).strip()


def _excerpt(text: str, other: str) -> str:
    """Return the first line in which two texts differ."""
    lines, others = split_lines(text), split_lines(other)
    at = next(
        (i for i, (one, two) in enumerate(zip(lines, others, strict=False)) if one != two),
        min(len(lines), len(others)),
    )
    return lines[at][:100] if at < len(lines) else ""


def _images(outputs: _Outputs) -> list[str]:
    return [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]


def _apart(one: str, other: str) -> float:
    """Return the share of two pictures that looks different. Without Pillow, pictures are compared byte by byte."""
    if one == other:
        return 0.0
    try:
        from PIL import Image, ImageChops  # noqa: PLC0415  # comes with matplotlib, which draws most
    except ImportError:
        return 1.0
    pictures = [Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB") for data in (one, other)]
    (width, height), (other_width, other_height) = (picture.size for picture in pictures)
    if abs(width / height - other_width / other_height) > _SHAPE * width / height:
        return 1.0
    blocks = [picture.resize((_SIDE, _SIDE), Image.Resampling.BOX) for picture in pictures]
    seen = [max(pixel) > _VISIBLE for pixel in _pixels(ImageChops.difference(*blocks))]
    return sum(seen) / len(seen)


def _pixels(picture: Any) -> Iterator[tuple[int, ...]]:  # Pillow's image
    data = picture.tobytes()
    return (tuple(data[at : at + 3]) for at in range(0, len(data), 3))
