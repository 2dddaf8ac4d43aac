"""What a client sends to a kernel, and what it reads; the kernel is in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.changes import AddCell, EditReport
from marimo_kernel_bridge.protocol.inspection import Redacted, Variable, VariableContent
from tests.unit.mcp_server.fake_kernel import DESCRIPTION

if TYPE_CHECKING:
    from tests.unit.client.conftest import Attach, FakeChannels

pytestmark = pytest.mark.anyio

Channels = Callable[..., "FakeChannels"]


# Requests


async def test_code_is_sent_so_that_it_can_neither_ask_for_input_nor_clear_another_client_s_queue(
    channels: Channels, attach: Attach
) -> None:
    kernel = channels()
    client = await attach(kernel)
    await client.execute("6 * 7", store_history=False)
    channel, name, content = kernel.sent[-1]
    assert (channel, name) == ("shell", "execute_request")
    assert content == {
        "code": "6 * 7",
        "silent": False,
        "store_history": False,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": False,
    }


async def test_each_request_names_its_author(channels: Channels, attach: Attach) -> None:
    kernel = channels()
    client = await attach(kernel)
    runs = [
        await client.run_cells(["aaaa"]),
        await client.edit_cells([AddCell(code="x = 1")]),
        await client.run_stale(),
        await client.set_ui_value("slider", 3),
        await client.install(["polars"]),
    ]
    assert [(name, content["client"]) for _, name, content in kernel.sent[-5:]] == [
        ("run_cells", "agent"),
        ("edit_cells", "agent"),
        ("run_stale", "agent"),
        ("set_ui_value", "agent"),
        ("install_packages", "agent"),
    ]
    assert [run.kind for run in runs] == [name for _, name, _ in kernel.sent[-5:]]


async def test_a_plain_kernel_gets_no_request_of_the_bridge(channels: Channels, attach: Attach) -> None:
    kernel = channels(implementation="ipykernel")
    client = await attach(kernel)
    sent = len(kernel.sent)
    for request in (
        client.reads.describe(),
        client.reads.list_cells(),
        client.reads.read_cell("aaaa"),
        client.reads.preview_edits([]),
        client.run_cells(["aaaa"]),
    ):
        with pytest.raises(BridgeError) as caught:
            await request
        assert caught.value.code == "not_reactive"
    assert (len(kernel.sent), client.runs.ours) == (sent, ())


# Stopping


async def test_a_run_that_waits_is_not_interrupted_for_another_one_runs(
    channels: Channels, attach: Attach
) -> None:
    kernel = channels()
    client = await attach(kernel)
    run = await client.execute("1")
    with pytest.raises(BridgeError) as caught:
        await client.interrupt(run)
    assert caught.value.code == "kernel_busy"
    await client.interrupt()
    await client.shut_down()
    assert [name for _, name, _ in kernel.sent[-2:]] == ["interrupt_request", "shutdown_request"]


async def test_a_client_that_is_closed_ends_nothing_in_the_kernel(channels: Channels, attach: Attach) -> None:
    kernel = channels()
    client = await attach(kernel)
    async with client:
        await client.execute("1")
    assert kernel.closed
    assert {name for _, name, _ in kernel.sent} == {"kernel_info_request", "execute_request"}


# Reads


async def test_a_refusal_of_the_kernel_is_raised_with_its_code(channels: Channels, attach: Attach) -> None:
    refusal = BridgeError("no_such_cell", "There is no cell 'aaaa'.", "List the cells.")
    client = await attach(channels(answers={"read_cell": refusal}))
    with pytest.raises(BridgeError) as caught:
        await client.reads.read_cell("aaaa")
    assert (caught.value.code, str(caught.value)) == (
        "no_such_cell",
        "There is no cell 'aaaa'. List the cells.",
    )


async def test_reads_are_redacted_unless_they_are_for_the_person(channels: Channels, attach: Attach) -> None:
    kernel = channels(answers={"redact": Redacted("hidden")})
    client = await attach(kernel)
    assert await client.reads.redact("hush") == "hidden"
    client.reads.redacted = False
    await client.reads.redact("hush")
    assert [content["redacted"] for _, name, content in kernel.sent if name == "redact"] == [True, False]


VARIABLE = Variable("x", "int", "1")


@pytest.mark.parametrize(("busy", "channel"), [(False, "shell"), (True, "control")])
async def test_a_variable_is_looked_into_on_the_main_thread_if_that_is_free(
    channels: Channels, attach: Attach, busy: bool, channel: str
) -> None:
    content = VariableContent(VARIABLE)
    kernel = channels(answers={"describe": replace(DESCRIPTION, busy=busy), "inspect_variable": content})
    client = await attach(kernel)
    assert await client.reads.inspect_variable("x", 5) == content
    assert kernel.sent[-1][:2] == (channel, "inspect_variable")


async def test_a_preview_of_edits_needs_the_kernel_free(
    channels: Channels, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = EditReport(applied=False)
    kernel = channels(answers={"edit_cells": report})
    client = await attach(kernel)
    assert await client.reads.preview_edits([]) == report
    assert kernel.sent[-1][2]["dry_run"] is True
    kernel.shell_free = False
    ask = client._link.ask

    async def soon(channel: str, msg_type: str, content: dict[str, object]) -> object:
        return await ask(channel, msg_type, content, 0.01)  # type: ignore[arg-type]  # a channel's name

    monkeypatch.setattr(client._link, "ask", soon)
    with pytest.raises(BridgeError) as caught:
        await client.reads.preview_edits([])
    assert caught.value.code == "kernel_busy"
