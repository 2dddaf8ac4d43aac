"""The import target `marimo`: the cells and the header of a marimo file, and a report on each source cell.

Owns the content of the file. `marimo_format.writer` generates marimo's syntax.
"""

from __future__ import annotations

import ast
import base64
import re
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from marimo_kernel_bridge.analysis.name_uses import parse
from marimo_kernel_bridge.importing import stars
from marimo_kernel_bridge.importing.cells import prepare, unresolved
from marimo_kernel_bridge.importing.markdown import as_marimo_shows_it
from marimo_kernel_bridge.importing.pictures import relative_links, relative_pictures, with_pictures
from marimo_kernel_bridge.importing.prepared import with_line_feeds
from marimo_kernel_bridge.marimo_format.line_breaks import with_escaped_breaks, without_breaks
from marimo_kernel_bridge.marimo_format.writer import (
    ADDED,
    NewCell,
    is_comment,
    markdown_code,
    names_in,
    write,
)
from marimo_kernel_bridge.notebooks.folder_files import picture_inside, text_inside
from marimo_kernel_bridge.notebooks.ipynb import EMPTY, CellReport, Conversion, Fate, Notebook, NotebookCell
from marimo_kernel_bridge.notebooks.origin import data_url, fenced
from marimo_kernel_bridge.protocol.lines import split_lines
from marimo_kernel_bridge.runtime.supported_api import check_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from marimo_kernel_bridge.importing.prepared import Prepared, Working

_IMPORT: Final = "import marimo as "
_BINDS_UNSEEN: Final = re.compile(
    r"(?m)\b(?:globals|locals|vars|exec|setattr|builtins|__builtins__|get_ipython|runpy|user_ns)\b"
    r"|import \*|^[ \t]*+%(?:run|store|macro|load|pylab)\b"
)
"""What may bind names that no text shows."""
_LARGEST_PICTURE: Final = 2_000_000  # bytes; in the file it takes a third more
_TITLE: Final = re.compile(r'\s*+# ++([^\n\[\]$`*_<>\\"]*[^\n\[\]$`*_<>\\" #])[ #]*(?:\n|\Z)')
"""A heading of plain words, which begins a text."""
_HEADER: Final = "# /// script"


def convert(
    notebook: Notebook, *, imports: stars.Imports = "installed", observed: Mapping[int, str] | None = None
) -> Conversion:
    """Convert a notebook. Runs marimo's linter on an event loop of its own: not for async callers.

    `observed` is what a run has shown of cells, by position. `imports` says which modules may be imported to learn what
    `from module import *` binds.

    Raises `BridgeError`: runtime_mismatch, cell_not_converted (only where marimo cannot read its own file back).
    """
    check_version()
    notebook = with_line_feeds(notebook)
    folder = notebook.path.parent if notebook.path is not None else None
    prepared = prepare(
        notebook,
        partial(_read, folder),
        lambda module: stars.names_of(module, folder, imports),
        observed=observed,
    )
    cells = _with_other_cells(notebook, prepared, folder)
    cells = [replace(cell, code=with_escaped_breaks(cell.code)) for cell in cells]
    file = write([cell.new() for cell in cells], _header(notebook, prepared), _app_options(notebook))
    return Conversion(
        text=file.text,
        cells=_report(notebook, prepared, cells, folder),
        added=tuple(cell.code for cell in cells if not cell.positions),
        check=file.findings,
        check_passes=file.passes,
        positions=tuple(cell.positions for cell in cells),
        codes=tuple(cell.code for cell in cells),
    )


def _read(folder: Path | None, name: str) -> str | None:
    return text_inside(folder, name)


def _embedded(folder: Path | None, address: str) -> str | None:
    """Return a picture in the notebook's folder as a `data:` address; None if it is not there, or large."""
    found = picture_inside(folder, address)
    if found is None or len(found[1]) > _LARGEST_PICTURE:
        return None
    return data_url(found[0], base64.b64encode(found[1]).decode())


# Cells


@dataclass(frozen=True)
class _ImportedCell:
    """One cell of the file, and the positions of the source cells that it comes from (none: an added cell)."""

    positions: tuple[int, ...]
    code: str
    name: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # marimo's, JSON

    def new(self) -> NewCell:
        label = f"cell {'+'.join(map(str, self.positions))}" if self.positions else ADDED
        return NewCell(self.code, label, self.name, self.options)


