"""A person in JupyterLab and an agent behind MCP, on one reactive kernel."""

import asyncio
import json

import pytest
from person import BOUND, change, refused

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
    assert [(ran["status"], ran["outputs_changed"]) for ran in answer.data["reran"]] == [("ok", True)] * 2
    await person.until_shown("bbbb", "11")
    await person.until_shown("cccc", "y is 11")
    assert answer.data["version"] == before["version"] + 1


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


async def test_a_listener_is_told_what_the_person_changed(shared):
    agent, person = shared
    second = (await cell(agent, "bbbb"))["cell_id"]
    (kernel,) = (one for one in (await agent("list_kernels")).data["kernels"] if one.get("connected_as"))
    wanted = [f"marimo://{kernel['connected_as']}/{one}" for one in (f"cells/{second}", "variables/x")]
    async with agent.client.listen(resource_subscriptions=wanted) as events, asyncio.timeout(BOUND):
        await person.run("aaaa", "x = 5")
        told = {(await anext(events)).uri}
        while told != set(wanted):
            told.add((await anext(events)).uri)


# The brake


async def test_a_paused_kernel_refuses_agents_and_goes_on_for_the_person(agent, reactive_kernel, person_at):
    person = await person_at(reactive_kernel)
    await agent.connect(reactive_kernel)
    await person.run("aaaa", "x = 1")
    await person.run("mmmm", "%marimo pause")
    for tool, arguments in (
        ("execute_code", {"code": "x = 2"}),
        ("execute_code", {"code": "x", "scratch": True}),
        ("edit_cells", {"edits": [change("aaaa", 1, "x = 2")]}),
        ("edit_cells", {"edits": [{"action": "add", "code": "z = 2"}]}),
        ("run_cells", {"cell_ids": ["aaaa"]}),
        ("set_ui_value", {"element": "x", "value": 2}),
    ):
        answer = await agent(tool, **arguments)
        assert refused(answer, "paused"), answer.text
        assert "%marimo resume" in answer.text
    assert (await agent("read_cell", cell_id="aaaa")).data["code"] == "x = 1"
    assert "paused" in (await agent("kernel_status")).data["message"]
    await person.run("mmmm", "%marimo resume")
    assert (await agent("execute_code", code="x", scratch=True)).data["outputs"] == "1"


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
    assert "ran and changed nothing, last heard " in names[0]


# Secrets

KEY = "zq81-HUSH-hush-99!"


async def test_secrets_of_the_kernel_do_not_reach_the_model(agent, reactive_kernel, person_at):
    person = await person_at(reactive_kernel)
    await agent.connect(reactive_kernel)
    await person.run("aaaa", f"import os\nos.environ['SERVICE_TOKEN'] = {KEY!r}")
    await person.run("bbbb", "held = os.environ['SERVICE_TOKEN']\nheld")
    answers = [
        await agent("read_cell", cell_id="bbbb"),
        await agent("read_cell", cell_id="aaaa"),
        await agent("execute_code", code="print(held)", scratch=True),
        await agent("execute_code", code="raise ValueError(held)", scratch=True),
        await agent("list_variables"),
        await agent("read_variable", variable="held"),
        await agent("search_cells", query="hush"),
    ]
    for answer in answers:
        assert KEY not in answer.text + json.dumps(answer.data)
        assert "<<redacted:SERVICE_TOKEN>>" in answer.text
    # Not even in part, where a long output is cut.
    code = "print('x' * 695 + held + 'x' * 3000)"
    assert KEY[:6] not in (await agent("execute_code", code=code, scratch=True, max_chars=1000)).text
    assert (await agent("execute_code", code="len(held)", scratch=True)).data["outputs"] == str(len(KEY))
