"""marimo's session files: written from the saved outputs of an .ipynb, and read as outputs of an .ipynb.

With its session file, an imported notebook opens in marimo with the outputs that it had in Jupyter.
"""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING

from marimo._ast.app import InternalApp
from marimo._ast.load import load_app
from marimo._schemas.session import VERSION
from marimo._session.state.serialize import get_session_cache_file
from marimo._utils.code import hash_code
from marimo._version import __version__

from marimo_kernel_bridge.notebooks.folder_files import bytes_inside, make_folder_inside
from marimo_kernel_bridge.notebooks.whole_files import write_whole
from marimo_kernel_bridge.protocol.regular_files import LARGEST_NOTEBOOK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from marimo_kernel_bridge.notebooks.ipynb import Conversion, Notebook
    from marimo_kernel_bridge.notebooks.marimo_file import MarimoFile
    from marimo_kernel_bridge.notebooks.nbformat_json import JSONObject, OutputJSON

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
    """Write the saved outputs of `notebook` as the session file of `target`; return its path, None without outputs."""
    if not any(cell.outputs for cell in notebook.cells):
        return None
    app = load_app(target)
    assert app is not None
    outputs = {cell.position: cell.outputs for cell in notebook.cells}
    cells = []
    for data, positions in zip(InternalApp(app).cell_manager.cell_data(), conversion.positions, strict=True):
        # of a cell that was divided, the first part has them
        saved = [output for position in positions for output in outputs.pop(position, ())]
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
    folder = path.parents[2]  # the notebook's, unless Python keeps what it caches elsewhere
    make_folder_inside(folder, str(path.parent.relative_to(folder)))
    write_whole(path, json.dumps(session, indent=1), overwrite=True, like=target)
    return path


def _converted(
    outputs: Sequence[OutputJSON],
) -> tuple[list[JSONObject], list[JSONObject]]:
    """Return marimo's outputs and console outputs."""
    console: list[JSONObject] = []
    errors: list[JSONObject] = []
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


def _best(data: JSONObject) -> tuple[str, str] | None:
    """Return the richest representation in a mime bundle that marimo shows."""
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


def read(file: MarimoFile) -> dict[str, list[OutputJSON]]:
    """Return the outputs that marimo has saved, by cell id, for cells whose code has not changed since."""
    path = get_session_cache_file(file.path)
    name = str(path.relative_to(path.parents[2]))
    content = bytes_inside(path.parents[2], name, LARGEST_NOTEBOOK, hidden=True)
    try:
        session = json.loads(content or b"")
        saved = {cell["code_hash"]: cell for cell in session["cells"] if cell["code_hash"]}
        return {
            cell.cell_id: _as_nbformat(saved[code_hash])
            for cell in file.cells
            if (code_hash := hash_code(cell.code)) in saved
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # No session file, or one of another version.
        return {}


def _as_nbformat(cell: JSONObject) -> list[OutputJSON]:
    outputs: list[OutputJSON] = []
    for output in cell["console"]:
        if output["type"] == "streamMedia":
            outputs.append(_display_data({output["mimetype"]: output["data"]}))
        elif output.get("mimetype") in {None, "text/plain"}:
            outputs.append({"output_type": "stream", "name": output["name"], "text": output["text"]})
    for output in cell["outputs"]:
        if output["type"] == "error":
            fields = {key: str(output[key] or "") for key in ("ename", "evalue")}
            outputs.append({"output_type": "error", **fields, "traceback": list(output["traceback"] or [])})
        elif output["data"] and any(output["data"].values()):
            outputs.append(_display_data(output["data"]))
    return outputs


def _display_data(data: JSONObject) -> OutputJSON:
    bundle = {}
    for mime, content in data.items():
        text = str(content)
        if text.startswith("data:image/") and ";base64," in text:
            bundle[text[len("data:") : text.index(";")]] = text.partition(";base64,")[2]
        elif mime == "text/markdown" and text.lstrip().startswith("<"):  # marimo saves `mo.md` as HTML
            bundle["text/html"] = text
        else:
            bundle[mime] = content
    return {"output_type": "display_data", "data": bundle, "metadata": {}}
