"""Saved outputs of an .ipynb as marimo's session file: the notebook opens with what it showed in Jupyter."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any

from marimo._ast.app import InternalApp
from marimo._ast.load import load_app
from marimo._schemas.session import VERSION
from marimo._session.state.serialize import get_session_cache_file
from marimo._utils.code import hash_code
from marimo._version import __version__

from marimo_kernel_bridge.notebooks.ipynb import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from marimo_kernel_bridge.notebooks.ipynb import Conversion, Notebook
    from marimo_kernel_bridge.notebooks.marimo_file import MarimoFile

_MIMES = (
    "text/html",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "text/markdown",
    "text/latex",
    "text/plain",
)


def keep(notebook: Notebook, conversion: Conversion, target: Path) -> Path | None:
    """Write the saved outputs of `notebook` beside the written `target`; return the file, None if nothing is saved."""
    if not any(cell.outputs for cell in notebook.cells):
        return None
    app = load_app(target)
    assert app is not None
    outputs = {cell.position: cell.outputs for cell in notebook.cells}
    cells = []
    for data, positions in zip(InternalApp(app).cell_manager.cell_data(), conversion.positions, strict=True):
        saved = [output for position in positions for output in outputs.get(position, ())]
        shown, console = _converted(saved)
        cells.append(
            {
                "id": data.cell_id,
                "code_hash": hash_code(data.code) if saved else None,
                "outputs": shown,
                "console": console,
            }
        )
    session = {
        "version": VERSION,
        "metadata": {"marimo_version": __version__, "script_metadata_hash": None},
        "cells": cells,
    }
    path = get_session_cache_file(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(session, indent=1), overwrite=True)
    return path


def _converted(
    outputs: list[dict[str, Any]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:  # nbformat, marimo's JSON
    console: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    shown: list[tuple[str, str]] = []
    for output in outputs:
        match output.get("output_type"):
            case "stream":
                name = "stderr" if output.get("name") == "stderr" else "stdout"
                text = _joined(output.get("text"))
                console.append({"type": "stream", "name": name, "text": text, "mimetype": "text/plain"})
            case "execute_result" | "display_data" | "pyout":
                data = output.get("data")
                if isinstance(data, dict) and (best := _best(data)) is not None:
                    shown.append(best)
            case "error":
                errors.append(
                    {
                        "type": "error",
                        "ename": str(output.get("ename", "")),
                        "evalue": str(output.get("evalue", "")),
                        "traceback": [],
                    }
                )
    if len(shown) == 1:
        mime, text = shown[0]
        return [*errors, {"type": "data", "data": {mime: text}}], console
    if shown:
        whole = "\n".join(_as_html(mime, text) for mime, text in shown)
        return [*errors, {"type": "data", "data": {"text/html": whole}}], console
    return errors, console


def _best(data: dict[str, Any]) -> tuple[str, str] | None:  # a mime bundle
    for mime in _MIMES:
        if mime in data:
            text = _joined(data[mime])
            if mime in {"image/png", "image/jpeg"}:
                text = f"data:{mime};base64,{''.join(text.split())}"
            return ("text/markdown" if mime == "text/latex" else mime), text
    return None


def _joined(text: object) -> str:
    return "".join(map(str, text)) if isinstance(text, list) else str(text)


def _as_html(mime: str, text: str) -> str:
    if mime in {"image/png", "image/jpeg"}:
        return f'<img src="{text}">'
    return text if mime in {"text/html", "image/svg+xml"} else f"<pre>{html.escape(text)}</pre>"


def read(file: MarimoFile) -> dict[str, list[dict[str, Any]]]:  # nbformat
    """Return what marimo saved of a notebook's outputs, by cell id; of cells whose code is what it was then."""
    try:
        session = json.loads(get_session_cache_file(file.path).read_text(encoding="utf-8"))
        saved = {each["code_hash"]: each for each in session["cells"] if each["code_hash"]}
        return {
            cell.cell_id: _as_nbformat(saved[code_hash])
            for cell in file.cells
            if (code_hash := hash_code(cell.code)) in saved
        }
    except (OSError, ValueError, KeyError, TypeError):  # none, or of another version
        return {}


def _as_nbformat(cell: dict[str, Any]) -> list[dict[str, Any]]:  # marimo's JSON, nbformat
    outputs: list[dict[str, Any]] = []
    for each in cell["console"]:
        if each["type"] == "streamMedia":
            outputs.append(_shown({each["mimetype"]: each["data"]}))
        elif each.get("mimetype") in {None, "text/plain"}:
            outputs.append({"output_type": "stream", "name": each["name"], "text": each["text"]})
    for each in cell["outputs"]:
        if each["type"] == "error":
            fields = {key: str(each[key] or "") for key in ("ename", "evalue")}
            outputs.append({"output_type": "error", **fields, "traceback": list(each["traceback"] or [])})
        elif each["data"] and any(each["data"].values()):
            outputs.append(_shown(each["data"]))
    return outputs


def _shown(data: dict[str, Any]) -> dict[str, Any]:  # a mime bundle, nbformat
    bundle = {}
    for mime, content in data.items():
        text = str(content)
        if text.startswith("data:image/") and ";base64," in text:
            bundle[text[len("data:") : text.index(";")]] = text.partition(";base64,")[2]
        elif mime == "text/markdown" and text.lstrip().startswith("<"):  # `mo.md` is HTML by then
            bundle["text/html"] = text
        else:
            bundle[mime] = content
    return {"output_type": "display_data", "data": bundle, "metadata": {}}
