"""Notebooks written as text: Markdown with code blocks, Python with `# %%` between cells, and JSON that lists cells.

Reads them as an .ipynb would be read. Goes through a text line by line, once. What is no cell stays text: nothing is lost.
marimo's own .py files are read by `marimo_format`.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.notebooks.ipynb import parse_notebook, read_notebook, text_of
from marimo_kernel_bridge.notebooks.marimo_file import code_cell, markdown_cell
from marimo_kernel_bridge.notebooks.nbformat_json import is_cell_id, lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from marimo_kernel_bridge.notebooks.ipynb import Notebook
    from marimo_kernel_bridge.notebooks.nbformat_json import CellJSON, DocumentJSON, OutputJSON

TextFormat = Literal["ipynb", "json", "md", "markdown", "py"]
"""`md` is what exports call Markdown."""
SUFFIXES: Final[dict[TextFormat, str]] = {
    "ipynb": ".ipynb",
    "json": ".json",
    "md": ".md",
    "markdown": ".md",
    "py": ".py",
}

_LONGEST_CODE: Final = 200_000
"""Characters of a text that is parsed to see whether it is code."""
_MARIMO: Final = re.compile(r"^app\s*=\s*marimo\.App\(", re.MULTILINE)
_FENCE: Final = re.compile(r"( {0,3})(`{3,}|~{3,})[ \t]*([^`\n]*)$")
_PYTHON: Final = re.compile(r"\{?\.?(?:python3?|py|ipython3?)(?=[\s.,{}]|$)", re.IGNORECASE)
_MARKER: Final = re.compile(r"#[ \t]*%%(?:[ \t]+(.*))?$")
_KIND: Final = re.compile(r"(?:^|\s)\[(markdown|md|raw|code)\](?:\s|$)")
_COMMENTED_MAGIC: Final = re.compile(
    r"# ?(?=[!]|%%?(?:autoreload|bash|capture|cd|conda|config|env|html|javascript|latex|load_ext|matplotlib|pip|prun|pylab|"
    r"reload_ext|run|script|sh|sql|svg|time|timeit|who|whos|writefile)\b)"
)
_CODE, _TEXT = "code", "markdown"


@dataclass
class _Cell:
    kind: str
    lines: list[str] = field(default_factory=list)
    cell_id: str = ""

    @property
    def source(self) -> str:
        return "\n".join(self.lines).strip("\n")


def read_written(path: Path) -> Notebook:
    """Read a notebook of any of these formats, by its suffix. Raises `BridgeError`: bad_notebook."""
    formats = {suffix: name for name, suffix in SUFFIXES.items()}
    kind = formats.get(path.suffix, "ipynb")
    if kind == "ipynb":
        return read_notebook(path)
    text = text_of(path)
    if kind == "py" and is_marimo(text):
        raise BridgeError(
            "bad_notebook",
            f"{path} is a marimo notebook already.",
            f"It becomes an .ipynb by: marimo-kernel-bridge export {path} --to ipynb",
        )
    return parse_notebook(path, document_of_text(text, kind, path.name))


def is_marimo(text: str) -> bool:
    """Return whether a Python text is a notebook of marimo's."""
    return _MARIMO.search(text) is not None


def format_of_text(text: str) -> TextFormat:
    """Return the format that a text most likely has."""
    start = text.lstrip("\ufeff \t\r\n")
    if start.startswith(("{", "[")):
        return "ipynb" if '"nbformat"' in text else "json"
    if is_marimo(text) or any(_MARKER.match(line) for line in text.split("\n")):
        return "py"
    return "py" if _is_python(text) else "markdown"


def _is_python(text: str) -> bool:
    """Whether a text without marks of cells is code: Python that does something, which prose hardly ever is."""
    if len(text) > _LONGEST_CODE:
        return False
    try:
        with warnings.catch_warnings(action="ignore"):
            statements = ast.parse(text).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return any(
        not isinstance(one, ast.Expr | ast.AnnAssign) or isinstance(one.value, ast.Call) for one in statements
    )


