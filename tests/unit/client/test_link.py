"""How a client attaches to a kernel, and what it makes of one that does not answer; the kernel is in memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from marimo_kernel_bridge.client import link
from marimo_kernel_bridge.errors import BridgeError

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.client import KernelClient
    from tests.unit.client.conftest import Attach, FakeChannels

pytestmark = pytest.mark.anyio

Channels = Callable[..., "FakeChannels"]
Until = Callable[[Callable[[], object]], Awaitable[None]]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "_HEARD_BOUND", 0.01)


# Attaching


async def test_a_kernel_says_who_it_is(channels: Channels, attach: Attach) -> None:
    client = await attach(channels(implementation="ipykernel"))
    assert (client.info.implementation, client.info.language, client.info.session) == (
        "ipykernel",
        "python",
        "process-1",
    )
    assert not client.info.reactive


async def test_a_session_that_is_copied_from_the_request_says_nothing_of_the_process(
    channels: Channels, attach: Attach
) -> None:
    assert (await attach(channels(process=None))).info.session is None


async def test_a_kernel_is_attached_only_when_it_is_heard_on_iopub(
    channels: Channels, attach: Attach, until: Until
) -> None:
    kernel = channels(published=False)
    attaching = asyncio.ensure_future(attach(kernel))
    await until(lambda: len(kernel.sent) > 1)  # it was asked again
    assert not attaching.done()
    kernel.publish("iopub_welcome", {})
    assert (await attaching).info.reactive


async def test_a_kernel_is_attached_only_when_shell_is_connected(
    channels: Channels, attach: Attach, until: Until
) -> None:
    kernel = channels(connected=False)
    attaching = asyncio.ensure_future(attach(kernel))
    await until(lambda: len(kernel.sent) > 1)
    assert not attaching.done()
    kernel.connect("process-1")
    assert (await attaching).info.reactive


async def test_nothing_is_sent_to_where_no_kernel_is(channels: Channels, attach: Attach) -> None:
    kernel = channels(there=False)
    with pytest.raises(BridgeError) as caught:
        await attach(kernel)
    assert (caught.value.code, kernel.sent, kernel.closed) == ("connection_file_stale", [], True)


@pytest.mark.parametrize(("beats", "words"), [(True, "heartbeat"), (False, "not answer as a kernel")])
async def test_a_kernel_that_does_not_greet_is_silent(
    channels: Channels, attach: Attach, beats: bool, words: str
) -> None:
    with pytest.raises(BridgeError) as caught:
        await attach(channels(greets=False, beats=beats))
    assert caught.value.code == "kernel_silent"
    assert words in caught.value.message


async def test_a_kernel_with_another_key_is_named_so(channels: Channels, attach: Attach) -> None:
    kernel = channels(greets=False)
    kernel.forge()
    with pytest.raises(BridgeError) as caught:
        await attach(kernel)
    assert caught.value.code == "wrong_key"
    assert "kernel-1.json" in caught.value.message


async def test_a_forged_message_to_an_attached_client_is_dropped(
    channels: Channels, attach: Attach, caplog: pytest.LogCaptureFixture
) -> None:
    kernel = channels(answers={"list_cells": []})
    client = await attach(kernel)
    kernel.forge()
    with caplog.at_level(logging.WARNING):
        assert await client.reads.list_cells() == []
    assert "signed with another key" in caplog.text


# Asking


async def test_a_question_that_a_living_kernel_does_not_answer_is_silence(
    channels: Channels, attach: Attach
) -> None:
    client = await attach(channels())
    with pytest.raises(BridgeError) as caught:
        await client.reads.outcome("x", 0.01)
    assert (caught.value.code, client.end) == ("kernel_silent", None)
    assert "is alive" in caught.value.message


async def test_a_question_that_a_stuck_kernel_does_not_answer_is_silence_too(
    channels: Channels, attach: Attach
) -> None:
    client = await attach(channels(beats=False))
    with pytest.raises(BridgeError) as caught:
        await client.reads.outcome("x", 0.01)
    assert (caught.value.code, client.end) == ("kernel_silent", None)
    assert "heartbeat does not answer" in caught.value.message


async def test_a_server_that_is_away_is_named_rather_than_the_kernel(
    channels: Channels, attach: Attach
) -> None:
    away = BridgeError("server_refused", "the server is away")
    client = await attach(channels(beats=False, unreachable=away))
    assert await client.why_not_alive() is away


async def test_a_free_shell_is_told_from_a_busy_one(channels: Channels, attach: Attach) -> None:
    kernel = channels()
    client = await attach(kernel)
    assert await client.shell_is_free(0.1)
    kernel.shell_free = False
    assert not await client.shell_is_free(0.01)


async def test_answers_go_to_who_asked_in_whatever_order(channels: Channels, attach: Attach) -> None:
    kernel = channels()
    client = await attach(kernel)
    first = asyncio.ensure_future(client._link.ask("control", "first", {}))
    second = asyncio.ensure_future(client._link.ask("control", "second", {}))
    await asyncio.sleep(0)
    numbers = {name: f"r-{kernel._requests - 1 + place}" for place, name in enumerate(["first", "second"])}
    kernel.reply("control", numbers["second"], {"n": 2})
    kernel.reply("control", numbers["first"], {"n": 1})
    assert (await first, await second) == ({"n": 1}, {"n": 2})


async def test_a_message_that_cannot_be_read_is_logged_and_the_next_one_is(
    channels: Channels, attach: Attach, caplog: pytest.LogCaptureFixture
) -> None:
    kernel = channels(answers={"list_cells": []})
    client = await attach(kernel)
    kernel._queues["control"].put_nowait(ValueError("too few parts for a Jupyter message"))
    assert await client.reads.list_cells() == []
    assert "Could not handle a message on control" in caplog.text


# The kernel's end


async def ended(client: KernelClient, until: Until) -> BridgeError:
    await until(lambda: client.end)
    assert client.end is not None
    return client.end


async def test_a_broken_connection_to_where_nothing_is_any_more_is_death_at_once(
    channels: Channels, attach: Attach, until: Until
) -> None:
    kernel = channels()
    client = await attach(kernel)
    asked = asyncio.ensure_future(client.reads.list_cells())
    await asyncio.sleep(0)
    kernel.break_off(there=False)
    assert "unexpectedly" in (await ended(client, until)).message
    with pytest.raises(BridgeError) as caught:
        await asked
    assert caught.value is client.end
    assert await client.liveness() == "dead"
    with pytest.raises(BridgeError) as caught:
        await client.execute("1")
    assert caught.value.code == "kernel_dead"


async def test_a_shutdown_that_was_announced_is_no_crash(
    channels: Channels, attach: Attach, until: Until
) -> None:
    kernel = channels()
    client = await attach(kernel)
    kernel.publish("shutdown_reply", {"restart": False})
    kernel.break_off(there=False)
    assert (await ended(client, until)).message.startswith("The kernel was shut down.")


async def test_a_connection_that_breaks_for_a_moment_is_no_end(
    channels: Channels, attach: Attach, until: Until
) -> None:
    kernel = channels()
    client = await attach(kernel)
    asked = len(kernel.sent)
    kernel.break_off(there=True)
    await until(lambda: len(kernel.sent) > asked)
    kernel.connect("process-1")
    await client.reads._link._exchange("control", "kernel_info_request", {}, 1.0)
    assert (client.end, client.restarts) == (None, 0)


async def test_a_dying_process_that_still_listens_is_looked_at_again(
    channels: Channels, attach: Attach, until: Until
) -> None:
    kernel = channels()
    client = await attach(kernel)
    kernel.greets = False
    kernel.break_off(there=True)
    asked = len(kernel.sent)
    await until(lambda: len(kernel.sent) > asked + 1)
    assert client.end is None
    kernel.there = False
    assert "unexpectedly" in (await ended(client, until)).message


async def test_another_process_behind_the_same_address_is_a_restart(
    channels: Channels, attach: Attach, until: Until
) -> None:
    kernel = channels(answers={"list_cells": []})
    client = await attach(kernel)
    kernel.connect("process-2")
    kernel.publish("status", {"execution_state": "starting"})
    assert "restarted" in (await ended(client, until)).message
    assert await client.reads.list_cells() == []
    assert (client.end, client.restarts) == (None, 1)


async def test_a_kernel_that_cannot_tell_its_process_counts_as_restarted_when_the_connection_breaks(
    channels: Channels, attach: Attach, until: Until
) -> None:
    kernel = channels(process=None)
    client = await attach(kernel)
    kernel.break_off(there=True)
    assert "restarted" in (await ended(client, until)).message


async def test_a_dead_kernel_that_is_silent_when_it_is_found_again_is_refused_as_silent(
    channels: Channels, attach: Attach, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "ANSWER_BOUND", 0.02)
    kernel = channels()
    client = await attach(kernel)
    kernel.break_off(there=False)
    await ended(client, until)
    kernel.greets = False
    kernel.connect("process-2")
    with pytest.raises(BridgeError) as caught:
        await client.require_alive()
    assert caught.value.code == "kernel_silent"


async def test_a_server_that_says_that_the_kernel_is_dead_is_believed(
    channels: Channels, attach: Attach, until: Until
) -> None:
    kernel = channels()
    client = await attach(kernel)
    kernel.publish("status", {"execution_state": "dead"})
    assert "unexpectedly" in (await ended(client, until)).message


async def test_a_server_that_restarts_a_kernel_is_asked_until_the_process_is_another(
    channels: Channels, attach: Attach, until: Until
) -> None:
    kernel = channels()
    client = await attach(kernel)
    kernel.publish("status", {"execution_state": "restarting"})
    asked = len(kernel.sent)
    await until(lambda: len(kernel.sent) > asked)
    assert client.end is None, "the old process has answered"
    kernel.process = "process-2"
    assert "restarted" in (await ended(client, until)).message


async def test_code_is_never_kept_for_the_next_process(
    channels: Channels, attach: Attach, until: Until
) -> None:
    kernel = channels()
    client = await attach(kernel)
    kernel.greets = kernel.beats = False
    kernel.break_off(there=True)
    with pytest.raises(BridgeError) as caught:
        await client.execute("ran = True")
    assert caught.value.code == "kernel_silent"
    assert "execute_request" not in [name for _, name, _ in kernel.sent]
    assert client.runs.ours == ()
