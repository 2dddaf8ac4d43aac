"""The notebook as imported: its cells, and what is wrong with its Markdown."""

from pathlib import Path

import marimo  # noqa: TID251  # what marimo shows is the subject

from marimo_kernel_bridge.importing import to_marimo
from marimo_kernel_bridge.importing.verifying.texts_and_pictures import markdown_check, picture_check
from marimo_kernel_bridge.notebooks.ipynb import read_notebook
from tests.corpus.forks import copied
from tests.corpus.measures import Cells


def converted(path: Path) -> Cells:
    """Import a notebook."""
    with copied(path.parent) as folder:
        conversion = to_marimo.convert(read_notebook(folder / path.name))
    codes = {f"r{number}": code for number, code in enumerate(conversion.codes)}
    parts = (tuple(f"c{position}" for position in positions) for positions in conversion.positions)
    return Cells(codes, dict(zip(codes, parts, strict=True)))


def markdown(path: Path) -> list[str]:
    """What Markdown cells and pictures show otherwise than in JupyterLab."""
    with copied(path.parent) as folder:
        notebook = read_notebook(folder / path.name)
        conversion = to_marimo.convert(notebook)
        made_of = {f"r{number}": positions for number, positions in enumerate(conversion.positions)}
        kinds = {cell.position: cell.kind for cell in notebook.cells}
        page: dict[str, list[dict[str, object]]] = {cell: [] for cell in made_of}
        for cell, code in zip(made_of, conversion.codes, strict=True):
            if [kinds[position] for position in made_of[cell]] == ["markdown"]:
                html = eval(code, dict.fromkeys((code.partition(".")[0],), marimo)).text
                page[cell] = [{"output_type": "display_data", "data": {"text/html": html}}]
        checks = markdown_check(notebook, made_of, page), picture_check(notebook, made_of, page, {})
        return [str(each) for check in checks for each in check.differences]