def _with_other_cells(notebook: Notebook, prepared: Prepared, folder: Path | None) -> list[_ImportedCell]:
    """Insert Markdown and raw cells between the code cells, at their original places."""
    by_position = {cell.position: cell for cell in notebook.cells}
    places: dict[int, list[Working]] = {}
    for working in prepared.cells:
        places.setdefault(working.positions[-1] if working.positions else 0, []).append(working)
    cells = [_added(cell.code) for cell in prepared.cells if not cell.positions]
    for position, source in by_position.items():
        if source.kind == "code":
            for number, working in enumerate(places.get(position, [])):
                code = _with_code(working, by_position, prepared)
                if code.strip():
                    sources = [by_position[place] for place in working.positions]
                    cell = _imported(working.positions, code, sources, hidden=code != working.code)
                    cells.append(cell if not number else replace(cell, name=None))
        elif source.source.strip():
            code = (
                _markdown(source, prepared, folder)
                if source.kind == "markdown"
                else _shown_as_text(source.source, "", prepared)
            )
            cells.append(_imported((position,), code, [source], hidden=True))
    return _with_marimo_imported(cells, _marimo(prepared))


def _marimo(prepared: Prepared) -> str:
    """Return what marimo is called in cells that show Markdown."""
    return prepared.called.get("mo", "mo")


def _with_marimo_imported(cells: list[_ImportedCell], mo: str) -> list[_ImportedCell]:
    names = [names_in(cell.code) for cell in cells]
    if not any(mo in uses for _, uses in names) or any(mo in defines for defines, _ in names):
        return cells
    if cells[0].positions or cells[0].options:
        return [_ImportedCell((), f"{_IMPORT}{mo}"), *cells]
    return [_ImportedCell((), f"{_IMPORT}{mo}\n{cells[0].code}"), *cells[1:]]


def _added(code: str) -> _ImportedCell:
    """Return a cell that the importer adds; the code of its functions is hidden."""
    return _ImportedCell((), code, options={"hide_code": True} if code.startswith("def ") else {})


def _with_code(working: Working, by_position: Mapping[int, NotebookCell], prepared: Prepared) -> str:
    """Return the code of a cell; for one that has only comments, code that shows them: marimo has no use for such a cell.

    A cell of nothing but magics that are left out is empty.
    """
    if not all(isinstance(node, ast.Pass) for node in parse(working.code).body):
        return working.code
    lines = [line for line in split_lines(working.code) if line.strip().startswith("#")]
    written = (line.strip() for place in working.positions for line in split_lines(by_position[place].source))
    lost = any(place in prepared.lost for place in working.positions)
    if not lines or (not lost and all(line.startswith(("%", "!")) or not line for line in written)):
        return ""
    return _shown_as_text("\n".join(lines), "python", prepared)


def _shown_as_text(text: str, language: str, prepared: Prepared) -> str:
    return _shown_markdown(fenced(without_breaks(text).strip("\n"), language), prepared)


def _imported(
    positions: tuple[int, ...], code: str, sources: Sequence[NotebookCell], *, hidden: bool = False
) -> _ImportedCell:
    """Return a cell with the marimo settings in the metadata of its sources; the first source takes precedence."""
    options: dict[str, Any] = {}
    name = None
    for source in reversed(sources):
        settings = source.metadata.get("marimo")
        if isinstance(settings, dict) and isinstance(settings.get("config", {}), dict):
            options = {**options, **settings.get("config", {})}
            if isinstance(settings.get("name"), str):
                name = settings["name"]
    first = sources[0]
    if (hidden or _is_hidden(first)) and not isinstance(first.metadata.get("marimo"), dict):
        options = {"hide_code": True, **options}
    return _ImportedCell(positions, code, name, options)


def _is_hidden(cell: NotebookCell) -> bool:
    """Return whether a front end hides the cell's code, as marked by JupyterLab, Jupyter Book, Colab or VS Code."""
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


def _markdown(cell: NotebookCell, prepared: Prepared, folder: Path | None) -> str:
    source = as_marimo_shows_it(without_breaks(cell.source)).strip()
    for name, bundle in cell.attachments.items():
        for mime, data in bundle.items():
            for written in (name, quote(name)):
                source = source.replace(f"attachment:{written}", data_url(mime, data))
    return _shown_markdown(with_pictures(source, partial(_embedded, folder)), prepared)


