"""Views of tables: where the data is, opening them, and what the person sees of one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.client.notebook_names import at_home
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.viewing import ColumnLine, FilterLine, ShownView, ViewRead
from marimo_kernel_bridge.mcp_server.arguments import attached_to, caller, client_name, kernels_of
from marimo_kernel_bridge.mcp_server.sessions.ceilings import bounds_kept_by
from marimo_kernel_bridge.mcp_server.views.file_views import FileViews, split_table
from marimo_kernel_bridge.mcp_server.views.own_places import require_own
from marimo_kernel_bridge.mcp_server.views.view_code import MOST_ROWS, code_of_rows, code_of_selection
from marimo_kernel_bridge.mcp_server.views.view_state import name_of, said, selected_count, sort_of
from marimo_kernel_bridge.protocol.near_texts import nearest
from marimo_kernel_bridge.protocol.regular_files import is_folder, is_there

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.views import ViewSource
    from marimo_kernel_bridge.mcp_server.answers.viewing import Shown
    from marimo_kernel_bridge.mcp_server.arguments import Ctx
    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.mcp_server.attachments import Kernels
    from marimo_kernel_bridge.mcp_server.open_views import OpenView
    from marimo_kernel_bridge.protocol.views import OpenedView, ViewDescription

_NEAR: Final = 5
_COLUMNS: Final = 200
_HIDDEN: Final = 50
_VALUES: Final = 20
_DTYPE: Final = 60
_NAME: Final = 200
_LONGEST_NAME: Final = 1000


@dataclass(frozen=True)
class Opened:
    """A view that was opened, and the kernel of its data; None for a file."""

    known: OpenView
    view: OpenedView
    attached: Attached | None

    @property
    def here(self) -> bool:
        """Whether its address leads there on this machine."""
        return self.attached is None or self.attached.here


async def opened(ctx: Ctx, data: str, handle: str | None) -> Opened:
    """Open a view of a variable, else of a file. Raises `BridgeError`: the refusals of both."""
    kernels, client = kernels_of(ctx), client_name(ctx)
    session = kernels.views.session(client)
    file = _file(ctx, data)
    attached = _kernel(ctx, data, handle, has_file=file is not None)
    if attached is not None:
        try:
            runs_code = await _may_run_code(kernels, attached)
            view = await attached.client.views.open(data, session, runs_code=runs_code)
        except BridgeError as refusal:
            if refusal.code != "no_such_variable":
                raise
            if file is None:
                raise await _unknown(attached, data) from refusal
        else:
            known = kernels.views.add(client, attached.handle, view.description.view, view.description.title)
            return Opened(known, view, attached)
    if file is None:
        if Path(data).name != data:  # whether there are files elsewhere is nobody's business
            require_own(ctx, Path(data))
        raise BridgeError(
            "bad_request",
            f"{data[:200]!r} is neither the name of a variable nor a file.",
            "An expression needs a name first: assign it with execute_code. A file's path may be absolute.",
        )
    path, table = split_table(file)
    real = _real(path)
    require_own(ctx, real)
    view = await FileViews().open(f"{real}#{table}" if table else str(real), session)
    return Opened(kernels.views.add(client, None, view.description.view, view.description.title), view, None)


async def _may_run_code(kernels: Kernels, attached: Attached) -> bool:
    """Whether the agent may run code in a kernel now: what makes the rows of a plan or a query is some."""
    if not kernels.may_scratch or attached.paused:
        return False
    ceilings = kernels.ceilings
    return not ceilings.boxed or not ceilings.lacking(await bounds_kept_by(attached.client))


def _kernel(ctx: Ctx, data: str, handle: str | None, *, has_file: bool) -> Attached | None:
    """Return the kernel that may have a variable of this name. Raises `BridgeError` not_connected."""
    if handle is None and not (data.isidentifier() and len(data) <= _LONGEST_NAME):
        return None
    try:
        return attached_to(ctx, handle)
    except BridgeError:
        if has_file and handle is None:
            return None
        raise


def _file(ctx: Ctx, data: str) -> str | None:
    """Return the path of an existing file, from the working directory or a joined notebook's folder on; None if there is none."""
    if "\0" in data:
        return None
    beside = [notebook.parent for notebook in kernels_of(ctx).notebook_files(client_name(ctx))]
    for folder in (Path.cwd(), *beside):
        path = os.path.normpath(folder / at_home(data))
        file = split_table(path)[0]
        if is_there(file) and not is_folder(file):
            return path
    return None


