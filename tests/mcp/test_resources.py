"""Resources by their addresses, notices of their changes in both eras of the protocol, and prompts."""

import asyncio
import json
import re
import sys
from contextlib import suppress

import pytest
from mcp import Client, MCPError, StdioServerParameters
from person import BOUND, Agent, change

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning"),  # the older protocol is what is tested
]

KEY = "zq81-HUSH-hush-99!"


@pytest.fixture
async def shared(agent, reactive_kernel, person_at):
    """The agent's handle of a kernel in which a person has run two cells."""
    person = await person_at(reactive_kernel)
    handle = await agent.connect(reactive_kernel)
    await person.run("aaaa", "x = 1")
    await person.run("bbbb", "print('x is', x)")
    yield agent, person, handle
    await agent("disconnect_kernel", kernel=handle)


async def read(agent, uri: str):
    result = await agent.client.read_resource(uri)
    (content,) = result.contents
    assert content.mime_type == "application/json"
    return json.loads(content.text)


async def test_resources_are_listed_with_what_they_are(agent):
    templates = (await agent.client.list_resource_templates()).resource_templates
    assert {template.uri_template for template in templates} == {
        "marimo://{kernel}/notebook",
        "marimo://{kernel}/history",
        "marimo://{kernel}/cells/{cell_id}{?offset}",
        "marimo://{kernel}/cells/{cell_id}/{output}.json",
        "marimo://{kernel}/cells/{cell_id}/{output}.png",
        "marimo://{kernel}/cells/{cell_id}/{output}.jpeg",
        "marimo://{kernel}/runs/{run_id}{?offset}",
        "marimo://{kernel}/variables/{variable}",
        *(f"marimo://{{kernel}}/notebook.{suffix}" for suffix in ("ipynb", "py", "md", "html")),
    }
    assert all(template.title and template.description for template in templates)


async def test_the_notebook_its_history_cells_and_variables_are_read(shared):
    agent, _, handle = shared
    notebook = await read(agent, f"marimo://{handle}/notebook")
    first, second = [cell["cell_id"] for cell in notebook["cells"]]
    cell = await read(agent, f"marimo://{handle}/cells/{second}")
    assert (cell["code"], cell["outputs"]) == ("print('x is', x)", "x is 1")
    assert (await read(agent, f"marimo://{handle}/variables/x"))["summary"] == "1"
    version = notebook["cells"][0]["version"]
    await agent("edit_cells", edits=[change(first, version, "x = 2")])
    newest, *_ = await read(agent, f"marimo://{handle}/history")
    assert newest["client"] != "notebook"
    assert [ran["cell_id"] for ran in newest["cells"]] == [first, second]


@pytest.mark.parametrize("uri", ["marimo://k99/notebook", "marimo://k99/cells/abcd"])
async def test_a_resource_that_is_not_there_is_refused_with_the_reason(agent, uri):
    with pytest.raises(MCPError) as refusal:
        await agent.client.read_resource(uri)
    assert "[not_connected]" in str(refusal.value)


async def test_secrets_are_kept_out_of_resources(shared):
    agent, person, handle = shared
    await person.run("cccc", f"import os\nos.environ['SERVICE_TOKEN'] = {KEY!r}\nprint({KEY!r})")
    text = json.dumps(await read(agent, f"marimo://{handle}/cells/cccc"))
    assert KEY not in text
    assert "<<redacted:SERVICE_TOKEN>>" in text


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


async def test_two_agents_that_listen_do_not_keep_each_other_busy(shared, serve):
    agent, person, handle = shared
    other = await serve("legacy")
    status = (await agent("kernel_status", kernel=handle)).data
    other_handle = (await other("connect_to_kernel", connection_file=status["connection_file"])).data[
        "kernel"
    ]
    uri = f"marimo://{handle}/notebook"
    async with agent.client.listen(resource_subscriptions=[uri]) as events:
        await person.run("aaaa", "x = 7")
        told = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(2):  # silence is what is looked for
                async for _ in events:
                    told += 1
        assert 0 < told < 10
    await other("disconnect_kernel", kernel=other_handle)


@pytest.mark.parametrize("name", ["explore_notebook", "fix_errors", "make_reactive"])
async def test_prompts_name_the_notebook_and_tools_that_there_are(agent, name):
    prompts = {prompt.name: prompt for prompt in (await agent.client.list_prompts()).prompts}
    assert prompts[name].title
    assert prompts[name].description
    (message,) = (await agent.client.get_prompt(name, {"notebook": "penguins.ipynb"})).messages
    text = message.content.text
    assert "connect_to_kernel(notebook='penguins.ipynb')" in text
    tools = {tool.name for tool in (await agent.client.list_tools()).tools}

    named = {word for word in re.findall(r"\b[a-z]+_[a-z_]+\b", text) if word != "df_clean"}
    assert named <= tools | {"stale_version"}, named - tools
