"""Outputs of cells as plain text, without colors. Pure.

Owns which text stands for an output where nothing can be drawn. How a language model reads richer outputs is the MCP
server's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.protocol.output_log import strip_ansi

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def joined(text: object) -> str:
    """Return a text that nbformat stores as a string or a list of lines. Anything else is shown as Python shows it."""
    return "".join(map(str, text)) if isinstance(text, list | tuple) else str(text or "")


def plain_text(output: Mapping[str, object], *, traceback: bool = False, most: int | None = None) -> str:
    """Return the text of a stream, `Name: value` or the traceback of an error, the text/plain of anything else.

    With `most`, only so many characters of what is printed or shown are looked at.
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
    """Return what a cell shows, an output below the other."""
    return "\n".join(plain_text(output).rstrip("\n") for output in outputs)
