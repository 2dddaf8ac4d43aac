"""The REST API of a Jupyter server: its kernels, their notebooks, and their interrupt, restart and shutdown.

Owns HTTP requests to one server. The token goes to that server alone: redirects are not followed, proxies not used.
Messages to and from kernels pass through `websocket_channels`.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import msgspec

from marimo_kernel_bridge.client.port_owner import foreign_listener
from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from tornado.httpclient import HTTPResponse

Method = Literal["GET", "POST", "DELETE"]

_BOUND: Final = 30.0
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_UNAUTHORIZED: Final = frozenset({401, 403})
_NOT_FOUND: Final = 404
_NOT_STARTED: Final = 424
_LONGEST: Final = 8192
"""Characters of an address."""
_LONGEST_TOKEN: Final = 4096
"""JupyterHub's final status for a user's server that does not run."""
_PAGES: Final = frozenset({"lab", "doc", "tree", "notebooks", "edit", "consoles", "api"})
"""The first part of the paths of a server's pages, after its base URL."""
_NOTEBOOK_PAGE: Final = re.compile(
    r"(?:(?:lab|doc)/(?:workspaces/[^/]+/)?tree|tree|notebooks)/(.+\.ipynb)$", re.DOTALL
)
_OK: Final = range(200, 300)
_KERNEL_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")


class _Kernel(msgspec.Struct, frozen=True):
    id: str
    name: str = ""
    execution_state: str | None = None


class _Session(msgspec.Struct, frozen=True):
    path: str
    kernel: _Kernel | None = None
    type: str = "notebook"


