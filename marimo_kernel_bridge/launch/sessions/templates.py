"""Templates of new notebooks: those shipped, those of the user, and the new notebook that is made of one.

A user's template is an .ipynb or a marimo .py in `marimo_kernel_bridge/templates` of Jupyter's configuration directory. This module reads the
first kind; a .py is converted by who can read marimo's files.
"""

from __future__ import annotations

import json
import keyword
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jupyter_core.paths import jupyter_config_dir

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.notebooks.ipynb import parse_notebook
from marimo_kernel_bridge.notebooks.marimo_file import KERNELSPEC_METADATA, code_cell, markdown_cell
from marimo_kernel_bridge.notebooks.nbformat_json import is_cell_id
from marimo_kernel_bridge.protocol.regular_files import LARGEST_NOTEBOOK, is_file, read_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marimo_kernel_bridge.notebooks.nbformat_json import CellJSON, DocumentJSON

_PARAMETERS: Final = "parameters"
_INJECTED: Final = "injected-parameters"
"""Tags of papermill: the cell with default values, and the one behind it with those of a run."""
_SUFFIXES: Final = (".ipynb", ".py")
_LONGEST_LINE: Final = 200

_DATA_ANALYSIS: Final = (
    ("markdown", "about", "# Data analysis\n\nSet `source` to a CSV file, then run all cells."),
    ("code", "imports", "import marimo as mo\nimport pandas as pd"),
    ("code", "source", "source = None  # the path or the address of a CSV file"),
    ("code", "load", "data = pd.DataFrame() if source is None else pd.read_csv(source)\ndata.head()"),
    ("markdown", "what", "## What there is"),
    (
        "code",
        "columns",
        'pd.DataFrame({"type": data.dtypes.astype(str), "missing": data.isna().sum(), "distinct": data.nunique()})',
    ),
    (
        "code",
        "numbers",
        'numbers = data.select_dtypes("number")\nnumbers.describe() if len(numbers.columns) else None',
    ),
    ("markdown", "results", "## Results"),
)


@dataclass(frozen=True)
class Template:
    """A template. `path` is its file, None for one that is shipped."""

    name: str
    description: str
    path: Path | None = None


SHIPPED: Final = (
    Template("blank", "No cells."),
    Template("data_analysis", "Loads a CSV file with pandas, looks it over, and has a place for results."),
)


def templates_folder() -> Path:
    """Return the folder of the user's templates."""
    return Path(jupyter_config_dir(), "marimo_kernel_bridge", "templates")


def templates(more: Mapping[str, Path] = {}) -> list[Template]:
    """Return all templates, the shipped ones first; one of the user's with the name of another one replaces it.

    `more` are those of plugins, by their names.
    """
    folder = templates_folder()
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES and is_file(path))
    except OSError:
        files = []
    own = {path.stem: Template(path.stem, _described(path), path) for path in files}
    others = [*SHIPPED, *(Template(name, _described(path), path) for name, path in more.items())]
    return [*(template for template in others if template.name not in own), *own.values()]


def template_named(name: str, more: Mapping[str, Path] = {}) -> Template:
    """Return a template. `more` are those of plugins. Raises `BridgeError`: bad_request."""
    known = templates(more)
    found = next((template for template in known if template.name == name), None)
    if found is None:
        raise BridgeError(
            "bad_request",
            f"There is no template {name!r}; nothing was created.",
            f"There are {', '.join(template.name for template in known)}. More go into {templates_folder()}.",
        )
    return found


def shipped_cells(name: str) -> list[CellJSON]:
    """Return the cells of a shipped template."""
    if name != "data_analysis":
        return []
    return [
        code_cell(cell_id, text) if kind == "code" else markdown_cell(cell_id, text, {})
        for kind, cell_id, text in _DATA_ANALYSIS
    ]


def new_document(
    path: Path, cells: Sequence[CellJSON], parameters: Mapping[str, Any], metadata: Mapping[str, Any] = {}
) -> DocumentJSON:
    """Return a new notebook of nbformat 4.5 with a template's cells, as if they had never run.

    `parameters` are values for papermill's cell: they come behind the template's, or make one at the top.
    Raises `BridgeError`: bad_notebook, bad_request.
    """
    checked = parse_notebook(path, {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells)})
    taken: set[str] = set()
    made: list[CellJSON] = []
    for number, (cell, named) in enumerate(zip(cells, checked.cells, strict=True), 1):
        cell_id = named.cell_id
        if cell_id in taken or not is_cell_id(cell_id):
            cell_id = f"cell-{number}"
        taken.add(cell_id)
        made.append(_as_new(cell, cell_id))
    if parameters:
        at = next((number for number, cell in enumerate(made) if _PARAMETERS in _tags(cell)), None)
        tag = _PARAMETERS if at is None else _INJECTED
        ids = {cell["id"] for cell in made}
        cell_id = next(
            name for name in (tag, *(f"{tag}-{n}" for n in range(len(made) + 1))) if name not in ids
        )
        made = [cell for cell in made if _INJECTED not in _tags(cell)]
        made.insert(
            0 if at is None else at + 1, code_cell(cell_id, _assignments(parameters), {"tags": [tag]})
        )
    kept = {key: value for key, value in metadata.items() if key not in {"kernelspec", "widgets"}}
    return {
        "cells": made,
        "metadata": {"kernelspec": KERNELSPEC_METADATA, **kept},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _as_new(cell: CellJSON, cell_id: str) -> CellJSON:
    kept = {"id": cell_id, **{key: value for key, value in cell.items() if key != "id"}}
    return kept | {"execution_count": None, "outputs": []} if cell["cell_type"] == "code" else kept


def _tags(cell: CellJSON) -> Sequence[str]:
    tags = (cell.get("metadata") or {}).get("tags")
    return tags if isinstance(tags, list) else ()


def _assignments(parameters: Mapping[str, Any]) -> str:
    lines = [f"{_name(name)} = {_literal(name, value)}" for name, value in parameters.items()]
    return "\n".join(["# Parameters", *lines])


def _name(name: str) -> str:
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("__"):
        raise BridgeError(
            "bad_request", f"The parameter {name!r} is not a name of a variable; nothing was created.", ""
        )
    return name


def _literal(name: str, value: Any) -> str:
    """Return Python for a value of JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise BridgeError("bad_request", f"The parameter {name!r} is no JSON; nothing was created.") from None
    return repr(value)


def _described(path: Path) -> str:
    """Return the first line of a template that says what it is for: of its first Markdown cell."""
    if path.suffix == ".py":
        return "A marimo notebook."
    try:
        cells = parse_notebook(path, json.loads(read_bytes(path, LARGEST_NOTEBOOK))).cells
    except (OSError, ValueError, RecursionError, BridgeError):
        return "It cannot be read."
    text = next((cell.source for cell in cells if cell.kind == "markdown"), "")
    return text.strip().partition("\n")[0].lstrip("# ")[:_LONGEST_LINE]
