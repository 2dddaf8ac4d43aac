"""Answers made from what the client knows: kernels, their state, cells, runs.

Asks the kernel only on control, so every view is there while a cell runs. Says what is, in words that also say what
to do: a run that is not over is never called done, and silence is never called death.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.client.connection import runtime_dir
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.cells import CellLine, CellList, CellView
from marimo_kernel_bridge.mcp_server.answers.kernels import (
    KernelLine,
    KernelList,
    KernelState,
    UnusableFile,
    WorkLine,
)
from marimo_kernel_bridge.mcp_server.answers.view import first_line
from marimo_kernel_bridge.mcp_server.media.output_text import Image, Shown, cut, show
from marimo_kernel_bridge.mcp_server.media.pictures import pictures
from marimo_kernel_bridge.protocol.output_log import without_edited

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.client import KernelClient
    from marimo_kernel_bridge.client.discovery import FoundKernel
    from marimo_kernel_bridge.mcp_server.attachments import Attached, Kernels
    from marimo_kernel_bridge.protocol.notebook import Cell, CellError, KernelDescription, Outline

_SHELL_BOUND: Final = 0.3
"""How long a free shell channel may take to answer before we call the kernel busy."""

MOST_OUTPUT: Final = 2_000_000
"""Characters of a text output that the kernel hands over; more would take it and us too long."""

_KINDS: Final = (
    (re.compile(r"(\w+ = )?mo\.md\("), "markdown"),
    (re.compile(r"(\w+ = )?mo\.sql\("), "sql"),
    (re.compile(r"[%!]"), "magic"),
    (re.compile(r"(async )?def |@"), "function"),
    (re.compile(r"class "), "class"),
    (re.compile(r"\w+ = mo\.ui\."), "ui"),
)


@dataclass(frozen=True)
class Window:
    """Which part of a long text to show: about `budget` characters from `offset` on."""

    budget: int
    offset: int = 0


def kernel_list(found: list[FoundKernel], kernels: Kernels, client_name: str) -> KernelList:
    lines: list[KernelLine] = []
    unusable: list[UnusableFile] = []
    ended = 0
    for kernel in found:
        if kernel.info is not None:
            attached = kernels.at(str(kernel.path.resolve()), client_name)
            lines.append(
                KernelLine(
                    connection_file=kernel.path.name,
                    kernel=f"{kernel.info.implementation} ({kernel.info.language} {kernel.info.language_version})",
                    reactive=kernel.info.reactive,
                    notebook=kernel.notebook,
                    connected_as=attached.handle if attached else None,
                    busy=kernel.description.busy if kernel.description else None,
                    cells=kernel.description.cells if kernel.description else None,
                    warnings=kernel.warnings,
                )
            )
        elif kernel.problem is not None and kernel.problem.code == "connection_file_stale":
            ended += 1
        elif kernel.problem is not None:
            unusable.append(UnusableFile(kernel.path.name, kernel.problem.code, str(kernel.problem)))
    return KernelList(tuple(lines), str(runtime_dir()), ended, tuple(unusable))


async def kernel_state(attached: Attached, not_of: tuple[str, ...] = ()) -> KernelState:
    """Find out what a kernel is doing. A kernel that is dead or silent is an answer, not an error.

    `not_of` are notebooks with kernels of their own, for which a new one could be mistaken.
    """
    client = attached.client
    description: KernelDescription | None = None
    try:
        await client.require_alive()
        if problem := await client.why_not_alive():
            raise problem
        if client.info.reactive:
            description = await client.describe()
        busy, working_on = await _work(client, description)
    except BridgeError as problem:
        state = "dead" if problem.code == "kernel_dead" else "silent"
        return _state(attached, state, str(problem))
    message = "It runs code; reads are answered all the same." if busy else "It waits for requests."
    if busy and not client.info.reactive:
        message = "It runs code. What is sent now waits its turn."
    if not_of:
        message += (
            f" It is new and shares nothing with the open notebooks: {', '.join(not_of)}; "
            "connect_to_kernel joins the kernel of one."
        )
    return _state(attached, "busy" if busy else "idle", message, description, working_on)


def _state(
    attached: Attached,
    state: str,
    message: str,
    description: KernelDescription | None = None,
    working_on: tuple[WorkLine, ...] = (),
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
        notebook=attached.notebook or (description.notebook if description else None),
        mode=description.mode if description else None,
        cells=description.cells if description else None,
        stale=description.stale if description else (),
        queued=description.queued if description else None,
        working_on=working_on,
        our_runs=tuple(run.run_id for run in client.runs if not run.over),
        pid=description.pid if description else None,
        python=description.python_version if description else None,
        interpreter=description.interpreter if description else None,
        cwd=description.cwd if description else None,
        warnings=client.connection.warnings,
    )


async def _work(
    client: KernelClient, description: KernelDescription | None
) -> tuple[bool, tuple[WorkLine, ...]]:
    """Tell whether the kernel works, and on what, as far as messages that reached us say."""
    cell = description.running_cell if description else None
    if working := _seen_work(client, cell):
        return True, working
    if description is None:
        if await client.shell_is_free(_SHELL_BOUND):
            return False, ()
        # Messages may have come meanwhile; else the work began before we connected.
        return True, _seen_work(client, cell) or (WorkLine("another client"),)
    if not description.busy:
        return False, ()
    since = time.time() - description.running_since if description.running_since else None
    return True, (WorkLine("another client", since, None, cell),)


def _seen_work(client: KernelClient, cell: str | None) -> tuple[WorkLine, ...]:
    now = time.time()
    others = tuple(
        WorkLine(work.client or "another client", now - work.since, first_line(work.code or "") or None, cell)
        for work in client.others_work
    )
    ours = tuple(
        WorkLine(client.client_name, now - run.started_at, first_line(run.code) or None, cell, run.run_id)
        for run in client.runs
        if not run.over and run.started_at is not None
    )
    return others + ours


def cell_list(outline: Outline, offset: int, note: str) -> CellList:
    return CellList(tuple(_cell_line(cell) for cell in outline.cells), outline.total, offset, note)


async def cell_view(attached: Attached, cell_id: str, window: Window) -> tuple[CellView, tuple[Image, ...]]:
    both = await attached.client.read_cell(cell_id, MOST_OUTPUT)
    outputs = without_edited(both.outputs)
    cell, shown = both.cell, show(outputs, await pictures(outputs, attached))
    text = attached.redactor.text(shown.text)  # whole: a cut within a secret would leave a part of it
    rest = f'read_cell(cell_id="{cell.cell_id}", offset={{offset}}) gives the rest of the outputs.'
    full = f"marimo://{attached.handle}/cells/{cell.cell_id}"
    code = attached.redactor.text(cell.code)
    whole = is_whole(text, window, shown) and len(code) <= window.budget
    view = CellView(
        cell_id=cell.cell_id,
        version=cell.version,
        status=cell.status,
        code=cut(code, window.budget, 0, f"The resource {full} has all of it."),
        outputs=cut(text, window.budget, window.offset, rest),
        images=len(shown.images),
        stale=cell.stale,
        execution_count=cell.execution_count,
        defines=cell.defines,
        uses=cell.uses,
        upstream=cell.upstream,
        downstream=cell.downstream,
        edited_by=cell.edited_by,
        run_by=cell.last_run_by,
        seconds=cell.duration,
        error=error_line(cell.error),
        notebook_cell_id=cell.notebook_cell_id,
        ran_at=_time(cell.last_run_at),
        full=None if whole else full,
        note=attached.news(),
    )
    return view, shown.images


def is_whole(text: str, window: Window, shown: Shown) -> bool:
    """Whether an answer shows all of the outputs, as they are."""
    return window.offset == 0 and len(text) <= window.budget and shown.complete


def _cell_line(cell: Cell) -> CellLine:
    return CellLine(
        cell_id=cell.cell_id,
        version=cell.version,
        status=cell.status,
        code=first_line(cell.code),
        stale=cell.stale,
        lines=len(cell.code.splitlines()) or 1,
        execution_count=cell.execution_count,
        defines=cell.defines,
        uses=cell.uses,
        edited_by=cell.edited_by,
        run_by=cell.last_run_by,
        error=error_line(cell.error),
        notebook_cell_id=cell.notebook_cell_id,
        kind=_kind(cell.code),
        ran_at=_time(cell.last_run_at),
        seconds=cell.duration,
    )


def _time(seconds: float | None) -> str | None:
    """Give a time of day of this machine, with the date unless that is today's."""
    if seconds is None:
        return None
    then = dt.datetime.fromtimestamp(seconds).astimezone()
    today = then.date() == dt.datetime.now().astimezone().date()
    return then.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")


def _kind(code: str) -> str:
    """Say what kind of cell it is by its first lines; "code" where nothing stands out."""
    lines = [line.strip() for line in code.splitlines() if line.strip() and not line.strip().startswith("#")]
    if lines and all(line.startswith(("import ", "from ")) for line in lines):
        return "imports"
    first = lines[0] if lines else ""
    return next((kind for pattern, kind in _KINDS if pattern.match(first)), "code")


def error_line(error: CellError | None) -> str | None:
    return None if error is None else f"{error.ename}: {error.evalue}".rstrip(": ")
