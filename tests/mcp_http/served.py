"""A server process over HTTP, as tests see it."""

import asyncio
import itertools
import json
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

TASKS = "io.modelcontextprotocol/tasks"
Json = Any
BOUND = 60.0  # seconds for any single wait


@dataclass
class Server:
    """A server process, its folder, and where it said that it listens."""

    process: subprocess.Popen[str]
    folder: Path
    url: str

    @property
    def token_file(self) -> Path:
        """The file that it named when it started."""
        (named,) = re.findall(r"with the token in (\S+)\. ", self.printed)
        return Path(named)

    @property
    def token(self) -> str:
        return self.token_file.read_text().strip()

    @property
    def port(self) -> int:
        port = httpx2.URL(self.url).port
        assert port is not None
        return port

    @property
    def printed(self) -> str:
        """All that it has written to stdout and stderr."""
        return (self.folder / "printed").read_text()

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def stop(self, how: int = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        self.process.send_signal(how)
        return self.process.wait(BOUND)

    @asynccontextmanager
    async def client(self, mode: str = "auto") -> AsyncIterator[Client]:
        async with (
            new_http(headers=self.authorization) as http,
            Client(streamable_http_client(self.url, http_client=http), mode=mode) as client,
        ):
            yield client


_ids = itertools.count(1)


class Caller:
    """A client of the newer protocol that declares what a test wants it to."""

    def __init__(self, server: Server, http: httpx2.AsyncClient, *, tasks: bool = True) -> None:
        self.server, self.http = server, http
        self.capabilities: Json = {"extensions": {TASKS: {}}} if tasks else {}

    async def post(self, method: str, params: Json, name: str) -> Json:
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": self.capabilities,
        }
        headers = {
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": method,
            "Mcp-Name": name,
            **self.server.authorization,
        }
        body = {"jsonrpc": "2.0", "id": next(_ids), "method": method, "params": {**params, "_meta": meta}}
        answer = await self.http.post(self.server.url, json=body, headers=headers)
        lines = [
            line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")
        ]
        return json.loads(lines[-1] if lines else answer.text)

    async def call(self, tool: str, **arguments: Any) -> Json:
        answer = await self.post("tools/call", {"name": tool, "arguments": arguments}, tool)
        return answer["result"]

    async def run(self, code: str, **arguments: Any) -> Json:
        return await self.call("execute_code", code=code, **arguments)

    async def task(self, method: str, task_id: str, **params: Any) -> Json:
        """Ask something of a task; returns the result, or the error."""
        answer = await self.post(f"tasks/{method}", {"taskId": task_id, **params}, task_id)
        return answer.get("result") or answer["error"]

    async def settled(self, task_id: str) -> Json:
        """Wait until a task is over, and return it."""
        async with asyncio.timeout(BOUND):
            while (task := await self.task("get", task_id))["status"] == "working":
                pass
        return task


def new_http(**options: Any) -> httpx2.AsyncClient:
    """Make an HTTP client. It loads no certificates, which takes as long as a hundred requests."""
    return httpx2.AsyncClient(verify=False, timeout=BOUND, **options)


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
    }
