"""marimo's servers of this user: their records on disk, the requests to their host API, and their running notebooks.

A server with the host API writes a record with its address and its secret, which only this user can read. Nothing else tells
the secret: it is never configured, shown or sent to another address. The API answers on this machine only.
"""

from __future__ import annotations

import asyncio
import os
import re
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qs, quote, urlsplit

import msgspec

from marimo_kernel_bridge.client.connection import read_own_file
from marimo_kernel_bridge.client.marimo_editor.cells import OUR_KEYS
from marimo_kernel_bridge.client.marimo_editor.events import EventReader
from marimo_kernel_bridge.client.marimo_editor.http import asked
from marimo_kernel_bridge.client.marimo_editor.records import (
    HOST_RECORD,
    MESSAGE,
    PROBLEM,
    SERVER_RECORD,
    Problem,
)
from marimo_kernel_bridge.client.notebook_names import is_called, path_in
from marimo_kernel_bridge.client.port_owner import foreign_listener
from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from marimo_kernel_bridge.client.marimo_editor.http import Answer
    from marimo_kernel_bridge.client.marimo_editor.records import HostRecord, Json, Runtime, ServerRecord

Method = Literal["GET", "POST", "PATCH", "DELETE"]

_BOUND: Final = 10.0
_LIST_BOUND: Final = 3.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
_UNAUTHORIZED: Final = 401
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
HOW_TO_START: Final = "MARIMO_ENABLE_HOST=1 marimo edit NOTEBOOK.py"
"""marimo 0.25.2 has the host API only where this variable is set."""
NOTEBOOK_ID: Final = re.compile(r"nb-[0-9a-z]{16}")


