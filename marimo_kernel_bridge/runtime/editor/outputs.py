"""Outputs of cells as marimo's front end takes them: one output, and what stands in the console. Pure."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any, Final

from marimo._messaging.cell_output import CellChannel, CellOutput
from marimo._messaging.errors import MarimoExceptionRaisedError

from marimo_kernel_bridge.protocol.output_log import strip_ansi, without_edited

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marimo_kernel_bridge.protocol.notebook import Output

_PREFERRED: Final = (
    *("application/vnd.vegalite.v5+json", "application/vnd.vegalite.v6+json", "application/vnd.vega.v5+json"),
    *("text/html", "image/svg+xml", "image/png", "image/jpeg", "image/gif", "text/markdown", "text/latex"),
    *("application/json", "text/plain"),
)
_IN_BASE64: Final = frozenset({"image/png", "image/jpeg", "image/gif"})
_STRUCTURED: Final = "json"
_HIDES: Final = re.compile(r'<div class="mkb-live"[^>]* data-mkb-hides="(\d+)"')


def marimo_outputs(
    outputs: Sequence[Output], raw: Callable[[str], str | None]
) -> tuple[CellOutput, list[CellOutput]]:
    """Return a cell's output and its console."""
    shown: list[tuple[str, Any]] = []
    console: list[CellOutput] = []
    errors: list[MarimoExceptionRaisedError] = []
    hidden = 0  # outputs that are another form of the one before
    for output in without_edited(outputs):
        match output["output_type"]:
            case "stream":
                write = CellOutput.stdout if output["name"] == "stdout" else CellOutput.stderr
                console.append(write(output["text"]))
            case "error":
                name, message = output["ename"], strip_ansi(output["evalue"])
                errors.append(MarimoExceptionRaisedError(message, name, None))
                console.append(CellOutput.stderr("\n".join(output["traceback"] or ())))
            case _ if hidden > 0:
                hidden -= 1
            case _:
                kind, data = _best(output["data"], raw)
                hides = _HIDES.search(str(output["data"].get("text/html", "")))
                hidden = 0 if hides is None or data == output["data"]["text/html"] else int(hides[1])
                shown.append((kind, data))
    if errors and not shown:
        return CellOutput.errors([*errors]), console
    shown += [("text/plain", f"{error.exception_type}: {error.msg}") for error in errors]
    if not shown:
        return CellOutput.empty(), console
    kind, data = shown[0] if len(shown) == 1 else ("text/html", "".join(map(_as_html, shown)))
    return CellOutput(CellChannel.OUTPUT, kind, data), console  # type: ignore[arg-type]  # one of `_PREFERRED`


def _best(data: Mapping[str, Any], raw: Callable[[str], str | None]) -> tuple[str, Any]:
    """Return the form of an output that the front end shows best."""
    for kind in _PREFERRED:
        if kind not in data:
            continue
        value = data[kind]
        if isinstance(value, list):  # nbformat's lines
            value = "".join(value)
        if kind == "text/html":
            return kind, raw(value) or value
        if kind == "text/markdown":
            return "text/html", _rendered(value)
        if kind in _IN_BASE64:
            return kind, f"data:{kind};base64,{value.strip()}"
        return kind, json.dumps(value, default=str) if kind.endswith(_STRUCTURED) else value
    return "text/plain", "\n".join(f"({kind})" for kind in data)


def _rendered(markdown: str) -> str:
    from marimo._output.md import md  # noqa: PLC0415  # few cells show Markdown

    text: str = md(markdown).text
    return text


def _as_html(shown: tuple[str, Any]) -> str:
    kind, data = shown
    if kind in {"text/html", "image/svg+xml"}:
        return f"<div>{data}</div>"
    if kind in _IN_BASE64:
        return f'<div><img src="{html.escape(data)}"></div>'
    return f"<pre>{html.escape(strip_ansi(str(data)))}</pre>"
