"""A prepared notebook as the text of a marimo file: the only place that knows marimo's file format.

What becomes of code is decided in `importing/`; here cells get marimo's form, and marimo's own code generator and
linter have their say.
"""

from __future__ import annotations

import ast
import asyncio
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from marimo._ast.compiler import compile_cell
from marimo._ast.names import DEFAULT_CELL_NAME, SETUP_CELL_NAME
from marimo._convert.common.format import markdown_to_marimo
from marimo._convert.converters import MarimoConvert
from marimo._lint.diagnostic import Severity
from marimo._lint.rule_engine import RuleEngine
from marimo._schemas.serialization import AppInstantiation, CellDef, Header, NotebookSerializationV1
from marimo._types.ids import CellId_t

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.importing import stars
from marimo_kernel_bridge.importing.cells import Prepared, Working, prepare, unresolved
from marimo_kernel_bridge.notebooks.ipynb import EMPTY, CellReport, Conversion, Fate, Notebook, NotebookCell
from marimo_kernel_bridge.notebooks.origin import RAW, data_url
from marimo_kernel_bridge.runtime.supported_api import check_version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_IMPORT: Final = "import marimo as mo"
_HEADER: Final = "# /// script"


def convert(notebook: Notebook, *, imports: bool = True) -> Conversion:
    """Convert a notebook. Runs marimo's linter on an event loop of its own: not for async callers.

    Without `imports`, no module is imported to learn what `from module import *` binds.

    Raises `BridgeError`: runtime_mismatch, cell_not_converted (only where marimo cannot read its own file back).
    """
    check_version()
    folder = notebook.path.parent if notebook.path is not None else None
    names = stars.names_of if imports else stars.written_in
    prepared = prepare(notebook, partial(_read, folder), lambda module: names(module, folder))
    cells = _with_other_cells(notebook, prepared)
    text = MarimoConvert.from_ir(_ir(notebook, prepared, cells)).to_py()
    lines = _read_back(text, cells)
    findings, passes = _check(text, cells, lines)
    return Conversion(
        text=text,
        cells=_report(notebook, prepared, cells),
        added=tuple(definition.code for working, definition in cells if not working.positions),
        check=tuple(findings),
        check_passes=passes,
        positions=tuple(working.positions for working, _ in cells),
        codes=tuple(definition.code for _, definition in cells),
    )


def _read(folder: Path | None, name: str) -> str | None:
    if folder is None:
        return None
    try:
        return (folder / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError):
        return None


# Cells

_Cells = list[tuple[Working, CellDef]]


def _with_other_cells(notebook: Notebook, prepared: Prepared) -> _Cells:
    """Put Markdown and raw cells between the code cells, where they were."""
    by_position = {cell.position: cell for cell in notebook.cells}
    places = {cell.positions[-1] if cell.positions else 0: cell for cell in prepared.cells}
    cells: _Cells = [(cell, CellDef(code=cell.code)) for cell in prepared.cells if not cell.positions]
    for position, cell in by_position.items():
        if cell.kind == "code":
            working = places.get(position)
            if working is not None and working.code.strip():
                cells.append(
                    (working, _definition(working.code, [by_position[each] for each in working.positions]))
                )
        elif cell.source.strip():
            code = _markdown(cell) if cell.kind == "markdown" else _comment(cell.source)
            cells.append((Working((position,), code), _definition(code, [cell])))
    uses_marimo = any("mo" in _names(definition.code)[1] for _, definition in cells)
    if uses_marimo and not any("mo" in _names(definition.code)[0] for _, definition in cells):
        if cells and not cells[0][0].positions:
            working, definition = cells[0]
            code = f"{_IMPORT}\n{definition.code}"
            cells[0] = (Working((), code), CellDef(code=code))
        else:
            cells.insert(0, (Working((), _IMPORT), CellDef(code=_IMPORT)))
    return cells


def _definition(code: str, sources: Sequence[NotebookCell]) -> CellDef:
    options: dict[str, Any] = {}
    name = DEFAULT_CELL_NAME
    for source in reversed(sources):
        own = source.metadata.get("marimo")
        if isinstance(own, dict) and isinstance(own.get("config", {}), dict):
            options = {**options, **own.get("config", {})}
            if isinstance(own.get("name"), str):
                name = own["name"]
    first = sources[0]
    own = isinstance(first.metadata.get("marimo"), dict)
    hidden = first.kind == "markdown" or _is_hidden(first)
    if hidden and not own:
        options = {"hide_code": True, **options}
    if not name.isidentifier() or name == SETUP_CELL_NAME:
        name = DEFAULT_CELL_NAME
    return CellDef(code=code, name=name, options=options)


def _is_hidden(cell: NotebookCell) -> bool:
    """Tell whether a front end hides the cell's code: JupyterLab, Jupyter Book, Colab and VS Code each say it otherwise."""
    jupyter, tags = cell.metadata.get("jupyter"), cell.metadata.get("tags")
    return (
        (isinstance(jupyter, dict) and jupyter.get("source_hidden") is True)
        or (
            isinstance(tags, list)
            and not {"hide-input", "hide_input", "hide-cell", "remove-input"}.isdisjoint(map(str, tags))
        )
        or cell.metadata.get("cellView") == "form"
        or cell.metadata.get("hide_input") is True
    )


