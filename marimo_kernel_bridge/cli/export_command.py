"""The work of `marimo-kernel-bridge export`: what is read, where the result is written, what is printed.

Does not know the formats' content: that is `exporting`.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from marimo_kernel_bridge.cli.terminal import echo
from marimo_kernel_bridge.errors import BridgeError, WrongUsageError
from marimo_kernel_bridge.exporting import description, sources
from marimo_kernel_bridge.notebooks.export_formats import EXPORT_FORMATS, ExportFormat, format_of_suffix
from marimo_kernel_bridge.notebooks.nbformat_json import serialized, without_outputs
from marimo_kernel_bridge.notebooks.whole_files import existing, write_whole
from marimo_kernel_bridge.protocol.regular_files import is_there

if TYPE_CHECKING:
    from marimo_kernel_bridge.exporting.sources import Source
    from marimo_kernel_bridge.importing.stars import Imports

FAILED: Final = 4
_STDOUT: Final = Path("-")


@dataclass(frozen=True)
class ExportOptions:
    """What the command was options for. `to` is None where the name of the output tells."""

    to: ExportFormat | None = None
    output: Path | None = None
    live: bool = False
    run: bool = False
    original: Path | None = None
    imports: Imports = "installed"
    sandbox: bool = True
    scripts: bool = False
    outputs: bool = True
    force: bool = False
    as_json: bool = False


@dataclass(frozen=True)
class _Exported:
    content: str | bytes
    notes: tuple[str, ...] = ()


def export_notebook(named: str, options: ExportOptions) -> int:
    """Export a notebook; return the exit code: 0, or 4 if a cell failed when run. Raises `BridgeError`."""
    to = _format(options)
    if options.scripts and to != "html":
        raise WrongUsageError("--scripts is for HTML pages.", "Leave it out.")
    if options.live:
        if options.run or options.original is not None:
            raise sources.not_for_live("--run" if options.run else "--original")
        live = asyncio.run(sources.read_kernel(named))
        has_folder = live.path is not None and live.path.resolve() == Path(named).resolve()
        source = sources.from_live(live, f"kernel-{Path(named).stem}", has_folder=has_folder)
    else:
        _check_first(Path(named), to, options)
        source = _from_file(Path(named), to, options)
    if not options.outputs:
        source = replace(
            source,
            document=without_outputs(source.document),
            as_written=without_outputs(source.as_written),
        )
    target = options.output or _default(source, to, options)
    if target != _STDOUT and not options.force and os.path.lexists(target):
        raise existing(target)
    exported = _export(source, to, options)
    if target == _STDOUT:
        echo(exported.content, nl=False)
    else:
        source_file = None if options.live else Path(named)
        write_whole(target, exported.content, overwrite=options.force, like=source_file)
    _report(named, source, target, exported, options)
    return FAILED if source.failed else 0


def _format(options: ExportOptions) -> ExportFormat:
    if options.to is not None:
        return options.to
    suffix = options.output.suffix if options.output is not None else ""
    if (named := format_of_suffix(suffix)) is not None:
        return named
    question = f"No format is known by {suffix}." if suffix else "To which format?"
    raise WrongUsageError(question, f"Give --to with one of {', '.join(EXPORT_FORMATS)}.")


def _check_first(path: Path, to: ExportFormat, options: ExportOptions) -> None:
    """Refuse, before anything runs, what is certain to be refused."""
    if path.suffix not in {".py", ".ipynb"}:
        raise BridgeError(
            "bad_notebook",
            f"{path} is neither an .ipynb nor a marimo .py file.",
            "For what a running kernel has, name its notebook or connection file and pass --live.",
        )
    target = options.output or (path.with_name(_name(path.stem, to)) if not options.run else None)
    if is_there(path) and target is not None and target != _STDOUT and not options.force:
        if path.suffix == f".{to}" and options.output is None:
            raise BridgeError(
                "bad_request", f"{path} is an {path.suffix} file already.", "Name the copy with -o."
            )
        if os.path.lexists(target):
            raise existing(target)


def _from_file(path: Path, to: ExportFormat, options: ExportOptions) -> Source:
    if path.suffix == ".ipynb":
        if options.original is not None:
            raise BridgeError("bad_request", "--original is for marimo files: an .ipynb is its own.")
        return sources.from_ipynb(path, run=options.run and EXPORT_FORMATS[to].has_outputs)
    from marimo_kernel_bridge.marimo_format.reader import read  # noqa: PLC0415  # slow to import

    return sources.from_marimo(read(path), sources.read_original(options.original), run=options.run)


def _name(stem: str, to: ExportFormat) -> str:
    return stem + EXPORT_FORMATS[to].suffix


def _default(source: Source, to: ExportFormat, options: ExportOptions) -> Path:
    kept = "-live" if options.live else "-run" if options.run else ""
    return source.folder / _name(source.name + (kept if to == "ipynb" else ""), to)


def _export(source: Source, to: ExportFormat, options: ExportOptions) -> _Exported:
    match to:
        case "ipynb":
            return _Exported(serialized(source.document), source.notes)
        case "json":
            content = description.description_of(source.as_written, source.name, source.graph)
            return _Exported(serialized(content), _live_notes(source))
        case "html" | "pdf":
            from marimo_kernel_bridge.exporting.pages import (  # noqa: PLC0415  # needs an extra
                check_installed_for_pdf,
                to_html,
                to_pdf,
            )

            if to == "pdf":
                check_installed_for_pdf()
            pictures = source.folder if source.has_folder else None
            from marimo_kernel_bridge.cli.chart_pictures import with_pictures  # noqa: PLC0415  # of these formats alone

            document = source.as_written if options.scripts else with_pictures(source.as_written)
            page = to_html(document, source.name, pictures, scripts=options.scripts)
            notes = (*_live_notes(source), *_without_outputs(source), *page.notes)
            return _Exported(page.text if to == "html" else to_pdf(page.text, sandbox=options.sandbox), notes)
        case "py" | "md" | "script":
            return _as_marimo(source, to, imports=options.imports)


def _as_marimo(source: Source, to: Literal["py", "md", "script"], *, imports: Imports) -> _Exported:
    from marimo_kernel_bridge.importing.to_marimo import convert  # noqa: PLC0415  # slow to import
    from marimo_kernel_bridge.marimo_format import reader  # noqa: PLC0415  # slow to import

    file, notes = source.file, list(_live_notes(source))
    if file is None:
        conversion = convert(source.notebook, imports=imports)
        file = reader.read_text(source.folder / f"{source.name}.py", conversion.text)
        changed = [cell for cell in conversion.cells if cell.fate in {"changed", "not_converted"}]
        if changed:
            notes.append(
                f"The importer changed {len(changed)} cell{'s' if changed[1:] else ''}: `import --check` says how."
            )
        notes += map(str, conversion.not_converted)
    match to:
        case "py":
            return _Exported(file.text, tuple(notes))
        case "md":
            return _Exported(reader.to_markdown(file), tuple(notes))
        case "script":
            return _Exported(reader.to_script(file), tuple(notes))


def _live_notes(source: Source) -> tuple[str, ...]:
    return source.notes if source.live else ()


def _without_outputs(source: Source) -> tuple[str, ...]:
    cells = source.as_written["cells"]
    if any(cell.get("outputs") for cell in cells) or not any(cell["cell_type"] == "code" for cell in cells):
        return ()
    return ("No outputs are saved: --run makes them.",)


def _report(named: str, source: Source, target: Path, exported: _Exported, options: ExportOptions) -> None:
    cells = source.as_written["cells"]
    showing = sum(bool(cell.get("outputs")) for cell in cells)
    if options.as_json:
        report = {
            "source": named,
            "output": str(target),
            "cells": len(cells),
            "with_outputs": showing,
            "notes": list(exported.notes),
            "failed": list(source.failed),
        }
        echo(json.dumps(report, indent=2), err=target == _STDOUT)
        return
    err = target == _STDOUT
    if not err:
        echo(
            f"{named} -> {target}: {len(cells)} cell{'' if len(cells) == 1 else 's'}, {showing} with outputs."
        )
    for note in exported.notes:
        echo(f"  {note}", err=err)
    for failed in source.failed:
        echo(f"marimo-kernel-bridge: failed: {failed}", err=True)
