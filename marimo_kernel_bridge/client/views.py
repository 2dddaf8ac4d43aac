"""The views of one kernel's variables, as a client asks for them. Requires an open link.

A view shows a table to a person; no answer here has a row, except that to a request of the page itself (`ask`), which is
passed on as it came: text, of a bounded length, that nobody on the way reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.view_requests import AskView, OpenView, ReadView, SetView, ViewRequest
from marimo_kernel_bridge.protocol.views import OpenedView, ViewAnswer, ViewDescription

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.reads import Reads
    from marimo_kernel_bridge.protocol.views import StateChange

MOST_ASKED: Final = 20_000
"""Characters of a page's request."""

MOST_ANSWERED: Final = 700_000
"""Characters of the answer to one: escaped once more, it is below what clients over HTTP take."""

_BOUND: Final = 120.0
"""Seconds: a first look at a large table takes some, and a page waits for its rows."""
_T = TypeVar("_T")


class ViewSource(Protocol):
    """What has views: a kernel, or the process that shows files. Sessions do not see each other's views.

    Each method raises `BridgeError`: no_such_view; kernel_dead, kernel_silent, and the codes in its own docstring.
    """

    async def open(self, data: str, session: str) -> OpenedView:
        """Open a view, or find that of an earlier call. Raises `BridgeError`: no_such_variable, not_a_table."""
        ...

    async def read(self, view: str, session: str) -> ViewDescription:
        """Return what the person sees of a view, without rows."""
        ...

    async def set(self, view: str, session: str, change: StateChange) -> ViewDescription:
        """Set what a view shows. Raises `BridgeError` bad_request."""
        ...

    async def ask(self, view: str, session: str, request: str) -> str:
        """Return the answer to a request of the page. Raises `BridgeError` too_large."""
        ...


class KernelViews:
    """The views of one reactive kernel: a `ViewSource`. Also raises `BridgeError` not_reactive and unsupported_version."""

    def __init__(self, reads: Reads, client_name: str) -> None:
        self._reads = reads
        self._client_name = client_name

    async def open(self, data: str, session: str, *, runs_code: bool = False) -> OpenedView:
        """`runs_code`: whether code may run where that makes the rows; otherwise refused with not_allowed."""
        request = OpenView(data=data, session=session, client=self._client_name, runs_code=runs_code)
        return await self._ask(request, OpenedView)

    async def read(self, view: str, session: str) -> ViewDescription:
        return await self._ask(ReadView(view=view, session=session), ViewDescription)

    async def set(self, view: str, session: str, change: StateChange) -> ViewDescription:
        request = SetView(view=view, session=session, state=change, client=self._client_name)
        return await self._ask(request, ViewDescription)

    async def ask(self, view: str, session: str, request: str) -> str:
        require_size(len(request), MOST_ASKED)
        reply = await self._ask(AskView(view=view, session=session, request=request), ViewAnswer)
        require_size(len(reply.answer), MOST_ANSWERED)
        return reply.answer

    async def _ask(self, request: ViewRequest, kind: type[_T]) -> _T:
        try:
            return await self._reads.ask(request, kind, _BOUND)
        except BridgeError as refusal:
            if refusal.code == "bad_request" and "request of the bridge protocol" in refusal.message:
                raise BridgeError(
                    "unsupported_version",
                    "This kernel is older and shows no tables.",
                    "Ask the person to restart it with the version of marimo-kernel-bridge that this server has.",
                ) from refusal
            raise


def require_size(length: int, most: int) -> None:
    """Raise `BridgeError` too_large for a request of a page, or an answer to one, beyond its bound."""
    if length > most:
        raise BridgeError(
            "too_large",
            f"{length:,} characters are more than the {most:,} of one request of a page or its answer.",
            "Ask for fewer rows or columns.",
        )