def _markdown(cell: NotebookCell) -> str:
    source = cell.source.strip()
    for name, bundle in cell.attachments.items():
        for mime, data in bundle.items():
            source = source.replace(f"attachment:{name}", data_url(mime, data))
    if '""' in source or source.endswith(
        "\\"
    ):  # marimo's generator would write other quotes: keep them from it
        pieces = re.split(r'("{2,}|\\$)', source)
        return "mo.md(\n    " + "\n    + ".join(_quoted(piece) for piece in pieces if piece) + "\n)"
    return markdown_to_marimo(source)


def _quoted(piece: str) -> str:
    if '"' in piece and not piece.strip('"'):
        return f"'{piece}'"
    if "\n" in piece and '"""' not in piece and not piece.endswith(('"', "\\")):
        return f'r"""{piece}"""'
    return repr(piece)


def _comment(source: str) -> str:
    lines = source.strip("\n").splitlines()
    return "\n".join([RAW, *(f"# {line}".rstrip() for line in lines)])


def _names(code: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return what a cell defines and uses, as marimo sees it; nothing if it does not compile."""
    try:
        cell = compile_cell(code, cell_id=CellId_t("import"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset(), frozenset()
    return frozenset(cell.defs), frozenset(cell.refs)


# The file


def _ir(notebook: Notebook, prepared: Prepared, cells: _Cells) -> NotebookSerializationV1:
    ours = notebook.metadata.get("marimo")
    ours = ours if isinstance(ours, dict) else {}
    config = ours.get("app_config")
    header = ours.get("header")
    text = header if isinstance(header, str) and _parses(header) else ""
    if prepared.requirements and _HEADER not in text:
        needed = ["marimo", *(each for each in prepared.requirements if each != "marimo")]
        block = [_HEADER, "# dependencies = [", *(f"#     {_toml(each)}," for each in needed), "# ]", "# ///"]
        text = "\n".join([*block, *([text] if text else [])])
    return NotebookSerializationV1(
        app=AppInstantiation(options=config if isinstance(config, dict) else {}),
        header=Header(value=text) if text else None,
        cells=[definition for _, definition in cells],
    )


def _toml(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _read_back(text: str, cells: _Cells) -> list[int]:
    """Return the line at which each cell starts in the file, read as marimo will."""
    read = MarimoConvert.from_py(text).to_ir().cells
    if len(read) != len(cells):
        raise BridgeError(
            "cell_not_converted",
            f"marimo reads {len(read)} cells back from the {len(cells)} that it wrote.",
            "Please report this notebook as a bug; nothing was written.",
        )
    return [cell.lineno for cell in read]


def _check(text: str, cells: _Cells, lines: Sequence[int]) -> tuple[list[str], bool]:
    """Apply the rules of `marimo check`, which fails for what breaks a notebook, not for what could be nicer.

    They do not find what only the compiler refuses, so compile the file as well.
    """
    findings, passes = [], True
    try:
        compile(text, "<notebook>", "exec", dont_inherit=True)
    except SyntaxError as error:
        findings, passes = [f"not Python: {error.msg} ({_cell_at(error.lineno or 0, cells, lines)})"], False
    read = MarimoConvert.from_py(text).to_ir()
    for finding in asyncio.run(RuleEngine.create_default().check_notebook(read, text)):
        passes = passes and finding.severity is not Severity.BREAKING
        places = finding.line if isinstance(finding.line, list) else [finding.line]
        where = ", ".join(dict.fromkeys(_cell_at(line, cells, lines) for line in sorted(places)))
        findings.append(f"{finding.code} {finding.message.splitlines()[0]} ({where})")
    return findings, passes


def _cell_at(line: int, cells: _Cells, lines: Sequence[int]) -> str:
    above = [working for (working, _), start in zip(cells, lines, strict=True) if start <= line]
    if not above or not above[-1].positions:
        return "an added cell"
    return f"cell {'+'.join(map(str, above[-1].positions))}"


# What became of each cell


def _report(notebook: Notebook, prepared: Prepared, cells: _Cells) -> tuple[CellReport, ...]:
    kept = {position for working, _ in cells for position in working.positions}
    missing = {
        position: names
        for index, names in unresolved(prepared.cells).items()
        for position in prepared.cells[index].positions
    }
    reports = []
    for cell in notebook.cells:
        lost = prepared.lost.get(cell.position, [])
        notes = [*lost, *prepared.notes.get(cell.position, [])]
        if cell.kind == "raw":
            notes.append("a raw cell, kept as comments")
        elif cell.kind == "markdown" and cell.attachments:
            notes.append("its attachments are written into it")
        notes += [
            f"it reads `{name}`, which no cell defines, in the Jupyter notebook neither"
            for name in missing.get(cell.position, [])
            if re.search(rf"\b{name}\b", cell.source)
        ]
        if lost:
            reports.append(CellReport(cell.position, cell.cell_id, cell.kind, "not_converted", tuple(notes)))
        elif not cell.source.strip():
            reports.append(CellReport(cell.position, cell.cell_id, cell.kind, "dropped", (EMPTY,)))
        elif cell.position not in kept:
            reports.append(CellReport(cell.position, cell.cell_id, cell.kind, "dropped", tuple(notes)))
        else:
            fate: Fate = "changed" if notes else "kept"
            reports.append(CellReport(cell.position, cell.cell_id, cell.kind, fate, tuple(notes)))
    return tuple(reports)
