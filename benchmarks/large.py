"""A notebook with a gigabyte of frames, arrays and a model: what watching and keeping them costs.

The notebook runs twice from top to bottom, as a person does after a change at the top: the second run mutates again
what the first one made. Memory is the peak of the process, in which ipykernel briefly holds a frame and its successor.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.contenders import Kernel, started
from benchmarks.measuring import OURS, STOCK, Row, Sample, Settings, check, interleave, ratio, timed

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOTEBOOK: Final = (
    "import numpy as np\nimport pandas as pd",
    "rng = np.random.default_rng(0)\nframe = pd.DataFrame(rng.random(({rows}, 6)), columns=list('abcdef'))",
    "limit = 0.5",
    "frame['total'] = frame['a'] + frame['b']\nframe.head()",
    "part = frame[frame['a'] > limit]\nlen(part)",
    "means = frame.groupby((frame['c'] * 10).astype(int))['total'].mean()\nmeans",
    "image = rng.random({rows} * 2)\nimage[0] = limit",
    "image *= 2\nimage.shape",
    (
        "class Model:\n"
        "    def __init__(self): self.layers = [np.zeros({rows} // 4) for _ in range(8)]\n"
        "    def fit(self, x):\n"
        "        for layer in self.layers: layer += x.mean()\n"
        "        return self\n"
        "    def predict(self, x): return x + self.layers[0][: len(x)]\n"
        "model = Model()"
    ),
    "fitted = model.fit(image)",
    "model.predict(image[:3]).round(6)",
    "frame.describe()",
    *(f"n{number} = {number}\nn{number} + limit" for number in range(20)),
    "print(round(frame['total'].sum(), 3), round(image.sum(), 3), len(part), model.layers[7][0].round(6))",
)


def _run_twice(name: str, rows: int, shown: dict[str, str], memory: dict[str, list[Sample]]) -> Sample:
    cells = [(f"cell-{number}", code.replace("{rows}", str(rows))) for number, code in enumerate(_NOTEBOOK)]
    with started(name) as kernels:
        kernel = kernels[name]
        kernel.run("import pandas", "first")  # the start and the imports are other rows
        with timed(kernel.cpu) as taken:
            for _ in range(2):
                requests = [kernel.send(code, cell) for cell, code in cells]
                seen = kernel.until_idle(set(requests))
                check(all(kernel.reply()["content"]["status"] == "ok" for _ in cells), "a cell failed")
        last = [m["content"]["text"] for m in seen if m["msg_type"] == "stream"]
        shown[name] = last[-1]
        peak = _peak_memory(kernel)
        memory.setdefault(name, []).append(Sample(peak, peak))
    return taken[0]


def _peak_memory(kernel: Kernel) -> int:
    """Return the largest resident size that the process had, in bytes; its present one where Linux's is not there."""
    status = Path(f"/proc/{kernel.process.pid}/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) * 1024 if found else kernel.process.memory_info().rss


def run(settings: Settings) -> Iterator[Row]:
    rows = settings.pick(8_000_000, 400_000)
    shown: dict[str, str] = {}
    memory: dict[str, list[Sample]] = {}
    contenders = {name: partial(_run_twice, name, rows, shown, memory) for name in (STOCK, OURS)}
    samples = interleave(settings.pick(3, 2), contenders, [], warm_up=0)
    check(shown[OURS] == shown[STOCK], f"{shown[OURS]} instead of {shown[STOCK]}")
    name = f"a notebook with {rows * 128 // 10**6:,} MB of frames and models, run twice"
    yield Row(f"{name}: CPU", "≤ 1.10", 1.10, ratio(samples, OURS, STOCK, "cpu"), kind="cpu", samples=samples)
    yield Row(
        f"{name}: peak memory",
        "≤ 1.5",
        1.5,
        ratio(memory, OURS, STOCK),
        samples=memory,
        sample_unit="MiB",
    )
