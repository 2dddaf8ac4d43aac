"""A person's front end on a kernel in memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from jupyter_client.session import Session

from marimo_kernel_bridge.client import front_end as module
from marimo_kernel_bridge.client.front_end import FrontEnd
from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from jupyter_client.asynchronous.client import AsyncKernelClient

pytestmark = pytest.mark.anyio

JSON = dict[str, Any]


class FakeChannel:
    def __init__(self) -> None:
        self.sent: list[JSON] = []
        self._messages: asyncio.Queue[JSON] = asyncio.Queue()

    def send(self, message: JSON) -> None:
        self.sent.append(message)

    async def get_msg(self, timeout: float | None) -> JSON:  # noqa: ARG002, ASYNC109  # jupyter_client's signature
        return await self._messages.get()

    def put(self, msg_type: str, parent: str, **content: Any) -> None:
        message = {"header": {"msg_type": msg_type}, "parent_header": {"msg_id": parent}, "content": content}
        self._messages.put_nowait(message)


class FakeClient:
    """The part of jupyter_client's client that a front end uses."""

    def __init__(self) -> None:
        self.session = Session()
        self.shell_channel = FakeChannel()
        self.iopub_channel = FakeChannel()

    def finish(self, request: str, text: str) -> None:
        self.iopub_channel.put("stream", request, name="stdout", text=text)
        self.shell_channel.put("execute_reply", request, status="ok")
        self.iopub_channel.put("status", request, execution_state="idle")


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
async def front_end(client: FakeClient) -> AsyncIterator[FrontEnd]:
    front_end = FrontEnd(cast("AsyncKernelClient", client))
    listening = asyncio.create_task(front_end.listen())
    yield front_end
    listening.cancel()


async def test_a_cell_is_run_as_jupyterlab_does_until_reply_and_idle(
    client: FakeClient, front_end: FrontEnd
) -> None:
    running = asyncio.create_task(front_end.run("one", "print('hi')"))
    await asyncio.sleep(0)
    (sent,) = client.shell_channel.sent
    assert (sent["header"]["msg_type"], sent["metadata"]["cellId"]) == ("execute_request", "one")
    client.shell_channel.put("execute_reply", "of an earlier cell", status="ok")
    client.finish(sent["header"]["msg_id"], "hi\n")
    cell = await running
    assert (cell.text, cell.over) == ("hi", True)
    assert front_end.cells["one"] is cell


async def test_a_reply_that_does_not_come_is_silence(front_end: FrontEnd) -> None:
    with pytest.raises(BridgeError) as caught:
        await front_end.run("one", "1", bound=0.01)
    assert caught.value.code == "kernel_silent"
    assert "one" in caught.value.message


async def test_a_late_output_is_waited_for_and_what_is_shown_instead_is_named(
    client: FakeClient, front_end: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = front_end.send("one", "print(x)")
    client.finish(request, "old\n")
    await front_end.until_idle(request)
    client.iopub_channel.put("clear_output", request, wait=True)
    client.iopub_channel.put("stream", request, name="stdout", text="new\n")
    await front_end.until_shown("one", "new")
    assert front_end.cells["one"].late == ["clear_output", "stream"]
    monkeypatch.setattr(module, "SHOW_BOUND", 0.01)
    with pytest.raises(BridgeError) as caught:
        await front_end.until_shown("one", "newer")
    assert "shows 'new'" in caught.value.message