def document_of_text(text: str, kind: TextFormat, name: str) -> DocumentJSON:
    """Return a notebook as an .ipynb has it. `name` is what errors call it. Raises `BridgeError`: bad_notebook."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    match kind:
        case "markdown" | "md":
            return _document(_of_markdown(text))
        case "py":
            return _document(_of_percent(text))
        case _:
            return _of_json(text, name)


def _document(cells: Iterator[_Cell]) -> DocumentJSON:
    made: list[CellJSON] = []
    for number, cell in enumerate((cell for cell in cells if cell.source.strip()), 1):
        cell_id = f"cell-{number}"
        if cell.kind == _CODE:
            made.append(code_cell(cell_id, cell.source))
        else:
            made.append(markdown_cell(cell_id, cell.source, {}) | {"cell_type": cell.kind})
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made}


def _of_markdown(text: str) -> Iterator[_Cell]:
    """Yield a code cell for each block of Python, and a Markdown cell for what is between them, with blocks of other languages."""
    cell = _Cell(_TEXT)
    closing, indent, is_python = "", 0, False
    for line in _without_front_matter(text.split("\n")):
        fence = _FENCE.match(line)
        if closing:
            if fence is not None and fence[2].startswith(closing) and not fence[3].strip():
                closing = ""
                if is_python:
                    yield cell
                    cell = _Cell(_TEXT)
                    continue
            cell.lines.append(line[_spaces(line, indent) :] if is_python else line)
            continue
        if fence is None:
            cell.lines.append(line)
            continue
        closing, indent = fence[2], len(fence[1])
        is_python = _PYTHON.match(fence[3].strip()) is not None
        if is_python:
            yield cell
            cell = _Cell(_CODE)
        else:
            cell.lines.append(line)
    yield cell


def _spaces(line: str, most: int) -> int:
    return min(most, len(line) - len(line.lstrip(" ")))


def _without_front_matter(text: Sequence[str]) -> Sequence[str]:
    if text and text[0].rstrip() == "---":
        for number, line in enumerate(text[1:], 1):
            if line.rstrip() in {"---", "..."}:
                return text[number + 1 :]
    return text


def _of_percent(text: str) -> Iterator[_Cell]:
    """Yield the cells between the marks of editors and Jupytext: `# %%`, `# %% [markdown]`."""
    cell = _Cell(_CODE)
    for line in _without_header(text.split("\n")):
        marker = _MARKER.match(line)
        if marker is None:
            cell.lines.append(line)
            continue
        yield _finished(cell)
        kind = _KIND.search(marker[1] or "")
        named = "" if kind is None else kind[1].replace("md", "markdown") if kind[1] == "md" else kind[1]
        cell = _Cell(named or _CODE)
    yield _finished(cell)


def _without_header(text: Sequence[str]) -> Sequence[str]:
    """Return the lines without Jupytext's comment of settings at the top."""
    if text and text[0].rstrip() == "# ---":
        for number, line in enumerate(text[1:], 1):
            if line.rstrip() == "# ---":
                return text[number + 1 :]
            if not line.startswith("#"):
                break
    return text


def _finished(cell: _Cell) -> _Cell:
    if cell.kind == _CODE:
        return _Cell(
            _CODE,
            [
                _COMMENTED_MAGIC.sub("", line, count=1) if line.startswith("#") else line
                for line in cell.lines
            ],
        )
    source = cell.source.strip()
    for quotes in ('"""', "'''"):
        if len(source) >= 2 * len(quotes) and source.startswith(quotes) and source.endswith(quotes):
            return _Cell(cell.kind, source[3:-3].split("\n"))
    return _Cell(cell.kind, [re.sub(r"^# ?", "", line) for line in cell.lines])


def _of_json(text: str, name: str) -> DocumentJSON:
    try:
        said: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BridgeError("bad_notebook", f"{name} is not JSON: {error}.", "") from None
    if isinstance(said, dict) and "nbformat" in said:
        return said
    listed = said.get("cells") if isinstance(said, dict) else said
    if not isinstance(listed, list) or not all(isinstance(cell, dict) for cell in listed):
        raise BridgeError(
            "bad_notebook",
            f"{name} is JSON, but no notebook: it has no list of cells.",
            'It is {"cells": [{"kind": "code", "source": "x = 1"}]}, as an export in this format, or an .ipynb.',
        )
    metadata = said.get("metadata") if isinstance(said, dict) else None
    taken: set[str] = set()
    cells = [_cell_of_json(cell, number, name, taken) for number, cell in enumerate(listed, 1)]
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": metadata if isinstance(metadata, dict) else {},
        "cells": cells,
    }


def _cell_of_json(cell: Mapping[str, Any], number: int, name: str, taken: set[str]) -> CellJSON:
    kind = _first(cell, "kind", "cell_type", "type", default=_CODE)
    source = _first(cell, "source", "code", "content", default="")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if kind not in {_CODE, _TEXT, "raw"} or not isinstance(source, str):
        raise BridgeError(
            "bad_notebook",
            f"Cell {number} of {name} has no text, or is neither code, markdown nor raw.",
            'A cell is {"kind": "code", "source": "x = 1"}.',
        )
    cell_id = str(cell.get("id") or "")
    if not is_cell_id(cell_id) or cell_id in taken:
        cell_id = f"cell-{number}"
    taken.add(cell_id)
    saved = cell.get("metadata")
    metadata: dict[str, Any] = saved if isinstance(saved, dict) else {}
    if kind != _CODE:
        return markdown_cell(cell_id, source, metadata) | {"cell_type": kind}
    made = code_cell(cell_id, source, metadata)
    outputs = cell.get("outputs")
    made["outputs"] = list(_outputs(outputs)) if isinstance(outputs, list) else []
    return made


def _first(cell: Mapping[str, Any], *names: str, default: Any) -> Any:
    return next((cell[name] for name in names if name in cell), default)


def _outputs(described: Sequence[Any]) -> Iterator[OutputJSON]:
    """Yield outputs of an export in JSON, which has their text alone, and those of an .ipynb."""
    for output in described:
        if not isinstance(output, dict):
            continue
        if "output_type" in output:
            yield output
            continue
        text = output.get("text")
        if not isinstance(text, str) or not text:
            continue
        if output.get("kind") in {"stdout", "stderr"}:
            yield {"output_type": "stream", "name": output["kind"], "text": lines(text)}
        else:
            yield {"output_type": "display_data", "data": {"text/plain": lines(text)}, "metadata": {}}
