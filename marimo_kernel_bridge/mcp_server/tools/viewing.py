"""The tools that show tables to the person: rows go to their screen, and none to a model.

In a host with MCP Apps the page is in the conversation, and gets its rows by `view_rows`, which only pages may call. Else it is a
tab of the person's browser, with a connection of its own to the process that has the data.
"""

from __future__ import annotations

from typing import Annotated

from mcp.server.apps import client_supports_apps
from mcp.types import CallToolResult, TextContent
from pydantic import Field

from marimo_kernel_bridge.mcp_server.answers.viewing import PageAnswer, Shown, ShownView, ViewRead
from marimo_kernel_bridge.mcp_server.arguments import Ctx, KernelArg, client_name, kernels_of
from marimo_kernel_bridge.mcp_server.package_index import printable
from marimo_kernel_bridge.mcp_server.tool import Arguments, tool
from marimo_kernel_bridge.mcp_server.tools.call_result import answer
from marimo_kernel_bridge.mcp_server.tools.showing import show_address
from marimo_kernel_bridge.mcp_server.views import viewing
from marimo_kernel_bridge.mcp_server.views.view_state import ViewFilter, change_of

META = "marimo-kernel-bridge/view"
"""The key in an answer's `_meta` of what the page needs and no model sees."""

_LOOKED_AT: dict[bool | None, Shown] = {True: "in the browser", False: "declined", None: "not shown"}


def _may_be_variable(arguments: Arguments) -> bool:
    return str(arguments.get("data")).isidentifier()


@tool("Show a table to the person", needs="read", reads=True, joins=_may_be_variable, app="shows")
async def view_data(
    ctx: Ctx,
    *,
    data: Annotated[
        str,
        Field(
            max_length=4096,
            description="A variable, or a file: CSV, JSON(L), Parquet, Arrow, Excel, SQLite (FILE#TABLE).",
        ),
    ],
    sort: Annotated[list[str] | None, Field(description='As ["state", "revenue desc"].')] = None,
    filter: Annotated[  # noqa: A002  # the natural name for callers
        list[ViewFilter] | None, Field(description="Conditions, all of which hold.")
    ] = None,
    search: Annotated[str | None, Field(description="Text in any column.")] = None,
    kernel: KernelArg = None,
) -> Annotated[CallToolResult, ShownView]:
    """Show a table of any size to the person, or change what they see of it. You get shape and types, no rows."""
    opened = await viewing.opened(ctx, data, kernel)
    kernels, now = kernels_of(ctx), opened.view.description
    change = change_of(now.columns, sort, filter, search)
    if change is not None:
        session = kernels.views.session(client_name(ctx))
        now = await viewing.source_of(ctx, opened.known).set(opened.known.view, session, change)
    in_host = client_supports_apps(ctx)
    state: Shown = "in the host" if in_host else await _shown(ctx, opened)
    view = viewing.shown(opened, now, state, _message(opened, state))
    redactor = kernels.redactor if opened.attached is None else opened.attached.redactor
    result = answer(view, redactor)
    if in_host:
        result.meta = {META: {"key": opened.known.key}}
    return result


async def _shown(ctx: Ctx, opened: viewing.Opened) -> Shown:
    if opened.view.opened_in == "tab already open":
        return "in an open tab"
    if not opened.here or opened.view.advice:
        return "not shown"
    question = f"{client_name(ctx)} wants to show you {printable(opened.known.title)}."
    return _LOOKED_AT[await show_address(ctx, question, opened.view.url)]


def _message(opened: viewing.Opened, state: Shown) -> str:
    match state:
        case "in the host":
            return "The person sees it here."
        case "in the browser":
            return "The person has it in a new tab of their browser."
        case "in an open tab":
            return "The person has it in the tab that was open already."
        case "declined":
            return "The person did not open it."
        case "not shown":
            name = opened.known.title
            by_hand = f"%marimo view {name}" if opened.attached else f"marimo-kernel-bridge view {name}"
            return opened.view.advice or (
                f"It could not be shown to the person. Ask them to run `{by_hand}`, which shows an address."
            )


@tool("Read what the person sees of a table", needs="read", reads=True)
async def read_view(
    ctx: Ctx,
    *,
    view: Annotated[str | None, Field(description="Which view; else the newest.")] = None,
) -> Annotated[CallToolResult, ViewRead]:
    """Tell how the person sorted, filtered and selected, and give Python for those rows."""
    return answer(await viewing.view_read(ctx, view), kernels_of(ctx).redactor)


@tool("Rows for a view's page", needs="read", reads=True, app="only")
async def view_rows(
    ctx: Ctx, *, view: str, key: Annotated[str, Field(max_length=100)], request: str
) -> Annotated[CallToolResult, PageAnswer]:
    """For the page alone, which has the key."""
    known = kernels_of(ctx).views.for_page(view, key, client_name(ctx))
    session = kernels_of(ctx).views.session(known.client_name)
    text = await viewing.source_of(ctx, known).ask(known.view, session, request)
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content={"view": view})
