"""An .ipynb as a marimo notebook, by marimo's own converter: the only place that calls it.

The converter (0.25.2) treats a notebook as a whole: it drops a step for all cells when one cell is strange, takes
every line that starts with `%` for a magic, also in Markdown and in strings, and does not say what it did. So cells
go in guarded and tagged, a cell that it cannot take stays out and is put back as it was, and every cell is followed
to where it ended. What became of each is judged in `cell_changes.py`.
"""

from __future__ import annotations

import ast
import asyncio
import base64
import itertools
import json
import logging
import re
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from marimo._ast.names import DEFAULT_CELL_NAME, SETUP_CELL_NAME
from marimo._convert.converters import MarimoConvert
from marimo._convert.ipynb.to_ir import transform_magic_commands
from marimo._lint.diagnostic import Severity
from marimo._lint.rule_engine import RuleEngine
from marimo._schemas.serialization import CellDef, NotebookSerializationV1

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.ipynb import Conversion, Notebook, NotebookCell
from marimo_kernel_bridge.runtime.cell_changes import ConvertedCell, compiled, report
from marimo_kernel_bridge.runtime.versions import check_version

if TYPE_CHECKING:
    from collections.abc import Iterator

_ADDED: Final = "import marimo as mo"
_STAND_IN: Final = "# this cell stays out of the conversion"
_CONVERTER_LOG: Final = "marimo._convert.ipynb.to_ir"
_FUTURE_IMPORT: Final = re.compile(r"(?m)^from __future__ import [^(\n]*$")
_BARE_CELL_MAGIC: Final = re.compile(r"%%\S.*")


def convert(notebook: Notebook) -> Conversion:
    """Convert a notebook. Runs marimo's linter on an event loop of its own: not for async callers.

    Raises `BridgeError`: runtime_mismatch, cell_not_converted (only where marimo cannot read its own file back).
    """
    check_version()
    guard = _unused_word(notebook)
    with _converter_warnings() as warnings:
        ir, left_out = _convert_around_strange_cells(notebook, guard, warnings)
    sources = {cell.position: cell for cell in notebook.cells}
    cells = [_restored(cell, sources, left_out, guard) for cell in ir.cells]
    cells = _with_marimo_import(cells)
    text = MarimoConvert.from_ir(replace(ir, cells=[cell for _, cell in cells])).to_py()
    written = _read_back(text, cells)
    findings, passes = _check(text, written)
    return Conversion(
        text=text,
        cells=report(notebook, written),
        added=tuple(cell.code for cell in written if cell.position is None),
        check=(*(f"marimo's converter: {warning}" for warning in warnings), *findings),
        check_passes=passes and not warnings,
    )


# Into marimo's converter and back


def _convert_around_strange_cells(
    notebook: Notebook, guard: str, warnings: list[str]
) -> tuple[NotebookSerializationV1, dict[int, str]]:
    """Convert until no cell is left that marimo cannot compile; return those that had to stay out, and why."""
    left_out: dict[int, str] = {}
    for cell in notebook.cells:
        if (reason := _magics_refused(cell)) is not None:
            left_out[cell.position] = reason
    while True:
        warnings.clear()
        document = {
            "cells": [_guarded(cell, guard, left_out) for cell in notebook.cells],
            "metadata": _marimo_metadata(notebook.metadata),
        }
        ir = MarimoConvert.from_ipynb(json.dumps(document)).to_ir()
        strange = {
            _position(cell): reason
            for cell in ir.cells
            if (reason := compiled(cell.code.replace(guard, "")).reason) and _position(cell) not in left_out
        }
        if not strange:
            return ir, left_out
        left_out |= {position: reason for position, reason in strange.items() if position is not None}


def _magics_refused(cell: NotebookCell) -> str | None:
    """Ask for one cell whether marimo's magics step takes it: the step fails for all cells or none."""
    if cell.kind != "code" or _parses(cell.source):
        return None
    try:
        transform_magic_commands([_code(cell.source, "")])
    except (IndexError, ValueError):
        return "marimo's converter does not take its magics"
    return None


def _guarded(cell: NotebookCell, guard: str, left_out: dict[int, str]) -> dict[str, Any]:  # nbformat
    if cell.position in left_out:
        source, kind = _STAND_IN, "code"
    elif cell.kind == "markdown":
        source, kind = _markdown(cell, guard), "markdown"
    elif cell.kind == "raw":
        source, kind = _comment(cell.source), "code"
    else:
        source, kind = _code(cell.source, guard), "code"
    return {"cell_type": kind, "source": source, "metadata": _tagged_metadata(cell)}


def _markdown(cell: NotebookCell, guard: str) -> str:
    source = cell.source
    for name, bundle in cell.attachments.items():
        for mime, data in bundle.items():
            encoded = data if mime.startswith("image/") else base64.b64encode(data.encode()).decode()
            source = source.replace(f"attachment:{name}", f"data:{mime};base64,{''.join(encoded.split())}")
    return re.sub(r"(?m)^%", f"{guard}%", source.strip())


def _comment(source: str) -> str:
    if not source.strip():
        return ""
    lines = source.strip("\n").splitlines()
    return "\n".join(["# Raw cell of the Jupyter notebook:", *(f"# {line}".rstrip() for line in lines)])


