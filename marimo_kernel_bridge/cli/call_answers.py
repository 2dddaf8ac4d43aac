"""What `call` prints of an answer, the pictures that it saves, and the exit code that follows from it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.cli.group import REFUSED
from marimo_kernel_bridge.cli.terminal import echo
from marimo_kernel_bridge.errors import CODES

if TYPE_CHECKING:
    from pathlib import Path

    from mcp.types import CallToolResult

FAILED: Final = 4
"""The exit code if code that the call ran failed."""
GOES_ON: Final = 5
"""The exit code if the run has not ended when the call does."""
_FAILED: Final = frozenset({"error", "interrupted", "aborted", "cancelled", "lost", "refused"})
_GOES_ON: Final = frozenset({"running", "queued"})


def as_json(data: dict[str, Any] | None, result: CallToolResult, pictures: Path | None) -> dict[str, Any]:
    """Return an answer: what the tool says as data, with tables as objects, or its refusal; and the files of pictures that were saved."""
    text = "\n".join(block.text for block in result.content if block.type == "text")
    if result.is_error:
        return {"error": _refusal(text)}
    answer: dict[str, Any] = {"text": text} if data is None else data
    saved = [str(path) for path in _saved(result, pictures)]
    return answer | ({"pictures": saved} if saved else {})


def _refusal(text: str) -> dict[str, str]:
    code, closed, message = text.removeprefix("[").partition("] ")
    # What is told to agents of the server's options is told here to the person who gives them.
    message = message.replace("marimo-kernel-bridge mcp --allow", "marimo-kernel-bridge call --allow")
    message = message.replace(" Do not work around it.", "")
    if text.startswith("[") and closed and code in CODES:
        return {"code": code, "message": message}
    return {"code": "bad_request", "message": text}


def show(result: CallToolResult, pictures: Path | None) -> None:
    """Print an answer's text, and where its pictures are; a refusal goes to stderr."""
    for block in result.content:
        if block.type == "text":
            text = block.text
            if result.is_error:
                refusal = _refusal(text)
                text = f"marimo-kernel-bridge: [{refusal['code']}] {refusal['message']}"
            echo(text, err=bool(result.is_error))
        elif block.type == "image" and pictures is None:
            echo(f"(a picture, {block.mime_type}: --pictures FOLDER saves it)")
    for path in _saved(result, pictures):
        echo(f"picture: {path}")


def _saved(result: CallToolResult, folder: Path | None) -> list[Path]:
    """Write the pictures of an answer into a folder, under names that are not taken."""
    images = [block for block in result.content if block.type == "image"]
    if folder is None or not images:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for image in images:
        suffix = image.mime_type.rpartition("/")[2].replace("svg+xml", "svg")
        suffix = suffix if suffix.isalnum() else "bin"
        number = 1
        while (path := folder / f"picture-{number}.{suffix}").exists():
            number += 1
        path.write_bytes(base64.b64decode(image.data))
        paths.append(path)
    return paths


def exit_code(result: CallToolResult) -> int:
    if result.is_error:
        return REFUSED
    status = (result.structured_content or {}).get("status")
    if status in _GOES_ON:
        return GOES_ON
    return FAILED if status in _FAILED else 0
