"""The process behind `worker`: reads requests from standard input and writes answers to standard output.

Owns the limits of the process. The tasks are functions of other
modules, which are imported with the first request that needs them.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.media.framing import LENGTH, length_of, read, written
from marimo_kernel_bridge.protocol.environment import installs_packages
from marimo_kernel_bridge.protocol.inspection import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marimo_kernel_bridge.protocol.notebook import Output

MEMORY: Final = 1 << 30
"""Bytes of address space."""


def show(
    outputs: list[Output],
    drawings: Mapping[str, Any] | None,
    secrets: list[tuple[str, str]],
    *,
    pictures: bool,
) -> dict[str, Any]:
    """Return outputs as text and images, see `presentation`, the text without secrets."""
    from marimo_kernel_bridge.mcp_server.media.chart_drawing import Drawing  # noqa: PLC0415  # of this task alone
    from marimo_kernel_bridge.mcp_server.media.presentation import present  # noqa: PLC0415

    drawn = {int(at): Drawing(bytes.fromhex(png), why_not) for at, (png, why_not) in (drawings or {}).items()}
    shown = asdict(present(outputs, None if drawings is None else drawn, pictures=pictures))
    return shown | {"text": redact(shown["text"], secrets)}


def redact(text: str, secrets: list[tuple[str, str]]) -> str:
    """Return a text without secrets."""
    from marimo_kernel_bridge.protocol.redaction import Redactor  # noqa: PLC0415  # of these tasks alone

    return Redactor(Secret(name, value) for name, value in secrets).text(text)


def redact_answer(
    texts: list[str], data: Any, secrets: list[tuple[str, str]]
) -> tuple[list[str], Any]:  # JSON
    """Return the texts and the structured content of an answer without secrets."""
    from marimo_kernel_bridge.protocol.redaction import Redactor  # noqa: PLC0415  # of these tasks alone

    redactor = Redactor(Secret(name, value) for name, value in secrets)
    return list(map(redactor.text, texts)), redactor.data(data)


def page(document: dict[str, Any], title: str) -> dict[str, Any]:
    """Return a notebook as an HTML page, without pictures of its folder."""
    from marimo_kernel_bridge.exporting.pages import to_html  # noqa: PLC0415  # of this task alone

    return asdict(to_html(document, title))


def description(document: dict[str, Any], name: str, graph: Mapping[str, Any]) -> str:
    """Return a notebook as JSON for programs."""
    from marimo_kernel_bridge.exporting.description import CellGraph, description_of  # noqa: PLC0415  # of this task alone

    content = description_of(document, name, {cell: CellGraph(**about) for cell, about in graph.items()})
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def document_text(document: dict[str, Any]) -> str:
    """Return a notebook as the text of an .ipynb."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def find_lines(texts: list[tuple[str, str, str]], query: str, limit: int, *, regex: bool) -> Any:  # JSON
    """Return the lines of texts that match, and how many do. Raises `BridgeError` bad_request."""
    from marimo_kernel_bridge.mcp_server.media import text_search  # noqa: PLC0415  # of this task alone

    return text_search.find_lines(texts, query, limit, regex=regex)


def line_differences(pairs: list[tuple[str, str]]) -> list[str]:
    """Return the difference between the texts of each pair, as unified diffs without a head."""
    from marimo_kernel_bridge.mcp_server.media import text_differences  # noqa: PLC0415  # of this task alone

    return list(text_differences.line_differences(pairs))


TASKS: Final[dict[str, Callable[..., Any]]] = {
    function.__name__: function
    for function in (
        show,
        installs_packages,
        redact,
        redact_answer,
        page,
        description,
        document_text,
        find_lines,
        line_differences,
    )
}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Do the work of one request."""
    try:
        return {"result": TASKS[request["task"]](**request["arguments"])}
    except BridgeError as refusal:
        return {"refused": {"code": refusal.code, "message": refusal.message, "hint": refusal.hint}}
    except Exception as error:  # noqa: BLE001  # of foreign data, in the one place where it is dispatched
        why = f"What the kernel sent cannot be read ({type(error).__name__})."
        return {"refused": {"code": "too_large", "message": why, "hint": ""}}


def main() -> None:
    """Answer requests until the other side is gone."""
    _limit()
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    while len(head := requests.read(LENGTH)) == LENGTH:
        request = read(requests.read(length_of(head)))
        _limit_time(request["seconds"])
        answers.write(written(answer(request)))
        answers.flush()


def _limit() -> None:
    """Limit the memory of this process, and forbid it to write files. Windows has no such limits."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415  # not on Windows

        _lower(resource.RLIMIT_AS, MEMORY)
        _lower(resource.RLIMIT_CORE, 0)


def _limit_time(seconds: float) -> None:
    """End this process after so many seconds of its processor time from now, whatever it does by then, C code too.

    Not by RLIMIT_CPU, which counts whole seconds. Windows has neither.
    """
    if sys.platform != "win32":
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, max(seconds, 0.001))


def _lower(kind: int, to: int) -> None:
    import resource  # noqa: PLC0415  # not on Windows

    _, most = resource.getrlimit(kind)
    limit = to if most == resource.RLIM_INFINITY else min(to, most)
    resource.setrlimit(kind, (limit, limit))


if __name__ == "__main__":
    main()
