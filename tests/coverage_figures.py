"""Print how many lines and branches of each package the tests ran, and fail below what is asked for.

    python tests/coverage_figures.py LINES BRANCHES

In percent of all. Reads what `coverage combine` left.
"""

import json
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from click import echo

REPORT = Path(".build/coverage/report.json")
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


def main(lines: float, branches: float) -> int:
    """Return 0 if at least so many percent of all lines and branches were run, else 1."""
    # Tests run files of their own with names of the package, which are gone.
    options: list[str | Path] = ["--quiet", "--include", "marimo_kernel_bridge/*", "-o", REPORT]
    subprocess.run([Path(sys.executable).with_name("coverage"), "json", *options], check=True)
    files = {name: _counts(of) for name, of in json.loads(REPORT.read_text())["files"].items()}
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
    sys.exit(main(float(sys.argv[1]), float(sys.argv[2])))
