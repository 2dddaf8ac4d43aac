"""The results as a Markdown table, JSON with every sample, and plots for docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import OURS, STOCK, SUBJECTS, Row, Sample, median, p95

if TYPE_CHECKING:
    from benchmarks.measuring import Settings

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- figures: made by `make bench` -->", "<!-- end -->"
_COUNTED = {"calls", "tokens"}
_VERSIONS = ("marimo-kernel-bridge", "marimo", "ipykernel", "jupyter_client", "pyzmq", "mcp")


def table(rows: list[Row]) -> str:
    """Return rows against their targets, and the medians behind them."""
    lines = ["| what | target | measured | | medians (p95) |", "|---|---|---|---|---|"]
    for row in rows:
        measured = "not measured" if row.value is None else _number(row.value, row.unit)
        behind = "; ".join(_summary(name, samples, row) for name, samples in row.samples.items())
        lines.append(f"| {row.name} | {row.target} | **{measured}** | {row.verdict} | {behind} |")
    notes = [f"* {row.name}: {note}" for row in rows for note in row.notes]
    return "\n".join([*lines, "", *notes, ""] if notes else [*lines, ""])


def _number(value: float, unit: str) -> str:
    text = f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"
    return f"{text} {unit}"


def _summary(name: str, samples: list[Sample], row: Row) -> str:
    if row.sample_unit in _COUNTED:
        return f"{name} {median(samples) or 0:,.0f}"
    if row.sample_unit == "MiB":
        return f"{name} {(median(samples) or 0) / 2**20:.0f} MiB"
    wall, cpu = median(samples), median(samples, "cpu")
    text = f"{name} {_ms(wall)} ({_ms(p95(samples))})"
    return text + (f", CPU {_ms(cpu)}" if cpu is not None else "")


def _ms(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    value = seconds * 1000
    return f"{value:.0f} ms" if value >= 10 else f"{value:.2f} ms"


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
        "versions": {name: metadata.version(name) for name in _VERSIONS},
    }


def write(folder: Path, subject: str, rows: list[Row], settings: Settings) -> None:
    """Keep a subject's rows with every sample, as JSON. `results.md` has the newest of all subjects."""
    found = {"machine": machine(), "settings": asdict(settings), "rows": [asdict(row) for row in rows]}
    (folder / f"{subject}.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "results.md").write_text(table(read(folder)[1]))


def read(folder: Path) -> tuple[list[dict[str, Any]], list[Row]]:
    """Return on what was measured, and the rows that are kept, in the order of the subjects."""
    machines, rows = [], []
    for subject in SUBJECTS:
        path = folder / f"{subject}.json"
        if path.exists():
            found = json.loads(path.read_text())
            machines.append(found["machine"])
            for row in found["rows"]:
                samples = {name: [Sample(**one) for one in some] for name, some in row["samples"].items()}
                rows.append(Row(**{**row, "samples": samples}))
    return machines, rows


def write_docs(folder: Path) -> None:
    """Write the kept rows between the marks of docs/performance.md, and draw docs/images/performance.svg."""
    page = DOCS / "performance.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    machines, rows = read(folder)
    on = machines[0]
    loads = [measured["load"] for measured in machines]
    versions = ", ".join(f"{name} {version}" for name, version in on["versions"].items())
    where = (
        f"{on['system']}, {on['processors']} processors, Python {on['python']}; load average {min(loads)} to "
        f"{max(loads)}. {versions}."
    )
    page.write_text(f"{before}{BEGIN}\n\n{where}\n\n{table(rows)}\n{END}{after}")
    draw(rows, DOCS / "images" / "performance.svg")


def draw(rows: list[Row], path: Path) -> None:
    """Draw each ratio to ipykernel against its target, on one logarithmic axis."""
    import matplotlib as mpl  # noqa: PLC0415  # slow to import

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "performance"
    from matplotlib import pyplot as plt  # noqa: PLC0415

    ratios = [row for row in rows if row.unit == "x" and row.value and row.limit and STOCK in row.samples]
    figure, axes = plt.subplots(figsize=(8, 0.34 * len(ratios) + 1))
    for place, row in enumerate(reversed(ratios)):
        assert row.value is not None
        assert row.limit is not None
        met = row.value <= row.limit
        axes.barh(place, row.value, color="#4c9f70" if met else "#c8553d", height=0.6)
        axes.plot([row.limit, row.limit], [place - 0.4, place + 0.4], color="black", linewidth=2)
        axes.text(row.value * 1.03, place, f"{row.value:.2f}", va="center", fontsize=8)
    axes.axvline(1.0, color="grey", linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set_yticks(range(len(ratios)), [row.name.replace("`", "") for row in reversed(ratios)], fontsize=8)
    axes.set_xlabel(f"{OURS} / {STOCK}, less is better; the mark is the target", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
