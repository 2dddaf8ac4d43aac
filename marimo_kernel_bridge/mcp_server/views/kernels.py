"""Answers about kernels: the running kernels, and the state of an attached one.

Uses the control channel only, so that answers are available while a cell runs. A dead or silent kernel is reported in an
answer, not as an error, and a silent kernel is never reported as dead.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.client.connection import runtime_dir
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.deaths import died
from marimo_kernel_bridge.mcp_server.answers.kernels import (
    KernelLine,
    KernelList,
    KernelState,
    UnusableFile,
    WorkLine,
)
from marimo_kernel_bridge.mcp_server.answers.view import first_line, who
from marimo_kernel_bridge.mcp_server.views.run_messages import asks_for_input, ending
from marimo_kernel_bridge.protocol.names import MARIMO_EDITOR
from marimo_kernel_bridge.protocol.regular_files import LONGEST_PATH
from marimo_kernel_bridge.protocol.written_bounds import told_of

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.discovery import FoundKernel
    from marimo_kernel_bridge.client.marimo_editor.host import MarimoNotebook
    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.mcp_server.attachments import Kernels
    from marimo_kernel_bridge.protocol.document_edits import OpenDocument
    from marimo_kernel_bridge.protocol.notebook import KernelDescription

_SHELL_BOUND: Final = 0.3
"""The time that an idle kernel may take to answer on shell before it is reported as busy."""


def kernel_list(
    running: list[FoundKernel], in_marimo: list[MarimoNotebook], kernels: Kernels, client_name: str
) -> KernelList:
    lines: list[KernelLine] = []
    unusable: list[UnusableFile] = []
    ended = 0
    for kernel in running:
        if kernel.info is not None:
            attached = kernels.at(str(kernel.path.resolve()), client_name)
            lines.append(
                KernelLine(
                    connection_file=kernel.path.name,
                    kernel=f"{kernel.info.implementation} ({kernel.info.language} {kernel.info.language_version})",
                    reactive=kernel.info.reactive,
                    notebook=kernel.notebook,
                    connected_as=attached.handle if attached else None,
                    busy=(kernel.description.busy or None) if kernel.description else None,
                    cells=kernel.description.cells if kernel.description else None,
                    warnings=kernel.warnings,
                )
            )
        elif kernel.problem is not None and kernel.problem.code == "connection_file_stale":
            ended += 1
        elif kernel.problem is not None:
            unusable.append(UnusableFile(kernel.path.name, kernel.problem.code, str(kernel.problem)))
    for notebook in in_marimo:
        attached = kernels.at(notebook.where, client_name)
        lines.append(
            KernelLine(
                connection_file=notebook.notebook_id,
                kernel=f"{MARIMO_EDITOR} {notebook.version or ''}".strip(),
                reactive=True,
                notebook=notebook.path,
                connected_as=attached.handle if attached else None,
            )
        )
    return KernelList(tuple(lines), "" if lines else str(runtime_dir()), ended, tuple(unusable))


async def kernel_state(attached: Attached, not_of: tuple[str, ...] = ()) -> KernelState:
    """Return the state of a kernel. A dead or silent kernel is an answer, not an error.

    `not_of` are notebooks with their own kernels, with which a new one could be confused.
    """
    client = attached.client
    description: KernelDescription | None = None
    document: OpenDocument | None = None
    await _follow_renaming(attached)
    try:
        await client.require_alive()
        if problem := await client.why_not_alive():
            raise problem
        if client.info.reactive:
            description = await client.reads.describe()
            said = description.notebook
            attached.said_notebook = said if said is not None and len(said) <= LONGEST_PATH else None
            content = await client.document.read()
            document = None if content is None else content.active
        busy, working_on = await _work(attached, description)
    except BridgeError as problem:
        state = "dead" if problem.code == "kernel_dead" else "silent"
        return _state(attached, state, ending(attached, problem))
    message = "It is running code, and still answers reads." if busy else ""
    if description is not None and description.asks is not None:
        message = asks_for_input(description.asks)
    if busy and not client.info.reactive:
        message = "It is running code. New requests are queued."
    if not_of:
        message += (
            f" It is new and shares nothing with the open notebooks: {', '.join(not_of)}; "
            "connect_to_kernel joins the kernel of one."
        )
    return _state(attached, "busy" if busy else "idle", message, description, working_on, document=document)


async def is_idle(attached: Attached) -> bool:
    """Whether a kernel certainly executes nothing; False for one that does not say."""
    try:
        description = await attached.client.reads.describe() if attached.reactive else None
        busy, _ = await _work(attached, description)
    except BridgeError:
        return False
    return not (busy or (description is not None and (description.settling or description.queued)))


def _state(
    attached: Attached,
    state: str,
    message: str,
    description: KernelDescription | None = None,
    working_on: tuple[WorkLine, ...] = (),
    *,
    document: OpenDocument | None = None,
) -> KernelState:
    client = attached.client
    news = attached.news()
    if description is not None and description.agents_paused:
        news = f"The person has paused agents: only reading works, until they run `%marimo resume`. {news}"
    info = client.info
    return KernelState(
        kernel=attached.handle,
        state=state,
        message=f"{message} {news}".strip(),
        connection_file=client.connection.where,
        implementation=f"{info.implementation} {info.implementation_version}, {info.language} {info.language_version}",
        reactive=info.reactive,
        notebook=_notebook(attached, description, document),
        front_end=document.front_end if document else None,
        mode=description.mode if description else None,
        cells=description.cells if description else None,
        stale=description.stale if description else (),
        queued=(description.queued or None) if description else None,
        working_on=working_on,
        our_runs=tuple(run.run_id for run in attached.listed_runs if not run.over),
        pid=description.pid if description else None,
        python=_version(description, info.language_version),
        interpreter=description.interpreter if description else None,
        cwd=description.cwd if description else None,
        warnings=client.connection.warnings,
        death=died(client.deaths.last if description is None else description.died),
        memory=description.memory if description else "",
        limits=told_of(description.limits, description.sandbox) if description else "",
    )


def _version(description: KernelDescription | None, known: str) -> str | None:
    """Return the version of a kernel's Python, unless its implementation says it."""
    if description is None or description.python_version == known:
        return None
    return description.python_version


