"""An .ipynb as values, and the report of an import.

Owns what is read of an .ipynb and what is refused. Does not convert cells: that is the work of `importing`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.notebooks.nbformat3 import upgraded
from marimo_kernel_bridge.protocol.regular_files import LARGEST_NOTEBOOK, read_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from marimo_kernel_bridge.notebooks.nbformat_json import DocumentJSON, JSONObject, OutputJSON

CellKind = Literal["code", "markdown", "raw"]
Fate = Literal["kept", "changed", "dropped", "not_converted"]

_FORMAT: Final = 4
_OLDEST: Final = 3
_PYTHON: Final = frozenset({"python", "python3", "ipython", "ipython3"})


@dataclass(frozen=True)
class NotebookCell:
    """One cell of an .ipynb. `position` counts from 1, as a reader of the notebook does.

    `attachments` maps a file name to a mime bundle, as in nbformat.
    """

    position: int
    cell_id: str
    kind: CellKind
    source: str
    metadata: JSONObject = field(default_factory=dict)
    attachments: dict[str, dict[str, str]] = field(default_factory=dict)
    outputs: tuple[OutputJSON, ...] = ()

    def __str__(self) -> str:
        return f"cell {self.position} [{self.cell_id}]"


@dataclass(frozen=True)
class Notebook:
    """A Python notebook, as of nbformat 4. Cells that have no id on disk are named by their position.

    `document` is the whole notebook, so that an export can keep what this package does not read; an older notebook is
    upgraded.
    """

    cells: tuple[NotebookCell, ...]
    metadata: JSONObject
    path: Path | None = None
    document: DocumentJSON = field(default_factory=dict)


EMPTY: Final = "it is empty"
"""The note on a cell that was dropped because it is empty."""


@dataclass(frozen=True)
class CellReport:
    """The result of importing one cell of the .ipynb. `notes` are the reasons, none for a cell that was kept."""

    position: int
    cell_id: str
    kind: CellKind
    fate: Fate
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        notes = f": {'; '.join(self.notes)}" if self.notes else ""
        return f"cell {self.position} [{self.cell_id}] {self.fate.replace('_', ' ')}{notes}"


@dataclass(frozen=True)
class Conversion:
    """The text of a marimo notebook, and a report on every cell that it came from, in document order.

    `added` is the code of cells that come from no cell of the .ipynb. For each cell of the result, `positions` names the
    cells of the .ipynb that are in it, and `codes` has its code. `check` has the findings of `marimo check`, one line
    each; `check_passes` is its verdict, which formatting advice does not change.
    """

    text: str
    cells: tuple[CellReport, ...]
    added: tuple[str, ...]
    check: tuple[str, ...]
    check_passes: bool
    positions: tuple[tuple[int, ...], ...] = ()
    codes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return self.check_passes and not self.not_converted

    @property
    def not_converted(self) -> tuple[CellReport, ...]:
        return tuple(cell for cell in self.cells if cell.fate == "not_converted")


def read_notebook(path: Path) -> Notebook:
    """Read a Python notebook. Raises `BridgeError`: bad_notebook."""
    return parse_notebook(path, read_file(path))


def notebook_in(content: bytes, path: Path) -> Notebook:
    """Return the notebook in the bytes of a file, which were read before. Raises `BridgeError`: bad_notebook."""
    return parse_notebook(path, _json_in(_decoded(content.decode, path), path))


def text_of(path: Path) -> str:
    """Read the text of a notebook's file, whatever its format. Raises `BridgeError`: bad_notebook."""
    return _decoded(lambda: read_text(path, LARGEST_NOTEBOOK), path)


