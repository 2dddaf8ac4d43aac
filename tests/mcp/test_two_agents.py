"""Two agents, each with a server of its own, on one kernel beside its person; and one agent on several kernels."""

import asyncio

import pytest
from person import BOUND, add, change, refused

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def both(serve_here):
    """Two agents under their own names, one in each era of the protocol."""
    return await serve_here("auto", name="ann"), await serve_here("legacy", name="ben")


@pytest.fixture
async def agents(both):
    yield both
    for agent in both:
        await agent.leave()


@pytest.fixture
async def together(agents, reactive_kernel, person_at):
    """Both agents on the kernel of a person who has run two cells."""
    person = await person_at(reactive_kernel)
    await person.run("aaaa", "x = 1")
    await person.run("bbbb", "print('x is', x)")
    for agent in agents:
        await agent.connect(reactive_kernel)
    return *agents, person


async def test_of_two_edits_made_for_one_version_the_second_is_refused_and_loses_nothing(together):
    ann, ben, person = together
    read = [(await agent("read_cell", cell_id="aaaa")).data["version"] for agent in (ann, ben)]
    assert read == [1, 1]
    answers = await asyncio.gather(
        ann("edit_cells", edits=[change("aaaa", 1, "x = 2")]),
        ben("edit_cells", edits=[change("aaaa", 1, "x = 3")]),
    )
    won, lost = sorted(answers, key=lambda answer: answer.failed)
    assert (won.failed, refused(lost, "stale_version")) == (False, True)
    now = (await ben("read_cell", cell_id="aaaa")).data
    assert (now["version"], now["edited_by"]) == (2, "ann" if won is answers[0] else "ben")
    await person.until_shown("bbbb", f"x is {now['code'][-1]}")
    assert not (await ben("edit_cells", edits=[change("aaaa", 2, "x = 4")])).failed
    assert (await ann("read_cell", cell_id="bbbb")).data["outputs"] == "x is 4"


async def test_an_agent_that_leaves_or_gives_up_takes_nothing_of_the_others_along(together, gate):
    ann, ben, person = together
    running = await ann("execute_code", code=f"{gate.code}\ny = 'kept'\ny", timeout=0.3)
    given_up = await ben("execute_code", code="y = 'never'", timeout=0)
    await ben("interrupt_run", run_id=given_up.data["run_id"])
    path = (await ben("kernel_status")).data["connection_file"]
    await ben("disconnect_kernel")
    gate.open()
    over = await ann("read_run", run_id=running.data["run_id"], timeout=BOUND)
    assert (over.data["status"], over.data["outputs"]) == ("ok", "'kept'")
    await ben("connect_to_kernel", connection_file=path)
    assert (await ben("execute_code", code="y", scratch=True)).data["outputs"] == "'kept'"
    await person.run("mmmm", "%marimo agents")
    listed = [
        line for line in person.shown("mmmm").splitlines()[1:] if not line.startswith(" ")
    ]  # below: what each did
    assert {line.partition(":")[0] for line in listed} == {"ann", "ben"}


async def test_one_agents_error_does_not_abort_what_the_other_has_queued(together, gate):
    ann, ben, person = together
    first = person.send("cccc", f"{gate.code}\n1 / 0")
    await ann.sees_busy()
    queued = [
        await agent("edit_cells", edits=[add(f"{name} = 1\n{name}")], timeout=0)
        for agent, name in ((ann, "of_ann"), (ben, "of_ben"))
    ]
    gate.open()
    await person.until_idle(first)
    for agent, answer in zip((ann, ben), queued, strict=True):
        over = await agent("read_run", run_id=answer.data["run_id"], timeout=BOUND)
        assert (over.data["status"], over.data["outputs"]) == ("ok", "1"), over.text


async def test_one_agent_works_in_a_second_kernel_while_the_first_is_busy(
    agents, reactive_kernel, second_kernel, gate
):
    ann, _ = agents
    busy = await ann.connect(reactive_kernel)
    free = await ann.connect(second_kernel)
    running = await ann("execute_code", code=f"{gate.code}\nwhere = 'first'", kernel=busy, timeout=0.3)
    assert running.data["status"] == "running"
    answer = await ann("execute_code", code="where = 'second'\nwhere", kernel=free)
    assert answer.data["outputs"] == "'second'"
    assert [(await ann("kernel_status", kernel=one)).data["state"] for one in (busy, free)] == [
        "busy",
        "idle",
    ]
    gate.open()
    over = await ann("read_run", run_id=running.data["run_id"], kernel=busy, timeout=BOUND)
    assert over.data["status"] == "ok"
    seen = [
        (await ann("execute_code", code="where", scratch=True, kernel=one)).data["outputs"]
        for one in (busy, free)
    ]
    assert seen == ["'first'", "'second'"]
