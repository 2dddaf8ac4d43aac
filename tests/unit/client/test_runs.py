"""What iopub messages and replies add up to. No kernel: the messages are written by hand."""

from __future__ import annotations

from typing import Any

import pytest

from marimo_kernel_bridge.client.channels import Message
from marimo_kernel_bridge.client.runs import MAX_STREAM_CHARACTERS, Activity, Reply, Run, RunStatus
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.changes import EditReport
from marimo_kernel_bridge.protocol.environment import InstallReport
from marimo_kernel_bridge.protocol.notebook import RunReport

Iopub = tuple[str, dict[str, Any]]

BUSY = ("status", {"execution_state": "busy"})
IDLE = ("status", {"execution_state": "idle"})
PRINTED = ("stream", {"name": "stdout", "text": "hi\n"})
OK = Reply("ok", 3)
FAILED = Reply("error", 3, "ValueError")
INTERRUPTED = Reply("error", 3, "KeyboardInterrupt")


def a_run(*events: Iopub | Reply | BridgeError) -> Run:
    """Events at seconds 1, 2, ...: (msg_type, content) from iopub, the reply, or the kernel's end."""
    run = Run("r-1", "execute", "code", sent_at=0.0)
    for now, event in enumerate(events, start=1):
        if isinstance(event, tuple):
            run.on_iopub(*event, float(now))
        elif isinstance(event, BridgeError):
            run.on_lost(event, float(now))
        else:
            run.on_reply(event, float(now))
    return run


@pytest.mark.parametrize(
    ("events", "status", "over"),
    [
        ([], "queued", False),
        ([BUSY], "running", False),
        ([BUSY, IDLE], "running", False),
        ([BUSY, OK], "running", False),
        ([BUSY, OK, IDLE], "ok", True),
        ([BUSY, IDLE, OK], "ok", True),
        ([BUSY, FAILED, IDLE], "error", True),
        ([BUSY, INTERRUPTED, IDLE], "interrupted", True),
        ([BUSY, Reply("aborted"), IDLE], "aborted", True),
        ([BUSY, BridgeError("kernel_dead", "gone")], "lost", True),
        ([BUSY, OK, BridgeError("kernel_dead", "gone")], "lost", True),
        ([BUSY, OK, IDLE, BridgeError("kernel_dead", "gone")], "ok", True),
    ],
)
def test_a_run_is_over_only_with_the_reply_and_idle(
    events: list[Iopub | Reply | BridgeError], status: RunStatus, over: bool
) -> None:
    run = a_run(*events)
    assert (run.status, run.over) == (status, over)


def test_times_are_those_of_the_first_busy_and_of_the_last_of_reply_and_idle() -> None:
    run = a_run(BUSY, PRINTED, OK, IDLE)
    assert (run.sent_at, run.started_at, run.last_output_at, run.ended_at) == (0.0, 1.0, 2.0, 4.0)


def test_outputs_between_reply_and_idle_belong_to_the_run() -> None:
    run = a_run(BUSY, OK, PRINTED, IDLE)
    assert run.log.outputs() == ({"output_type": "stream", "name": "stdout", "text": "hi\n"},)


