"""The guard before marimo's server: who gets in, and to what.

An ASGI application around marimo's. It lets through what the editor needs, by a list, and answers everything else with 404: the
terminal, files, packages, secrets, the saving of files, and the ends of sessions and processes. Requests must name this
server as their host, so that no other name resolves to it, and come from its own pages. The address that a person opens has a
code, which works once: it is exchanged for marimo's token, which becomes a cookie. Knows nothing of marimo's classes.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

CODE: Final = "code"
TOKEN: Final = "access_token"  # noqa: S105  # its name
"""marimo's parameter."""

_CODE_LIVES: Final = 600.0  # seconds
_MOST_CODES: Final = 100
_LOGIN: Final = "/auth/login"
_PAGE: Final = re.compile(r"/(?:assets/(?:[\w@-][\w.@-]*/)*[\w@-][\w.@-]*|[\w-]+\.[\w.-]+)?")
"""The page itself, and files of marimo's front end: none of the notebook's folder."""

READS: Final = frozenset(
    {"/health", "/api/version", "/api/status/connections", "/api/usage", "/api/lsp/health"}
)
CONTROLS: Final = frozenset({"/api/kernel/set_ui_element_value", "/api/kernel/function_call"})
"""What the app view may ask for."""

EDITS: Final = frozenset(
    {
        *("/api/document/transaction", "/api/packages/sandbox", "/api/datasources/discover"),
        *(
            f"/api/kernel/{name}"
            for name in (
                *("instantiate", "run", "delete", "interrupt", "takeover", "focus_cell"),
                *("set_cell_config", "code_autocomplete", "format"),
            )
        ),
    }
)
"""What the editor may ask for in addition."""

_USED: Final = b"""<!doctype html><meta charset="utf-8"><title>marimo</title>
<p>This address works once, and for ten minutes. Run <code>%marimo open</code> in a cell for another one.</p>"""


class Guard:
    """Lets the person's browser through to marimo's server, and nothing else."""

    def __init__(self, application: Application, token: str, port: int, *, edits: bool) -> None:
        """`token` is marimo's; `edits`: whether the pages may change cells."""
        self._application = application
        self._token = token
        self._hosts = frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost"))
        self._posts = CONTROLS | EDITS if edits else CONTROLS
        self._codes: dict[str, float] = {}  # with the time at which each ends

    def new_code(self) -> str:
        """Return a code that lets one request in. Any thread."""
        while len(self._codes) >= _MOST_CODES:
            del self._codes[next(iter(self._codes))]
        code = secrets.token_urlsafe(16)
        self._codes[code] = time.monotonic() + _CODE_LIVES
        return code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let marimo answer it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._application(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        status = self._refusal(scope, headers)
        if status:
            await _refuse(scope, send, status)
            return
        if scope["path"] == _LOGIN:  # where marimo sends who has neither token nor cookie
            await _refuse(scope, send, 403, _USED)
            return
        query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))
        if CODE in query or TOKEN in query:
            code = query.pop(CODE, "")
            query.pop(TOKEN, None)  # which no page knows
            if self._codes.pop(code, 0.0) > time.monotonic():
                query[TOKEN] = self._token
            scope = {**scope, "query_string": urlencode(query).encode()}
        await self._application(scope, receive, _without_banner(send))

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> int:
        """Return the status with which a request is refused, 0: it is not."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if host not in self._hosts or (origin is not None and origin != f"http://{host}"):
            return 403
        path = scope["path"]
        if scope["type"] == "websocket":
            return 0 if path == "/ws" and origin is not None else 404
        match scope["method"]:
            case "GET" | "HEAD":
                return 0 if path in READS or path == _LOGIN or _PAGE.fullmatch(path) else 404
            case "POST":
                return 0 if path in self._posts else 404
            case _:
                return 404


async def _refuse(
    scope: Scope, send: Send, status: int, body: bytes = b'{"detail": "not offered here"}'
) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    kind = b"text/html; charset=utf-8" if body is _USED else b"application/json"
    headers = [
        (b"content-type", kind),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _without_banner(send: Send) -> Send:
    """Leave out marimo's banner that a page has reconnected, with a button that restarts: each page joins a running kernel."""

    async def passed(message: Message) -> None:
        text = message.get("text") if message["type"] == "websocket.send" else None
        if not (isinstance(text, str) and text.startswith(('{"op": "banner"', '{"op":"banner"'))):
            await send(message)

    return passed
