"""Whether Markdown and pictures of the result show what they show in JupyterLab. Pure, but for looking for files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from marimo_kernel_bridge.importing.verifying.html_structure import difference, pictures, structure
from marimo_kernel_bridge.importing.verifying.jupyter_markdown import shown_in_jupyter
from marimo_kernel_bridge.importing.verifying.verdict import Check, Difference
from marimo_kernel_bridge.protocol.output_text import joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from marimo_kernel_bridge.importing.verifying.outputs import Outputs
    from marimo_kernel_bridge.importing.verifying.running import Page
    from marimo_kernel_bridge.notebooks.ipynb import Notebook, NotebookCell

_ELSEWHERE: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//|#")
_PUBLIC: Final = "public/"
"""The folder whose files marimo serves."""


def markdown_check(notebook: Notebook, made_of: Mapping[str, tuple[int, ...]], page: Page) -> Check:
    """Compare what the Markdown cells show with what JupyterLab shows of the originals."""
    found = []
    cells = list(_markdown(notebook, made_of))
    for result, cell in cells:
        apart = difference(shown_in_jupyter(cell.source), structure(_html(page[result])))
        if apart is not None:
            found.append(Difference((cell.position,), "Markdown", *apart))
    return Check("markdown", len(cells), len(cells), tuple(found), len(found))


def picture_check(
    notebook: Notebook,
    made_of: Mapping[str, tuple[int, ...]],
    page: Page,
    before: Mapping[int, Outputs],
) -> Check:
    """Look whether pictures that a path names, and that JupyterLab finds, are shown by marimo as well."""
    folder = notebook.path.parent if notebook.path is not None else None
    found, count = [], 0
    for result, cell in _markdown(notebook, made_of):
        wanted = [part.text for part in shown_in_jupyter(cell.source) if part.kind == "picture"]
        shown = pictures(_html(page[result]))
        there = [path for path in wanted if _is_shown_by_jupyter(path, folder, cell)]
        lost = [path for path in shown if not _is_shown_by_marimo(path, folder)]
        count += len(there)
        found += [
            Difference((cell.position,), "picture", path, "not shown") for path in there if path in lost
        ]
    by_position = {position: result for result, positions in made_of.items() for position in positions}
    for position, outputs in before.items():
        there = [path for path in pictures(_html(outputs)) if _is_relative(path) and _is_file(folder, path)]
        count += len(there)
        shown = pictures(_html(page[by_position[position]])) if position in by_position else []
        found += [
            Difference((position,), "picture", path, "not shown")
            for path in there
            if path in shown and not _is_shown_by_marimo(path, folder)
        ]
    return Check("pictures", count, count, tuple(found), len(found))


def _markdown(
    notebook: Notebook, made_of: Mapping[str, tuple[int, ...]]
) -> Iterable[tuple[str, NotebookCell]]:
    """Yield the Markdown cells with the ids of the cells that they became."""
    results = {positions: result for result, positions in made_of.items()}
    for cell in notebook.cells:
        if cell.kind == "markdown" and (cell.position,) in results:
            yield results[cell.position,], cell


def _html(outputs: Outputs) -> str:
    bundles = [output.get("data", {}) for output in outputs]
    return "\n".join(joined(bundle["text/html"]) for bundle in bundles if "text/html" in bundle)


def _is_relative(path: str) -> bool:
    return bool(path) and not _ELSEWHERE.match(path) and not path.startswith("/")


def _is_file(folder: Path | None, path: str) -> bool:
    try:
        return folder is not None and (folder / unquote(path.partition("?")[0])).is_file()
    except (OSError, ValueError):
        return False


def _is_shown_by_jupyter(path: str, folder: Path | None, cell: NotebookCell) -> bool:
    if path.startswith("attachment:"):
        return unquote(path.removeprefix("attachment:")) in cell.attachments
    return _is_relative(path) and _is_file(folder, path)


def _is_shown_by_marimo(path: str, folder: Path | None) -> bool:
    if _is_relative(path):
        return path.startswith(_PUBLIC) and _is_file(folder, path)
    return not path.startswith("attachment:")
