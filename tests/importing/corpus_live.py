"""Runs the notebooks below a folder on the kernel as they are, and compares with ipykernel. Not a test: `make corpus-live`.

    python tests/importing/corpus_live.py FOLDER [--only TEXT] [--no-lab]

* *runs*: as nbclient, no cell fails that does not fail under ipykernel.
* *faithful*: it runs, and each text that two runs under ipykernel agree on is in the outputs of the same cell.
* *lab*: the same for JupyterLab's Run All.
* *stable*: after Run All, each single cell is run again, one after the other, with what depends on it; no cell that two
  runs under ipykernel agree on shows anything else after that.

Runs of ipykernel are kept in `.build/corpus-live`. A notebook runs in a copy of its folder.
"""

# ruff: noqa: T201  # a command: what it finds is printed

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from jupyter_client import KernelManager

sys.path.insert(0, str(Path(__file__).parents[1] / "kernel"))
import front_end
from front_end import FrontEnd

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.output_log import strip_ansi

KEPT = Path(".build/corpus-live")
BOUND = 300  # seconds for a cell
front_end.BOUND = float(BOUND)
LIMIT = 20_000_000  # bytes of the files beside a notebook that are copied
TIMED = re.compile(r"CPU times|Wall time|per loop|\bloops?, best of|(elapsed|took)[^\n]*\d", re.IGNORECASE)

Outputs = list[dict[str, Any]]


@dataclass
class Result:
    """What became of one notebook. `deterministic`: two runs under ipykernel agree on all texts."""

    notebook: str
    cells: int = 0
    deterministic: bool = False
    runs: bool = False
    faithful: bool = False
    lab: bool | None = None
    stable: bool | None = None
    why: list[str] = field(default_factory=list)
    seconds: float = 0.0


def texts(outputs: Outputs, folder: str) -> list[str]:
    """The texts that outputs show, without what changes from run to run; the kernel's own notices left out."""
    found = []
    for output in outputs:
        if wire.METADATA_KEY in output.get("metadata", {}):
            continue
        match output["output_type"]:
            case "stream" if output["name"] == "stdout":
                found.append(output["text"])
            case "execute_result" | "display_data":
                found.append(output["data"].get("text/plain", ""))
    return [text for text in (normal(text, folder) for text in found) if text and not TIMED.search(text)]


def normal(text: str, folder: str) -> str:
    text = re.sub(r"0x[0-9a-fA-F]+", "0x", strip_ansi(text).replace(folder, "<folder>"))
    text = re.sub(r"<Figure size [^>]*>|<matplotlib\.figure\.Figure[^>]*>", "", text)
    return " ".join(text.split())


def failed(outputs: Outputs) -> bool:
    return any(output["output_type"] == "error" for output in outputs)


def missing(expected: list[list[str]], shown: list[list[str]]) -> list[str]:
    lacking = []
    for number, (wanted, given) in enumerate(zip(expected, shown, strict=True), start=1):
        rest = " ".join(given)
        for text in wanted:
            if text not in rest:
                lacking.append(f"cell {number}: lacks {text[:80]!r}")
            rest = rest.replace(text, " ", 1)
    return lacking


def executed(path: Path, folder: Path, kernel: str) -> list[Outputs]:
    """Run a notebook as nbclient does, errors and all, and return the outputs of its code cells."""
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        kernel_name=kernel,
        timeout=BOUND,
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    return [cell["outputs"] for cell in notebook.cells if cell.cell_type == "code"]


class Copied:
    """A copy of a notebook's folder to run it in."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Path:
        self.folder = Path(tempfile.mkdtemp()).resolve()
        for other in self._path.parent.rglob("*"):
            if other.is_file() and other.stat().st_size < LIMIT:
                to = self.folder / other.relative_to(self._path.parent)
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(other, to)
        return self.folder

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def reference(path: Path) -> tuple[list[list[str]], list[bool], bool]:
    """Texts that two runs under ipykernel agree on, which cells fail, and whether they agree on all."""
    key = hashlib.sha256(f"{sys.prefix} {path.resolve()}".encode() + path.read_bytes()).hexdigest()[:24]
    kept = KEPT / f"{key}.json"
    if not kept.exists():
        runs = []
        for _ in range(2):
            with Copied(path) as folder:
                outputs = executed(path, folder, "python3")
                runs.append([[texts(each, str(folder)), failed(each)] for each in outputs])
        KEPT.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(runs))
    one, two = json.loads(kept.read_text())
    agreed = [
        [text for text in first if text in second] for (first, _), (second, _) in zip(one, two, strict=True)
    ]
    return (
        agreed,
        [fails for _, fails in one],
        all(first == second for first, second in zip(one, two, strict=True)),
    )


class DisplayingFrontEnd(FrontEnd):
    """Shows updates of a display in whichever cell has it."""

    def _take(self, timeout: float) -> dict[str, Any]:
        message = super()._take(timeout)
        if message["msg_type"] == "update_display_data":
            for shown in self.page.cells.values():
                shown.log.update_display(message["content"])
        return message


class Lab:
    """The notebook open in JupyterLab."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._folder = folder
        self._manager = KernelManager(kernel_name="marimo")
        self._manager.start_kernel(
            cwd=str(folder), env=os.environ | {"JPY_SESSION_NAME": str(folder / path.name)}
        )
        self._lab = DisplayingFrontEnd(self._manager.connection_file)
        code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        self.cells = {str(cell.get("id") or number): cell.source for number, cell in enumerate(code)}

    def close(self) -> None:
        self._lab.close()
        self._manager.shutdown_kernel(now=True)

    def run_all(self) -> None:
        sent = [
            self._lab.send(cell, code, stop_on_error=False)
            for cell, code in self.cells.items()
            if code.strip()
        ]
        for msg_id in sent:
            self._lab.finish(msg_id)
        self._lab.sync()

    def run(self, cell: str) -> None:
        self._lab.run(cell, self.cells[cell], stop_on_error=False)
        self._lab.sync()

    def outputs(self) -> list[Outputs]:
        return [list(self._lab.outputs(cell)) if cell in self._lab.page.cells else [] for cell in self.cells]

    def texts(self) -> list[list[str]]:
        return [texts(outputs, str(self._folder)) for outputs in self.outputs()]