def _decoded(read: Callable[[], str], path: Path) -> str:
    try:
        return read()
    except FileNotFoundError:
        raise BridgeError("bad_notebook", f"{path} does not exist.", "Check the path.") from None
    except OSError as error:
        raise BridgeError("bad_notebook", f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise BridgeError(
            "bad_notebook", f"{path} is not UTF-8 text (byte {error.start}).", "Save it as UTF-8."
        ) from error


def read_file(path: Path) -> object:
    """Read the JSON of a notebook. Raises `BridgeError`: bad_notebook."""
    return _json_in(text_of(path), path)


def _json_in(text: str, path: Path) -> object:
    try:
        document: object = json.loads(text)
        if "\\ud" in text.lower():
            json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _bad(path, "has half a surrogate pair, which is not text") from None
    except (ValueError, RecursionError) as error:
        if path.suffix == ".py":
            raise BridgeError(
                "bad_notebook",
                f"{path} is Python, not an .ipynb (JSON).",
                f"A marimo notebook becomes an .ipynb by: marimo-kernel-bridge export {path} --to ipynb",
            ) from error
        raise _bad(path, f"is not JSON: {error}" if text.strip() else "is empty") from error
    return document


def _bad(path: Path, what: str) -> BridgeError:
    return BridgeError("bad_notebook", f"{path} {what}.", "Give a notebook that Jupyter can open.")


def parse_notebook(path: Path, document: object) -> Notebook:
    """Return a notebook. Checks only what an import needs: Jupyter opens notebooks that nbformat's schema refuses.

    `path` is where the notebook is, or would be. Raises `BridgeError`: bad_notebook.
    """
    if not isinstance(document, dict) or not isinstance(document.get("nbformat"), int):
        raise _bad(path, "is JSON, but not a notebook: it has no nbformat")
    major = document["nbformat"]
    if major > _FORMAT:
        raise _bad(path, f"is of notebook format {major}, which is newer than the {_FORMAT} known here")
    if major < _OLDEST:
        raise BridgeError(
            "bad_notebook",
            f"{path} is of the old notebook format {major}.",
            f"Upgrade it first: jupyter nbconvert --to notebook --inplace {path}",
        )
    if major == _OLDEST:
        document = upgraded(document) or {}
    cells = document.get("cells")
    if not isinstance(cells, list):
        raise _bad(path, "is not a valid notebook: it has no list of cells")
    metadata = _mapping(document, "metadata")
    language = _mapping(metadata, "language_info").get("name") or _mapping(metadata, "kernelspec").get(
        "language"
    )
    if language and str(language).lower() not in _PYTHON:
        raise BridgeError(
            "bad_notebook", f"{path} is a notebook in {language}.", "Only Python notebooks are supported."
        )
    return Notebook(
        tuple(_cell(path, position, cell) for position, cell in enumerate(cells, start=1)),
        metadata,
        path,
        document,
    )


def _cell(path: Path, position: int, cell: object) -> NotebookCell:
    if not isinstance(cell, dict) or cell.get("cell_type") not in get_args(CellKind):
        raise _bad(path, f"is not a valid notebook: cell {position} is not a code, markdown or raw cell")
    source = _joined(cell.get("source"))
    if source is None:
        raise _bad(path, f"is not a valid notebook: cell {position} has no source")
    if "\0" in source or any("\ud800" <= character <= "\udfff" for character in source):
        raise _bad(path, f"has a NUL or half a surrogate pair in cell {position}, which is not text")
    return NotebookCell(
        position=position,
        cell_id=str(cell.get("id") or f"cell-{position}"),
        kind=cell["cell_type"],
        source=source,
        metadata=_mapping(cell, "metadata"),
        attachments={
            name: {mime: text for mime, data in bundle.items() if (text := _joined(data)) is not None}
            for name, bundle in _mapping(cell, "attachments").items()
            if isinstance(bundle, dict)
        },
        outputs=_outputs(cell),
    )


class _Output(msgspec.Struct, frozen=True):
    """What is read of an output; it may lack any of it."""

    output_type: str = ""
    data: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    name: str | None = None
    text: str | list[str] | None = None
    ename: str | None = None
    evalue: str | None = None
    traceback: list[str] | None = None


msgspec.json.Decoder(
    _Output
)  # at the import, by one thread: msgspec crashes if two look at a class for the first time


def _outputs(cell: JSONObject) -> tuple[OutputJSON, ...]:
    """Return the outputs of a cell, and take those of the wrong type out of it."""
    outputs = cell.get("outputs")
    right = [output for output in outputs if _is_output(output)] if isinstance(outputs, list) else []
    if "outputs" in cell:
        cell["outputs"] = right
    return tuple(right)


def _is_output(output: object) -> bool:
    try:
        msgspec.convert(output, _Output)
    except msgspec.ValidationError:
        return False
    return True


def _mapping(document: JSONObject, key: str) -> JSONObject:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _joined(text: object) -> str | None:
    """Join the lines of a text, which nbformat may also store as a list."""
    if isinstance(text, list) and all(isinstance(line, str) for line in text):
        return "".join(text)
    return text if isinstance(text, str) else None
