"""The work of `marimo-kernel-bridge import`: one or many notebooks, where each is written, what is printed.

Does not convert cells: that is `importing`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from marimo_kernel_bridge.cli.cell_reports import report_lines, told_once
from marimo_kernel_bridge.cli.progress import told_progress
from marimo_kernel_bridge.cli.terminal import echo
from marimo_kernel_bridge.errors import BridgeError, WrongUsageError
from marimo_kernel_bridge.notebooks.ipynb import (
    EMPTY,
    Conversion,
    Notebook,
)
from marimo_kernel_bridge.notebooks.origin import save_origin
from marimo_kernel_bridge.notebooks.whole_files import existing, write_whole
from marimo_kernel_bridge.notebooks.written_texts import read_written
from marimo_kernel_bridge.protocol.lines import split_lines
from marimo_kernel_bridge.protocol.regular_files import is_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from marimo_kernel_bridge.errors import ErrorCode
    from marimo_kernel_bridge.importing.stars import Imports
    from marimo_kernel_bridge.importing.tracing import Trace
    from marimo_kernel_bridge.importing.verifying.verdict import Verdict
    from marimo_kernel_bridge.notebooks.nbformat_json import JSONObject

REFUSED: Final = 1
NOT_ALL_CARRIED_OVER: Final = 3
DIFFERENT: Final = 4
_SUFFIX: Final = {"marimo": ".py", "bridge": ".ipynb"}


@dataclass(frozen=True)
class ImportOptions:
    """The options of the command."""

    target: Literal["marimo", "bridge"] = "marimo"
    keep_outputs: bool = False
    imports: Imports = "installed"
    check: bool = False
    verify: bool = False
    trace: bool = False
    seconds: float = 600.0
    force: bool = False
    as_json: bool = False
    debug: bool = False


@dataclass(frozen=True)
class Refusal:
    """A notebook that was not imported, and why not."""

    source: Path
    reason: str
    code: ErrorCode

    @property
    def exit_code(self) -> int:
        return REFUSED

    def as_json(self) -> JSONObject:
        return {"notebook": str(self.source), "refused": self.reason, "code": self.code}


@dataclass(frozen=True)
class Imported:
    """A notebook that was imported, or checked if `written` is false.

    `outputs` is the file that holds the saved outputs, if one was written. `verdict` is None without --verify. `packages`
    are those that the notebook imports, and whether each is here.
    """

    source: Path
    target: Path
    conversion: Conversion
    written: bool
    outputs: Path | None = None
    verdict: Verdict | None = None
    trace: Trace | None = None
    packages: Mapping[str, bool] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        return [name for name, is_here in self.packages.items() if not is_here]

    @property
    def exit_code(self) -> int:
        if not self.conversion.complete:
            return NOT_ALL_CARRIED_OVER
        return DIFFERENT if self.verdict is not None and not self.verdict.same else 0

    def as_json(self) -> JSONObject:
        conversion = self.conversion
        report: JSONObject = {
            "notebook": str(self.source),
            "output": str(self.target),
            "written": self.written,
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
            "missing_modules": self.missing,
            "marimo_check": {"passes": conversion.check_passes, "findings": list(conversion.check)},
        }
        if self.trace is not None:
            report["traced"] = self.trace.as_json()
        return report if self.verdict is None else {**report, "verified": self.verdict.as_json()}


def import_notebooks(notebooks: Sequence[Path], output: Path | None, options: ImportOptions) -> int:
    """Import notebooks; return the exit code: the first of 1, 3 and 4 that any of them has, else 0.

    Raises `BridgeError` if the only notebook is refused or triggers a bug, and bad_request for a request that fits no notebook.
    """
    jobs = list(_jobs(notebooks, output, options))
    several = len(jobs) > 1 or any(is_folder(path) for path in notebooks)
    results: list[Imported | Refusal] = []
    for source, target in jobs:
        try:
            imported = import_notebook(source, target, options)
        except BridgeError as error:
            if not several:
                raise
            reason = error.message if error.code == "output_exists" else str(error)  # -o is a folder here
            echo(f"marimo-kernel-bridge: {reason}", err=True)
            results.append(Refusal(source, reason, error.code))
        except Exception as error:  # a bug, which must not keep the other notebooks from being imported
            bug = _bug(source, error, options)
            if not several:
                raise bug from error
            echo(f"marimo-kernel-bridge: {bug}", err=True)
            results.append(Refusal(source, bug.message, bug.code))
        else:
            _report(imported, options)
            results.append(imported)
    if options.as_json:
        reports = [result.as_json() for result in results]
        echo(json.dumps(reports if several else reports[0], indent=2))
    elif several:
        echo(_summary(results, options))
    codes = {result.exit_code for result in results}
    return next((code for code in (REFUSED, NOT_ALL_CARRIED_OVER, DIFFERENT) if code in codes), 0)


def _bug(source: Path, error: Exception, options: ImportOptions) -> BridgeError:
    """Return the refusal of a notebook that triggers a bug, on one line, and print its traceback if that is asked for."""
    if options.debug:
        echo("".join(traceback.format_exception(error)), err=True, nl=False)
    if isinstance(error, MemoryError | RecursionError):  # of Python's parser
        return BridgeError(
            "bad_notebook", f"{source} has code that is nested too deeply for Python's parser."
        )
    told = " ".join(f"{type(error).__name__}: {error}".split())
    return BridgeError(
        "cell_not_converted",
        f"{source} cannot be imported, please report it as a bug: {told.rstrip('.')}.",
        "Add the traceback, which --debug prints." if not options.debug else "Add the traceback above.",
    )


def _summary(results: Sequence[Imported | Refusal], options: ImportOptions) -> str:
    imported = [result for result in results if isinstance(result, Imported)]
    existing_targets = sum(
        isinstance(result, Refusal) and result.code == "output_exists" for result in results
    )
    count = f"{len(results)} notebook{'' if len(results) == 1 else 's'}"
    if existing_targets == len(results):
        return f"{count}: the output files exist. --force overwrites them."
    whole = sum(result.conversion.complete for result in imported)
    same = sum(result.verdict is not None and result.verdict.same for result in imported)
    return (
        f"{count}: {len(imported)} {'checked' if options.check else 'imported'}, {whole} of them completely"
        + (f", {same} show the same" if options.verify else "")
        + (
            f"; {existing_targets} skipped, because the output file exists (--force overwrites it)"
            if existing_targets
            else ""
        )
        + "."
    )


def _jobs(
    notebooks: Sequence[Path], output: Path | None, options: ImportOptions
) -> Iterator[tuple[Path, Path]]:
    """Yield each notebook and where its result goes. Raises `BridgeError`: bad_request."""
    sources = [(path, root) for root in notebooks for path in (_below(root) if is_folder(root) else [root])]
    if not sources:
        raise BridgeError("bad_request", "There is no .ipynb in these folders.", "Name a notebook.")
    many = len(sources) > 1 or any(is_folder(root) for root in notebooks)
    if (
        many
        and output is not None
        and not is_folder(output)
        and (os.path.lexists(output) or output.suffix in _SUFFIX.values())
    ):
        raise WrongUsageError(
            f"{output} names a file, but for several notebooks -o is a folder.", "Name a folder."
        )
    suffix = _SUFFIX[options.target]
    for path, root in sources:
        name = f"{path.stem}-reactive.ipynb" if options.target == "bridge" else f"{path.stem}.py"
        if output is None:
            target = path.with_name(name)
        elif many or is_folder(output):
            target = output / (path.relative_to(root).with_name(name) if path != root else name)
        else:
            target = output
        if target.suffix != suffix:
            raise BridgeError(
                "bad_request",
                f"{target} is no {suffix} file.",
                f"--target {options.target} writes one: name it so.",
            )
        yield path, target


def _below(folder: Path) -> list[Path]:
    """Return the notebooks in a folder, except checkpoints and what is in hidden folders."""
    found = []
    for below, folders, files in os.walk(folder):  # passes over folders that cannot be read
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(below, name) for name in files if not name.startswith(".")]
    return sorted(path for path in found if path.suffix == ".ipynb" and not path.stem.endswith("-reactive"))


def import_notebook(source: Path, target: Path, options: ImportOptions) -> Imported:
    """Import one notebook. Raises `BridgeError`: bad_notebook, output_exists, bad_request."""
    from marimo_kernel_bridge.importing import to_ipynb, to_marimo, tracing  # noqa: PLC0415  # slow to import

    notebook = read_written(source)  # first: that it is no notebook says more than that a file exists
    if not options.force and not options.check and os.path.lexists(target):
        raise existing(target)
    trace = _traced(notebook, source, options) if options.trace else None
    observed = None if trace is None else trace.observed
    conversion = (
        to_ipynb.convert(
            notebook, keep_outputs=options.keep_outputs, imports=options.imports, observed=observed
        )
        if options.target == "bridge"
        else to_marimo.convert(notebook, imports=options.imports, observed=observed)
    )
    packages = tracing.packages(notebook)
    outputs = None if options.check else _write(notebook, conversion, target, options)
    verdict = _verified(source, conversion, options) if options.verify else None
    return Imported(source, target, conversion, not options.check, outputs, verdict, trace, packages)


def _write(notebook: Notebook, conversion: Conversion, target: Path, options: ImportOptions) -> Path | None:
    """Write the result and what stands beside it; return where the saved outputs are."""
    from marimo_kernel_bridge.marimo_format import reader, session_file  # noqa: PLC0415  # slow to import

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BridgeError(
            "bad_request",
            f"{target.parent} cannot be made: {error.strerror}.",
            "Name another folder with -o.",
        ) from error
    file = None if options.target == "bridge" else reader.read_text(target, conversion.text)
    write_whole(target, conversion.text, overwrite=options.force, like=notebook.path)
    if file is None:
        return None
    save_origin(notebook, file, conversion.positions, outputs=options.keep_outputs)
    return session_file.keep(notebook, conversion, target) if options.keep_outputs else None


def _traced(notebook: Notebook, source: Path, options: ImportOptions) -> Trace:
    from marimo_kernel_bridge.importing.tracing import trace  # noqa: PLC0415  # starts a kernel

    cells = sum(cell.kind == "code" for cell in notebook.cells)
    with told_progress(f"Tracing {source.name}", cells) as progress:
        return trace(notebook, progress, options.seconds)


def _verified(source: Path, conversion: Conversion, options: ImportOptions) -> Verdict:
    from marimo_kernel_bridge.importing.verifying.verify import steps, verify  # noqa: PLC0415  # starts kernels

    notebook = read_written(source)
    with told_progress(f"Verifying {source.name}", steps(notebook, conversion)) as progress:
        return verify(
            notebook, conversion, progress, strict=options.target == "marimo", seconds=options.seconds
        )


def _report(imported: Imported, options: ImportOptions) -> None:
    """Print what became of a notebook, and on stderr what is wrong with the result."""
    if not options.as_json:
        _print(imported, options)
    for cell in imported.conversion.not_converted:
        echo(f"marimo-kernel-bridge: {cell}", err=True)
    if not imported.conversion.check_passes:
        for finding in imported.conversion.check:
            echo(f"marimo-kernel-bridge: marimo check: {finding}", err=True)


def _print(imported: Imported, options: ImportOptions) -> None:
    conversion, target = imported.conversion, imported.target
    fates = [cell.fate for cell in conversion.cells]
    counts = [f"{fates.count(fate)} {fate.replace('_', ' ')}" for fate in dict.fromkeys(fates)]
    arrow = "->" if imported.written else "would become"
    echo(
        f"{imported.source} {arrow} {target}: {len(fates)} cell{'' if len(fates) == 1 else 's'}, {', '.join(counts) or 'nothing in it'}."
    )
    for code in conversion.added:
        shown = split_lines(code)[:1] if code.startswith("def ") else split_lines(code)
        echo(f"  added: {'; '.join(line for line in shown if line)}")
    empty = [cell for cell in conversion.cells if cell.notes == (EMPTY,)]
    told = [
        cell
        for cell in conversion.cells
        if cell.fate in {"changed", "dropped"} and (len(empty) == 1 or cell not in empty)
    ]
    for cell in told_once(told):
        for line in report_lines(cell, _columns()):
            echo(f"  {line}")
    if len(empty) > 1:
        echo(f"  cells {', '.join(str(cell.position) for cell in empty)} dropped: they are empty")
    if not options.keep_outputs:
        echo("  Saved outputs are not carried over (--outputs keep does).")
    elif imported.outputs is not None:
        echo(f"  Saved outputs are in {imported.outputs}")
    if options.target == "marimo":
        check = "passes" if conversion.check_passes else "fails"
        echo(f"  marimo check: {check}.{f' Next: marimo edit {target}' if imported.written else ''}")
    for line in _of_runs(imported):
        echo(f"  {line}")


def _columns() -> int | None:
    """Return the width of the terminal, None for a file or a pipe."""
    return shutil.get_terminal_size().columns - 2 if sys.stdout.isatty() else None


def _of_runs(imported: Imported) -> Iterator[str]:
    """Yield what runs of the notebook have shown, or that a run could show something."""
    if imported.trace is not None:
        yield from imported.trace.lines()
    elif imported.packages and not imported.missing:
        yield "--trace runs the notebook once, to see which objects its cells change and share."
    if imported.verdict is not None:
        yield from imported.verdict.lines()
    if imported.missing and (imported.trace or imported.verdict):
        yield f"Not installed here: {', '.join(imported.missing)}. Cells that need them fail: install them, and run this again."
