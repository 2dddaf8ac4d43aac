"""Sessions for agents: what is listed of each, and what is done to open one, to close it and to let it go."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.checkpoints.store import Store, shelf_of
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.sessions import templates
from marimo_kernel_bridge.mcp_server.answers.notebooks import NotebookDone, NotebookLine, NotebookOpened
from marimo_kernel_bridge.mcp_server.sessions.ceilings import require_kept
from marimo_kernel_bridge.mcp_server.views.cells import time_of_day
from marimo_kernel_bridge.mcp_server.views.files import converted
from marimo_kernel_bridge.notebooks.ipynb import notebook_in, read_notebook
from marimo_kernel_bridge.protocol.deaths import sentence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marimo_kernel_bridge.launch.sessions.entries import Session
    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.mcp_server.attachments import Kernels
    from marimo_kernel_bridge.notebooks.nbformat_json import CellJSON, DocumentJSON, JSONObject
    from marimo_kernel_bridge.protocol.bounds import Bounds

_GONE: Final = frozenset({"connection_file_stale", "connection_file_missing"})
_LIST_BOUND: Final = 0.5
"""Seconds within which connected kernels say how many cells they have."""


async def notebook_lines(kernels: Kernels, client_name: str, state: str) -> tuple[NotebookLine, ...]:
    """Return the sessions in a state, each with what can be told without asking a kernel that is not connected."""
    sessions = await asyncio.to_thread(kernels.sessions.registry.all)
    chosen = [session for session in sessions if state in {"all", session.state}]
    checkpoints = await asyncio.to_thread(lambda: [_saved(session.path) for session in chosen])
    return tuple(
        await asyncio.gather(
            *(
                _line(kernels, client_name, session, checkpoint)
                for session, checkpoint in zip(chosen, checkpoints, strict=True)
            )
        )
    )


def _saved(path: str) -> str | None:
    """Return the newest checkpoint of a notebook in this user's store, with its time."""
    manifests = Store().manifests(shelf_of(path))
    return f"{manifests[0].name} of {time_of_day(manifests[0].at)}" if manifests else None


async def _line(kernels: Kernels, client_name: str, session: Session, checkpoint: str | None) -> NotebookLine:
    active = session.state == "active"
    facts: dict[str, Any] = {}
    attached = kernels.attached_as(session.id, client_name) if active else None
    if attached is not None:
        facts["kernel"] = attached.handle
        facts["unsaved"] = str(attached.saver.refusal or "") if attached.saver is not None else ""
        with suppress(BridgeError, TimeoutError):
            async with asyncio.timeout(_LIST_BOUND):
                description = await attached.client.reads.describe()
                facts |= {
                    "cells": description.cells,
                    "stale": len(description.stale),
                    "busy": description.busy,
                }
    return NotebookLine(
        session.id,
        session.name,
        session.state,
        session.path,
        session.description,
        why="" if active else session.why_suspended,
        idle=time.time() - session.used,
        memory=_memory(session) if active else None,
        checkpoint=checkpoint,
        **facts,
    )


