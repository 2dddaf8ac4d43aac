"""A server with marimo's host API in this process: one notebook, whose events and answers a test gives.

It knows no rules of marimo's: `tests/mcp/test_marimo_editor.py` has a real one.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from marimo_kernel_bridge.client.marimo_editor.host import Host, MarimoNotebook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

Json = Any  # of the API

TOKEN = "s3cret"
NOTEBOOK = "nb-0000000000000000"
_API = "/api/marimo/v1"
_RUNTIME = {"id": "rt-1", "notebook_id": NOTEBOOK, "status": "running", "marimo_version": "0.25.2"}


class ServedHost:
    """The server's side: its notebook as events, and what it was asked."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.token = TOKEN
        self.objects: dict[tuple[str, str], Json] = {}  # by kind and id
        self.answers: dict[str, Callable[[Json], tuple[int, Json]]] = {}
        """By method and path, below the notebook's: a function of the body that returns status and answer."""
        self.asked: list[tuple[str, Json, str]] = []
        """Method and path, the body, and the key."""
        self.streams: set[_Handler] = set()
        self.put("project", {"id": "proj-1", "root": "/home/ada"})
        self.put("notebook", {"id": NOTEBOOK, "project_id": "proj-1", "path": "plots/a.py"})
        self.put("runtime", _RUNTIME)
        self.cells(Hbol="x = 1", MJUe="y = x + 1")

    @property
    def notebook(self) -> MarimoNotebook:
        url = f"http://127.0.0.1:{self.port}{_API}"
        return MarimoNotebook(Host(url, os.getpid(), TOKEN), NOTEBOOK, "/home/ada/plots/a.py", "0.25.2")

    def record(self, folder: Path, **different: Json) -> Path:
        """Write the record that marimo writes."""
        content = {
            "version": 1,
            "process": {"pid": os.getpid()},
            "url": self.notebook.host.url,
            "token": TOKEN,
        }
        path = folder / "marimo" / "hosts-v1" / "one.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content | different))
        path.chmod(0o600)
        return path

    def put(self, kind: str, value: Json, request: str | None = None) -> None:
        """Have an object, and tell those who listen."""
        self.objects[kind, value.get("id", "")] = value
        self._tell(kind, {kind: value} | ({"request_id": request} if request else {}))

    def remove(self, kind: str, object_id: str) -> None:
        del self.objects[kind, object_id]
        self._tell(f"{kind}.removed", {"id": object_id})

    def cells(self, **codes: str) -> None:
        """Have these cells in this order, each at the next version."""
        document = self.objects.get(("document", ""), {"version": 0})
        version = document["version"] + 1
        for cell_id, code in codes.items():
            if self.objects.get(("cell", cell_id), {}).get("code") != code:
                hashes = {"etag": f"e-{cell_id}-{version}", "code_hash": f"h-{code}"}
                self.put("cell", {"id": cell_id, "code": code, "version": version} | hashes)
        self.put(
            "document",
            {
                "order": [*codes],
                "etag": f"d{version}",
                "order_etag": f"o{version}",
                "saved_etag": "d1",
                "version": version,
            },
        )

    def ran(self, cell_id: str | None, run_id: str, **fields: Json) -> Json:
        """Have an execution of a cell's present text; None: of scratch code."""
        code = "" if cell_id is None else self.objects["cell", cell_id]["code"]
        execution = {
            "id": f"{run_id}-{cell_id}",
            "cell_id": cell_id,
            "run_id": run_id,
            "runtime_id": "rt-1",
            "code_hash": f"h-{code}",
            "status": "completed",
            "outcome": {"kind": "value", "display": None},
            "started_at": "2026-11-29T09:00:00Z",
            "completed_at": "2026-11-29T09:00:01Z",
        } | fields
        self.put("execution", execution)
        return execution

    def drop(self) -> None:
        """Break the connections of those who listen."""
        for stream in list(self.streams):
            connection: Any = stream.request.connection
            connection.stream.close()

    def _tell(self, name: str, data: Json) -> None:
        for stream in self.streams:
            stream.event(name, data)


class _Handler(RequestHandler):
    def initialize(self, served: ServedHost) -> None:
        self.served = served
        self.events: asyncio.Queue[tuple[str, Json]] = asyncio.Queue()

    def event(self, name: str, data: Json) -> None:
        self.events.put_nowait((name, data))

    async def answer(self) -> None:
        path = self.request.path.removeprefix(_API).removeprefix(f"/notebooks/{NOTEBOOK}")
        if self.request.headers.get("Authorization") != f"Bearer {self.served.token}":
            self.problem(401, "unauthorized")
        elif path == "/events":
            await self.stream()
        else:
            body = json.loads(self.request.body or "null")
            asked = f"{self.request.method} {path}"
            self.served.asked.append((asked, body, self.request.headers.get("Idempotency-Key", "")))
            if asked not in self.served.answers:
                self.problem(404, "not-found")
                return
            status, content = self.served.answers[asked](body)
            self.set_status(status)
            self.write(json.dumps(content))

    get = post = delete = put = answer

    def problem(self, status: int, kind: str) -> None:
        self.set_status(status)
        self.write(json.dumps({"type": f"tag:marimo.io,2026:host/{kind}", "detail": "No."}))

    async def stream(self) -> None:
        for (kind, _), value in self.served.objects.items():
            self.event(kind, {kind: value})
        self.event("ready", {})
        self.served.streams.add(self)
        try:
            while True:
                name, data = await self.events.get()
                self.write(f"event: {name}\ndata: {json.dumps(data)}\n\n: ping\n\n")
                await self.flush()
        except StreamClosedError:
            pass
        finally:
            self.served.streams.discard(self)


@asynccontextmanager
async def serving() -> AsyncIterator[ServedHost]:
    socket, port = bind_unused_port()
    served = ServedHost(port)
    server = HTTPServer(Application([(".*", _Handler, {"served": served})]))
    server.add_socket(socket)
    try:
        yield served
    finally:
        server.stop()
        served.drop()
        await server.close_all_connections()
