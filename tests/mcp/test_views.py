"""Views of tables between processes: the server over stdio, and a kernel on its sockets."""

import json

import pytest
from person import refused

pytestmark = pytest.mark.anyio

PEOPLE = "people = [{'name': f'ROW-{number}', 'age': number} for number in range(5000)]"


@pytest.fixture(scope="module")
async def server(serve):
    """A server for an agent that may only read."""
    return await serve("auto", "--allow", "read")


async def test_a_variable_is_shown_and_read_also_while_a_cell_runs(server, reactive_kernel, person_at, gate):
    person = await person_at(reactive_kernel)
    await person.run("people", PEOPLE)
    await server.connect(reactive_kernel)
    shown = await server("view_data", data="people", sort=["age desc"])
    assert (shown.data["rows"], shown.data["state"]) == (5000, "not shown")
    waiting = person.send("wait", gate.code)
    again = await server("view_data", data="people", filter=[{"column": "age", "op": "<", "value": 10}])
    read = await server("read_view")
    gate.open()
    await person.until_idle(waiting)
    assert again.data["view"] == shown.data["view"] == read.data["view"]
    assert (read.data["sort"], read.data["set_by"]) == (["age desc"], "agent")
    assert refused(await server("view_data", data="peopel"), "no_such_variable")
    await person.run("nothing", "nothing = 5")
    assert refused(await server("view_data", data="nothing"), "not_a_table")
    assert "ROW-" not in json.dumps([shown.data, again.data, read.data]) + shown.text + again.text + read.text
    await server.leave()