def _memory(session: Session) -> int | None:
    """Return the resident memory of a session's kernel, where the system tells without being asked for long."""
    try:
        pages = Path(f"/proc/{session.kernel.pid if session.kernel else 0}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return None
    return int(pages) * 4096


async def template_document(
    path: Path, name: str, parameters: Mapping[str, Any], more: Mapping[str, Path]
) -> DocumentJSON:
    """Return a new notebook from a template; `more` are those of plugins. Raises `BridgeError`: bad_request, bad_notebook."""
    template = await asyncio.to_thread(templates.template_named, name, more)
    cells: Sequence[CellJSON] = templates.shipped_cells(name)
    metadata: JSONObject = {}
    if template.path is not None:
        source = template.path
        if source.suffix == ".py":
            _, content = await converted(source, "ipynb")
            notebook = notebook_in(content, source)
        else:
            notebook = await asyncio.to_thread(read_notebook, source)
        cells, metadata = notebook.document["cells"], notebook.metadata
    return await asyncio.to_thread(templates.new_document, path, cells, parameters, metadata)


async def _rescue(kernels: Kernels, session_id: str) -> None:
    """Let the file of a session whose kernel has died have the code that was given to that and is not in the file yet."""
    session = kernels.sessions.registry.get(session_id)
    if session is not None and session.state != "active":
        for saver in kernels.savers(session_id):
            await saver.rescue()


async def opened(
    kernels: Kernels, session_id: str, client_name: str, bounds: Bounds, interpreter: str | None = None
) -> NotebookOpened:
    """Attach to a session's kernel, after starting one that knows the cells of the file, if it has none. Raises `BridgeError`."""
    await _rescue(kernels, session_id)
    session, new = await kernels.sessions.opened(
        session_id, client_name, interpreter, may_start=kernels.may_start, bounds=bounds
    )
    try:
        attached = await kernels.join(session, client_name)
    except BridgeError as refusal:
        # A process that is being killed exists for some time after its sockets are closed.
        if new or refusal.code not in _GONE or not kernels.may_start:
            raise
        await kernels.sessions.closed(session_id, "its kernel ended", asked=True)
        await _rescue(kernels, session_id)
        session, new = await kernels.sessions.opened(session_id, client_name, interpreter, bounds=bounds)
        attached = await kernels.join(session, client_name)
    try:
        await require_kept(attached.client, session.bounds if new else bounds)
    except BridgeError as refusal:
        if new:
            await _ended(kernels, session, attached)
            raise
        hint = "close_notebook ends that kernel; open_notebook then starts one that is held to them."
        raise BridgeError(refusal.code, f"{session.path} has a kernel. {refusal.message}", hint) from None
    if not new:
        description = await attached.client.reads.describe() if attached.reactive else None
        message = "joined the kernel that it has; its variables are there."
        return NotebookOpened(
            attached.handle,
            session.path,
            message,
            description.cells if description else 0,
            note=attached.news(),
        )
    cells, note = await _loaded(attached, session)
    message = "a new kernel" + (
        f" that knows its {cells} code cells and has run none: run_cells runs them." if cells else "."
    )
    checkpoint = await newest_checkpoint(attached)  # also the kernel's first use, without which it ends
    if checkpoint is not None:
        note = (
            f"{note} There is the checkpoint {checkpoint}: restore_checkpoint brings its values back.".strip()
        )
    died = (await attached.client.reads.describe()).died if attached.reactive else None
    if died is not None:
        note = f"{sentence(died)} {note}".strip()
    return NotebookOpened(attached.handle, session.path, message, cells, checkpoint, note)


async def _ended(kernels: Kernels, session: Session, attached: Attached) -> None:
    """End a kernel in which nothing has run yet."""
    with suppress(BridgeError):
        await attached.client.shut_down()
    await kernels.leave(session.id)
    await kernels.sessions.closed(session.id, "its kernel was not held to its limits", asked=True)


async def _loaded(attached: Attached, session: Session) -> tuple[int, str]:
    """Let a new kernel know the cells of the file; return how many, and why not if it does not."""
    notebook = await asyncio.to_thread(read_notebook, Path(session.path))
    if not any(cell.kind == "code" and cell.source.strip() for cell in notebook.cells):
        return 0, ""
    try:
        loaded = await attached.client.document.load()
    except BridgeError as refusal:
        return 0, f"Its cells are in the file only: {refusal}"
    return len(loaded.cells), ""


async def newest_checkpoint(attached: Attached) -> str | None:
    """Return the newest checkpoint of a notebook, with its time; None if there is none that is known."""
    with suppress(BridgeError):
        found = await attached.client.checkpoints.summaries()
        if found:
            return f"{found[0].name} of {time_of_day(found[0].at)}"
    return None


async def closed(kernels: Kernels, session: Session, client_name: str, *, save: bool) -> NotebookDone:
    """Write a session's file and end its kernel. Raises `BridgeError`, with `save` also where the file cannot be written."""
    if session.state != "active":
        if save:
            await _rescue(kernels, session.id)
        await kernels.leave(session.id)
        await kernels.sessions.closed(
            session.id, session.why_suspended or f"{client_name} closed it", asked=False
        )
        return NotebookDone(session.id, "it had no kernel. open_notebook starts one.", session.path)
    attached = await kernels.join(session, client_name)
    await attached.require_not_paused()
    if save and attached.saver is not None:
        await attached.saver.save()
    for saver in kernels.savers(session.id):
        saver.close()  # the file has what it is to have, also of a kernel that ends
    asked = False
    with suppress(BridgeError):  # one that does not answer is killed
        await attached.client.shut_down()
        asked = True
    await kernels.leave(session.id)
    await kernels.sessions.closed(session.id, f"{client_name} closed it", asked=asked)
    saved = "Its file has its cells and outputs" if save else "Its file is as it was saved before"
    kept = f"{saved}; its variables are lost but for a checkpoint's."
    return NotebookDone(session.id, f"closed. {kept} open_notebook starts a new kernel.", session.path)


async def restarted(kernels: Kernels, session_id: str, client_name: str) -> str:
    """End the kernel of a session and start another one; return a sentence about it. Raises `BridgeError`."""
    await closed(kernels, kernels.sessions.named(session_id), client_name, save=True)
    view = await opened(kernels, session_id, client_name, kernels.ceilings.bounds)
    return f"The kernel was restarted. All its variables are lost. It is {view.message} {view.note}".strip()