def problems(
    expected: list[list[str]], fails: list[bool], outputs: list[Outputs], folder: str
) -> tuple[bool, list[str]]:
    """Whether a run fails nowhere but where the original does, and what it does not show."""
    why = []
    for number, (shown, may_fail) in enumerate(zip(outputs, fails, strict=True), start=1):
        error = next((output for output in shown if output["output_type"] == "error"), None)
        if error is not None and not may_fail:
            why.append(f"cell {number}: {error['ename']}: {strip_ansi(error['evalue'])[:160]}")
    ran = not why
    return ran, why + missing(expected, [texts(shown, folder) for shown in outputs])


def measure(path: Path, *, lab: bool) -> Result:
    expected, fails, deterministic = reference(path)
    result = Result(str(path), len(expected), deterministic)
    with Copied(path) as folder:
        outputs = executed(path, folder, "marimo")
        result.runs, why = problems(expected, fails, outputs, str(folder))
        result.faithful = not why
        result.why += [f"nbclient: {each}" for each in why]
    if lab:
        with Copied(path) as folder:
            page = Lab(path, folder)
            try:
                page.run_all()
                _, why = problems(expected, fails, page.outputs(), str(folder))
                result.lab = not why
                result.why += [f"Run All: {each}" for each in why]
                if deterministic:
                    changes = rerun(page)
                    result.stable = not changes
                    result.why += changes
            finally:
                page.close()
    return result


def rerun(page: Lab) -> list[str]:
    """Run each cell again, and return what changed by that."""
    changes = []
    before = page.texts()
    for number, cell in enumerate(page.cells, start=1):
        if not page.cells[cell].strip():
            continue
        page.run(cell)
        after = page.texts()
        for other, (old, new) in enumerate(zip(before, after, strict=True), start=1):
            if old != new:
                apart = next(
                    (f"{a[:60]!r} became {b[:60]!r}" for a, b in zip(old, new, strict=False) if a != b),
                    f"{len(old)} texts became {len(new)}",
                )
                changes.append(f"cell {number} again: cell {other}: {apart}")
        before = after
    return changes


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--only", default="", help="notebooks whose path contains this")
    arguments.add_argument("--no-lab", action="store_true", help="only as nbclient")
    chosen = arguments.parse_args()
    paths = sorted(
        path
        for path in chosen.folder.rglob("*.ipynb")
        if chosen.only in str(path) and ".ipynb_checkpoints" not in path.parts
    )
    results = []
    for number, path in enumerate(paths, start=1):
        started = time.monotonic()
        try:
            result = measure(path, lab=not chosen.no_lab)
        except Exception as error:
            result = Result(str(path), why=[f"{type(error).__name__}: {str(error)[:200]}"])
        result.seconds = round(time.monotonic() - started, 1)
        results.append(result)
        marks = {True: "yes", False: "NO", None: "-"}
        told = " ".join(
            f"{name} {marks[getattr(result, name)]}" for name in ("runs", "faithful", "lab", "stable")
        )
        print(f"{number}/{len(paths)} {path.name}: {told} ({result.seconds} s)", flush=True)
        for why in result.why[:8]:
            print(f"    {why}", flush=True)
        KEPT.mkdir(parents=True, exist_ok=True)
        (KEPT / "results.json").write_text(json.dumps([asdict(each) for each in results], indent=1))
    total = len(results)
    print(f"{total} notebooks: run {count(results, 'runs')}, faithful {count(results, 'faithful')}", end="")
    if not chosen.no_lab:
        settled = sum(result.stable is not None for result in results)
        print(
            f", Run All faithful {count(results, 'lab')}, stable {count(results, 'stable')} of {settled}",
            end="",
        )
    print()


def count(results: list[Result], name: str) -> int:
    return sum(bool(getattr(result, name)) for result in results)


if __name__ == "__main__":
    main()
