"""Resources: the complete answers of the reading tools as JSON, and the notebook in other formats, by URI."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

from mcp.server.mcpserver.resources import ResourceSecurity

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.bounds import bounded
from marimo_kernel_bridge.mcp_server.answers.deaths import died
from marimo_kernel_bridge.mcp_server.answers.view import as_data, who
from marimo_kernel_bridge.mcp_server.arguments import (
    Ctx,  # the SDK evaluates annotations
    attached_to,
    caller,
    kernels_of,
)
from marimo_kernel_bridge.mcp_server.sdk.events import KINDS
from marimo_kernel_bridge.mcp_server.sdk.resource_templates import add_template
from marimo_kernel_bridge.mcp_server.views import cells as cell_views
from marimo_kernel_bridge.mcp_server.views import notebook as notebook_views
from marimo_kernel_bridge.mcp_server.views import runs as run_views
from marimo_kernel_bridge.mcp_server.views.checkpoints import checkpoint_list
from marimo_kernel_bridge.mcp_server.views.files import as_format, live
from marimo_kernel_bridge.mcp_server.views.notebook_source import found_cell
from marimo_kernel_bridge.mcp_server.views.viewing import summary, view_read
from marimo_kernel_bridge.notebooks.export_formats import EXPORT_FORMATS, LIVE_FORMATS
from marimo_kernel_bridge.protocol.output_log import without_edited

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mcp.server import MCPServer

    from marimo_kernel_bridge.mcp_server.answers.view import View
    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.mcp_server.callers import Caller
    from marimo_kernel_bridge.mcp_server.guard import Guard
    from marimo_kernel_bridge.mcp_server.plugins.resources import ServedResource
    from marimo_kernel_bridge.mcp_server.sdk.events import Event
    from marimo_kernel_bridge.notebooks.export_formats import ExportFormat
    from marimo_kernel_bridge.protocol.notebook import Output

_MOST_CELLS = 10_000
_MOST_RUNS = 200
_ROWS = 20
_NAMES_KERNELS = ResourceSecurity(exempt_params={"kernel"})
"""The name of a kernel may be a path, which is compared with those of running kernels (`which_kernel`)."""
_PAGE = 150_000
"""Characters of one page: escaped in JSON, and again in the message, below the limit of clients over HTTP."""


async def read_notebook(ctx: Ctx, kernel: str) -> str:
    """Return the outline of the notebook: all cells, Markdown too, their place in the graph, status and last run."""
    attached = attached_to(ctx, kernel)
    cells = await cell_views.cell_list(attached, 0, _MOST_CELLS)
    return await asyncio.to_thread(lambda: _json(as_data(bounded(cells, attached.redactor.text))))


async def read_death(ctx: Ctx, kernel: str) -> str:
    """Return how the kernel died, or the process before the present one: cause, cell, line, lost names; null if none did."""
    attached = attached_to(ctx, kernel)
    death = attached.client.deaths.last
    if attached.client.end is None and attached.reactive:
        death = (await attached.client.reads.describe()).died
    found = died(death)
    return _json(None if found is None else as_data(bounded(found, attached.redactor.text)))


async def read_history(ctx: Ctx, kernel: str) -> str:
    """Return the runs, newest first: client, time, cells and how they ended. Those of this client have their run_id."""
    attached, agent = attached_to(ctx, kernel), caller(ctx)
    runs = await attached.client.reads.history(_MOST_RUNS)
    return _json(
        [
            ({"run_id": run.run_id} if agent.in_session and run.client == agent.name else {})
            | {
                "client": who(run.client),
                "started_at": round(run.started_at, 3),
                "finished": run.finished,
                "requested": list(run.requested),
                "cells": [
                    {"cell_id": cell.cell_id, "status": cell.status, "seconds": round(cell.duration, 3)}
                    for cell in run.cells
                ],
            }
            for run in runs
        ]
    )


async def read_events(ctx: Ctx, kernel: str, kind: str = "", since: str = "0") -> str:
    """Return what happened, of one kind or all: executing, output, completed, error, state_changed; with what to read."""
    if kind and kind not in KINDS:
        raise BridgeError(
            "bad_request", f"There are no events of the kind {kind[:50]!r}.", f"{', '.join(KINDS)}."
        )
    number = _number(since)
    if number is None:
        raise BridgeError("bad_request", f"since is the number of an event, not {since[:50]!r}.")
    attached = attached_to(ctx, kernel)
    events = [
        event_view(event, attached.handle, caller(ctx))
        for event in attached.events.since(number, kind or None)
    ]
    return _json({"newest": attached.events.newest, "events": events})


async def read_all_events(ctx: Ctx, kernel: str, since: str = "0") -> str:
    """Return what happened in the kernel since it was joined, or since an event's number; each event names its kind."""
    return await read_events(ctx, kernel, "", since)


