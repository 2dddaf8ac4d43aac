"""What a call costs, counted: requests to the kernel. Time is measured by `make bench`, not here."""

import asyncio

import pytest
from mcp import Client

from marimo_kernel_bridge.client.link import KernelLink
from marimo_kernel_bridge.mcp_server.attachments import Attached
from marimo_kernel_bridge.mcp_server.sdk.subscriptions import Notices, Watch
from marimo_kernel_bridge.mcp_server.views.runs import run_view
from marimo_kernel_bridge.mcp_server.views.window import Window
from marimo_kernel_bridge.mcp_tools import build_server
from marimo_kernel_bridge.protocol import messages as wire

pytestmark = pytest.mark.anyio


@pytest.fixture
async def asked(attach, reactive_kernel, monkeypatch):
    """A client on a kernel, and the names of the requests that it has sent since."""
    client = await attach(reactive_kernel)
    names = []
    ask = client._link.ask

    async def counted(channel, msg_type, content, *bound):
        names.append(wire.decode_request(content).__struct_config__.tag)
        return await ask(channel, msg_type, content, *bound)

    monkeypatch.setattr(client._link, "ask", counted)
    return client, names


async def test_the_answer_about_a_run_takes_no_look_into_the_kernel_which_tells_it_by_itself(asked):
    client, names = asked
    attached = Attached("k1", client)
    run = await client.execute("x = 6 * 7\nx")
    assert await client.runs.wait(run, 20)
    view, _ = await run_view(attached, run, Window(1000))
    assert (view.status, view.outputs, view.version, names) == ("ok", "42", 1, [])
    assert await client.runs.wait(await client.execute("1", store_history=False), 20)
    view, _ = await run_view(attached, run, Window(1000))
    assert names == ["read_outcome"], "something has happened since: what was told then may not hold"
    assert (view.status, view.version) == ("ok", 1)


async def test_what_the_kernel_told_of_a_run_is_forgotten_when_somebody_else_does_something(
    asked, reactive_kernel, person_at
):
    client, names = asked
    attached = Attached("k1", client)
    person = await person_at(reactive_kernel)
    run = await client.execute("x = 1")
    assert await client.runs.wait(run, 20)
    changed = asyncio.Event()
    client.runs.on_change(changed.set)
    await person.run("aaaa", "x = 2")
    async with asyncio.timeout(20):
        await changed.wait()  # her messages reach us too, in their own time
    await run_view(attached, run, Window(1000))
    assert names == ["read_outcome"]


async def test_a_look_takes_no_more_requests_than_it_needs_and_waits_for_all_of_them_at_once(
    reactive_kernel, monkeypatch
):
    """A kernel that computes answers whatever has come as soon as it gets to anything."""
    sent, waiting, most = [], 0, 0
    ask = KernelLink.ask

    async def counted(self, channel, msg_type, content, *bound):
        nonlocal waiting, most
        sent.append(wire.decode_request(content).__struct_config__.tag)
        waiting += 1
        most = max(most, waiting)
        try:
            return await ask(self, channel, msg_type, content, *bound)
        finally:
            waiting -= 1

    async with Client(build_server()) as client:
        await client.call_tool("connect_to_kernel", {"connection_file": str(reactive_kernel.connection_file)})
        ran = await client.call_tool("execute_code", {"code": "x = 1"})
        monkeypatch.setattr(KernelLink, "ask", counted)
        for tool, arguments, needed in (
            ("list_cells", {}, ["read_outline"]),
            ("read_cell", {"cell_id": ran.structured_content["cell_id"]}, ["read_cell"]),
            ("search_cells", {"query": "x"}, ["search_cells"]),
            ("read_dataflow", {"variable": "x"}, ["list_cells"]),
            ("list_variables", {}, ["list_variables"]),
            ("list_errors", {}, ["list_cells", "read_environment"]),
        ):
            sent.clear()
            most = 0
            answer = await client.call_tool(tool, arguments)
            assert not answer.is_error, answer.content[0].text
            assert (sorted(sent), most) == (needed, len(needed)), tool


async def test_nobody_looks_for_changes_that_nobody_wants_to_know_of(asked):
    client, names = asked
    watch = Watch(Attached("k1", client), Notices())
    for number in range(3):
        assert await client.runs.wait(await client.execute(f"x = {number}"), 20)
    watch.close()
    assert names == []
