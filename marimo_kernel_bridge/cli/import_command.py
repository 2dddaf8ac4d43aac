"""`marimo-kernel-bridge import`: many notebooks, where each is written, what is printed, how it ends."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from marimo_kernel_bridge.errors import BridgeError, WrongUsageError
from marimo_kernel_bridge.notebooks import origin
from marimo_kernel_bridge.notebooks.ipynb import (
    EMPTY,
    Conversion,
    Notebook,
    existing,
    read_notebook,
    write_whole,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from marimo_kernel_bridge.importing.verify import Verdict

REFUSED: Final = 1
NOT_ALL_CARRIED_OVER: Final = 3
DIFFERENT: Final = 4
_SUFFIX: Final = {"marimo": ".py", "bridge": ".ipynb"}


@dataclass(frozen=True)
class Wanted:
    """What the command was asked for."""

    target: Literal["marimo", "bridge"] = "marimo"
    keep_outputs: bool = False
    check: bool = False
    verify: bool = False
    force: bool = False
    as_json: bool = False


def run(notebooks: Sequence[Path], output: Path | None, wanted: Wanted) -> int:
    """Import notebooks; return the exit code: the first of 1, 3 and 4 that any of them deserves, else 0.

    Raises `BridgeError` if the one notebook asked for is refused, and bad_request for what cannot be done at all.
    """
    jobs = list(_jobs(notebooks, output, wanted))
    several = len(jobs) > 1 or any(path.is_dir() for path in notebooks)
    codes, reports = set(), []
    for source, target in jobs:
        try:
            report, code = _one(source, target, wanted)
        except BridgeError as error:
            if not several:
                raise
            refusal = error.message if error.code == "output_exists" else str(error)  # -o is a folder here
            click.echo(f"marimo-kernel-bridge: {refusal}", err=True)
            report, code = {"notebook": str(source), "refused": refusal, "code": error.code}, REFUSED
        codes.add(code)
        reports.append(report)
    if wanted.as_json:
        click.echo(json.dumps(reports if several else reports[0], indent=2))
    elif several:
        click.echo(_total(reports, wanted))
    return next((code for code in (REFUSED, NOT_ALL_CARRIED_OVER, DIFFERENT) if code in codes), 0)


def _total(reports: Sequence[dict[str, Any]], wanted: Wanted) -> str:  # JSON
    count = f"{len(reports)} notebook{'' if len(reports) == 1 else 's'}"
    there = sum(report.get("code") == "output_exists" for report in reports)
    if there == len(reports):
        return f"{count}: what they become exists already. --force replaces it."
    done = sum("refused" not in report for report in reports)
    whole = sum(report.get("complete") is True for report in reports)
    same = sum(report.get("verified", {}).get("same") is True for report in reports)
    return (
        f"{count}: {done} {'checked' if wanted.check else 'imported'}, {whole} of them completely"
        + (f", {same} show the same" if wanted.verify else "")
        + (
            f"; {there} left alone, because what they become exists already (--force replaces it)"
            if there
            else ""
        )
        + "."
    )


def _jobs(notebooks: Sequence[Path], output: Path | None, wanted: Wanted) -> Iterator[tuple[Path, Path]]:
    """Yield each notebook and where its result goes. Raises `BridgeError`: bad_request."""
    found = [(path, root) for root in notebooks for path in (_below(root) if root.is_dir() else [root])]
    if not found:
        raise BridgeError("bad_request", "There is no .ipynb in these folders.", "Name a notebook.")
    many = len(found) > 1 or any(root.is_dir() for root in notebooks)
    if many and output is not None and os.path.lexists(output) and not output.is_dir():
        raise WrongUsageError(
            f"{output} is a file, but for several notebooks -o is a folder.", "Name a folder."
        )
    suffix = _SUFFIX[wanted.target]
    for path, root in found:
        name = f"{path.stem}-reactive.ipynb" if wanted.target == "bridge" else f"{path.stem}.py"
        if output is None:
            target = path.with_name(name)
        elif many or output.is_dir():
            target = output / (path.relative_to(root).with_name(name) if path != root else name)
        else:
            target = output
        if target.suffix != suffix:
            raise BridgeError(
                "bad_request",
                f"{target} is no {suffix} file.",
                f"--target {wanted.target} writes one: name it so.",
            )
        yield path, target


def _below(folder: Path) -> list[Path]:
    """Return the notebooks in a folder, but no checkpoints and nothing in hidden folders."""
    return sorted(
        path
        for path in folder.rglob("*.ipynb")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and not path.stem.endswith("-reactive")
    )


def _one(source: Path, target: Path, wanted: Wanted) -> tuple[dict[str, Any], int]:  # JSON
    from marimo_kernel_bridge.importing import to_ipynb as bridge  # noqa: PLC0415  # slow to import
    from marimo_kernel_bridge.importing.to_marimo import convert  # noqa: PLC0415  # slow to import

    notebook = read_notebook(source)  # first: that it is no notebook says more than that a file exists
    if not wanted.force and not wanted.check and os.path.lexists(target):
        raise existing(target)
    to_bridge = wanted.target == "bridge"
    conversion = (
        bridge.convert(notebook, keep_outputs=wanted.keep_outputs) if to_bridge else convert(notebook)
    )
    outputs = None
    if not wanted.check:
        outputs = _write(notebook, conversion, target, wanted)
    verdict = _verified(source, conversion) if wanted.verify else None
    report = _report(source, target, conversion, wanted, verdict)
    if not wanted.as_json:
        _print(source, target, conversion, wanted, outputs)
        if verdict is not None:
            _print_verdict(verdict)
    for cell in conversion.not_converted:
        click.echo(f"marimo-kernel-bridge: {cell}", err=True)
    if not conversion.check_passes:
        for finding in conversion.check:
            click.echo(f"marimo-kernel-bridge: marimo check: {finding}", err=True)
    if not conversion.complete:
        return report, NOT_ALL_CARRIED_OVER
    return report, DIFFERENT if verdict is not None and not verdict.same else 0


def _write(notebook: Notebook, conversion: Conversion, target: Path, wanted: Wanted) -> Path | None:
    """Write the result and what stands beside it; return where the saved outputs are."""
    from marimo_kernel_bridge.marimo_format import reader as files  # noqa: PLC0415  # slow to import
    from marimo_kernel_bridge.marimo_format import session_file as saved_outputs  # noqa: PLC0415  # slow to import

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BridgeError(
            "bad_request",
            f"{target.parent} cannot be made: {error.strerror}.",
            "Name another folder with -o.",
        ) from error
    write_whole(target, conversion.text, overwrite=wanted.force)
    if wanted.target == "bridge":
        return None
    file = files.read_text(target, conversion.text)
    origin.keep(notebook, file, conversion.positions, outputs=wanted.keep_outputs)
    return saved_outputs.keep(notebook, conversion, target) if wanted.keep_outputs else None


def _verified(source: Path, conversion: Conversion) -> Verdict:
    from marimo_kernel_bridge.importing.verify import steps, verify  # noqa: PLC0415  # starts kernels

    notebook = read_notebook(source)
    label = f"Running {source.name} twice, and the result"
    with click.progressbar(length=steps(notebook, conversion), label=label, file=sys.stderr) as bar:
        return verify(notebook, conversion, bar.update)


def _report(
    notebook: Path, target: Path, conversion: Conversion, wanted: Wanted, verdict: Verdict | None
) -> dict[str, Any]:  # JSON
    return {
        "notebook": str(notebook),
        "output": str(target),
        "written": not wanted.check,
        "complete": conversion.complete,
        "cells": [
            {
                "position": cell.position,
                "cell_id": cell.cell_id,
                "kind": cell.kind,
                "fate": cell.fate,
                "notes": list(cell.notes),
            }
            for cell in conversion.cells
        ],
        "added": list(conversion.added),
        "marimo_check": {"passes": conversion.check_passes, "findings": list(conversion.check)},
        **({"verified": verdict.as_json()} if verdict is not None else {}),
    }


def _print(source: Path, target: Path, conversion: Conversion, wanted: Wanted, outputs: Path | None) -> None:
    fates = [cell.fate for cell in conversion.cells]
    counts = [f"{fates.count(fate)} {fate.replace('_', ' ')}" for fate in dict.fromkeys(fates)]
    would = "would become" if wanted.check else "->"
    click.echo(f"{source} {would} {target}: {len(fates)} cells, {', '.join(counts) or 'nothing in it'}.")
    for code in conversion.added:
        click.echo(f"  added: {'; '.join(line for line in code.splitlines() if line)}")
    empty = [cell for cell in conversion.cells if cell.notes == (EMPTY,)]
    for cell in conversion.cells:
        if cell.fate in {"changed", "dropped"} and (len(empty) == 1 or cell not in empty):
            click.echo(f"  {cell}")
    if len(empty) > 1:
        click.echo(f"  cells {', '.join(str(cell.position) for cell in empty)} dropped: they are empty")
    if wanted.keep_outputs:
        if outputs is not None:
            click.echo(f"  Saved outputs are in {outputs}")
    else:
        click.echo("  Saved outputs are not carried over (--outputs keep does).")
    if wanted.target == "marimo":
        check = "passes" if conversion.check_passes else "fails"
        click.echo(f"  marimo check: {check}.{'' if wanted.check else f' Next: marimo edit {target}'}")


def _print_verdict(verdict: Verdict) -> None:
    click.echo(f"  verified: {verdict}")
    for difference in verdict.differences:
        click.echo(f"    {difference}")
