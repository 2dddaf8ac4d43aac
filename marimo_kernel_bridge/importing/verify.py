"""Whether a converted notebook shows what the original shows: both are run, and compared cell by cell.

The original runs under ipykernel, the result on this package's kernel, which is marimo's runtime with Jupyter's
outputs. Texts are compared exactly, but for addresses in memory; images by how they look.
"""

from __future__ import annotations

import asyncio
import base64
import io
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.front_end import opened, started_kernel
from marimo_kernel_bridge.install import NAME
from marimo_kernel_bridge.outputs import strip_ansi

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marimo_kernel_bridge.ipynb import Conversion, Notebook

LONGEST_CELL: Final = 1800.0
"""Seconds that one cell may take."""
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]+")
_CLOSE: Final = 0.02
"""The mean difference of two pictures, of 1 for black against white, up to which they look alike."""
_SIDE: Final = 64


@dataclass(frozen=True)
class Difference:
    """What one cell of the result shows otherwise. `positions` are the cells of the .ipynb that it is made of."""

    positions: tuple[int, ...]
    what: str
    before: str
    after: str

    def __str__(self) -> str:
        name = "+".join(map(str, self.positions)) or "added"
        return f"cell {name}: {self.what}: {self.before!r} became {self.after!r}"


@dataclass(frozen=True)
class Verdict:
    """The comparison of two runs. `compared` counts cells that show something."""

    compared: int
    differences: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        return not self.differences

    def __str__(self) -> str:
        if self.same:
            return f"all {self.compared} cells that show something show the same"
        return f"{len(self.differences)} of {self.compared} cells that show something differ"

    def as_json(self) -> dict[str, Any]:  # JSON
        return {
            "same": self.same,
            "compared": self.compared,
            "differences": [
                {"cells": list(each.positions), "what": each.what, "before": each.before, "after": each.after}
                for each in self.differences
            ],
        }


def verify(notebook: Notebook, conversion: Conversion, progress: Callable[[int], object]) -> Verdict:
    """Run both notebooks in the folder of the original. Raises `BridgeError`: kernel_dead, kernel_silent."""
    folder = notebook.path.parent if notebook.path is not None else Path()
    before = asyncio.run(
        _run(
            "python3", folder, [(cell.cell_id, cell.source) for cell in notebook.cells if cell.kind == "code"]
        )
    )
    progress(1)
    codes = [(f"result-{number}", code) for number, code in enumerate(conversion.codes)]
    after = asyncio.run(_run(NAME, folder, codes))
    progress(1)
    positions = [cell.position for cell in notebook.cells if cell.kind == "code"]
    return compare(
        dict(zip(positions, before, strict=True)), list(zip(conversion.positions, after, strict=True))
    )


async def _run(
    kernel: str, folder: Path, cells: Sequence[tuple[str, str]]
) -> list[list[dict[str, Any]]]:  # nbformat
    shown = []
    async with started_kernel(kernel, folder, subprocess.DEVNULL) as manager, opened(manager) as front_end:
        for cell_id, code in cells:
            cell = await front_end.run(cell_id, code, bound=LONGEST_CELL)
            shown.append(cell)
    return [list(cell.log.outputs()) for cell in shown]


def compare(
    before: dict[int, list[dict[str, Any]]],  # nbformat
    after: Sequence[tuple[tuple[int, ...], list[dict[str, Any]]]],  # nbformat
) -> Verdict:
    """Compare what cells show. `before` is by position; `after` has the positions that each cell is made of."""
    differences = []
    compared = 0
    kept = {position for positions, _ in after for position in positions}
    left: list[tuple[tuple[int, ...], list[dict[str, Any]]]] = [  # nbformat
        ((position,), []) for position in before if position not in kept
    ]
    for positions, outputs in [*after, *left]:
        original = [output for position in sorted(positions) for output in before.get(position, [])]
        if not positions or not any(position in before for position in positions):
            continue
        compared += bool(original)
        differences += _differences(positions, original, outputs)
    return Verdict(compared, tuple(differences))


def _differences(
    positions: tuple[int, ...],
    before: list[dict[str, Any]],  # nbformat
    after: list[dict[str, Any]],  # nbformat
) -> list[Difference]:
    old, new = _text(before), _text(after)
    if old != new:
        return [Difference(positions, "text", _excerpt(old, new), _excerpt(new, old))]
    images, others = _images(before), _images(after)
    if len(images) != len(others):
        return [Difference(positions, "images", f"{len(images)} images", f"{len(others)} images")]
    return [
        Difference(positions, "images", f"image {number}", f"a picture that differs by {apart:.0%}")
        for number, (one, other) in enumerate(zip(images, others, strict=True), start=1)
        if (apart := _apart(one, other)) > _CLOSE
    ]


def _text(outputs: list[dict[str, Any]]) -> str:  # nbformat
    """Return what a cell prints, then what it shows: the order between the two differs between kernels."""
    streams, shown = [], []
    for output in outputs:
        match output["output_type"]:
            case "stream" if output.get("name") == "stdout":
                streams.append(output["text"])
            case "execute_result" | "display_data":
                shown.append(output["data"].get("text/plain", ""))
            case "error":
                shown.append(f"{output['ename']}: {output['evalue']}")
    text = strip_ansi("".join(streams) + "\n".join(shown))
    return _ADDRESS.sub("0x", text).strip()


def _excerpt(text: str, other: str) -> str:
    """Return the line at which two texts part."""
    lines, others = text.splitlines(), other.splitlines()
    at = next(
        (i for i, (one, two) in enumerate(zip(lines, others, strict=False)) if one != two),
        min(len(lines), len(others)),
    )
    return lines[at][:100] if at < len(lines) else ""


def _images(outputs: list[dict[str, Any]]) -> list[str]:  # nbformat
    return [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]


def _apart(one: str, other: str) -> float:
    """Return how far two pictures are apart, from 0 to 1. Without Pillow, only equal ones are alike."""
    if one == other:
        return 0.0
    try:
        from PIL import Image, ImageChops, ImageStat  # noqa: PLC0415  # comes with matplotlib, which draws most
    except ImportError:
        return 1.0
    pictures = [
        Image.open(io.BytesIO(base64.b64decode(data))).convert("L").resize((_SIDE, _SIDE))
        for data in (one, other)
    ]
    return float(ImageStat.Stat(ImageChops.difference(*pictures)).mean[0]) / 255
