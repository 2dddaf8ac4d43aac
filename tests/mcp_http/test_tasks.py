"""Long calls as MCP tasks, message by message: for clients that declare the extension, and for no others."""

import asyncio
import itertools
import json
import os

import httpx2
import pytest
from served import BOUND

pytestmark = pytest.mark.anyio

TASKS = "io.modelcontextprotocol/tasks"
ids = itertools.count(1)
ETERNAL = "import time\nwhile True: time.sleep(0.01)"


class Caller:
    """A client of the newer protocol that declares what a test wants it to."""

    def __init__(self, server, http, *, tasks=True):
        self.server, self.http = server, http
        self.capabilities = {"extensions": {TASKS: {}}} if tasks else {}

    async def post(self, method, params, name):
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
        body = {"jsonrpc": "2.0", "id": next(ids), "method": method, "params": {**params, "_meta": meta}}
        answer = await self.http.post(self.server.url, json=body, headers=headers)
        lines = [
            line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")
        ]
        return json.loads(lines[-1] if lines else answer.text)

    async def call(self, tool, **arguments):
        answer = await self.post("tools/call", {"name": tool, "arguments": arguments}, tool)
        return answer["result"]

    async def run(self, code, **arguments):
        return await self.call("execute_code", code=code, **arguments)

    async def task(self, method, task_id, **params):
        """Ask something of a task; returns the result, or the error."""
        answer = await self.post(f"tasks/{method}", {"taskId": task_id, **params}, task_id)
        return answer.get("result") or answer["error"]

    async def settled(self, task_id):
        """Wait until a task is over, and return it."""
        async with asyncio.timeout(BOUND):
            while (task := await self.task("get", task_id))["status"] == "working":
                pass
        return task


@pytest.fixture
async def caller(server, http, kernel):
    caller = Caller(server, http)
    joined = await caller.call("connect_to_kernel", connection_file=kernel.connection_file)
    assert not joined.get("isError"), joined
    return caller


@pytest.fixture
def gate(tmp_path):
    """Code that blocks in the kernel until the test opens the gate."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    yield path
    os.close(os.open(path, os.O_RDWR))


def blocking(gate):
    return f"print('begun'); open({str(gate)!r}).read(); print('over')"


async def test_a_long_run_is_a_task_that_ends_with_the_runs_own_answer(caller, gate):
    task = await caller.run(blocking(gate))
    assert (task["resultType"], task["status"]) == ("task", "working")
    assert task["ttlMs"] > 0
    now = await caller.task("get", task["taskId"])
    assert now["status"] == "working"
    assert "result" not in now
    with gate.open("w"):
        pass
    over = await caller.settled(task["taskId"])
    assert over["status"] == "completed"
    assert over["result"]["structuredContent"]["status"] == "ok"
    assert over["result"]["structuredContent"]["outputs"] == "begun\nover"


async def test_what_is_over_at_once_is_no_task(caller):
    answer = await caller.run("6 * 7")
    assert answer["resultType"] == "complete"
    assert answer["structuredContent"]["outputs"] == "42"


async def test_a_timeout_that_the_caller_chose_is_kept(caller, gate):
    task = await caller.run(blocking(gate), timeout=1)
    over = await caller.settled(task["taskId"])
    assert over["result"]["structuredContent"]["status"] == "running"
    with gate.open("w"):
        pass


async def test_cancelling_a_task_stops_the_run_in_the_kernel(caller):
    task = await caller.run(ETERNAL)
    assert await caller.task("cancel", task["taskId"]) | {"_meta": None} == {
        "resultType": "complete",
        "_meta": None,
    }
    assert (await caller.settled(task["taskId"]))["status"] == "cancelled"
    free = await caller.run("'free again'", timeout=BOUND)
    if free["resultType"] == "task":
        free = (await caller.settled(free["taskId"]))["result"]
    assert free["structuredContent"]["outputs"] == "'free again'"
    again = await caller.task("cancel", task["taskId"])
    assert again["resultType"] == "complete"


async def test_a_failing_run_is_a_completed_task(caller):
    task = await caller.run("import time; time.sleep(1); 1/0")
    over = await caller.settled(task["taskId"])
    assert over["status"] == "completed"
    assert "ZeroDivisionError" in over["result"]["structuredContent"]["message"]


async def test_a_task_goes_on_without_its_clients_connection(server, caller, gate):
    async with httpx2.AsyncClient(timeout=BOUND) as connection:
        task = await Caller(server, connection).run(blocking(gate))
    with gate.open("w"):
        pass
    assert (await caller.settled(task["taskId"]))["status"] == "completed"


async def test_who_does_not_declare_tasks_gets_the_answer_itself(server, http, caller):
    plain = Caller(server, http, tasks=False)
    answer = await plain.run("import time; time.sleep(1); 'done'")
    assert answer["resultType"] == "complete"
    assert answer["structuredContent"]["outputs"] == "'done'"
    task = await caller.run("import time; time.sleep(1)")
    for method in ("get", "cancel"):
        assert (await plain.task(method, task["taskId"]))["code"] == -32021
    assert (await plain.task("update", task["taskId"], inputResponses={}))["code"] == -32021


async def test_an_unknown_task_is_refused(caller):
    assert (await caller.task("get", "no-such-task"))["code"] == -32602
    assert (await caller.task("cancel", "no-such-task"))["code"] == -32602


async def test_a_header_that_names_another_task_is_refused(caller):
    task = await caller.run("import time; time.sleep(1)")
    answer = await caller.post("tasks/get", {"taskId": task["taskId"]}, "another")
    assert answer["error"]["code"] == -32020


async def test_ids_of_tasks_cannot_be_guessed(caller):
    first, second = [await caller.run("import time; time.sleep(0.7)") for _ in range(2)]
    assert len({first["taskId"], second["taskId"]}) == 2
    assert min(len(first["taskId"]), len(second["taskId"])) >= 22


async def test_the_end_of_the_server_stops_its_tasks(start_server, http, kernel, server):
    own_server = start_server("--port", "0")
    caller = Caller(own_server, http)
    await caller.call("connect_to_kernel", connection_file=kernel.connection_file)
    assert (await caller.run(ETERNAL))["status"] == "working"
    assert await asyncio.to_thread(own_server.stop) == 0
    assert "Traceback" not in own_server.printed
    other = Caller(server, http, tasks=False)
    await other.call("connect_to_kernel", connection_file=kernel.connection_file)
    free = await other.run("'free again'", timeout=BOUND)
    assert free["structuredContent"]["outputs"] == "'free again'"
