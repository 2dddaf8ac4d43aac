"""What iopub messages and replies add up to. No kernel: the messages are written by hand."""

import pytest

from marimo_kernel_bridge.client.runs import MAX_STREAM_CHARACTERS, Activity, Run
from marimo_kernel_bridge.errors import BridgeError

BUSY = ("status", {"execution_state": "busy"})
IDLE = ("status", {"execution_state": "idle"})
PRINTED = ("stream", {"name": "stdout", "text": "hi\n"})
OK = {"status": "ok", "execution_count": 3}


def a_run(*events) -> Run:
    """Events at seconds 1, 2, ...: (msg_type, content) from iopub, or the content of the reply."""
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
        ([BUSY, {"status": "error", "ename": "ValueError"}, IDLE], "error", True),
        ([BUSY, {"status": "error", "ename": "KeyboardInterrupt"}, IDLE], "interrupted", True),
        ([BUSY, {"status": "aborted"}, IDLE], "aborted", True),
        ([BUSY, {"status": "abort"}, IDLE], "aborted", True),
        ([BUSY, BridgeError("kernel_dead", "gone")], "lost", True),
        ([BUSY, OK, BridgeError("kernel_dead", "gone")], "lost", True),
        ([BUSY, OK, IDLE, BridgeError("kernel_dead", "gone")], "ok", True),
    ],
)
def test_a_run_is_over_only_with_the_reply_and_idle(events, status, over):
    run = a_run(*events)
    assert (run.status, run.over) == (status, over)


def test_times_are_those_of_the_first_busy_and_of_the_last_of_reply_and_idle():
    run = a_run(BUSY, PRINTED, OK, IDLE)
    assert (run.sent_at, run.started_at, run.last_output_at, run.ended_at) == (0.0, 1.0, 2.0, 4.0)


def test_outputs_between_reply_and_idle_belong_to_the_run():
    run = a_run(BUSY, OK, PRINTED, IDLE)
    assert run.log.outputs() == ({"output_type": "stream", "name": "stdout", "text": "hi\n"},)


def test_an_endless_print_is_cut_and_the_cut_is_counted():
    half = ("stream", {"name": "stdout", "text": "x" * (MAX_STREAM_CHARACTERS // 2)})
    run = a_run(BUSY, half, half, ("stream", {"name": "stdout", "text": "y" * 7}))
    assert len(run.log.outputs()[0]["text"]) == MAX_STREAM_CHARACTERS
    assert run.dropped_characters == 7


def message(msg_type, content, request="other-1", *, parent_type="execute_request", username="ada"):
    return {
        "header": {"msg_type": msg_type},
        "parent_header": {"msg_id": request, "msg_type": parent_type, "username": username},
        "content": content,
    }


def test_activity_knows_whose_request_runs_what_and_since_when():
    activity = Activity()
    activity.on_iopub(message(*BUSY), 10.0)
    activity.on_iopub(message("execute_input", {"code": "work()", "execution_count": 4}), 11.0)
    (work,) = activity.working
    assert (work.client, work.code, work.execution_count, work.since) == ("ada", "work()", 4, 10.0)
    activity.on_iopub(message(*IDLE), 12.0)
    assert activity.working == ()


def test_requests_that_only_look_are_no_activity():
    activity = Activity()
    activity.on_iopub(message(*BUSY, parent_type="kernel_info_request"), 1.0)
    activity.on_iopub(message(*BUSY, request=None), 1.0)
    activity.on_iopub(message("stream", {"name": "stdout", "text": "from a thread"}), 1.0)
    assert activity.working == ()


def test_activity_of_a_process_that_ended_is_forgotten():
    activity = Activity()
    activity.on_iopub(message(*BUSY), 1.0)
    activity.forget()
    assert activity.working == ()
