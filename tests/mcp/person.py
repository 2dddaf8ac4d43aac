"""The two who share a kernel in these tests: a person in JupyterLab, and an agent behind MCP."""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_client import KernelManager
from jupyter_client.asynchronous import AsyncKernelClient
from mcp import Client

from marimo_kernel_bridge.errors import CODES
from marimo_kernel_bridge.protocol.output_log import OUTPUT_TYPES, OutputLog, strip_ansi

BOUND = 20.0  # seconds for any single wait


async def until(happened: Callable[[], object]) -> None:
    """Wait until something is so that no event tells of."""
    async with asyncio.timeout(BOUND):
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


@dataclass
class Person:
    """Sends what JupyterLab sends, and shows each message under the cell whose newest request is its parent."""

    client: AsyncKernelClient
    _cells: dict[str, str] = field(default_factory=dict)
    _logs: dict[str, OutputLog] = field(default_factory=dict)
    _idle: set[str] = field(default_factory=set)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _watching: asyncio.Task | None = None

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
        person._watching = asyncio.create_task(person._watch())
        return person

    def close(self) -> None:
        self._watching.cancel()
        self.client.stop_channels()

    def send(self, cell: str, code: str) -> str:
        """Press Shift-Enter in a cell; returns the message id."""
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": True,
            "stop_on_error": True,
        }
        metadata = {"cellId": cell, "deletedCells": [], "recordTiming": False}
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        message_id = message["header"]["msg_id"]
        self._cells = {old: name for old, name in self._cells.items() if name != cell} | {message_id: cell}
        self._logs[cell] = OutputLog()
        self.client.shell_channel.send(message)
        return message_id

    async def run(self, cell: str, code: str) -> None:
        """Run a cell and wait until it is over."""
        await self.until_over(self.send(cell, code))

    async def until_over(self, message_id: str) -> None:
        """Wait until a request is over."""
        await self._until(lambda: message_id in self._idle)

    def shown(self, cell: str) -> str:
        """What is under a cell, as text."""
        texts = []
        for output in self._logs[cell].outputs():
            match output["output_type"]:
                case "stream":
                    texts.append(output["text"])
                case "error":
                    texts.append(f"{output['ename']}: {output['evalue']}")
                case _:
                    texts.append(output["data"].get("text/plain", ""))
        return strip_ansi("\n".join(texts).strip())

    async def sees(self, cell: str, text: str) -> None:
        """Wait until a cell shows exactly this text."""
        try:
            await self._until(lambda: self.shown(cell) == text)
        except TimeoutError:
            raise AssertionError(f"{cell} shows {self.shown(cell)!r}, not {text!r}") from None

    async def _until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(BOUND), self._changed:
            await self._changed.wait_for(happened)

    async def _watch(self) -> None:
        while True:
            message = await self.client.get_iopub_msg()
            parent, msg_type = message["parent_header"].get("msg_id"), message["msg_type"]
            if parent in self._cells and msg_type in OUTPUT_TYPES:
                self._logs[self._cells[parent]].apply(msg_type, message["content"])
            if msg_type == "status" and message["content"]["execution_state"] == "idle":
                self._idle.add(parent)
            async with self._changed:
                self._changed.notify_all()


@dataclass
class Answer:
    """What a tool answered."""

    text: str
    data: dict
    images: list
    failed: bool


@dataclass
class Agent:
    """Calls tools: `await agent("read_cell", cell_id="aaaa")`."""

    client: Client
    _told: dict[str, dict] = field(default_factory=dict)

    async def __call__(self, tool: str, **arguments) -> Answer:
        result = await self.client.call_tool(tool, arguments)
        # The client checks types, but not whether the schema tells of all that came.
        self._told = self._told or {
            one.name: one.output_schema for one in (await self.client.list_tools()).tools
        }
        assert set(result.structured_content or ()) <= set(self._told[tool]["properties"])
        images = [block for block in result.content if block.type == "image"]
        return Answer(result.content[0].text, result.structured_content or {}, images, bool(result.is_error))

    async def sees_busy(self, **arguments) -> dict:
        """Wait until the kernel's status is busy, and return it."""
        async with asyncio.timeout(BOUND):
            while (status := (await self("kernel_status", **arguments)).data)["state"] != "busy":
                pass
        return status

    async def connect(self, manager) -> str:
        """Connect to a kernel and return its handle."""
        answer = await self("connect_to_kernel", connection_file=manager.connection_file)
        assert not answer.failed, answer.text
        return answer.data["kernel"]


def change(cell_id: str, version: int, code: str) -> dict:
    """An edit: new code for a cell."""
    return {"action": "change", "cell_id": cell_id, "version": version, "code": code}


def add(code: str) -> dict:
    """An edit: a new cell."""
    return {"action": "add", "code": code}


def refused(answer: Answer, code: str) -> bool:
    """Whether a tool refused with this code."""
    assert code in CODES
    return answer.failed and f"[{code}]" in answer.text
