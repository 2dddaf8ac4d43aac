"""The requests about views of a kernel's variables: all on control, and answered while a cell runs.

A view belongs to a session, and other sessions do not see it. The viewer of files has the same requests, but for the one that
opens a view and the one that ends it.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from marimo_kernel_bridge.protocol.bridge_request import BridgeRequest
from marimo_kernel_bridge.protocol.views import StateChange  # noqa: TC001  # msgspec looks at annotations

_View = Annotated[str, Meta(max_length=40)]
_Session = Annotated[str, Meta(max_length=100)]


class OpenView(BridgeRequest, frozen=True, tag="open_view"):
    """Result: `OpenedView`. Opens a view of the global variable `data`, or finds the session's own.

    Refused with `no_such_variable` or `not_a_table`; with `not_offered` where no page can be served. Without `runs_code`, which
    whoever may run code sets, refused with `not_allowed` where reading the rows would: of a plan, a query, a class of others.
    """

    data: Annotated[str, Meta(max_length=1000)]
    session: _Session
    client: str = "agent"
    runs_code: bool = False


class OpenFile(BridgeRequest, frozen=True, tag="open_file"):
    """To the viewer of files. Result: `OpenedView`. `table` is a sheet of a workbook, or a table of a database.

    Refused with `not_a_table`, `bad_data`, `data_locked`, `data_gone`, `not_installed`.
    """

    path: Annotated[str, Meta(max_length=10_000)]
    session: _Session
    table: Annotated[str, Meta(max_length=1000)] = ""


class StopViewer(BridgeRequest, frozen=True, tag="stop_viewer"):
    """To the viewer of files. Result: none. Closes all views and ends its process."""


class ReadView(BridgeRequest, frozen=True, tag="read_view"):
    """Result: `ViewDescription`: what the person sees, without any row. Refused with `no_such_view`."""

    view: _View
    session: _Session


class ListViews(BridgeRequest, frozen=True, tag="list_views"):
    """Result: list of `ViewDescription`."""

    session: _Session


class SetView(BridgeRequest, frozen=True, tag="set_view"):
    """Result: `ViewDescription`. Sets what the view shows, which its pages follow. Refused with `no_such_view`, `bad_request`."""

    view: _View
    session: _Session
    state: StateChange
    client: str = "agent"


class CloseView(BridgeRequest, frozen=True, tag="close_view"):
    """Result: none. Closes a view and its pages. Refused with `no_such_view`."""

    view: _View
    session: _Session


class AskView(BridgeRequest, frozen=True, tag="ask_view"):
    """Result: `ViewAnswer`: the answer to a request of a page that has no socket, as JSON text. Refused with `no_such_view`."""

    view: _View
    session: _Session
    request: Annotated[str, Meta(max_length=20_000)]


OfOpenView = ReadView | ListViews | SetView | CloseView | AskView
ViewerRequest = OpenFile | StopViewer | OfOpenView
ViewRequest = OpenView | ReadView | ListViews | SetView | CloseView | AskView
