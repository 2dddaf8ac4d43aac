"""A server process over HTTP, as tests see it."""

import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

BOUND = 60.0  # seconds for any single wait


@dataclass
class Server:
    """A server process, its folder, and where it said that it listens."""

    process: subprocess.Popen[str]
    folder: Path
    url: str

    @property
    def token_file(self) -> Path:
        return self.folder / "data" / "marimo-kernel-bridge" / "mcp-token"

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
            httpx2.AsyncClient(headers=self.authorization, timeout=BOUND) as http,
            Client(streamable_http_client(self.url, http_client=http), mode=mode) as client,
        ):
            yield client


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
    }
