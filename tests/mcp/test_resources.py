"""Who is told of changes in a real kernel, in both eras of the protocol."""

import asyncio
import sys

import pytest
from mcp import Client, StdioServerParameters
from person import BOUND, Agent

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning"),  # the older protocol is what is tested
]


@pytest.fixture
async def shared(agent, reactive_kernel, person_at):
    """The agent's handle of a kernel in which a person has run two cells."""
    person = await person_at(reactive_kernel)
    handle = await agent.connect(reactive_kernel)
    await person.run("aaaa", "x = 1")
    await person.run("bbbb", "print('x is', x)")
    yield agent, person, handle
    await agent("disconnect_kernel", kernel=handle)


async def test_a_listener_is_told_what_the_person_changed(shared):
    agent, person, handle = shared
    second = (await agent("read_cell", cell_id="bbbb")).data["cell_id"]
    wanted = [f"marimo://{handle}/cells/{second}", f"marimo://{handle}/variables/x"]
    async with agent.client.listen(resource_subscriptions=wanted) as events, asyncio.timeout(BOUND):
        await person.run("aaaa", "x = 5")
        told = {(await anext(events)).uri}
        while told != set(wanted):
            told.add((await anext(events)).uri)


async def test_a_subscriber_of_the_older_protocol_is_told_too(
    reactive_kernel, person_at, runtime_dir, data_dir
):
    told: asyncio.Queue = asyncio.Queue()

    async def heard(message):
        told.put_nowait(message)

    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "marimo_kernel_bridge", "mcp"],
        env={"JUPYTER_RUNTIME_DIR": str(runtime_dir), "JUPYTER_DATA_DIR": str(data_dir)},
    )
    person = await person_at(reactive_kernel)
    async with Client(server, mode="legacy", message_handler=heard) as client, asyncio.timeout(BOUND):
        handle = await Agent(client).connect(reactive_kernel)
        uri = f"marimo://{handle}/notebook"
        await client.subscribe_resource(uri)
        await person.run("aaaa", "x = 1")
        assert (await told.get()).params.uri == uri
        await client.unsubscribe_resource(uri)
        assert client.server_capabilities.resources.subscribe
