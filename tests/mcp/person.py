"""The two who share a kernel in these tests: a person in JupyterLab, and an agent behind MCP."""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client import KernelManager
from jupyter_client.asynchronous import AsyncKernelClient
from mcp import Client

from marimo_kernel_bridge.client.front_end import FrontEnd
from marimo_kernel_bridge.errors import CODES
from marimo_kernel_bridge.mcp_tools import objects_of
from tests.answer_fields import answer_fields

BOUND = 60.0  # seconds for any single wait, on a machine that computes something else too


async def until(happened: Callable[[], object], bound: float = BOUND) -> None:
    """Wait until something is so that no event tells of."""
    async with asyncio.timeout(bound):
        while not happened():  # noqa: ASYNC110  # nothing else tells of it
            await asyncio.sleep(0.005)


class Gate:
    """Code that blocks in a kernel until the test opens the gate."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self.code = f"open({str(path)!r}).read()"

    def open(self) -> None:
        # The reader may not have come to the gate yet: the fifo waits for it.
        with self.path.open("w"):
            pass

    def release(self) -> None:
        """Let go whoever still waits, after a test that failed before it opened the gate."""
        os.close(os.open(self.path, os.O_RDWR))


def suspend(pid: int) -> None:
    """Stop a child process without ending it."""
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)


def wait_for_ready(manager: KernelManager) -> None:
    """Wait until a kernel answers."""
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=BOUND)
    finally:
        client.stop_channels()


class Person(FrontEnd):
    """Ada, in a notebook on a kernel."""

    listening: asyncio.Task[None]

    @classmethod
    async def open(cls, connection_file: str) -> "Person":
        client = AsyncKernelClient(connection_file=connection_file)
        client.load_connection_file()
        client.session.username = "ada"
        client.start_channels()
        async with asyncio.timeout(2 * BOUND):
            while True:
                try:
                    await client.wait_for_ready(timeout=BOUND)
                    break
                except (
                    RuntimeError
                ):  # on a busy machine the heartbeat of a new kernel is late, and counts as death
                    await asyncio.sleep(0.1)
        person = cls(client)
        person.listening = asyncio.create_task(person.listen())
        return person

    def close(self) -> None:
        self.listening.cancel()
        self._client.stop_channels()

    def shown(self, cell: str) -> str:
        """What is under a cell, as text."""
        return self.cells[cell].text.strip()


@dataclass
class Answer:
    """What a tool answered."""

    text: str
    data: dict[str, Any]
    images: list[Any]
    failed: bool


@dataclass
class Agent:
    """Calls tools: `await agent("read_cell", cell_id="aaaa")`."""

    client: Client
    _joined: set[str] = field(default_factory=set)

    async def __call__(self, tool: str, **arguments: Any) -> Answer:
        result = await self.client.call_tool(tool, arguments)
        assert set(result.structured_content or ()) - answer_fields(tool) == set()
        images = [block for block in result.content if block.type == "image"]
        text = result.content[0]
        assert text.type == "text"
        if tool in {"connect_to_kernel", "start_kernel"} and not result.is_error:
            self._joined.add((result.structured_content or {})["kernel"])
        return Answer(
            text.text, objects_of(tool, result.structured_content or {}), images, bool(result.is_error)
        )

    async def sees_busy(self, **arguments: Any) -> dict[str, Any]:
        """Wait until the kernel's status is busy, and return it."""
        async with asyncio.timeout(BOUND):
            while (status := (await self("kernel_status", **arguments)).data)["state"] != "busy":
                pass
        return status

    async def leave(self) -> None:
        """Disconnect from every kernel; a test may have done so itself, or have failed before."""
        for handle in self._joined:
            await self("disconnect_kernel", kernel=handle)
        self._joined.clear()

    async def connect(self, manager: KernelManager) -> str:
        """Connect to a kernel and return its handle."""
        answer = await self("connect_to_kernel", connection_file=manager.connection_file)
        assert not answer.failed, answer.text
        return str(answer.data["kernel"])


def change(cell_id: str, version: int, code: str) -> dict[str, Any]:
    """An edit: new code for a cell."""
    return {"action": "change", "cell_id": cell_id, "version": version, "code": code}


def add(code: str) -> dict[str, Any]:
    """An edit: a new cell."""
    return {"action": "add", "code": code}


def refused(answer: Answer, code: str) -> bool:
    """Whether a tool refused with this code."""
    assert code in CODES
    return answer.failed and f"[{code}]" in answer.text