@dataclass(frozen=True)
class JupyterServer:
    """A server by its base URL, with its token. `url` has no query and no trailing slash.

    `notebook` is the path of the notebook if the address was that of a notebook's page.
    """

    url: str
    token: str = field(repr=False)
    notebook: str | None = None

    @classmethod
    def at(cls, url: str, token: str | None) -> JupyterServer:
        """Parse an address as a browser shows it, including its token. Raises `BridgeError`: bad_request."""
        try:
            parts = urlsplit(url.strip()[:_LONGEST])
            is_whole = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:  # half an IPv6 address, a port that is no number
            is_whole = False
        if not is_whole or parts.username is not None or len(url) > _LONGEST:
            raise BridgeError(
                "bad_request",
                "This is not the address of a Jupyter server: it begins with http:// or https:// and has no user name.",
                "For example http://127.0.0.1:8888/ or https://hub.example.org/user/ada/.",
            )
        path, page = _split(parts.path)
        if path.endswith("/hub"):
            raise BridgeError(
                "bad_request",
                "This is a page of the hub itself; kernels are at a user's server.",
                f"Its address is like {parts.scheme}://{parts.netloc}{path.removesuffix('hub')}user/NAME/.",
            )
        query = dict(pair.partition("=")[::2] for pair in parts.query.split("&") if pair)
        secret = token or query.get("token") or _configured_token(parts.scheme, parts.netloc, path)
        notebook = _NOTEBOOK_PAGE.match(page)
        return cls(
            urlunsplit((parts.scheme, parts.netloc, path, "", "")),
            secret,
            unquote(notebook.group(1)) if notebook else None,
        )

    @property
    def configured(self) -> bool:
        """Whether the person named this server where the MCP server was configured."""
        try:
            configured = urlsplit(os.environ.get("JUPYTER_SERVER_URL", ""))
            asked = urlsplit(self.url)
        except ValueError:  # half an IPv6 address: that of no server
            return False
        return bool(configured.netloc) and (asked.scheme, asked.netloc, asked.path) == (
            configured.scheme,
            configured.netloc,
            _split(configured.path)[0],
        )

    @property
    def needs_no_secret(self) -> bool:
        """Whether this process reaches it with what the person has configured, or without a token."""
        parts = urlsplit(self.url)
        return self.token in {"", _configured_token(parts.scheme, parts.netloc, parts.path)}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about the safety of the address, for people."""
        parts = urlsplit(self.url)
        if parts.scheme == "https" or parts.hostname in _LOOPBACK:
            return ()
        return (
            f"Nothing is encrypted on the way to {parts.hostname}: others may read the token and all code.",
        )

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"token {self.token}"} if self.token else {}

    def require_not_foreign(self) -> None:
        """Raise `BridgeError` server_refused, if another user listens on the server's port of this machine."""
        parts = urlsplit(self.url)
        address = _loopback(parts.hostname or "")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if address is not None and (user := foreign_listener(address, port)) is not None:
            raise BridgeError(
                "server_refused",
                f"User id {user} listens on port {port} of this machine; nothing was sent to {self.url}.",
                "The person's server may have ended: `jupyter server list` shows those that run.",
            )

    async def kernel_of_notebook(self, notebook: str) -> tuple[str, str]:
        """Return the kernel id of a notebook, and the notebook's path. Raises `BridgeError`."""
        sessions = await self._list("api/sessions", list[_Session])
        kernels = {session.path: session.kernel.id for session in sessions if session.kernel is not None}
        matches = [path for path in kernels if path == notebook.strip("/")] or [
            path for path in kernels if path.endswith("/" + notebook.strip("/"))
        ]
        if len(matches) != 1:
            raise BridgeError(
                "server_refused",
                f"{len(matches) or 'No'} notebooks with a kernel there are called {notebook!r}.",
                f"Those there are: {', '.join(sorted(kernels)) or 'none'}.",
            )
        kernel_id: str = kernels[matches[0]]
        return kernel_id, matches[0]

    async def only_kernel(self) -> str:
        """Return the server's one kernel. Raises `BridgeError` if there are none or several."""
        kernels = await self._list("api/kernels", list[_Kernel])
        if len(kernels) != 1:
            listed = ", ".join(f"{kernel.id} ({kernel.name})" for kernel in kernels) or "none"
            raise BridgeError(
                "bad_request",
                f"The server has {len(kernels)} kernels: {listed}.",
                "Pass the notebook's path, or one of these ids as connection_file.",
            )
        only: str = kernels[0].id
        return only

    async def has_kernel(self, kernel_id: str) -> bool:
        """Return whether the server has a kernel. Raises `BridgeError` if the request fails."""
        answer = await self._ask("GET", f"api/kernels/{quote(kernel_id, safe='')}")
        status = _status(answer)
        if status in {_NOT_FOUND, _NOT_STARTED}:
            return False
        kernel = self._read(answer, _Kernel)
        return bool(kernel.execution_state != "dead")

    async def do(self, kernel_id: str, action: Literal["interrupt", "restart", "shut_down"]) -> None:
        """Interrupt, restart or shut down a kernel through the server. Raises `BridgeError`."""
        path = f"api/kernels/{quote(kernel_id, safe='')}"
        if action == "shut_down":
            answer = await self._ask("DELETE", path)
        else:
            answer = await self._ask("POST", f"{path}/{action}")
        status = _status(answer)
        if status == _NOT_FOUND:
            raise BridgeError("server_refused", f"The Jupyter server at {self.url} has this kernel no more.")
        if status not in _OK:
            raise self._refused(status)

    async def policy(self) -> str:
        """Return the Content-Security-Policy of its JupyterLab, empty if it has none. Raises `BridgeError` if the request fails."""
        return ",".join((await self._ask("GET", "lab")).headers.get_list("Content-Security-Policy"))

    async def _list(self, path: str, kind: Any) -> Any:  # a list of one of the structs of this module
        return self._read(await self._ask("GET", path), kind)

    def _read(self, answer: HTTPResponse, kind: Any) -> Any:  # likewise
        if _status(answer) not in _OK:
            raise self._refused(_status(answer))
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except (ValueError, RecursionError):
            raise BridgeError(
                "server_refused", f"{self.url} does not answer as a Jupyter server does."
            ) from None

    async def _ask(self, method: Method, path: str) -> HTTPResponse:
        self.require_not_foreign()
        from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest  # noqa: PLC0415  # slow to import

        request = HTTPRequest(
            f"{self.url}/{path}",
            method,
            headers=self.headers,
            body="" if method == "POST" else None,
            request_timeout=_BOUND,
            follow_redirects=False,
        )
        from tornado.iostream import UnsatisfiableReadError  # noqa: PLC0415  # likewise

        client = AsyncHTTPClient(force_instance=True)
        try:
            return await client.fetch(request, raise_error=False)
        except (HTTPClientError, UnsatisfiableReadError, OSError, ValueError) as error:
            raise BridgeError(
                "server_refused",
                f"The Jupyter server at {self.url} does not answer: {error}.",
                "Is the address right, and does the server run?",
            ) from None
        finally:
            client.close()

    def _refused(self, status: int) -> BridgeError:
        if status in _UNAUTHORIZED or status // 100 == 3:  # noqa: PLR2004  # a redirect, to its login page
            text = "refuses the token" if self.token else "wants a token"
            hint = (
                "Ask the person for one: `jupyter server list` shows a server's own, a hub's page /hub/token makes "
                "one. They can put it into a file that JUPYTER_TOKEN_FILE names, with JUPYTER_SERVER_URL, where this server is "
                "configured."
            )
            return BridgeError("server_refused", f"The Jupyter server at {self.url} {text}.", hint)
        if status == _NOT_STARTED:
            return BridgeError(
                "server_refused",
                f"The hub has no server running at {self.url}.",
                "Ask the person to start it and to open the notebook.",
            )
        return BridgeError("server_refused", f"The Jupyter server at {self.url} answered with HTTP {status}.")


