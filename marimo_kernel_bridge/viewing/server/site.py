"""The addresses of the server: health, the one-time address, pages, their sockets and downloads.

`/open?code=` exchanges a code for a cookie of one view, and leads to `/view/ID/`. All that a page needs is below that path, and
so the cookie goes nowhere else.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec
from tornado import web
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from marimo_kernel_bridge.viewing.answers import Asker
from marimo_kernel_bridge.viewing.page_requests import LONGEST, id_of
from marimo_kernel_bridge.viewing.server.rules import HEADERS, Rules, cookie_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marimo_kernel_bridge.viewing.answers import PageRequests
    from marimo_kernel_bridge.viewing.downloads import Downloads
    from marimo_kernel_bridge.viewing.view import Event, View
    from marimo_kernel_bridge.viewing.views import Views

MoreAddress = tuple[str, "type[Handler]", dict[str, Any]]
"""An address, its handler, and the arguments of that."""

MOST_UNANSWERED: Final = 32
"""Requests of a socket that wait for their answers."""
MOST_REFUSED: Final = 200
"""Requests beyond that, after which a socket is closed: its page is broken."""
_MOST_SOCKETS: Final = 16  # of one view
_MOST_UNREAD: Final = 200  # events that a page has not taken
_PING: Final = 60.0  # seconds
_CHUNK: Final = 256 * 1024
_VIEW: Final = r"/view/([0-9a-f]{1,32})/"

_AGAIN: Final = b"""<!doctype html><meta charset="utf-8"><title>View</title><meta http-equiv="refresh" content="0; url=?from=here">"""
"""A browser that comes from a page elsewhere does not send the cookie yet, which is of the strict kind; from here it does."""
_USED: Final = b"""<!doctype html><meta charset="utf-8"><title>View</title>
<p>This address works once, for ten minutes, and in one browser. Open the view again, as you opened it before.</p>"""


@dataclass(frozen=True)
class Site:
    """What the handlers share."""

    rules: Rules
    views: Views
    requests: PageRequests
    downloads: Downloads
    page_html: Callable[[str], str]
    alive: Callable[[], dict[str, Any]]
    """Returns what `/health` says."""


class Handler(web.RequestHandler):
    """A handler behind the rules."""

    def initialize(self, site: Site) -> None:
        self.site = site

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        headers = self.request.headers
        if self.site.rules.refuses(headers.get("Host"), headers.get("Origin")):
            raise web.HTTPError(403)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        del kwargs
        self.finish(f"{status_code}\n")

    def view_of_cookie(self, view_id: str) -> View | None:
        return self.site.views.of_cookie(view_id, self.get_cookie(cookie_name(view_id)))

    def require_view(self, view_id: str) -> View:
        view = self.view_of_cookie(view_id)
        if view is None:
            raise web.HTTPError(403)
        return view


class _Health(Handler):
    def get(self) -> None:
        self.write(self.site.alive())


class _Open(Handler):
    def get(self) -> None:
        found = self.site.views.exchange(self.get_query_argument("code", ""))
        if found is None:
            self.set_status(403)
            self.finish(_USED)
            return
        view, cookie = found
        path = f"/view/{view.id}/"
        self.set_cookie(cookie_name(view.id), cookie, httponly=True, samesite="Strict", path=path)
        self.redirect(path, status=303)


class _Page(Handler):
    def get(self, view_id: str) -> None:
        if self.view_of_cookie(view_id) is None:
            self.set_status(403)
            self.finish(_USED if "from" in self.request.query_arguments else _AGAIN)
            return
        nonce = secrets.token_urlsafe(16)
        policy = self.site.rules.page_policy(self.request.host, nonce)
        self.set_header("Content-Security-Policy", policy)
        self.finish(self.site.page_html(nonce))


class _Download(Handler):
    async def get(self, view_id: str, token: str) -> None:
        download = self.site.downloads.take(token, self.require_view(view_id))
        if download is None:
            raise web.HTTPError(403)
        try:
            with download.path.open("rb") as file:
                self.set_header("Content-Type", "application/octet-stream")
                self.set_header("Content-Disposition", f"attachment; {_file_name(download.name)}")
                self.set_header("Content-Length", str(download.path.stat().st_size))
                while chunk := file.read(_CHUNK):
                    self.write(chunk)
                    await self.flush()
        finally:
            download.path.unlink(missing_ok=True)


def _file_name(name: str) -> str:
    """Return a file's name as a parameter of a header: RFC 6266, with RFC 8187 for letters that are not ASCII."""
    plain = "".join(letter if letter.isascii() else "_" for letter in name)
    return f"filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"


