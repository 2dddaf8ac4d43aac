"""Print how many lines and branches of each package the tests ran, and fail below what is asked for.

    python -m tests.coverage_figures FOLDER LINES BRANCHES

In percent of all. FOLDER has what the probes of a run found (`probe_files`).
"""

import json
import os
import sys
from collections import ChainMap, Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from click import echo
from coverage import Coverage

from tests.probe_files import ROOT, reached
from tests.probe_writer import Arc

COUNTS = (
    "covered_lines",
    "missing_lines",
    "num_statements",
    "covered_branches",
    "missing_branches",
    "num_branches",
)
WORST = 10
"""How many files are named."""


def main(folder: Path, lines: float, branches: float) -> int:
    """Return 0 if at least so many percent of all lines and branches were run, else 1."""
    files = {name: _counts(of) for name, of in _report(folder).items()}
    packages: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for name, summary in files.items():
        packages[_package(name)].update(summary)
    echo(f"{'':32}  lines branches")
    for name in sorted(packages):
        echo(_row(name, packages[name]))
    total: Counter[str] = sum(files.values(), Counter())
    echo(_row("all", total))
    echo("The most that is missing:")
    for name in sorted(files, key=lambda name: -_missing(files[name]))[:WORST]:
        echo(_row(name.removeprefix("marimo_kernel_bridge/"), files[name]))
    if _lines(total) < lines or _branches(total) < branches:
        echo(f"Less than {lines:g} % of lines or {branches:g} % of branches")
        return 1
    return 0


def _report(folder: Path) -> dict[str, Any]:
    """Return what coverage says of each file."""
    arcs = list(reached(folder).items())
    processes = os.cpu_count() or 1
    with ProcessPoolExecutor(processes) as pool:
        return dict(ChainMap(*pool.map(_files, (dict(arcs[n::processes]) for n in range(processes)))))


def _files(arcs: dict[str, set[Arc]]) -> dict[str, Any]:
    coverage = Coverage(data_file=None, branch=True, config_file=str(ROOT / "pyproject.toml"))
    coverage.get_data().add_arcs(arcs)
    coverage.get_data().touch_files(arcs)
    with TemporaryDirectory() as folder:
        coverage.json_report(outfile=(file := f"{folder}/report.json"))
        files: dict[str, Any] = json.loads(Path(file).read_text())["files"]
    return files


def _counts(of: dict[str, Any]) -> Counter[str]:
    return Counter({name: of["summary"][name] for name in COUNTS})


def _package(name: str) -> str:
    parts = Path(name).parts[1:-1]
    return parts[0] if parts else "marimo_kernel_bridge"


def _lines(of: Counter[str]) -> float:
    return 100 * of["covered_lines"] / max(1, of["num_statements"])


def _branches(of: Counter[str]) -> float:
    return 100 * of["covered_branches"] / of["num_branches"] if of["num_branches"] else 100.0


def _missing(of: Counter[str]) -> int:
    return of["missing_lines"] + of["missing_branches"]


def _row(name: str, of: Counter[str]) -> str:
    return f"{name:32} {_lines(of):6.1f} {_branches(of):8.1f}"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
