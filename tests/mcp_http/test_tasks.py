"""Long calls as MCP tasks, message by message: for clients that declare the extension, and for no others."""

import os

import pytest
from served import BOUND, Caller, new_http

pytestmark = pytest.mark.anyio

ETERNAL = "import time\nwhile True: time.sleep(0.01)"


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


async def test_a_failing_run_is_a_completed_task(caller, gate):
    task = await caller.run(f"{blocking(gate)}; 1/0")
    with gate.open("w"):
        pass
    over = await caller.settled(task["taskId"])
    assert over["status"] == "completed"
    assert "ZeroDivisionError" in over["result"]["structuredContent"]["message"]


async def test_a_task_goes_on_without_its_clients_connection(server, caller, gate):
    async with new_http() as connection:
        task = await Caller(server, connection).run(blocking(gate))
    with gate.open("w"):
        pass
    assert (await caller.settled(task["taskId"]))["status"] == "completed"


async def test_who_does_not_declare_tasks_gets_the_answer_itself(server, http, caller, gate):
    task = await caller.run(blocking(gate))
    plain = Caller(server, http, tasks=False)
    for method in ("get", "cancel"):
        assert (await plain.task(method, task["taskId"]))["code"] == -32021
    assert (await plain.task("update", task["taskId"], inputResponses={}))["code"] == -32021
    with gate.open("w"):
        pass
    answer = await plain.run("import time; time.sleep(0.6); 'done'")  # longer than a call may take at once
    assert answer["resultType"] == "complete"
    assert answer["structuredContent"]["outputs"] == "'done'"


async def test_an_unknown_task_is_refused(caller):
    assert (await caller.task("get", "no-such-task"))["code"] == -32602
    assert (await caller.task("cancel", "no-such-task"))["code"] == -32602


async def test_a_header_that_names_another_task_is_refused(caller, gate):
    task = await caller.run(blocking(gate))
    answer = await caller.post("tasks/get", {"taskId": task["taskId"]}, "another")
    assert answer["error"]["code"] == -32020
    with gate.open("w"):
        pass
