"""Reading .ipynb files, and importing one as a marimo notebook: what is refused, what is written, what is told.

Owns the notebook as it stands on disk, the report of an import and the writing of its result. Does not know how
cells are converted: that is marimo's business, and `runtime/convert.py` the only place that calls it.
"""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CellKind = Literal["code", "markdown", "raw"]
Fate = Literal["kept", "changed", "dropped", "not_converted"]

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
    metadata: dict[str, Any] = field(default_factory=dict)  # as in nbformat: any JSON
    attachments: dict[str, dict[str, str]] = field(default_factory=dict)
    outputs: int = 0

    def __str__(self) -> str:
        return f"cell {self.position} [{self.cell_id}]"


@dataclass(frozen=True)
class Notebook:
    """A Python notebook of nbformat 4. Cells of a minor version without ids are named by position."""

    cells: tuple[NotebookCell, ...]
    metadata: dict[str, Any]  # as in nbformat: any JSON


@dataclass(frozen=True)
class CellReport:
    """What became of one cell of the .ipynb, and why. `notes` is empty for a cell that was kept as it is."""

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

    `added` are cells that no cell of the .ipynb stands for. `check` is what `marimo check` finds, one line each;
    `check_passes` is its verdict, which formatting advice does not change.
    """

    text: str
    cells: tuple[CellReport, ...]
    added: tuple[str, ...]
    check: tuple[str, ...]
    check_passes: bool

    @property
    def complete(self) -> bool:
        return self.check_passes and not self.not_converted

    @property
    def not_converted(self) -> tuple[CellReport, ...]:
        return tuple(cell for cell in self.cells if cell.fate == "not_converted")


def read_notebook(path: Path) -> Notebook:
    """Read a Python notebook. Raises `BridgeError`: bad_notebook."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BridgeError("bad_notebook", f"{path} does not exist.", "Check the path.") from None
    except OSError as error:
        raise BridgeError("bad_notebook", f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise _bad(path, f"is not UTF-8 text (byte {error.start})") from error
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _bad(path, f"is not JSON: {error}") from error
    return _parse(path, text, document)


def _bad(path: Path, what: str) -> BridgeError:
    return BridgeError("bad_notebook", f"{path} {what}.", "Give a notebook that Jupyter can open.")


def _parse(path: Path, text: str, document: Any) -> Notebook:  # any JSON
    import nbformat  # noqa: PLC0415  # 0.2 s that only those who read a notebook pay
    from nbformat.validator import normalize  # noqa: PLC0415  # see above

    if not isinstance(document, dict) or not isinstance(document.get("nbformat"), int):
        raise _bad(path, "is JSON, but not a notebook: it has no nbformat")
    major = document["nbformat"]
    if major < nbformat.v4.nbformat:
        raise BridgeError(
            "bad_notebook",
            f"{path} is of the old notebook format {major}.",
            f"Upgrade it first: jupyter nbconvert --to notebook --inplace {path}",
        )
    if major > nbformat.v4.nbformat:
        raise _bad(path, f"is of notebook format {major}, which is newer than the 4 known here")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # missing and repeated cell ids, which `normalize` mends
            node = nbformat.reads(text, as_version=4, capture_validation_error={})  # type: ignore[no-untyped-call]  # nbformat is untyped
            _, node = normalize(node)
        nbformat.validate(node)
    except (nbformat.ValidationError, AttributeError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0] or type(error).__name__
        raise _bad(path, f"is not a valid notebook: {reason.rstrip('.')}") from error
    _refuse_other_languages(path, node.metadata)
    return Notebook(
        cells=tuple(_cell(path, position, cell) for position, cell in enumerate(node.cells, start=1)),
        metadata=json.loads(json.dumps(node.metadata)),
    )


def _refuse_other_languages(
    path: Path, metadata: Any
) -> None:  # a NotebookNode, which nbformat does not type
    language = metadata.get("language_info", {}).get("name") or metadata.get("kernelspec", {}).get("language")
    if language and str(language).lower() not in _PYTHON:
        raise BridgeError(
            "bad_notebook", f"{path} is a notebook in {language}.", "Only Python notebooks can be imported."
        )


def _cell(
    path: Path, position: int, node: Any
) -> NotebookCell:  # a NotebookNode, which nbformat does not type
    source = str(node.source)
    try:
        source.encode()
    except UnicodeEncodeError as error:
        raise _bad(path, f"has half a surrogate pair in cell {position}, which is not text") from error
    if "\0" in source:
        raise _bad(path, f"has a NUL character in cell {position}, which is not Python")
    return NotebookCell(
        position=position,
        cell_id=str(node.get("id", f"cell-{position}")),
        kind=node.cell_type,
        source=source,
        metadata=json.loads(json.dumps(node.metadata)),
        attachments=json.loads(json.dumps(node.get("attachments", {}))),
        outputs=len(node.get("outputs", ())),
    )


def import_notebook(
    source: Path, target: Path, convert: Callable[[Notebook], Conversion], *, overwrite: bool = False
) -> Conversion:
    """Convert `source` and write the result to `target`, wholly or not at all.

    Raises `BridgeError`: bad_notebook, output_exists, bad_request (a target that cannot be written).
    """
    if target.suffix != ".py":
        raise BridgeError("bad_request", f"{target} is no .py file.", "A marimo notebook is one: name it so.")
    if not overwrite and os.path.lexists(target):
        raise _exists(target)
    conversion = convert(read_notebook(source))
    _write(target, conversion.text, overwrite=overwrite)
    return conversion


def _exists(target: Path) -> BridgeError:
    return BridgeError("output_exists", f"{target} exists.", "Name another file with -o, or pass --force.")


def _write(target: Path, text: str, *, overwrite: bool) -> None:
    """Write to a neighbour first, then take the name in one step, so that no half notebook is ever seen."""
    neighbour = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with neighbour.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        try:
            if overwrite:
                neighbour.replace(target)
            else:
                os.link(neighbour, target)  # unlike a rename, fails if the name was taken meanwhile
        finally:
            neighbour.unlink(missing_ok=True)
    except FileExistsError as error:
        raise _exists(target) from error
    except OSError as error:
        raise BridgeError(
            "bad_request",
            f"{target} cannot be written: {error.strerror}.",
            "Name another file with -o (or pass --force where the file system has no hard links).",
        ) from error