def test_an_endless_print_is_cut_and_the_cut_is_counted() -> None:
    half = ("stream", {"name": "stdout", "text": "x" * (MAX_STREAM_CHARACTERS // 2)})
    run = a_run(BUSY, half, half, ("stream", {"name": "stdout", "text": "y" * 7}))
    assert len(run.log.outputs()[0]["text"]) == MAX_STREAM_CHARACTERS
    assert run.dropped_characters == 7


@pytest.mark.parametrize(
    "made",
    [
        ("display_data", {"data": {"image/png": "x" * 1000}}),
        ("execute_result", {"data": {"application/json": {"a": [["x" * 1000]]}}}),
        ("error", {"ename": "E", "evalue": "", "traceback": ["x" * 1000]}),
        ("stream", {"name": "stdout", "text": "a"}),
    ],
)
def test_outputs_without_end_are_not_kept(monkeypatch: pytest.MonkeyPatch, made: tuple[str, Any]) -> None:
    monkeypatch.setattr("marimo_kernel_bridge.client.runs.MAX_CHARACTERS", 10_000)
    run = a_run(BUSY)
    for number in range(100):  # a stream of two names is an output for each message
        name = {"name": f"s{number % 2}"} if made[0] == "stream" else {}
        run.on_iopub(made[0], made[1] | name, 1.0)
    assert 5 < len(run.log.outputs()) <= 20
    assert run.dropped_characters > 10_000


def test_an_animation_counts_once_and_a_cleared_output_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marimo_kernel_bridge.client.runs.MAX_CHARACTERS", 10_000)
    run = a_run(BUSY)
    shown = {"data": {"image/png": "x" * 4000}, "transient": {"display_id": "d"}}
    for _ in range(10):
        run.on_iopub("display_data", shown, 1.0)
        for _ in range(10):
            run.on_iopub("update_display_data", shown, 1.0)
        run.on_iopub("clear_output", {"wait": True}, 1.0)
    assert run.dropped_characters == 0
    run.on_iopub("update_display_data", shown | {"data": {"image/png": "x" * 20_000}}, 1.0)
    assert run.dropped_characters > 20_000
    assert len(run.log.outputs()[0]["data"]["image/png"]) == 4000


def test_a_kernel_that_begins_requests_without_end_is_not_followed() -> None:
    activity = Activity()
    for number in range(3000):
        activity.on_iopub(message("status", {"execution_state": "busy"}, f"r{number}"), 0.0)
    assert len(activity.working) == 1000
    assert activity.working[-1].request_id == "r2999"
    activity.on_iopub(message("status", {"execution_state": "busy"}, "r2999"), 0.0)
    assert len(activity.working) == 1000


def test_a_run_has_the_report_in_its_reply() -> None:
    report = RunReport("r-1", ("aaaa",), "agent", finished=True)
    assert a_run(BUSY).report() is None
    assert a_run(BUSY, Reply("ok", result=report), IDLE).report() is report
    edited = EditReport(applied=True, run=report)
    run = a_run(BUSY, Reply("ok", result=edited), IDLE)
    assert (run.report(), run.edit_report(), run.install_report()) == (report, edited, None)
    installed = InstallReport("pip", "/usr/bin/python", 0)
    run = a_run(BUSY, Reply("ok", result=installed), IDLE)
    assert (run.report(), run.edit_report(), run.install_report()) == (None, None, installed)


def test_a_refused_run_raises_the_refusal() -> None:
    refusal = BridgeError("no_such_cell", "There is no cell.")
    run = a_run(BUSY, Reply("error", refusal=refusal), IDLE)
    for report in (run.report, run.edit_report, run.install_report):
        with pytest.raises(BridgeError) as caught:
            report()
        assert caught.value is refusal


def message(
    msg_type: str,
    content: dict[str, Any],
    request: str | None = "other-1",
    *,
    parent_type: str = "execute_request",
) -> Message:
    return Message(msg_type, content, "session", request, parent_type, "ada")


def test_activity_knows_whose_request_runs_what_and_since_when() -> None:
    activity = Activity()
    activity.on_iopub(message(*BUSY), 10.0)
    activity.on_iopub(message("execute_input", {"code": "work()", "execution_count": 4}), 11.0)
    (work,) = activity.working
    assert (work.client, work.code, work.execution_count, work.since) == ("ada", "work()", 4, 10.0)
    activity.on_iopub(message(*IDLE), 12.0)
    assert activity.working == ()


def test_requests_that_only_look_are_no_activity() -> None:
    activity = Activity()
    activity.on_iopub(message(*BUSY, parent_type="kernel_info_request"), 1.0)
    activity.on_iopub(message(*BUSY, request=None), 1.0)
    activity.on_iopub(message("stream", {"name": "stdout", "text": "from a thread"}), 1.0)
    assert activity.working == ()


def test_activity_of_a_process_that_ended_is_forgotten() -> None:
    activity = Activity()
    activity.on_iopub(message(*BUSY), 1.0)
    activity.forget()
    assert activity.working == ()
