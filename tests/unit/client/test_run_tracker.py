"""Which message belongs to which run, and what becomes of runs that are given up or lost; the kernel is in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from marimo_kernel_bridge.client import run_tracker
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.inspection import RunOutcome
from marimo_kernel_bridge.protocol.notebook import RunReport

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.client import KernelClient
    from marimo_kernel_bridge.client.runs import Run
    from tests.unit.client.conftest import Attach, FakeChannels

pytestmark = pytest.mark.anyio

Channels = Callable[..., "FakeChannels"]
Until = Callable[[Callable[[], object]], Awaitable[None]]

OK = {"status": "ok", "execution_count": 1}
OUTCOME = RunOutcome(RunReport("r-1", ("aaaa",), "agent", finished=True), ())


def text_of(run: Run) -> str:
    return "".join(output["text"] for output in run.log.outputs())


async def finish(kernel: FakeChannels, client: KernelClient, run: Run) -> None:
    kernel.busy(run.run_id)
    kernel.reply("shell", run.run_id, OK)
    kernel.idle(run.run_id)
    assert await client.runs.wait(run, 5)


# Our runs


async def test_outputs_go_to_the_run_that_they_belong_to(
    channels: Channels, attach: Attach, until: Until
) -> None:
    kernel = channels()
    client = await attach(kernel)
    first, second = await client.execute("1"), await client.execute("2")
    for run in (second, first):
        kernel.publish("stream", {"name": "stdout", "text": run.code}, run.run_id)
    await until(lambda: text_of(first))
    assert (text_of(first), text_of(second)) == ("1", "2")


async def test_a_run_outlives_the_wait_for_it(channels: Channels, attach: Attach) -> None:
    kernel = channels()
    client = await attach(kernel)
    run = await client.execute("work()")
    assert not await client.runs.wait(run, 0)
    await finish(kernel, client, run)
    assert (run.status, client.runs.find(run.run_id)) == ("ok", run)


async def test_an_unknown_run_is_refused_with_the_newest_ones(channels: Channels, attach: Attach) -> None:
    client = await attach(channels())
    run = await client.execute("1")
    with pytest.raises(BridgeError) as caught:
        client.runs.find("nonsense")
    assert caught.value.code == "no_such_run"
    assert run.run_id in caught.value.hint


async def test_old_runs_are_forgotten_but_none_that_is_not_over(
    channels: Channels, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_tracker, "KEPT_RUNS", 2)
    kernel = channels()
    client = await attach(kernel)
    waiting, over = await client.execute("1"), await client.execute("2")
    await finish(kernel, client, over)
    newest = await client.execute("3")
    assert client.runs.ours == (waiting, newest)


async def test_runs_with_much_output_are_forgotten_sooner(
    channels: Channels, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_tracker, "KEPT_CHARACTERS", 5000)
    kernel = channels()
    client = await attach(kernel)
    runs = []
    for _ in range(4):
        run = await client.execute("1")
        run.log.apply("stream", {"name": "stdout", "text": "x" * 3000})
        await finish(kernel, client, run)
        runs.append(run)
    newest = await client.execute("2")
    assert client.runs.ours == (runs[-1], newest)


async def test_the_pause_of_agents_refuses_plain_code_too(channels: Channels, attach: Attach) -> None:
    kernel = channels()
    client = await attach(kernel)
    run = await client.execute("1")
    kernel.busy(run.run_id)
    kernel.reply("shell", run.run_id, wire.encode_error(BridgeError("paused", "Agents are paused.")))
    kernel.idle(run.run_id)
    assert await client.runs.wait(run, 5)
    assert run.status == "error"
    with pytest.raises(BridgeError) as caught:
        run.report()
    assert caught.value.code == "paused"


async def test_an_exception_of_user_code_is_no_refusal(channels: Channels, attach: Attach) -> None:
    kernel = channels()
    client = await attach(kernel)
    run = await client.execute("1/0")
    kernel.busy(run.run_id)
    kernel.reply("shell", run.run_id, {"status": "error", "ename": "ZeroDivisionError", "evalue": "by zero"})
    kernel.idle(run.run_id)
    assert await client.runs.wait(run, 5)
    assert run.reply is not None
    assert (run.status, run.report(), run.reply.ename, run.reply.evalue) == (
        "error",
        None,
        "ZeroDivisionError",
        "by zero",
    )


@pytest.mark.parametrize("status", ["aborted", "abort"])
async def test_a_run_that_the_kernel_has_dropped_is_aborted(
    channels: Channels, attach: Attach, status: str
) -> None:
    kernel = channels()
    client = await attach(kernel)
    run = await client.run_cells(["aaaa"])
    kernel.busy(run.run_id)
    kernel.reply("shell", run.run_id, {"status": status})
    kernel.idle(run.run_id)
    assert await client.runs.wait(run, 5)
    assert (run.status, run.report()) == ("aborted", None)


async def test_a_report_of_another_version_is_refused_as_such(channels: Channels, attach: Attach) -> None:
    kernel = channels()
    client = await attach(kernel)
    run = await client.run_stale()
    kernel.reply("shell", run.run_id, {"status": "ok", "protocol": 2, "result": {"new": 1}})
    kernel.idle(run.run_id)
    assert await client.runs.wait(run, 5)
    with pytest.raises(BridgeError) as caught:
        run.report()
    assert caught.value.code == "unsupported_version"


async def test_a_display_is_updated_by_any_later_request(
    channels: Channels, attach: Attach, until: Until
) -> None:
    kernel = channels(implementation="ipykernel")
    client = await attach(kernel)
    run = await client.execute("handle = display('before', display_id=True)")
    shown = {"data": {"text/plain": "before"}, "transient": {"display_id": "d"}}
    kernel.publish("display_data", shown, run.run_id)
    await finish(kernel, client, run)
    kernel.publish("update_display_data", shown | {"data": {"text/plain": "after"}}, "r-of-another")
    await until(lambda: run.log.outputs()[0]["data"] == {"text/plain": "after"})


@pytest.mark.parametrize(("implementation", "kept"), [("ipykernel", "late"), ("marimo_kernel_bridge", "")])
async def test_what_comes_after_the_end_is_output_of_a_plain_kernel_only(
    channels: Channels, attach: Attach, until: Until, implementation: str, kept: str
) -> None:
    kernel = channels(implementation=implementation)
    client = await attach(kernel)
    run = await client.execute("thread.start()")
    await finish(kernel, client, run)
    kernel.publish("stream", {"name": "stdout", "text": "late"}, run.run_id)
    kernel.busy("r-of-another")  # all before this has been read, once it is seen
    await until(lambda: client.runs.others)
    assert text_of(run) == kept


async def test_a_run_without_a_reply_is_given_up_some_time_after_idle(
    channels: Channels, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_tracker, "REPLY_BOUND", 0.0)
    kernel = channels()
    client = await attach(kernel)
    run = await client.execute("1")
    kernel.busy(run.run_id)
    kernel.idle(run.run_id)
    assert await client.runs.wait(run, 5)
    assert run.lost is not None
    assert (run.status, run.lost.code) == ("lost", "kernel_silent")
    assert "without a reply" in run.lost.message


async def test_the_end_of_the_kernel_is_the_end_of_every_run(channels: Channels, attach: Attach) -> None:
    kernel = channels()
    client = await attach(kernel)
    over = await client.execute("1")
    await finish(kernel, client, over)
    waiting = await client.execute("2")
    kernel.break_off(there=False)
    assert await client.runs.wait(waiting, 5)
    assert (over.status, waiting.status, waiting.lost) == ("ok", "lost", client.end)


# Other clients


async def test_work_of_others_is_known_and_not_taken_for_ours(
    channels: Channels, attach: Attach, until: Until
) -> None:
    kernel = channels()
    client = await attach(kernel)
    run = await client.execute("1")
    kernel.busy(run.run_id)
    kernel.busy("hers")
    kernel.publish("execute_input", {"code": "work()", "execution_count": 4}, "hers")
    await until(lambda: client.runs.others and client.runs.others[0].code)
    (work,) = client.runs.others
    assert (work.request_id, work.client, work.code, work.execution_count) == ("hers", "ada", "work()", 4)
    kernel.idle("hers")
    await until(lambda: not client.runs.others)


async def test_a_beginning_and_an_end_of_anybody_s_request_is_a_change_and_a_question_is_none(
    channels: Channels, attach: Attach, until: Until
) -> None:
    kernel = channels(answers={"list_cells": []})
    client = await attach(kernel)
    changes: list[None] = []
    client.runs.on_change(lambda: changes.append(None))
    await client.reads.list_cells()
    assert await client.shell_is_free(1)
    assert changes == []
    kernel.busy("hers")
    kernel.idle("hers")
    await until(lambda: len(changes) == 2)
    kernel.break_off(there=False)
    await until(lambda: len(changes) == 3)


# What the kernel tells of a run unasked


async def test_what_the_kernel_told_of_a_run_holds_until_anything_happens(
    channels: Channels, attach: Attach, until: Until
) -> None:
    kernel = channels()
    client = await attach(kernel)
    run = await client.execute("1")
    kernel.busy(run.run_id)
    kernel.reply("shell", run.run_id, kernel.encoded(OUTCOME), wire.REPLY)
    await asyncio.sleep(0)
    assert client.runs.outcome_of(run) is None, "it is not over"
    kernel.reply("shell", run.run_id, OK)
    kernel.idle(run.run_id)
    assert await client.runs.wait(run, 5)
    assert client.runs.outcome_of(run) == OUTCOME
    kernel.busy("hers")
    await until(lambda: client.runs.others)
    assert client.runs.outcome_of(run) is None


async def test_what_the_kernel_told_is_of_one_run_only(channels: Channels, attach: Attach) -> None:
    kernel = channels()
    client = await attach(kernel)
    first = await client.execute("1")
    await finish(kernel, client, first)
    second = await client.execute("2")
    kernel.busy(second.run_id)
    kernel.reply("shell", second.run_id, kernel.encoded(OUTCOME), wire.REPLY)
    await finish(kernel, client, second)
    assert client.runs.outcome_of(first) is None
    assert client.runs.outcome_of(second) == OUTCOME


# Runs that nobody wants any more


def names(kernel: FakeChannels) -> list[str]:
    return [name for _, name, _ in kernel.sent]


async def test_a_waiting_run_that_is_given_up_is_cancelled_in_a_reactive_kernel(
    channels: Channels, attach: Attach, until: Until
) -> None:
    kernel = channels(answers={"cancel_run": None})
    client = await attach(kernel)
    run = await client.execute("while True: pass")
    await client.abandon(run)
    assert (run.status, run.cancelled) == ("queued", True)
    kernel.busy(run.run_id)
    await until(lambda: run.status == "running")
    kernel.reply("shell", run.run_id, {"status": "aborted"})
    kernel.idle(run.run_id)
    assert await client.runs.wait(run, 5)
    assert (run.status, "interrupt_request" in names(kernel)) == ("aborted", False)


async def test_a_run_whose_cancellation_is_not_kept_is_interrupted(
    channels: Channels, attach: Attach, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_tracker, "CANCEL_BOUND", 0.0)
    kernel = channels(answers={"cancel_run": None})
    client = await attach(kernel)
    run = await client.execute("while True: pass")
    await client.abandon(run)
    kernel.busy(run.run_id)
    await until(lambda: "interrupt_request" in names(kernel))


async def test_a_waiting_run_that_is_given_up_in_a_plain_kernel_is_interrupted_when_it_starts(
    channels: Channels, attach: Attach, until: Until
) -> None:
    kernel = channels(implementation="ipykernel")
    client = await attach(kernel)
    run = await client.execute("while True: pass")
    await client.abandon(run)
    assert "interrupt_request" not in names(kernel), "that would stop another client's code"
    kernel.busy(run.run_id)
    await until(lambda: "interrupt_request" in names(kernel))
    assert not run.unwanted


async def test_a_running_run_that_is_given_up_is_interrupted_at_once(
    channels: Channels, attach: Attach, until: Until
) -> None:
    kernel = channels()
    client = await attach(kernel)
    run = await client.execute("while True: pass")
    kernel.busy(run.run_id)
    await until(lambda: run.status == "running")
    await client.abandon(run)
    assert names(kernel)[-1] == "interrupt_request"