def _shown_markdown(source: str, prepared: Prepared) -> str:
    if '""' in source or source.endswith("\\"):  # marimo's generator would change these quotes
        pieces = re.split(r'("{2,}|\\$)', source)
        return (
            f"{_marimo(prepared)}.md(\n    "
            + "\n    + ".join(_quoted(piece) for piece in pieces if piece)
            + "\n)"
        )
    return _marimo(prepared) + markdown_code(source).removeprefix("mo")


def _quoted(piece: str) -> str:
    if '"' in piece and not piece.strip('"'):
        return f"'{piece}'"
    if "\n" in piece and '"""' not in piece and not piece.endswith(('"', "\\")):
        return f'r"""{piece}"""'
    return repr(piece)


# The header and the options of the app


def _header(notebook: Notebook, prepared: Prepared) -> str:
    header = _marimo_metadata(notebook).get("header")
    text = header if isinstance(header, str) and is_comment(header) else ""
    if prepared.requirements and _HEADER not in text:
        needed = ["marimo", *(package for package in prepared.requirements if package != "marimo")]
        block = [
            _HEADER,
            "# dependencies = [",
            *(f"#     {_toml(package)}," for package in needed),
            "# ]",
            "# ///",
        ]
        text = "\n".join([*block, *([text] if text else [])])
    return text


def _app_options(notebook: Notebook) -> Mapping[str, Any]:  # marimo's, JSON
    """Return the options of the app: those of the notebook, else the title that its first heading gives it."""
    config = _marimo_metadata(notebook).get("app_config")
    if isinstance(config, dict):
        return config
    first = next((cell for cell in notebook.cells if cell.source.strip()), None)
    title = (
        _TITLE.match(without_breaks(first.source)) if first is not None and first.kind == "markdown" else None
    )
    return {"app_title": title[1]} if title is not None and title[1].isprintable() else {}


def _marimo_metadata(notebook: Notebook) -> Mapping[str, Any]:  # JSON
    metadata = notebook.metadata.get("marimo")
    return metadata if isinstance(metadata, dict) else {}


def _toml(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# What became of each cell


def _notes_on_markdown(cell: NotebookCell, folder: Path | None) -> list[str]:
    notes = ["its attachments are written into it"] if cell.attachments else []
    source = without_breaks(cell.source)
    if as_marimo_shows_it(source) != source:
        notes.append("its Markdown is written for marimo: lists, tables and formulas")
    pictures = relative_pictures(source)
    found = [path for path in pictures if _embedded(folder, path) is not None]
    if found:
        notes.append(f"pictures are written into it: {', '.join(found)}")
    missing = [path for path in pictures if path not in found]
    if missing:
        notes.append(f"marimo shows pictures of the folder `public` only, not {', '.join(missing)}")
    links = relative_links(source)
    if links:
        notes.append(f"marimo cannot open what it links to: {', '.join(links)}")
    return notes


def _report(
    notebook: Notebook, prepared: Prepared, cells: Sequence[_ImportedCell], folder: Path | None
) -> tuple[CellReport, ...]:
    kept = {position for cell in cells for position in cell.positions}
    missing = {
        position: names
        for index, names in unresolved(prepared.cells).items()
        for position in prepared.cells[index].positions
    }
    hidden = bool(prepared.lost) or any(_BINDS_UNSEEN.search(cell.source) for cell in notebook.cells)
    neither = " where the importer could see it" if hidden else ", in the Jupyter notebook neither"
    reports = []
    for cell in notebook.cells:
        lost = prepared.lost.get(cell.position, [])
        notes = [*lost, *prepared.notes.get(cell.position, [])]
        if cell.kind == "raw":
            notes.append("a raw cell, whose text is shown")
        elif cell.kind == "markdown":
            notes += _notes_on_markdown(cell, folder)
        notes += [
            f"it reads `{name}`, which no cell defines{neither}"
            for name in missing.get(cell.position, [])
            if re.search(rf"\b{name}\b", cell.source)
        ]
        if lost:
            reports.append(CellReport(cell.position, cell.cell_id, cell.kind, "not_converted", tuple(notes)))
        elif not cell.source.strip():
            reports.append(CellReport(cell.position, cell.cell_id, cell.kind, "dropped", (EMPTY,)))
        elif cell.position not in kept:
            notes = notes or ["it does nothing"]
            reports.append(CellReport(cell.position, cell.cell_id, cell.kind, "dropped", tuple(notes)))
        else:
            fate: Fate = "changed" if notes else "kept"
            reports.append(CellReport(cell.position, cell.cell_id, cell.kind, fate, tuple(notes)))
    return tuple(reports)
