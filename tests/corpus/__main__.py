"""Measures notebooks: `make corpus` as imported, `make corpus-live` on the kernel as they are.

    python -m tests.corpus import FOLDER ... [--only TEXT] [--resume]
    python -m tests.corpus live FOLDER ...

Each notebook is compared with ipykernel, in a copy of its folder:

* *run*: no cell fails that does not fail under ipykernel.
* *faithful*: it runs, and each text that two runs under ipykernel agree on is in the outputs of the same cell.
* *stable*: running each single cell again, with what depends on it, changes no cell; *backwards*: also from last to first.
  Only of notebooks that two runs under ipykernel agree on.
* *edits*: one literal of a cell is changed and the cell is run; each cell that is not marked stale shows what a run of
  the changed notebook under ipykernel shows. Of the marked ones, *needless* are those that show just that, too.
* *pictures*: figures look the same. *Markdown*, as imported: lists, tables, formulas, links and pictures show as in JupyterLab.

Results are written after each notebook; `--resume` goes on with them.
"""

# ruff: noqa: T201  # a command: what it finds is printed

import argparse
import importlib
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from tests.corpus.forks import ForkError, forked
from tests.corpus.measures import Result, as_it_is, measure
from tests.corpus.reference import Bounds, reference

PRELOADED = (
    "numpy", "pandas", "matplotlib.pyplot", "scipy.stats", "sympy", "seaborn", "statsmodels.api",
    "sklearn.base", "xarray", "nbformat", "ipywidgets", "marimo", "marimo_kernel_bridge.importing.to_marimo",
)  # fmt: skip
"""What many notebooks import: loaded once, before all forks."""
SHOWN = ("runs", "faithful", "pictures", "stable", "backwards", "markdown")


def preload() -> None:
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # threads do not survive forks
    os.environ["IPYTHONDIR"] = tempfile.mkdtemp()  # not the history of a person
    sys.path.insert(0, "")  # as in a kernel: modules beside the notebook can be imported
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    logging.getLogger("kernel").setLevel(logging.ERROR)
    for module in PRELOADED:
        with suppress(ImportError):
            importlib.import_module(module)


def measured(kind: str, path: Path, bounds: Bounds) -> Result:
    result = Result(str(path))
    started = time.monotonic()
    try:
        expected = reference(path, bounds)
        result.cells, result.deterministic = len(expected.codes), expected.deterministic
        if kind == "live":
            measure(path, as_it_is(expected), expected, bounds, result, strict=False)
        else:
            from tests.corpus.imported import converted, markdown  # noqa: PLC0415  # slow to import

            cells = forked(lambda: converted(path), bounds.run)
            result.markdown = result.fails("markdown", forked(lambda: markdown(path), bounds.run))
            measure(path, cells, expected, bounds, result, strict=True)
    except ForkError as failure:
        result.runs = bool(result.runs)
        result.why.append(f"measuring: {str(failure)[-600:]}")
    result.seconds = round(time.monotonic() - started, 1)
    return result


def told(result: Result) -> str:
    marks = {True: "yes", False: "NO", None: "-"}
    parts = [f"{name} {marks[getattr(result, name)]}" for name in SHOWN]
    return f"{', '.join(parts)}, edits {result.edits} of {result.tried} ({result.seconds} s)"


def summary(results: Sequence[Result]) -> str:
    rows = ["| | |", "|---|---|"]
    for name in SHOWN:
        values = [value for result in results if (value := getattr(result, name)) is not None]
        if values:
            rows.append(f"| {name} | {sum(values)} of {len(values)} |")
    edits, tried, marked, needless = (
        sum(getattr(result, name) for result in results) for name in ("edits", "tried", "marked", "needless")
    )
    rows.append(f"| edits, right or marked | {edits} of {tried} |")
    rows.append(f"| marked cells that show what a fresh run shows | {needless} of {marked} |")
    return "\n".join(rows)


def notebooks(folders: Sequence[Path], only: str) -> list[Path]:
    found = {
        path for folder in folders for path in ([folder] if folder.is_file() else folder.rglob("*.ipynb"))
    }
    return sorted(path for path in found if only in str(path) and ".ipynb_checkpoints" not in path.parts)


def main() -> None:
    arguments = argparse.ArgumentParser(
        prog="python -m tests.corpus",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument("kind", choices=("import", "live"))
    arguments.add_argument("folders", type=Path, nargs="+")
    arguments.add_argument("--only", default="", help="notebooks whose path contains this")
    arguments.add_argument("--resume", action="store_true", help="go on with the results that are there")
    arguments.add_argument(
        "--run-bound", type=float, default=Bounds.run, help="seconds for a run of a notebook"
    )
    arguments.add_argument(
        "--edit-bound", type=float, default=Bounds.edits, help="seconds for the edits of one"
    )
    arguments.add_argument("--most-edits", type=int, default=Bounds.most, help="edited cells of one")
    chosen = arguments.parse_args()
    bounds = Bounds(chosen.run_bound, chosen.edit_bound, chosen.most_edits)
    file = Path(f".build/corpus/{chosen.kind}.json")
    file.parent.mkdir(parents=True, exist_ok=True)
    before = json.loads(file.read_text()) if chosen.resume and file.exists() else []
    results = {each["notebook"]: Result(**each) for each in before}
    preload()
    paths = notebooks(chosen.folders, chosen.only)
    for number, path in enumerate(paths, start=1):
        if str(path) not in results:
            results[str(path)] = measured(chosen.kind, path, bounds)
        result = results[str(path)]
        print(f"{number}/{len(paths)} {path.name}: {told(result)}", flush=True)
        for why in result.why[:12]:
            print(f"    {why}", flush=True)
        file.write_text(json.dumps([asdict(each) for each in results.values()], indent=1))
    print(summary([results[str(path)] for path in paths]))


if __name__ == "__main__":
    sys.exit(main())
