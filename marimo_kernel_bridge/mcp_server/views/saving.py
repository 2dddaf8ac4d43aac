"""Saving and renaming the notebook that the person has open, by its front end: nothing is written behind the editor."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.document import DocumentSaved

if TYPE_CHECKING:
    from marimo_kernel_bridge.mcp_server.attached import Attached


async def saved(attached: Attached, new_name: str | None) -> DocumentSaved:
    """Let the front end save the document, or rename its file; write the file of a session that none has open. Raises `BridgeError`: no_document, bad_request, and others."""
    await attached.require_not_paused()  # also without a document, where the kernel is asked nothing else
    content = await attached.client.document.read()
    if (content is None or content.active is None) and attached.saver is not None and new_name is None:
        written = await attached.saver.save()
        message = "This server has written the notebook." if written else "The file has what the kernel has."
        return DocumentSaved(True, message, attached.notebook, attached.news())  # noqa: FBT003  # the field is called so
    if content is None or content.active is None:
        raise BridgeError(
            "no_document",
            "No front end has attached its document to this kernel; nothing was written.",
            "Ask the person to save it. export_notebook writes a copy.",
        )
    path, front_end = content.active.path, content.active.front_end
    if new_name is not None:
        _check_name(new_name, PurePath(path).suffix or ".ipynb")
    done = await attached.client.document.save(new_name)
    if done.outcome != "applied":
        why = done.message or f"{front_end} does not answer, or cannot do this."
        verb = "saved" if new_name is None else "renamed"
        return DocumentSaved(saved=False, message=f"Not {verb}: {why}", path=path, note=attached.news())
    if new_name is None:
        return DocumentSaved(True, f"{front_end} has saved {path}.", path, attached.news())  # noqa: FBT003  # the field is called so
    await attached.look_for_notebook()
    renamed = str(PurePath(path).with_name(new_name))
    return DocumentSaved(True, f"{front_end} has renamed {path}: it is {renamed}.", renamed, attached.news())  # noqa: FBT003


def _check_name(name: str, suffix: str) -> None:
    """Refuse what is no plain name of a notebook, so that a file becomes nothing else and goes nowhere else."""
    plain = (
        name.isprintable()
        and not any(letter in name for letter in "/\\:")
        and not name.startswith(".")
        and name == name.strip()
    )
    if not plain or PurePath(name).suffix != suffix or not PurePath(name).stem:
        raise BridgeError(
            "bad_request",
            "new_name is no name of a notebook in its folder; nothing was renamed.",
            f"A name without a folder that ends in {suffix}, for example penguins{suffix}.",
        )