async def _follow_renaming(attached: Attached) -> None:
    """Ask for the notebook's name again if the file that was known is gone."""
    known = attached.notebook_file
    if known is not None and not await asyncio.to_thread(known.is_file):
        await attached.look_for_notebook()


def _notebook(
    attached: Attached, description: KernelDescription | None, document: OpenDocument | None
) -> str | None:
    """Return the path of the kernel's notebook; the document's, where it was renamed since somebody asked for it."""
    known = attached.notebook or (description.notebook if description else None)
    if document is None or (known is not None and PurePath(known).name == PurePath(document.path).name):
        return known
    return document.path


async def _work(
    attached: Attached, description: KernelDescription | None
) -> tuple[bool, tuple[WorkLine, ...]]:
    """Return whether the kernel is busy, and with which requests, according to the received messages."""
    client = attached.client
    cell = description.running_cell if description else None
    if working := await _seen_work(attached, cell):
        return True, working
    if description is None:
        if await client.shell_is_free(_SHELL_BOUND):
            return False, ()
        # Messages may have arrived in the meantime; otherwise the work began before this client connected.
        return True, await _seen_work(attached, cell) or (WorkLine(who("")),)
    if not description.busy:
        return False, ()
    since = time.time() - description.running_since if description.running_since else None
    return True, (WorkLine(who(""), since, None, cell),)


async def _seen_work(attached: Attached, cell: str | None) -> tuple[WorkLine, ...]:
    client, now = attached.client, time.time()
    working = client.runs.others
    codes = await attached.redacted_codes([work.code or "" for work in working])
    others = tuple(
        WorkLine(who(work.client), now - work.since, first_line(code) or None, cell)
        for work, code in zip(working, codes, strict=True)
    )
    ours = tuple(
        WorkLine(
            client.client_name,
            now - run.started_at,
            first_line(run.code) or None,
            cell,
            None if attached.shared else run.run_id,
        )
        for run in client.runs.ours
        if not run.over and not run.foreign and run.started_at is not None
    )
    return others + ours
