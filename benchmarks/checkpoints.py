"""Checkpoints of values on disk beside pickle and cloudpickle: what saving and restoring takes.

In this process, without a kernel; both sync what they write. The files are in the page cache when they are read, for both.
"""

from __future__ import annotations

import os
import pickle
import shutil
import sys
import time
import types
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import cloudpickle
from msgspec.structs import asdict

from benchmarks.contenders import BUILD
from benchmarks.measuring import OURS, Row, Sample, Settings, check, interleave, ratio
from marimo_kernel_bridge.checkpoints.manifest import BlobStream, Manifest, SavedGroup
from marimo_kernel_bridge.checkpoints.store import Store
from marimo_kernel_bridge.kernel.checkpoints.pickling import OUT_OF_BAND, load_group, pickle_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from marimo_kernel_bridge.checkpoints.manifest import SavedBuffer
    from marimo_kernel_bridge.checkpoints.store import Saving

PICKLE: Final = "pickle"
CLOUDPICKLE: Final = "cloudpickle"
_SHELF: Final = "benchmark"
_SETUP: Final = "import functools, random, numpy as np, pandas as pd\nrng = np.random.default_rng(0)"
_ARRAYS: Final = "image = rng.random({size} // 8)"
_FRAME: Final = """
frame = pd.DataFrame({{f'c{{n}}': rng.random({size} // 112) for n in range(10)}})
frame['n'] = np.arange(len(frame))
frame['s'] = pd.Categorical(['north', 'south'] * (len(frame) // 2) + ['north'] * (len(frame) % 2))
"""
_OBJECTS: Final = (
    "rows = [{{'number': n, 'tags': [n]}} for n in range({size} // 3_000)]\nlimits, few = [1, 2], rows[:3]"
)
_MIXED: Final = """
frame = pd.DataFrame(rng.random(({size} // 100, 6)), columns=list('abcdef'))
alias, part, means = frame, frame[frame.a > 0.5], frame.mean()
grouped = frame.groupby((frame.a * 10).astype(int)).mean()
image = rng.random(({size} // 80, 8))
flat, corner = image.reshape(-1), image[:10, :2]
limit, name, options, seen = 0.5, 'run', {{'depth': [3, 4]}}, {{1, 2}}
records = [{{'id': n, 'text': str(n)}} for n in range({size} // 5_000)]
words = [f'word {{n}}' for n in range({size} // 2_000)]
class Model:
    def __init__(self): self.layers = [np.zeros({size} // 800) for _ in range(4)]
    def predict(self, x): return x * limit
model, other = Model(), Model()
def above(x): return x[x > limit]
@functools.cache
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
pick = functools.partial(above, image)
"""


class _Notebook:
    """A namespace of `__main__`, its values and the folder for what is saved of them."""

    def __init__(self, code: str, size: int, folder: Path) -> None:
        module = sys.modules["__main__"] = types.ModuleType("__main__")
        self.names: dict[str, Any] = module.__dict__
        exec(_SETUP, self.names)  # noqa: S102  # this module's own code
        known = set(self.names)
        exec(code.format(size=size), self.names)  # noqa: S102
        self.values = {name: value for name, value in self.names.items() if name not in known}
        self.store = Store(folder / "store", quota=1 << 40)
        self.file = folder / "pickle"

    def save(self) -> int:
        """Save a checkpoint, and return the bytes of its new blobs."""
        groups, refused, _ = pickle_groups(self.values, self.names)
        check(not refused, f"not kept: {refused}")
        saved = []
        with self.store.saving(_SHELF, "state", "named") as saving:
            for group in groups:
                small = len(group.stream) < OUT_OF_BAND
                stream = (
                    saving.pack(group.stream) if small else BlobStream(**asdict(_blob(saving, group.stream)))
                )
                buffers = tuple(_blob(saving, buffer, raw=not group.offsets) for buffer in group.buffers)
                saved.append(
                    SavedGroup(group.names, stream, buffers, code=group.code, verified=group.offsets)
                )
            saving.commit(Manifest(name="", kind="named", at=0.0, python="", groups=tuple(saved)))
            return saving.bytes_written

    def restore(self) -> dict[str, object]:
        with self.store.open(_SHELF) as opened:
            groups = [load_group(*opened.read(group), self.names) for group in opened.manifest.groups]
        return {name: value for group in groups for name, value in group.items()}

    def forget(self) -> None:
        """Delete what is saved, so that the next save writes all."""
        shutil.rmtree(self.store.folder, ignore_errors=True)

    def pickle(self, dump: Callable[..., None]) -> None:
        with self.file.open("wb") as file:
            dump(self.values, file, protocol=5)
            file.flush()
            os.fsync(file.fileno())

    def unpickle(self) -> dict[str, object]:
        with self.file.open("rb") as file:
            values: dict[str, object] = pickle.load(file)  # noqa: S301  # what `pickle` wrote
        return values