def _real(path: Path) -> Path:
    """Return the path that is allowed and opened: without links, which may change between."""
    return Path(os.path.realpath(path))


async def _unknown(attached: Attached, name: str) -> BridgeError:
    names = [variable.name for variable in await attached.client.reads.list_variables()]
    near = nearest(name, names, _NEAR)
    return BridgeError(
        "no_such_variable",
        f"There is no variable {name!r}, and no file of that name.",
        f"Did you mean {' or '.join(near)}?" if near else "list_variables lists those that there are.",
    )


def source_of(ctx: Ctx, known: OpenView) -> ViewSource:
    """Return what has a view. Raises `BridgeError` not_connected."""
    if known.kernel is None:
        return FileViews()
    return attached_to(ctx, known.kernel).client.views


async def description_of(ctx: Ctx, known: OpenView) -> ViewDescription:
    """Return what the person sees of a view. Raises `BridgeError`: no_such_view, not_connected, kernel_dead, kernel_silent."""
    try:
        return await source_of(ctx, known).read(known.view, kernels_of(ctx).views.session(known.client_name))
    except BridgeError as refusal:
        if refusal.code != "no_such_view":
            raise
        why = "its kernel was restarted" if known.kernel is not None else "nobody looked at it for long"
        raise BridgeError(
            "no_such_view",
            f"View {known.handle} of {known.title} is gone: it was closed, or {why}.",
            "view_data opens it again.",
        ) from refusal


def shown(opened: Opened, now: ViewDescription, state: Shown, message: str) -> ShownView:
    """Return the answer about a view that was opened."""
    columns = tuple(
        ColumnLine(_cut(column.name, _NAME), column.kind, _type(column.dtype))
        for column in now.columns[:_COLUMNS]
    )
    return ShownView(
        opened.known.handle,
        now.title,
        now.kind,
        columns,
        state,
        message,
        said(now),
        now.rows,
        len(now.columns),
        now.notes,
        opened.known.kernel or "",
    )


def _type(dtype: str) -> str:
    """Return the name of a type. That of some holds values, as of an Enum's categories."""
    return _cut(dtype.partition("(categories")[0], _DTYPE)


def _cut(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


async def summary(ctx: Ctx, known: OpenView) -> ViewRead:
    """Return how a view is shown in a sentence; of one that cannot be read, why."""
    kernel = known.kernel or ""
    try:
        now = await description_of(ctx, known)
    except BridgeError as refusal:
        return ViewRead(known.handle, known.title, "", str(refusal), ended=refusal.code, kernel=kernel)
    return ViewRead(known.handle, now.title, now.kind, said(now), ended=now.ended, kernel=kernel)


async def view_read(ctx: Ctx, handle: str | None) -> ViewRead:
    """Return what the person sees of a view, the newest one without a handle. Raises `BridgeError` as `description_of` does."""
    views, client = kernels_of(ctx).views, client_name(ctx)
    in_session = caller(ctx).in_session
    known = views.get(handle, client, listed=in_session)
    now = await description_of(ctx, known)
    others = tuple(
        f"{one.handle} ({one.title})" for one in views.of(client) if in_session and one is not known
    )
    state = now.state
    column = state.selected_column
    return ViewRead(
        known.handle,
        now.title,
        now.kind,
        said(now),
        rows=now.rows,
        matching=now.matching,
        sort=sort_of(now),
        filter=tuple(
            FilterLine(
                name_of(now, one.column),
                one.op,
                tuple(one.value[:_VALUES]) if isinstance(one.value, list) else one.value,
            )
            for one in state.filters
        ),
        search=state.search,
        selected=state.selected[:MOST_ROWS],
        selected_count=selected_count(now),
        selected_column="" if column is None else name_of(now, column),
        selected_code=code_of_selection(now),
        code=code_of_rows(now),
        first_row=state.first_row,
        hidden=tuple(name_of(now, index) for index in state.hidden[:_HIDDEN]),
        set_by=state.by,
        ended=now.ended,
        notes=now.notes,
        others=() if handle is not None else others,
        kernel=known.kernel or "",
    )
