"""What a call costs, counted: requests to the kernel. Time is measured by `make bench`, not here."""

import asyncio

import pytest

from marimo_kernel_bridge.mcp_server.attachments import Attached
from marimo_kernel_bridge.mcp_server.views.runs import run_view
from marimo_kernel_bridge.mcp_server.views.window import Window
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