def _blob(saving: Saving, data: bytes | memoryview, *, raw: bool = False) -> SavedBuffer:
    writing = saving.write(data, raw=raw)
    while (blob := writing.step()) is None:
        pass
    return blob


def _timed(work: Callable[[], object]) -> Sample:
    wall, cpu = time.perf_counter(), time.process_time()
    kept = work()
    sample = Sample(time.perf_counter() - wall, time.process_time() - cpu)
    del kept  # freeing it is not measured
    return sample


def run(settings: Settings) -> Iterator[Row]:
    folder = BUILD / "benchmarks" / "checkpoints-of-values"
    main = sys.modules["__main__"]
    try:
        yield from _rows(settings, folder)
    finally:
        sys.modules["__main__"] = main
        shutil.rmtree(folder, ignore_errors=True)


def _rows(settings: Settings, folder: Path) -> Iterator[Row]:
    size = settings.pick(1_000_000_000, 100_000_000)
    rounds = settings.pick(5, 3)
    of = f"of {size // 10**6:,} MB"
    for name, code, saved, restored in (
        (f"an array {of}", _ARRAYS, 1.5, 0.1),
        (f"a frame {of}", _FRAME, 1.5, 0.1),
        (f"{2 * size // 3_000:,} small dicts and lists", _OBJECTS, 3.5, None),
    ):
        yield from _beside_pickle(_Notebook(code, size, _emptied(folder)), name, rounds, saved, restored)
    yield from _mixed(_Notebook(_MIXED, size // 20, _emptied(folder)), rounds)


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _beside_pickle(
    notebook: _Notebook, name: str, rounds: int, saved: float, restored: float | None
) -> Iterator[Row]:
    def save() -> Sample:
        notebook.forget()
        return _timed(notebook.save)

    contenders = {OURS: save, PICKLE: partial(_timed, partial(notebook.pickle, pickle.dump))}
    yield _row(f"save {name}", saved, interleave(rounds, contenders, []), PICKLE)
    if restored is not None:
        check(notebook.save() == 0, "an unchanged save wrote blobs")
        restoring = {OURS: partial(_timed, notebook.restore), PICKLE: partial(_timed, notebook.unpickle)}
        yield _row(f"restore {name}", restored, interleave(rounds, restoring, []), PICKLE)


def _mixed(notebook: _Notebook, rounds: int) -> Iterator[Row]:
    name = f"{len(notebook.values)} values of several kinds"
    notebook.save()
    notebook.pickle(cloudpickle.dump)
    restored = notebook.restore()
    check(restored["alias"] is restored["frame"], "an alias came back as a copy")
    restoring = {OURS: partial(_timed, notebook.restore), CLOUDPICKLE: partial(_timed, notebook.unpickle)}
    yield _row(f"restore {name}", 1.5, interleave(rounds, restoring, []), CLOUDPICKLE)
    notebook.values["grouped"] = notebook.values["grouped"] + 1
    own = notebook.values["grouped"].memory_usage(deep=True).sum()
    more = (notebook.save() - own) / 1000
    yield Row(
        "bytes written beyond its own after a change of one value", "≤ 100", 100, float(more), unit="kB"
    )


def _row(name: str, limit: float, samples: dict[str, list[Sample]], other: str) -> Row:
    return Row(
        f"{name}: CPU",
        f"≤ {limit} of {other}",
        limit,
        ratio(samples, OURS, other, "cpu"),
        kind="cpu",
        samples=samples,
    )