def event_view(event: Event, handle: str, agent: Caller) -> dict[str, Any]:
    """Return an event as JSON. Without a session it names no runs: they may be those of another program of this name."""
    view: dict[str, Any] = {"number": event.number, "at": round(event.at, 3), "kind": event.kind}
    if event.client:
        view["client"] = who(event.client)
    if event.cell_id is not None:
        view |= {"cell_id": event.cell_id, "read": f"marimo://{handle}/cells/{event.cell_id}"}
    elif event.ours and agent.in_session:
        view |= {"run_id": event.request_id, "read": f"marimo://{handle}/runs/{event.request_id}"}
    return view


async def read_cell_outputs(ctx: Ctx, kernel: str, cell_id: str, offset: str = "0") -> str:
    """Return a cell's code and the complete text of its outputs, in pages if it is long."""
    attached = attached_to(ctx, kernel)
    read, found, _ = await found_cell(attached, cell_id)
    if read is None:
        assert found is not None, "one of both has it"
        return _json(
            {"cell_id": found.cell_id, "version": found.version, "type": found.type, "code": found.code}
        )
    shown = await attached.show(without_edited(read.outputs), pictures=False)
    cell = {
        "cell_id": read.cell.cell_id,
        "version": read.cell.version,
        "status": read.cell.status,
        "code": read.cell.code,
    }
    if found is not None and found.sync == "changed":
        cell |= {"version": found.version, "code": found.code, "sync": found.sync}
    text = shown.text
    uri = f"marimo://{kernel}/cells/{cell_id}"
    images = [f"{uri}/{number}.{kind}" for number, kind in _images(read.outputs)]
    return _json(cell | _page(text, offset, uri) | {"images": images})


async def read_run_outputs(ctx: Ctx, kernel: str, run_id: str, offset: str = "0") -> str:
    """Return the complete text of the outputs of a run, in pages."""
    attached = attached_to(ctx, kernel)
    run = await run_views.run_called(attached, run_id)
    text = (await attached.show(await run_views.run_outputs(attached, run), pictures=False)).text
    return _json(
        {"run_id": run_id, "status": run.status} | _page(text, offset, f"marimo://{kernel}/runs/{run_id}")
    )


async def read_png(ctx: Ctx, kernel: str, cell_id: str, output: str) -> bytes:
    """Return an image of a cell's outputs, in full size. Outputs are numbered from 0."""
    return await _image(ctx, kernel, cell_id, output, "png")


async def read_jpeg(ctx: Ctx, kernel: str, cell_id: str, output: str) -> bytes:
    """Return an image of a cell's outputs, in full size."""
    return await _image(ctx, kernel, cell_id, output, "jpeg")


async def read_output(ctx: Ctx, kernel: str, cell_id: str, output: str) -> str:
    """Return one output of a cell in the notebook's format, without images: for example the complete specification of a chart."""
    entry = await _output(attached_to(ctx, kernel), cell_id, output)
    data = entry.get("data")
    if isinstance(data, dict):
        entry = {
            **entry,
            "data": {kind: value for kind, value in data.items() if not kind.startswith("image/")},
        }
    return _json(entry)


async def _image(ctx: Ctx, kernel: str, cell_id: str, output: str, kind: str) -> bytes:
    entry = await _output(attached_to(ctx, kernel), cell_id, output)
    data = (entry.get("data") or {}).get(f"image/{kind}")
    if data is None:
        raise BridgeError(
            "bad_request",
            f"Output {output} of cell {cell_id} is not an image/{kind}.",
            f"marimo://{kernel}/cells/{cell_id} lists the images.",
        )
    try:
        return base64.b64decode("".join(data))
    except (TypeError, ValueError) as error:
        raise BridgeError(
            "bad_request", f"Output {output} of cell {cell_id} has an image/{kind} that is not base64."
        ) from error


async def _output(attached: Attached, cell_id: str, output: str) -> Output:
    outputs = (await attached.client.reads.read_cell(cell_id)).outputs
    number = _number(output)
    if number is None or number >= len(outputs):
        raise BridgeError(
            "bad_request", f"Cell {cell_id} has {len(outputs)} outputs; there is no number {output}."
        )
    return outputs[number]


def _number(text: str) -> int | None:
    """Return the number in a part of a URI, None for what is none, or has more digits than anything has characters."""
    return int(text) if text.isdecimal() and len(text) < 16 else None  # noqa: PLR2004


def _images(outputs: Iterable[Output]) -> Iterator[tuple[int, str]]:
    for number, output in enumerate(outputs):
        for kind in ("png", "jpeg"):
            if f"image/{kind}" in (output.get("data") or {}):
                yield number, kind


