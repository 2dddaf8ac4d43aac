"""`marimo-kernel-bridge export`: what is read, what is made of it, where it is written, what is printed, how it ends."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click

from marimo_kernel_bridge.errors import BridgeError, WrongUsageError
from marimo_kernel_bridge.exporting import described, sources
from marimo_kernel_bridge.notebooks.export_formats import EXPORT_FORMATS, ExportFormat, format_of_suffix
from marimo_kernel_bridge.notebooks.ipynb import existing, write_whole

if TYPE_CHECKING:
    from marimo_kernel_bridge.exporting.sources import Source

FAILED: Final = 4
_STDOUT: Final = Path("-")


@dataclass(frozen=True)
class Asked:
    """What the command was asked for. `to` is None where the name of the output tells."""

    to: ExportFormat | None = None
    output: Path | None = None
    live: bool = False
    run: bool = False
    original: Path | None = None
    imports: bool = True
    sandbox: bool = True
    force: bool = False
    as_json: bool = False


@dataclass(frozen=True)
class _Made:
    content: str | bytes
    notes: tuple[str, ...] = ()


def run(named: str, asked: Asked) -> int:
    """Export a notebook; return the exit code: 0, or 4 if a cell failed when run. Raises `BridgeError`."""
    to = _format(asked)
    if asked.live:
        if asked.run or asked.original is not None:
            raise sources.not_for_live("--run" if asked.run else "--original")
        source = sources.from_live(asyncio.run(sources.read_kernel(named)), f"kernel-{Path(named).stem}")
    else:
        _check_first(Path(named), to, asked)
        source = _from_file(Path(named), to, asked)
    target = asked.output or _default(source, to, asked)
    if target != _STDOUT and not asked.force and os.path.lexists(target):
        raise existing(target)
    made = _made(source, to, asked)
    if target == _STDOUT:
        click.echo(made.content, nl=False)
    else:
        write_whole(target, made.content, overwrite=asked.force)
    _tell(named, source, target, made, asked)
    return FAILED if source.failed else 0


def _format(asked: Asked) -> ExportFormat:
    if asked.to is not None:
        return asked.to
    suffix = asked.output.suffix if asked.output is not None else ""
    if (named := format_of_suffix(suffix)) is not None:
        return named
    question = f"No format is known by {suffix}." if suffix else "To which format?"
    raise WrongUsageError(question, f"Give --to with one of {', '.join(EXPORT_FORMATS)}.")


def _check_first(path: Path, to: ExportFormat, asked: Asked) -> None:
    """Refuse what is known to be refused before anything runs."""
    if path.suffix not in {".py", ".ipynb"}:
        raise BridgeError(
            "bad_notebook",
            f"{path} is neither an .ipynb nor a marimo .py file.",
            "For what a running kernel has, name its notebook or connection file and pass --live.",
        )
    target = asked.output or (path.with_name(_name(path.stem, to)) if not asked.run else None)
    if path.exists() and target is not None and target != _STDOUT and not asked.force:
        if path.suffix == f".{to}" and asked.output is None:
            raise BridgeError(
                "bad_request", f"{path} is an {path.suffix} file already.", "Name the copy with -o."
            )
        if os.path.lexists(target):
            raise existing(target)


def _from_file(path: Path, to: ExportFormat, asked: Asked) -> Source:
    if path.suffix == ".ipynb":
        if asked.original is not None:
            raise BridgeError("bad_request", "--original is for marimo files: an .ipynb is its own.")
        return sources.from_ipynb(path, run=asked.run and EXPORT_FORMATS[to].has_outputs)
    from marimo_kernel_bridge.marimo_format.reader import read  # noqa: PLC0415  # slow to import

    return sources.from_marimo(read(path), sources.read_original(asked.original), run=asked.run)


def _name(stem: str, to: ExportFormat) -> str:
    return stem + EXPORT_FORMATS[to].suffix


def _default(source: Source, to: ExportFormat, asked: Asked) -> Path:
    kept = "-live" if asked.live else "-run" if asked.run else ""
    return source.folder / _name(source.name + (kept if to == "ipynb" else ""), to)


def _made(source: Source, to: ExportFormat, asked: Asked) -> _Made:
    match to:
        case "ipynb":
            return _Made(json.dumps(source.document, indent=1, ensure_ascii=False) + "\n", source.notes)
        case "json":
            content = described.described(source.as_written, source.name, source.graph)
            return _Made(json.dumps(content, indent=1, ensure_ascii=False) + "\n", _live_notes(source))
        case "html" | "pdf":
            from marimo_kernel_bridge.exporting.pages import (  # noqa: PLC0415  # needs an extra
                check_installed_for_pdf,
                to_html,
                to_pdf,
            )

            if to == "pdf":
                check_installed_for_pdf()
            page = to_html(source.as_written, source.name, source.folder)
            loads = (f"When opened, it loads {', '.join(page.loads)}.",) if page.loads else ()
            notes = (*_live_notes(source), *_without_outputs(source), *loads)
            return _Made(page.text if to == "html" else to_pdf(page.text, sandbox=asked.sandbox), notes)
        case "py" | "md" | "script":
            return _as_marimo(source, to, imports=asked.imports)


def _as_marimo(source: Source, to: Literal["py", "md", "script"], *, imports: bool) -> _Made:
    from marimo_kernel_bridge.importing.to_marimo import convert  # noqa: PLC0415  # slow to import
    from marimo_kernel_bridge.marimo_format import reader as files  # noqa: PLC0415  # slow to import

    file, notes = source.file, list(_live_notes(source))
    if file is None:
        conversion = convert(source.notebook, imports=imports)
        file = files.read_text(source.folder / f"{source.name}.py", conversion.text)
        changed = [cell for cell in conversion.cells if cell.fate in {"changed", "not_converted"}]
        if changed:
            notes.append(
                f"Made by the importer, which changed {len(changed)} cells: `import --check` tells how."
            )
        notes += map(str, conversion.not_converted)
    match to:
        case "py":
            return _Made(file.text, tuple(notes))
        case "md":
            return _Made(files.to_markdown(file), tuple(notes))
        case "script":
            return _Made(files.to_script(file), tuple(notes))


def _live_notes(source: Source) -> tuple[str, ...]:
    return source.notes if source.live else ()


def _without_outputs(source: Source) -> tuple[str, ...]:
    cells = source.as_written["cells"]
    if any(cell.get("outputs") for cell in cells) or not any(cell["cell_type"] == "code" for cell in cells):
        return ()
    return ("No outputs are saved: --run makes them.",)


def _tell(named: str, source: Source, target: Path, made: _Made, asked: Asked) -> None:
    cells = source.as_written["cells"]
    showing = sum(bool(cell.get("outputs")) for cell in cells)
    if asked.as_json:
        report = {
            "source": named,
            "output": str(target),
            "cells": len(cells),
            "with_outputs": showing,
            "notes": list(made.notes),
            "failed": list(source.failed),
        }
        click.echo(json.dumps(report, indent=2), err=target == _STDOUT)
        return
    err = target == _STDOUT
    if not err:
        click.echo(f"{named} -> {target}: {len(cells)} cells, {showing} with outputs.")
    for note in made.notes:
        click.echo(f"  {note}", err=err)
    for failed in source.failed:
        click.echo(f"marimo-kernel-bridge: failed: {failed}", err=True)