def _code(source: str, guard: str) -> str:
    source = source.strip()
    if _BARE_CELL_MAGIC.fullmatch(source):
        return f"# {source}"  # there is nothing for it to work on
    source = _FUTURE_IMPORT.sub(
        r"# \g<0>", source
    )  # not at the head of a file, it would break the whole file
    if not re.search(r"(?m)^%", source) or not _parses(source):
        return source
    # Python as it is: a line that starts with % is inside a string or goes on from the line above.
    in_string: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str)
        ):
            in_string.update(range(node.lineno + 1, (node.end_lineno or node.lineno) + 1))
    return "\n".join(
        (guard if number in in_string else " ") + line if line.startswith("%") else line
        for number, line in enumerate(source.split("\n"), start=1)
    )


def _parses(source: str) -> bool:
    try:
        ast.parse(source.strip())
    except (SyntaxError, RecursionError, MemoryError):
        return False
    return True


def _unused_word(notebook: Notebook) -> str:
    """Return a word that is nowhere in the notebook, to stand before a % that is not a magic."""
    text = "\n".join(cell.source for cell in notebook.cells)
    return next(word for number in itertools.count() if (word := f"guard{number}_") not in text)


def _marimo_metadata(metadata: dict[str, Any]) -> dict[str, Any]:  # nbformat: any JSON
    ours = metadata.get("marimo")
    if not isinstance(ours, dict):
        return {}
    config, header = ours.get("app_config"), ours.get("header")
    kept: dict[str, Any] = {"app_config": config} if isinstance(config, dict) else {}
    if isinstance(header, str) and _parses(header):
        kept["header"] = header
    return {"marimo": kept}


def _own_metadata(cell: NotebookCell) -> dict[str, Any]:  # nbformat: any JSON
    own = cell.metadata.get("marimo")
    return own if isinstance(own, dict) and isinstance(own.get("config", {}), dict) else {}


def _tagged_metadata(cell: NotebookCell) -> dict[str, Any]:  # nbformat: any JSON
    """Name the cell by its position, by which it is known again, without changing how marimo treats it."""
    own = _own_metadata(cell)
    tagged = {**own, "name": f"position_{cell.position}"}
    if not own and cell.kind == "markdown" and "hide-cell" not in cell.metadata.get("tags", []):
        tagged["config"] = {"hide_code": True}  # as marimo does by itself for a cell without its metadata
    return {**cell.metadata, "marimo": tagged}


def _position(cell: CellDef) -> int | None:
    head, _, number = cell.name.partition("position_")
    return int(number) if not head and number else None


def _restored(
    cell: CellDef, sources: dict[int, NotebookCell], left_out: dict[int, str], guard: str
) -> tuple[int | None, CellDef]:
    position = _position(cell)
    if position is None:
        return None, cell
    source = sources[position]
    code = source.source.strip("\n") if position in left_out else cell.code.replace(guard, "")
    name = _own_metadata(source).get("name")
    return position, replace(cell, code=code, name=name if isinstance(name, str) else DEFAULT_CELL_NAME)


def _with_marimo_import(cells: list[tuple[int | None, CellDef]]) -> list[tuple[int | None, CellDef]]:
    """Import marimo as mo where a cell needs it: marimo looks at the start of cells only."""
    names = [compiled(cell.code) for _, cell in cells]
    if any("mo" in cell.uses for cell in names) and not any("mo" in cell.defines for cell in names):
        return [(None, CellDef(code=_ADDED)), *cells]
    return cells


@contextmanager
def _converter_warnings() -> Iterator[list[str]]:
    """Collect what the converter logs: a step that it skipped for the whole notebook."""
    messages: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    log, collector = logging.getLogger(_CONVERTER_LOG), Collector()
    propagated, log.propagate = log.propagate, False
    log.addHandler(collector)
    try:
        yield messages
    finally:
        log.removeHandler(collector)
        log.propagate = propagated


# What marimo makes of the result


def _read_back(text: str, cells: list[tuple[int | None, CellDef]]) -> list[ConvertedCell]:
    """Read the file's text as marimo will: what it cannot write faithfully shows here."""
    read = MarimoConvert.from_py(text).to_ir().cells
    if len(read) != len(cells):
        raise BridgeError(
            "cell_not_converted",
            f"marimo reads {len(read)} cells back from the {len(cells)} that it wrote.",
            "Please report this notebook as a bug; nothing was written.",
        )
    in_file = sorted(
        cells, key=lambda cell: cell[1].name != SETUP_CELL_NAME
    )  # marimo writes the setup cell first
    return [
        ConvertedCell(position, again.code, again.lineno)
        for (position, _), again in zip(in_file, read, strict=True)
    ]


def _check(text: str, cells: list[ConvertedCell]) -> tuple[list[str], bool]:
    """Apply the rules of `marimo check`, which fails for what breaks a notebook, not for what could be nicer.

    They do not find what only the compiler refuses, so compile the file as well.
    """
    findings, passes = [], True
    try:
        compile(text, "<notebook>", "exec", dont_inherit=True)
    except SyntaxError as error:
        findings, passes = [f"not Python: {error.msg} ({_cell_at(error.lineno or 0, cells)})"], False
    read = MarimoConvert.from_py(text).to_ir()
    for finding in asyncio.run(RuleEngine.create_default().check_notebook(read, text)):
        passes = passes and finding.severity is not Severity.BREAKING
        lines = finding.line if isinstance(finding.line, list) else [finding.line]
        where = ", ".join(dict.fromkeys(_cell_at(line, cells) for line in sorted(lines)))
        findings.append(f"{finding.code} {finding.message.splitlines()[0]} ({where})")
    return findings, passes


def _cell_at(line: int, cells: list[ConvertedCell]) -> str:
    above = [cell for cell in cells if cell.line <= line]
    position = above[-1].position if above else None
    return "an added cell" if position is None else f"cell {position}"
