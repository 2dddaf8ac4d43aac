"""Conversion of cells' outputs to plain text, without colors. Pure.

For readers that show text only. How a language model gets richer outputs is decided in the MCP server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.protocol.output_log import strip_ansi

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def joined(text: object) -> str:
    """Return a text that nbformat stores as a string or a list of lines. Any other value is converted with `str`."""
    return "".join(map(str, text)) if isinstance(text, list | tuple) else str(text or "")


def plain_text(output: Mapping[str, object], *, traceback: bool = False, most: int | None = None) -> str:
    """Return the text of a stream, `Name: value` or the traceback of an error, the text/plain of anything else.

    With `most`, only that many characters of the stream or data are read.
    """
    match output.get("output_type"):
        case "stream":
            return strip_ansi(joined(output.get("text"))[:most])
        case "error" if traceback:
            lines = output.get("traceback")
            return strip_ansi("\n".join(map(str, lines)) if isinstance(lines, list | tuple) else "")
        case "error":
            return strip_ansi(f"{output.get('ename')}: {output.get('evalue')}")
        case _:
            data = output.get("data")
            return strip_ansi(joined(data.get("text/plain"))[:most]) if isinstance(data, dict) else ""


def shown_text(outputs: Iterable[Mapping[str, object]]) -> str:
    """Return the text of all outputs of a cell, one below the other."""
    return "\n".join(plain_text(output).rstrip("\n") for output in outputs)
