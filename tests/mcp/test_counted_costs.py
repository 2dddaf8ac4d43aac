"""What a call costs, counted: requests to the kernel. Time is measured by `make bench`, not here."""

import pytest

from marimo_kernel_bridge import wire
from marimo_kernel_bridge.mcp_kernels import Attached
from marimo_kernel_bridge.mcp_notices import Notices, Watch
from marimo_kernel_bridge.mcp_run_views import run_view
from marimo_kernel_bridge.mcp_views import Window

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


async def test_the_answer_about_a_run_takes_one_look_into_the_kernel(asked):
    client, names = asked
    run = await client.execute("x = 6 * 7\nx")
    assert await client.wait(run, 20)
    view, _ = await run_view(Attached("k1", client), run, Window(1000))
    assert (view.status, view.outputs, names) == ("ok", "42", ["read_outcome"])


async def test_nobody_looks_for_changes_that_nobody_wants_to_know_of(asked):
    client, names = asked
    watch = Watch(Attached("k1", client), Notices())
    for number in range(3):
        assert await client.wait(await client.execute(f"x = {number}"), 20)
    watch.close()
    assert names == []
