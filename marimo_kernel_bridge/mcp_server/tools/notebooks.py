"""The tools for notebooks as sessions: create, list, open, close, delete, and the templates of new ones."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from mcp.server.mcpserver import AcceptedElicitation, Elicit, ElicitationResult, Resolve
from mcp.types import CallToolResult  # noqa: TC002  # the SDK looks at annotations
from pydantic import BaseModel, Field

from marimo_kernel_bridge.client.notebook_names import path_in
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.sessions.called import sessions_called
from marimo_kernel_bridge.launch.sessions.entries import DEFAULT_TTL, id_of
from marimo_kernel_bridge.launch.sessions.registry import Registry
from marimo_kernel_bridge.launch.sessions.templates import templates, templates_folder
from marimo_kernel_bridge.mcp_server.answers.notebooks import (
    NotebookDone,
    NotebookList,
    NotebookOpened,
    TemplateLine,
    TemplateList,
)
from marimo_kernel_bridge.mcp_server.arguments import (
    LIST_BUDGET,
    AsInStart,
    Ctx,
    HomePath,
    can_ask,
    client_name,
    kernels_of,
)
from marimo_kernel_bridge.mcp_server.package_index import printable
from marimo_kernel_bridge.mcp_server.sessions.sessions import Wanted
from marimo_kernel_bridge.mcp_server.tool import Arguments, Tier, tool
from marimo_kernel_bridge.mcp_server.tools.call_result import answer
from marimo_kernel_bridge.mcp_server.views import sessions as views

if TYPE_CHECKING:
    from marimo_kernel_bridge.launch.sessions.entries import Session
    from marimo_kernel_bridge.mcp_server.attachments import Kernels

SessionArg = Annotated[str, Field(description="Id from list_notebooks, or path.")]
InterpreterArg = Annotated[HomePath | None, Field(description="A Python with marimo-kernel-bridge.")]


@tool("Create notebook", needs="all", in_sandbox=True)
async def create_notebook(
    ctx: Ctx,
    *,
    name: Annotated[str, Field(max_length=200, description="Name of the file.")],
    description: Annotated[str, Field(max_length=500, description="What it is for.")] = "",
    folder: Annotated[HomePath | None, Field(description="Folder of the file.")] = None,
    template: Annotated[str, Field(description="From list_templates.")] = "blank",
    parameters: Annotated[dict[str, Any], Field(description="Values for the template's variables.")] = {},  # noqa: B006  # never changed
    interpreter: InterpreterArg = None,
    ttl: Annotated[
        float, Field(ge=1, le=30 * 86400, description="Idle seconds until its kernel ends.")
    ] = DEFAULT_TTL,
    limits: AsInStart = None,
    sandbox: AsInStart = None,
) -> Annotated[CallToolResult, NotebookOpened]:
    """Create an .ipynb and start its kernel. The file is saved after each run; open_notebook finds it again."""
    kernels, client = kernels_of(ctx), client_name(ctx)
    bounds, where = kernels.ceilings.asked(limits, sandbox), kernels.ceilings.place(folder)
    await kernels.ceilings.require_known(interpreter)
    wanted = Wanted(name, where, description, interpreter, ttl, client, bounds)
    path = await asyncio.to_thread(kernels.sessions.path_of, wanted)
    document = await views.template_document(path, template, parameters, kernels.templates)
    session = await kernels.sessions.create(path, document, wanted)
    try:
        view = await views.opened(kernels, session.id, client, bounds)
    except BridgeError:
        await kernels.sessions.taken_back(session)
        raise
    return answer(view, kernels.redactor)


@tool("List notebooks", needs="read", reads=True)
async def list_notebooks(
    ctx: Ctx,
    *,
    state: Annotated[
        Literal["active", "suspended", "all"], Field(description="suspended: no kernel.")
    ] = "all",
) -> Annotated[CallToolResult, NotebookList]:
    """List the notebooks that agents created or opened."""
    kernels = kernels_of(ctx)
    lines = await views.notebook_lines(kernels, client_name(ctx), state)
    return answer(NotebookList(lines), kernels.redactor, budget=LIST_BUDGET)


def _of_opening(arguments: Arguments) -> Tier:
    """Return read for a session that has a kernel, which is joined; all where one has to be started."""
    found = sessions_called(Registry(), str(arguments.get("notebook")))
    return "read" if len(found) == 1 and found[0].state == "active" else "all"


@tool("Open notebook", needs=_of_opening, idempotent=True, in_sandbox=True)
async def open_notebook(
    ctx: Ctx,
    *,
    notebook: SessionArg,
    interpreter: InterpreterArg = None,
    limits: AsInStart = None,
    sandbox: AsInStart = None,
) -> Annotated[CallToolResult, NotebookOpened]:
    """Join a notebook's kernel, or start one that knows its cells; runs nothing. One that a person has open: connect_to_kernel."""
    kernels, client = kernels_of(ctx), client_name(ctx)
    bounds = kernels.ceilings.asked(limits, sandbox)
    await kernels.ceilings.require_known(interpreter)
    try:
        session = await asyncio.to_thread(kernels.sessions.named, notebook)
    except BridgeError:
        path = path_in(notebook)
        if not path.endswith(".ipynb"):
            raise
        session = await kernels.sessions.adopt(Path(kernels.ceilings.place(path) or path), client)
    kernels.ceilings.place(session.path)
    return answer(await views.opened(kernels, session.id, client, bounds, interpreter), kernels.redactor)


