"""A person in JupyterLab and an agent behind MCP, on one reactive kernel."""

import asyncio

import pytest
from person import BOUND, change

pytestmark = pytest.mark.anyio


@pytest.fixture
async def shared(agent, reactive_kernel, person_at):
    """The agent and a person on one kernel; the person has run three cells, each using the one above."""
    person = await person_at(reactive_kernel)
    await agent.connect(reactive_kernel)
    await person.run("aaaa", "x = 1")
    await person.run("bbbb", "y = x + 1\ny")
    await person.run("cccc", "print('y is', y)")
    return agent, person


async def cell(agent, notebook_cell_id: str) -> dict:
    return (await agent("read_cell", cell_id=notebook_cell_id)).data


async def test_the_person_sees_the_dependents_of_the_agents_edit_under_their_own_cells(shared):
    agent, person = shared
    before = await cell(agent, "aaaa")
    answer = await agent("edit_cells", edits=[change("aaaa", before["version"], "x = 10")])
    assert answer.data["status"] == "ok"
    assert [
        (ran.get("status", "ok"), bool(ran.get("outputs") or ran.get("outputs_changed")))
        for ran in answer.data["reran"]
    ] == [("ok", True)] * 2
    await person.until_shown("bbbb", "11")
    await person.until_shown("cccc", "y is 11")
    assert answer.data["version"] == before["version"] + 1


async def test_cells_are_read_in_milliseconds_while_the_persons_cell_runs(shared, gate):
    agent, person = shared
    message_id = person.send("dddd", f"{gate.code}\n'opened'")
    async with asyncio.timeout(BOUND):
        while (await agent("list_cells")).data["cells"][-1].get("status") != "running":
            pass
    loop = asyncio.get_running_loop()
    times = []
    for _ in range(5):  # one may wait for a processor
        began = loop.time()
        assert (await cell(agent, "cccc"))["outputs"] == "y is 2"
        times.append(loop.time() - began)
    assert min(times) < 0.5
    status = (await agent("kernel_status")).data
    assert (status["state"], status["working_on"][0]["client"]) == ("busy", "the person")
    gate.open()
    await person.until_idle(message_id)
    await person.until_shown("dddd", "'opened'")


async def test_a_person_sees_agents_that_use_the_kernel_and_not_those_that_only_list_it(
    agent, reactive_kernel, person_at
):
    person = await person_at(reactive_kernel)
    assert (await agent("list_kernels")).data["kernels"]
    await person.run("mmmm", "%marimo agents")
    await person.until_shown("mmmm", "agents not paused\nnone has used this kernel")
    await agent.connect(reactive_kernel)
    await agent("list_cells")
    await agent("list_kernels")
    await person.run("mmmm", "%marimo agents")
    not_paused, *names = person.shown("mmmm").splitlines()
    assert (not_paused, len(names)) == ("agents not paused", 1)
    assert "ran and changed nothing, looked " in names[0]
