"""The person's brake and secrets, with a real kernel: what an agent may do and see beside them."""

import json

import pytest
from person import change, refused

pytestmark = pytest.mark.anyio


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
    await agent("disconnect_kernel")


async def test_a_person_sees_agents_that_use_the_kernel_and_not_those_that_only_list_it(
    serve, reactive_kernel, person_at
):
    person = await person_at(reactive_kernel)
    agent = await serve("auto")
    assert (await agent("list_kernels")).data["kernels"]
    await person.run("mmmm", "%marimo agents")
    await person.until_shown("mmmm", "agents not paused\nnone has used this kernel")
    handle = await agent.connect(reactive_kernel)
    await agent("list_cells")
    await agent("list_kernels")
    await person.run("mmmm", "%marimo agents")
    not_paused, *names = person.shown("mmmm").splitlines()
    assert (not_paused, len(names)) == ("agents not paused", 1)
    assert "ran and changed nothing, last heard " in names[0]
    await agent("disconnect_kernel", kernel=handle)


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
    await agent("disconnect_kernel")