class _Socket(WebSocketHandler):
    """The connection of a page. Implements `view.Page`."""

    def initialize(self, site: Site) -> None:
        self.site = site
        self.asker = Asker(self)
        self.view: View | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self._refused = 0
        self._unread = 0

    def set_default_headers(self) -> None:
        self.clear_header("Server")

    def check_origin(self, origin: str) -> bool:
        return not self.site.rules.refuses(self.request.headers.get("Host"), origin, is_socket=True)

    def prepare(self) -> None:
        headers = self.request.headers
        if self.site.rules.refuses(headers.get("Host"), headers.get("Origin"), is_socket=True):
            raise web.HTTPError(403)
        view_id = self.path_args[0]
        self.view = self.site.views.of_cookie(view_id, self.get_cookie(cookie_name(view_id)))
        if self.view is None or len(self.view.pages) >= _MOST_SOCKETS:
            raise web.HTTPError(403)

    def open(self, *args: str) -> None:
        del args
        assert self.view is not None, "prepare refuses the request"
        self.set_nodelay(True)  # tornado's signature
        self.view.pages.add(self)

    def on_close(self) -> None:
        if self.view is not None:
            self.view.pages.discard(self)
        self.asker.left()
        for task in self._answering:
            task.cancel()

    def on_message(self, message: str | bytes) -> None:
        """Answer beside what else is asked: statistics take long, and rows do not wait for them."""
        assert self.view is not None, "prepare refuses the request"
        self.site.views.use(self.view)
        if len(self._answering) < MOST_UNANSWERED:
            task = asyncio.get_running_loop().create_task(self._answer(self.view, message))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
            return
        self._refused += 1
        if self._refused > MOST_REFUSED:
            self.close(1008, "too many requests")
            return
        self._write(
            {"id": id_of(message), "error": {"code": "too_many", "message": "Too many requests at once."}}
        )

    async def _answer(self, view: View, message: str | bytes) -> None:
        answer = await self.site.requests.answer(view, message, self.asker)
        try:
            await self.write_message(answer)
        except WebSocketClosedError:
            return

    def tell(self, event: Event) -> None:
        self._write(event)

    def _write(self, message: dict[str, Any]) -> None:
        """Write without waiting for the page; one that reads nothing any more is closed."""
        if self._unread >= _MOST_UNREAD:
            self.close(1008, "this page reads nothing")
            return
        try:
            written = self.write_message(msgspec.json.encode(message).decode())
        except WebSocketClosedError:
            return
        self._unread += 1
        written.add_done_callback(self._was_read)

    def _was_read(self, written: asyncio.Future[None]) -> None:
        self._unread -= 1
        if not written.cancelled():
            written.exception()  # the page is gone

    def dismiss(self, why: str) -> None:
        self.close(1000, why)


def application(site: Site, more: Sequence[MoreAddress] = ()) -> web.Application:
    """Return the application with all addresses, and `more` behind the same rules."""
    shared = {"site": site}
    return web.Application(
        [
            ("/health", _Health, shared),
            ("/open", _Open, shared),
            (_VIEW, _Page, shared),
            (f"{_VIEW}ws", _Socket, shared),
            (rf"{_VIEW}download/([\w-]{{1,64}})", _Download, shared),
            *((path, handler, {**shared, **options}) for path, handler, options in more),
        ],
        default_handler_class=_Nothing,
        default_handler_args=shared,
        log_function=lambda _: None,  # addresses have codes
        websocket_max_message_size=LONGEST,
        websocket_ping_interval=_PING,
    )


class _Nothing(Handler):
    def prepare(self) -> None:
        super().prepare()
        raise web.HTTPError(404)