@tool("Close notebook", needs="all", destroys=True, idempotent=True, in_sandbox=True)
async def close_notebook(
    ctx: Ctx,
    *,
    notebook: SessionArg,
    save: Annotated[bool, Field(description="Save the file first.")] = True,
) -> Annotated[CallToolResult, NotebookDone]:
    """Save a notebook and end its kernel; variables are lost."""
    kernels = kernels_of(ctx)
    session = await asyncio.to_thread(kernels.sessions.named, notebook)
    kernels.require_may_end(session)
    return answer(await views.closed(kernels, session, client_name(ctx), save=save), kernels.redactor)


class DeleteConsent(BaseModel):
    """The person's answer."""

    delete: Annotated[bool, Field(title="Delete", description="Yes: delete this file now.")]


class NotAsked(DeleteConsent):
    """Nothing to ask: the file stays."""


def _to_delete(kernels: Kernels, notebook: str, *, file: bool) -> Session:
    """Return the session to forget. Raises `BridgeError`: no_such_notebook; bad_request if its file may not be deleted by this name.

    The person is asked first, and by then other names may mean another file.
    """
    session = kernels.sessions.named(notebook)
    if file and session.id not in {notebook.strip(), id_of(Path(path_in(notebook)))}:
        raise BridgeError(
            "bad_request",
            f"{notebook[:200]!r} is {session.path}; a file is deleted by its id or its whole path only, and nothing was done.",
            f"delete_notebook({session.id!r}, delete_file=true) asks the person.",
        )
    return session


async def ask_about_file(ctx: Ctx, notebook: str, delete_file: bool) -> Elicit[DeleteConsent] | DeleteConsent:  # noqa: FBT001  # the SDK passes arguments by name
    """Ask the person, if their file is to be deleted."""
    kernels = kernels_of(ctx)
    if not delete_file or not kernels.may_install or not can_ask(ctx):
        return NotAsked(delete=False)
    try:
        session = await asyncio.to_thread(_to_delete, kernels, notebook, file=True)
    except BridgeError:  # the tool itself says so
        return NotAsked(delete=False)
    return Elicit(f"An agent wants to delete the file {printable(session.path)}, for good.", DeleteConsent)


def _said(consent: ElicitationResult[DeleteConsent]) -> str:
    if not isinstance(consent, AcceptedElicitation):
        return "no answer"
    if isinstance(consent.data, NotAsked):
        return "not asked"
    return "yes" if consent.data.delete else "no"


@tool(
    "Delete notebook",
    needs="all",
    destroys=True,
    in_sandbox=True,
    audited=lambda arguments: {"consent": _said(arguments["consent"])},
)
async def delete_notebook(
    ctx: Ctx,
    *,
    notebook: SessionArg,
    consent: Annotated[ElicitationResult[DeleteConsent], Resolve(ask_about_file)],
    delete_file: Annotated[bool, Field(description="Delete the file, too; the person is asked.")] = False,
) -> Annotated[CallToolResult, NotebookDone]:
    """End a notebook's kernel and forget it."""
    kernels = kernels_of(ctx)
    session = await asyncio.to_thread(_to_delete, kernels, notebook, file=delete_file)
    kernels.require_may_end(session)
    if delete_file and _said(consent) != "yes":
        raise BridgeError(
            "not_allowed",
            f"The person did not agree to delete {session.path} ({_said(consent)}); nothing was done.",
            "Without delete_file only the session goes. They can delete the file themselves.",
        )
    await views.closed(kernels, session, client_name(ctx), save=False)
    await kernels.sessions.deleted(session, file=delete_file)
    became = "its file is deleted" if delete_file else "its file stays"
    return answer(NotebookDone(session.id, f"deleted; {became}.", session.path), kernels.redactor)


@tool("List templates", needs="read", reads=True, listed_from="all", in_sandbox=True)
async def list_templates(ctx: Ctx) -> Annotated[CallToolResult, TemplateList]:
    """List templates for create_notebook."""
    found = await asyncio.to_thread(templates, kernels_of(ctx).templates)
    lines = tuple(
        TemplateLine(one.name, one.description, None if one.path is None else str(one.path)) for one in found
    )
    return answer(TemplateList(lines, str(templates_folder())), kernels_of(ctx).redactor)