def _loopback(host: str) -> str | None:
    """Return the address of this machine that a host stands for, None if it is another machine, or a name is to be looked up."""
    if host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost"):
        return "localhost"
    with suppress(OSError, ValueError):  # numbers only, also as the system alone reads them: 127.1
        numbers = socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)[0][4][0]
        address = ipaddress.ip_address(numbers)
        address = getattr(address, "ipv4_mapped", None) or address
        if address.is_loopback or address.is_unspecified:
            return str(address)
    return None


def _status(answer: HTTPResponse) -> int:
    """Return the HTTP status. A hub redirects requests for a user's server that does not run to itself."""
    path = urlsplit(answer.headers.get("Location", "")).path
    return _NOT_STARTED if "/hub/user/" in path else answer.code


def _configured_token(scheme: str, netloc: str, path: str) -> str:
    """Return the token in the environment if it is for this server; no other server may get it."""
    try:
        configured = urlsplit(os.environ.get("JUPYTER_SERVER_URL", ""))
    except ValueError:  # half an IPv6 address: that of no server
        return ""
    whole = (configured.scheme, configured.netloc, _split(configured.path)[0])
    if whole != (scheme, netloc, path):
        return ""
    return os.environ.get("JUPYTER_TOKEN", "") or _token_in(os.environ.get("JUPYTER_TOKEN_FILE", ""))


def _token_in(path: str) -> str:
    """Return the token in a file, as Jupyter servers read it themselves; empty if it cannot be read."""
    if not path:
        return ""
    try:
        with Path(path).expanduser().open(encoding="utf-8") as file:
            return file.read(_LONGEST_TOKEN).strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _split(path: str) -> tuple[str, str]:
    """Split the path of a page into the server's base URL and the rest.

    The name of a hub's user may be that of a page: /user/lab/lab/tree/a.ipynb. Below a page, `user` is a folder.
    """
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["hub"]:
        return "/hub", ""
    first = next((at for at, part in enumerate(parts) if part == "user" or part in _PAGES), len(parts))
    if parts[first : first + 1] == ["user"]:
        first += 2
    end = next((at for at, part in enumerate(parts) if at >= first and part in _PAGES), len(parts))
    return "".join(f"/{part}" for part in parts[:end]), "/".join(parts[end:])


@dataclass(frozen=True)
class ServerKernel:
    """The endpoint of a kernel at a Jupyter server: the server, and the kernel's id there."""

    server: JupyterServer
    kernel_id: str
    notebook: str | None = None

    def __post_init__(self) -> None:
        """Raise `BridgeError` bad_request for an id that could be a part of another address."""
        if not _KERNEL_ID.fullmatch(self.kernel_id):
            raise BridgeError(
                "bad_request",
                f"{self.kernel_id[:100]!r} is not the id of a kernel.",
                "An id has letters, digits and hyphens; the notebook's path does as well.",
            )

    @property
    def name(self) -> str:
        return f"kernel {self.kernel_id} at {self.server.url}"

    @property
    def where(self) -> str:
        return f"{self.server.url}/api/kernels/{self.kernel_id}"

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.server.warnings
