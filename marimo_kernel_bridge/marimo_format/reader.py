"""Reading of marimo files as values, and their conversion to marimo's Markdown and to scripts, all by marimo itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marimo._ast.app import InternalApp
from marimo._ast.compiler import compile_cell, extract_markdown
from marimo._ast.errors import CycleError, MultipleDefinitionError
from marimo._ast.load import load_notebook_ir
from marimo._convert.converters import MarimoConvert
from marimo._convert.script import UnsupportedAsyncCodeError, convert_from_ir_to_script
from marimo._schemas.serialization import UnparsableCell
from marimo._types.ids import CellId_t

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.notebooks.ipynb import text_of
from marimo_kernel_bridge.notebooks.marimo_file import FileCell, MarimoFile
from marimo_kernel_bridge.runtime.supported_api import check_version

if TYPE_CHECKING:
    from pathlib import Path

    from marimo._schemas.serialization import CellDef, NotebookSerialization


def read(path: Path) -> MarimoFile:
    """Read a marimo notebook. Raises `BridgeError`: bad_notebook, runtime_mismatch."""
    check_version()
    return read_text(path, text_of(path))


def read_text(path: Path, text: str) -> MarimoFile:
    """Read the text of a marimo notebook. Raises `BridgeError`: bad_notebook."""
    read = _parsed(path, text)
    ids = InternalApp(load_notebook_ir(read)).cell_manager.cell_ids()
    return MarimoFile(
        path=path,
        text=text,
        cells=tuple(_cell(str(cell_id), cell) for cell_id, cell in zip(ids, read.cells, strict=True)),
        header=read.header.value if read.header else "",
        app_config=dict(read.app.options),
    )


def _parsed(path: Path, text: str) -> NotebookSerialization:
    try:
        read = MarimoConvert.from_py(text).to_ir()
    except SyntaxError as error:
        raise BridgeError(
            "bad_notebook", f"{path} is not Python: {error.msg} (line {error.lineno})."
        ) from error
    except Exception as error:  # marimo's parser asserts and indexes; Python's has no memory for deep nesting
        raise BridgeError(
            "bad_notebook", f"{path} cannot be read as a marimo notebook: {_first_line(error)}."
        ) from error
    if not read.valid:
        raise BridgeError(
            "bad_notebook",
            f"{path} is Python, but no marimo notebook.",
            f"marimo makes one of a script: marimo convert {path}",
        )
    return read


def _cell(cell_id: str, cell: CellDef) -> FileCell:
    config = {key: value for key, value in cell.options.items() if key != "name"}
    if isinstance(cell, UnparsableCell):
        return FileCell(cell_id, cell.code, cell.name, config, parses=False)
    defines, uses = _names(cell.code)
    shows = extract_markdown(cell.code) if uses == ("mo",) and not defines else None
    return FileCell(cell_id, cell.code, cell.name, config, shows, defines=defines, uses=uses)


def _names(code: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names that a cell defines and uses, as marimo sees them; none if it does not compile."""
    try:
        cell = compile_cell(code, cell_id=CellId_t("file"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return (), ()
    return tuple(sorted(cell.defs)), tuple(sorted(cell.refs))


def to_markdown(file: MarimoFile) -> str:
    """Return a notebook in marimo's Markdown format, which marimo can open."""
    return MarimoConvert.from_ir(_parsed(file.path, file.text)).to_markdown(filename=file.path.name)


def to_script(file: MarimoFile) -> str:
    """Return a notebook as a script that runs its cells in the order of the graph. Raises `BridgeError`: bad_notebook."""
    unparsable = [str(number) for number, cell in enumerate(file.cells, start=1) if not cell.parses]
    if unparsable:
        raise BridgeError(
            "bad_notebook",
            f"{file.path} has a syntax error in cell {', '.join(unparsable)}.",
            "Correct it, or export to another format than a script.",
        )
    try:
        return convert_from_ir_to_script(_parsed(file.path, file.text)) + "\n"
    except UnsupportedAsyncCodeError as error:
        raise BridgeError(
            "bad_notebook",
            f"{file.path} uses `await` in a cell, which a script cannot.",
            "Export it as .py: a marimo file also runs as a program.",
        ) from error
    except (CycleError, MultipleDefinitionError, SyntaxError) as error:
        raise BridgeError(
            "bad_notebook",
            f"{file.path} has no order in which its cells could run: {_first_line(error)}.",
            "`marimo check` names the cells.",
        ) from error


def _first_line(error: Any) -> str:  # any exception
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