def _page(text: str, offset: str, uri: str) -> dict[str, Any]:
    """Return a page of a text, and the URI of the next one."""
    start = _number(offset)
    if start is None:
        raise BridgeError("bad_request", f"offset is a number of characters, not {offset!r}.")
    page: dict[str, Any] = {"outputs": text[start : start + _PAGE]}
    if len(text) > _PAGE:
        page["total_characters"] = len(text)
    if start + _PAGE < len(text):
        page["next"] = f"{uri}?offset={start + _PAGE}"
    return page


async def read_variable(ctx: Ctx, kernel: str, variable: str) -> str:
    """Return a variable's type, size and a sample of its content."""
    attached = attached_to(ctx, kernel)
    view = await notebook_views.variable_view(attached, variable, _ROWS)
    return _json(as_data(bounded(view, attached.redactor.text)))


async def read_checkpoints(ctx: Ctx, kernel: str) -> str:
    """Return the notebook's checkpoints, the newest first, with what each lacks."""
    attached = attached_to(ctx, kernel)
    return _json(as_data(bounded(await checkpoint_list(attached), attached.redactor.text)))


async def read_views(ctx: Ctx, view: str = "") -> str:
    """Return the tables that were shown to the person, without rows: how each is sorted, filtered and selected, or all of one."""
    if view:
        return _json(_as_data(ctx, await view_read(ctx, view)))
    agent = caller(ctx)
    known = kernels_of(ctx).views.of(agent.name) if agent.in_session else []
    return _json([_as_data(ctx, await summary(ctx, one)) for one in known])


def _as_data(ctx: Ctx, view: View) -> dict[str, Any]:
    return as_data(bounded(view, kernels_of(ctx).redactor.text))


async def read_ipynb(ctx: Ctx, kernel: str) -> str:
    """Return the notebook as an .ipynb: the current code and outputs in the kernel."""
    return await _in_format(ctx, kernel, "ipynb")


async def read_py(ctx: Ctx, kernel: str) -> str:
    """Return the notebook as a marimo .py file."""
    return await _in_format(ctx, kernel, "py")


async def read_md(ctx: Ctx, kernel: str) -> str:
    """Return the notebook as marimo's Markdown, without outputs."""
    return await _in_format(ctx, kernel, "md")


async def read_html(ctx: Ctx, kernel: str) -> str:
    """Return the notebook as one HTML page, with outputs."""
    return await _in_format(ctx, kernel, "html")


async def _in_format(ctx: Ctx, kernel: str, to: ExportFormat) -> str:
    attached = attached_to(ctx, kernel)
    content, _ = await as_format(attached, await live(attached), to)
    return content if isinstance(content, str) else content.decode()


_READERS = {"ipynb": read_ipynb, "py": read_py, "md": read_md, "html": read_html}


def add_resources(server: MCPServer[Any], guard: Guard) -> None:
    """Register the resources."""
    for uri, title, function in (
        ("marimo://{kernel}/notebook", "The notebook", read_notebook),
        ("marimo://{kernel}/history", "What ran", read_history),
        ("marimo://{kernel}/events{?since}", "What happens", read_all_events),
        ("marimo://{kernel}/events/{kind}{?since}", "What happens, of one kind", read_events),
        ("marimo://{kernel}/death", "How the kernel died", read_death),
        ("marimo://{kernel}/cells/{cell_id}{?offset}", "A cell and its outputs", read_cell_outputs),
        ("marimo://{kernel}/cells/{cell_id}/{output}.json", "One output of a cell", read_output),
        ("marimo://{kernel}/runs/{run_id}{?offset}", "The outputs of a run", read_run_outputs),
        ("marimo://{kernel}/variables/{variable}", "A variable", read_variable),
        ("marimo://{kernel}/checkpoints", "Checkpoints", read_checkpoints),
        ("marimo://views{?view}", "What the person sees of tables", read_views),
    ):
        add_template(
            server,
            uri,
            guard.around_read(function),
            title=title,
            mime_type="application/json",
            security=_NAMES_KERNELS,
        )

    for kind, read_image in (("png", read_png), ("jpeg", read_jpeg)):
        add_template(
            server,
            f"marimo://{{kernel}}/cells/{{cell_id}}/{{output}}.{kind}",
            guard.around_read(read_image),
            title="An image of a cell",
            mime_type=f"image/{kind}",
            security=_NAMES_KERNELS,
        )
    for name in LIVE_FORMATS:
        about = EXPORT_FORMATS[name]
        add_template(
            server,
            f"marimo://{{kernel}}/notebook.{name}",
            guard.around_read(_READERS[name]),
            title=about.title,
            mime_type=about.mime_type,
            security=_NAMES_KERNELS,
        )


def add_plugin_resources(server: MCPServer[Any], guard: Guard, resources: Iterable[ServedResource]) -> None:
    """Register the resources of plugins, behind the same guard."""
    for one in resources:
        server.resource(
            one.uri,
            title=one.title,
            description=one.read.__doc__,
            mime_type=one.mime_type,
            security=_NAMES_KERNELS,
        )(guard.around_read(one.read, one.origin.audited({})))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
