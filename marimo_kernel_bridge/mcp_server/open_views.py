"""The views of tables that agents of this server opened, by handle.

A handle (`v1`) is short, so that a model can repeat it. What asks for rows is a page in the client's host, and never a model: it
has the view's key, which came to it past the model.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

from marimo_kernel_bridge.errors import BridgeError

_MOST: Final = 200
"""Views that are remembered; the one that was opened first is forgotten, and stays open."""

_NAME: Final = 80
"""Characters of a client's name in that of its session."""


@dataclass(frozen=True)
class OpenView:
    """A view, and where it is: in a kernel that the client is attached to, or (`kernel` None) in the process that shows files."""

    handle: str
    client_name: str
    kernel: str | None
    view: str
    title: str
    key: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)


class OpenViews:
    """The views of all clients of this server. A client knows of its own only."""

    def __init__(self) -> None:
        self._server = secrets.token_hex(4)
        self._views: dict[str, OpenView] = {}
        self._made = 0

    def session(self, client_name: str) -> str:
        """Return whose a client's views are, for the processes that have them: agents of one name on other servers are others."""
        return f"{client_name[:_NAME]}#{self._server}"

    def add(self, client_name: str, kernel: str | None, view: str, title: str) -> OpenView:
        """Know a view that was opened, or found again; it is its client's newest one."""
        known = next(
            (one for one in self.of(client_name) if (one.kernel, one.view) == (kernel, view)),
            None,
        )
        if known is None:
            self._made += 1
            known = OpenView(f"v{self._made}", client_name, kernel, view, title)
            while len(self._views) >= _MOST:
                del self._views[next(iter(self._views))]
        else:
            del self._views[known.handle]
        self._views[known.handle] = known
        return known

    def of(self, client_name: str) -> list[OpenView]:
        """Return a client's views, the one that it opened last at the end."""
        return [one for one in self._views.values() if one.client_name == client_name]

    def get(self, handle: str | None, client_name: str, *, listed: bool = True) -> OpenView:
        """Return a client's view, the newest one without a handle.

        `listed`: whether all views of this name are of one program; else it gets those that it names. Raises `BridgeError` no_such_view.
        """
        own = [one for one in self.of(client_name) if listed or one.handle == handle]
        found = [one for one in own if handle in {None, one.handle}]
        if not found:
            known = ", ".join(f"{one.handle} ({one.title})" for one in own[-10:])
            raise BridgeError(
                "no_such_view",
                f"There is no view {handle!r}." if handle is not None else "No view was opened.",
                f"There are: {known}." if known else "view_data opens one.",
            )
        return found[-1]

    def for_page(self, handle: str, key: str, client_name: str) -> OpenView:
        """Return the view of a page that has its key. Raises `BridgeError` not_allowed."""
        known = self._views.get(handle)
        if (
            known is None
            or known.client_name != client_name
            or not secrets.compare_digest(known.key.encode(), key.encode())
        ):
            raise BridgeError(
                "not_allowed",
                "Rows are for the page that shows them, and this is not its key.",
                "read_view says what the person sees; execute_code reads values.",
            )
        return known
