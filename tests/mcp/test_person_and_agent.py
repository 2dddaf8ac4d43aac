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
    yield agent, person
    await agent("disconnect_kernel")


async def cell(agent, notebook_cell_id: str) -> dict:
    return (await agent("read_cell", cell_id=notebook_cell_id)).data


async def test_the_person_sees_the_dependents_of_the_agents_edit_under_their_own_cells(shared):
    agent, person = shared
    before = await cell(agent, "aaaa")
    answer = await agent("edit_cells", edits=[change("aaaa", before["version"], "x = 10")])
    assert answer.data["status"] == "ok"
    assert [(ran["status"], ran["outputs_changed"]) for ran in answer.data["reran"]] == [("ok", True)] * 2
    await person.until_shown("bbbb", "11")
    await person.until_shown("cccc", "y is 11")
    assert answer.data["version"] == before["version"] + 1


async def test_the_agent_sees_what_the_person_ran(shared):
    agent, person = shared
    cells = {one["notebook_cell_id"]: one for one in (await agent("list_cells")).data["cells"]}
    assert cells["bbbb"]["defines"] == ["y"]
    assert cells["bbbb"]["uses"] == ["x"]
    assert cells["bbbb"]["run_by"] == "notebook"
    view = await cell(agent, "cccc")
    assert (view["code"], view["outputs"]) == ("print('y is', y)", "y is 2")
    await person.run("aaaa", "x = 5")
    await person.until_shown("cccc", "y is 6")
    assert (await cell(agent, "cccc"))["outputs"] == "y is 6"


async def test_a_stale_edit_is_refused_and_changes_nothing(shared):
    agent, person = shared
    read = await cell(agent, "aaaa")
    await person.run("aaaa", "x = 2")
    answer = await agent("edit_cells", edits=[change("aaaa", read["version"], "x = 100")])
    assert answer.failed
    assert "[stale_version]" in answer.text
    assert (await cell(agent, "aaaa"))["code"] == "x = 2"
    await person.until_shown("cccc", "y is 3")


async def test_executed_code_becomes_a_cell_that_follows_the_persons(shared):
    agent, person = shared
    answer = await agent("execute_code", code="z = y * 100\nz")
    assert answer.data["outputs"] == "200"
    mine = answer.data["cell_id"]
    await person.run("aaaa", "x = 2")
    async with asyncio.timeout(BOUND):
        while (await cell(agent, mine))["outputs"] != "300":
            pass
    # What the run itself put out stays what it was.
    assert (await agent("read_run", run_id=answer.data["run_id"])).data["outputs"] == "200"


async def test_executed_code_that_redefines_a_name_reruns_its_users(shared):
    agent, person = shared
    answer = await agent("execute_code", code="x = 41")
    assert {ran["code"] for ran in answer.data["reran"]} == {"y = x + 1", "print('y is', y)"}
    await person.until_shown("cccc", "y is 42")


async def test_scratch_code_looks_and_leaves_no_cell(shared):
    agent, _ = shared
    before = (await agent("list_cells")).data["total"]
    answer = await agent("execute_code", code="x, y", scratch=True)
    assert answer.data["outputs"] == "(1, 2)"
    assert "cell_id" not in answer.data
    assert (await agent("list_cells")).data["total"] == before


async def test_cells_are_read_in_milliseconds_while_the_persons_cell_runs(shared, gate):
    agent, person = shared
    message_id = person.send("dddd", f"{gate.code}\n'opened'")
    async with asyncio.timeout(BOUND):
        while (await agent("list_cells")).data["cells"][-1]["status"] != "running":
            pass
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert (await cell(agent, "cccc"))["outputs"] == "y is 2"
    assert loop.time() - began < 1.0
    status = (await agent("kernel_status")).data
    assert (status["state"], status["working_on"][0]["client"]) == ("busy", "ada")
    gate.open()
    await person.until_idle(message_id)
    await person.until_shown("dddd", "'opened'")


async def test_dependents_are_waited_for_when_code_runs(shared, gate):
    agent, person = shared
    await person.run("eeee", f"if y > 50:\n    {gate.code}\n    print('slow', y)")
    answer = await agent("execute_code", code="x = 50", timeout=0.3)
    assert answer.data["status"] == "running"
    assert "depend on it still run" in answer.text
    gate.open()
    over = await agent("read_run", run_id=answer.data["run_id"])
    assert over.data["status"] == "ok"
    await person.until_shown("eeee", "slow 51")


async def test_code_that_fails_takes_no_name_from_the_person(shared):
    agent, person = shared
    answer = await agent("execute_code", code="x = 1 / 0")
    assert answer.data["status"] == "error"
    assert "It took no names over: x" in answer.data["message"]
    assert [(await cell(agent, one))["status"] for one in ("aaaa", "bbbb", "cccc")] == ["ok"] * 3
    await person.run("aaaa", "x = 5")
    await person.until_shown("cccc", "y is 6")
