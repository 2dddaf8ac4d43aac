"""Views of tables between processes: the server over stdio, a kernel on its sockets, and the process that shows files."""

import json

import pytest
from mcp import Client
from person import Agent, refused

from marimo_kernel_bridge.launch.viewer.client import Viewer

pytestmark = pytest.mark.anyio

PEOPLE = "people = [{'name': f'ROW-{number}', 'age': number} for number in range(5000)]"


@pytest.fixture(scope="module")
async def server(serve):
    """A server for an agent that may only read."""
    return await serve("auto", "--allow", "read")


@pytest.fixture
def viewer(module_home):
    """Looks for the process that shows files; ends it after the test."""

    def running():
        with module_home.lived_in():
            return Viewer.running()

    yield running
    if (viewer := running()) is not None:
        viewer.stop()


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


@pytest.mark.long  # the test before it has the page of a variable
async def test_a_file_is_shown_by_a_process_that_outlives_the_server(serving, viewer, tmp_path):
    file = tmp_path / "ages.csv"
    file.write_text("name,age\n" + "".join(f"ROW-{number},{number}\n" for number in range(100)))
    async with Client(serving()) as client:
        agent = Agent(client)
        shown = await agent("view_data", data=str(file), sort=["age desc"])
        assert not shown.failed, shown.text
        assert [column["name"] for column in shown.data["columns"]] == ["name", "age"]
        assert (await agent("read_view")).data["sort"] == ["age desc"]
        assert refused(await agent("view_data", data=str(tmp_path / "none.csv")), "bad_request")
    assert viewer() is not None
    async with Client(serving()) as client:
        assert refused(await Agent(client)("read_view"), "no_such_view")
        again = await Agent(client)("view_data", data=str(file))
    assert (again.data["rows"], again.data["sees"]) == (100, "100 rows"), "another agent's is another view"