class HostConflict(Exception):  # noqa: N818  # an answer, not a fault
    """The server refuses a request because of its present state."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


@dataclass(frozen=True)
class Host:
    """A server of marimo's editor by its address, with its secret."""

    url: str
    pid: int
    token: str = field(repr=False)

    @property
    def port(self) -> int | None:
        return urlsplit(self.url).port

    async def send(self, method: Method, path: str, body: Json = None, *, client: str = "") -> bytes:
        """Send a request, and return the body of the answer. `client` is the author that marimo tells others.

        Raises `BridgeError` server_refused, and `HostConflict`.
        """
        encoded = None if body is None else msgspec.json.encode(body)
        headers = {"Idempotency-Key": _new_key(client)}
        try:
            async with asyncio.timeout(_BOUND), self._asked(method, path, headers, encoded) as answer:
                content = await answer.body()
        except TimeoutError:
            raise BridgeError(
                "server_refused",
                f"The marimo server at {self.url} did not answer within {_BOUND:g} s.",
                "It is not known whether it has done this.",
            ) from None
        if answer.status // 100 == 2:  # noqa: PLR2004  # HTTP's success
            return content
        raise self._refused(answer.status, content)

    async def follow(
        self, path: str, headers: dict[str, str] | None = None
    ) -> AsyncIterator[tuple[str, bytes]]:
        """Yield the name and the data of each event of a stream, until it ends. Raises as `send` does, and ValueError."""
        reader = EventReader()
        async with self._asked("GET", path, headers or {}) as answer:
            if answer.status // 100 != 2:  # noqa: PLR2004  # HTTP's success
                raise self._refused(answer.status, await answer.body())
            async for piece in answer.pieces:
                for event in reader.feed(piece):
                    yield event

    async def answers(self, bound: float) -> bool | None:
        """Return whether the server answers to its secret; another program may have its port by now. None: not in time."""
        try:
            async with asyncio.timeout(bound), self._asked("GET", "", {}) as answer:
                return (
                    answer.status == _NOT_FOUND
                )  # nothing is there; who does not know the secret is not told so
        except TimeoutError:
            return None
        except BridgeError:
            return False

    @asynccontextmanager
    async def _asked(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> AsyncIterator[Answer]:
        self._require_ours()
        secret = {"Authorization": f"Bearer {self.token}"}
        try:
            async with asked(method, f"{self.url}/{path}", secret | headers, body) as answer:
                yield answer
        except TimeoutError:
            raise
        except (OSError, ValueError) as error:  # also for what is not HTTP
            raise BridgeError(
                "server_refused",
                f"The marimo server at {self.url} does not answer: {error}.",
                "It may have ended.",
            ) from None

    def _require_ours(self) -> None:
        """Raise `BridgeError` server_refused if another user listens on the server's port."""
        parts = urlsplit(self.url)
        if (
            parts.port is not None
            and (user := foreign_listener(parts.hostname or "", parts.port)) is not None
        ):
            raise BridgeError(
                "server_refused",
                f"User id {user} listens on port {parts.port} of this machine; nothing was sent there.",
                "The marimo server has ended.",
            )

    def _refused(self, status: int, content: bytes) -> Exception:
        try:
            problem = PROBLEM.decode(content)
        except (ValueError, RecursionError):
            problem = Problem()
        if status == _CONFLICT:
            return HostConflict(problem)
        if status == _UNAUTHORIZED:
            return BridgeError(
                "server_refused",
                f"The server at {self.url} does not take the secret in marimo's record: it is another one by now.",
                "list_kernels shows the notebooks that run.",
            )
        return BridgeError(
            "server_refused",
            f"The marimo server at {self.url} answered with HTTP {status}: {problem.detail or problem.kind}.",
            "list_kernels shows the notebooks that run.",
        )


def _new_key(client: str) -> str:
    """Return the key of a request, which marimo tells every client: it begins with who made it."""
    return f"{OUR_KEYS}{quote(client, safe='')}/{uuid.uuid4().hex}"


@dataclass(frozen=True)
class MarimoNotebook:
    """The endpoint of a notebook in marimo's editor. `path` is absolute, if it has a file."""

    host: Host
    notebook_id: str
    path: str | None = None
    version: str | None = None

    @property
    def name(self) -> str:
        return f"marimo notebook {Path(self.path).name if self.path else self.notebook_id} at port {self.host.port}"

    @property
    def where(self) -> str:
        return f"{self.host.url}/notebooks/{self.notebook_id}"

    @property
    def warnings(self) -> tuple[str, ...]:
        return ()


def hosts() -> list[Host]:
    """Return the servers whose records are in order and whose processes run."""
    found = (_read(path) for path in sorted((_state_folder() / "hosts-v1").glob("*.json")))
    return [Host(record.url, record.process.pid, record.token) for record in found if record is not None]


async def running_notebooks() -> list[MarimoNotebook]:
    """Return the notebooks that marimo's kernels run, of all servers that answer."""
    answers = await asyncio.gather(*map(_running, hosts()))
    return [notebook for notebooks in answers for notebook in notebooks]


async def notebook_called(name: str) -> MarimoNotebook | None:
    """Return the running notebook with an id, a path or the end of one, or at the address that a browser shows.

    None if marimo has none. Raises `BridgeError` no_such_notebook if several are called so.
    """
    running = await running_notebooks()
    if name.startswith(("http://", "https://")):
        try:
            asked = urlsplit(name)
            port = asked.port
        except ValueError:  # no address, as who looks for a server there will say
            return None
        here = asked.hostname in {"localhost", *_LOOPBACK}
        matches = [notebook for notebook in running if here and notebook.host.port == port]
        if file := parse_qs(asked.query).get("file"):
            matches = [one for one in matches if one.path is not None and is_called(one.path, file[0])]
    else:
        called = path_in(name)
        matches = [
            one
            for one in running
            if name == one.notebook_id or (one.path is not None and is_called(one.path, called))
        ]
    if len(matches) > 1:
        paths = ", ".join(sorted(str(notebook.path) for notebook in matches))
        raise BridgeError(
            "no_such_notebook",
            f"Several notebooks in marimo are meant by {name!r}: {paths}.",
            "Give more of the path.",
        )
    return matches[0] if matches else None


def servers_without_host() -> list[str]:
    """Return the addresses of marimo's servers that other programs cannot join: those without the host API and a token."""
    known = {host.port for host in hosts()}
    found = (_read_open(path) for path in sorted((_state_folder() / "servers").glob("*.json")))
    return [
        f"http://{record.host}:{record.port}{record.base_url}"
        for record in found
        if record is not None and record.port not in known
    ]


def how_to_join(notebook: str) -> str:
    """Return a sentence about marimo's own editor for somebody who looks for a notebook; empty if it is none of marimo's."""
    if Path(notebook).suffix not in {".py", ".md"}:
        return ""
    return f"marimo's own editor shares a notebook that is open in it, if it was started so: {HOW_TO_START}"


async def _running(host: Host) -> list[MarimoNotebook]:
    """Return the running notebooks of a server, none if it does not answer."""
    roots: dict[str, str] = {}
    paths: dict[str, str | None] = {}
    runtimes: dict[str, Runtime] = {}

    try:
        async with asyncio.timeout(_LIST_BOUND):
            async for name, data in host.follow("events?types=host,project,notebook,runtime"):
                if name == "ready":
                    break
                message = MESSAGE.decode(data)
                if message.project is not None:
                    roots[message.project.id] = message.project.root or ""
                elif (notebook := message.notebook) is not None and notebook.path is not None:
                    paths[notebook.id] = str(Path(roots.get(notebook.project_id, ""), notebook.path))
                elif (runtime := message.runtime) is not None and runtime.status == "running":
                    runtimes[runtime.notebook_id] = runtime
    except (BridgeError, HostConflict, TimeoutError, ValueError, RecursionError):
        return []
    return [
        MarimoNotebook(host, notebook_id, paths.get(notebook_id), runtime.marimo_version)
        for notebook_id, runtime in runtimes.items()
    ]


def _read(path: Path) -> HostRecord | None:
    """Read a record; None if it is not ours, its server has ended, or its address is not on this machine."""
    try:
        content, warnings = read_own_file(path)
        record = HOST_RECORD.decode(content)
        parts = urlsplit(record.url)
        here = parts.scheme == "http" and parts.hostname in _LOOPBACK and parts.port is not None
    except (BridgeError, ValueError, RecursionError):
        return None
    if warnings or not here:  # who can read the secret can be the server
        return None
    return record if _runs(record.process.pid) else None


def _read_open(path: Path) -> ServerRecord | None:
    """Read the record of a server without a token; None if it is not ours, or its server has ended."""
    try:
        record = SERVER_RECORD.decode(read_own_file(path)[0])
    except (BridgeError, ValueError, RecursionError):
        return None
    return record if _runs(record.pid) else None


def _runs(pid: int) -> bool:
    import psutil  # type: ignore[import-untyped]  # it has no types  # noqa: PLC0415  # slow to import

    return bool(psutil.pid_exists(pid))


def _state_folder() -> Path:
    """Return where marimo keeps what is of this user and no configuration, as marimo finds it."""
    if os.name != "posix":
        return Path.home() / ".marimo"
    configured = os.environ.get("XDG_STATE_HOME", "").strip()
    return Path(configured or Path.home() / ".local" / "state") / "marimo"
