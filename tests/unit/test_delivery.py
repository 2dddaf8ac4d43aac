"""Which message goes to which parent, for each way of delivery; no sockets."""

from collections.abc import Iterable
from typing import Any

import pytest

from marimo_kernel_bridge.kernel.front_ends import Message, dialect_of
from marimo_kernel_bridge.kernel.outputs.delivery import (
    DisplayUpdates,
    HeldMessages,
    LateMessages,
    PrintedBelow,
    same_outputs,
)

CELL = {"msg_id": "cell"}
NOW = {"msg_id": "now"}
INNER = {"msg_id": "now/Hbol"}


def stream(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def result(text: str, count: int = 1) -> dict[str, Any]:
    data = {"text/plain": text}
    return {"output_type": "execute_result", "data": data, "metadata": {}, "execution_count": count}


def sent(messages: Iterable[Message]) -> list[tuple[str, object, str]]:
    """Messages as (type, the telling part of the content, parent)."""
    told = []
    for message in messages:
        content = message.content
        what = content.get("text") or content.get("data", {}).get("text/plain", content.get("wait"))
        told.append((message.msg_type, what, message.parent["msg_id"]))
    return told


@pytest.mark.parametrize(
    ("metadata", "allow_stdin", "client", "dialect"),
    [
        ({"cellId": "ab12", "deletedCells": []}, True, None, "lab"),
        ({"cellId": "vscode-notebook-cell:/x.ipynb#W0"}, True, None, "vscode"),
        ({}, False, None, "batch"),
        ({}, True, None, "terminal"),
        ({"cellId": "ab12"}, True, "claude", "agent"),
    ],
)
def test_front_ends_are_told_by_their_requests(
    metadata: dict[str, Any], allow_stdin: bool, client: str | None, dialect: str
) -> None:
    assert dialect_of(metadata, allow_stdin=allow_stdin, client=client) == dialect


def test_late_output_clears_first_and_passes_as_it_comes() -> None:
    late = LateMessages(CELL)
    assert sent(late.begin(None)) == [("clear_output", True, "cell")]
    assert sent(late.output("stream", stream("hi"))) == [("stream", "hi", "cell")]
    assert late.end((stream("old"),), (stream("hi"),)) == []


def test_late_run_without_output_clears_at_its_end() -> None:
    late = LateMessages(CELL)
    late.begin(None)
    assert sent(late.end((stream("old"),), ())) == [("clear_output", False, "cell")]


def test_a_notice_comes_above_the_outputs() -> None:
    notice = {"data": {"text/plain": "changed"}, "metadata": {}}
    assert sent(LateMessages(CELL).begin(notice))[1] == ("display_data", "changed", "cell")


def test_held_output_is_kept_and_nothing_is_sent() -> None:
    held = HeldMessages(LateMessages(CELL))
    assert held.begin(None) + held.output("stream", stream("hi")) + held.end((), (stream("hi"),)) == []
    assert sent(held.kept) == [("clear_output", True, "cell"), ("stream", "hi", "cell")]


def updated(*display_ids: str | None) -> DisplayUpdates:
    return DisplayUpdates(INNER, NOW, "↻ cell", display_ids)


def test_batch_results_are_replaced_by_display_id_under_the_current_request() -> None:
    messages = updated("d0").end((result("1"),), (result("2"),))
    assert sent(messages) == [("update_display_data", "2", "now")]
    assert messages[0].content["transient"] == {"display_id": "d0"}


def test_batch_streams_and_errors_are_shown_under_the_current_request() -> None:
    error = {"output_type": "error", "ename": "E", "evalue": "v", "traceback": []}
    messages = updated(None).end((stream("1"),), (stream("2"), error))
    assert [m.msg_type for m in messages] == ["stream", "stream", "error"]
    assert sent(messages)[:2] == [("stream", "↻ cell\n", "now"), ("stream", "2", "now")]


def test_batch_outputs_that_are_gone_become_empty() -> None:
    messages = updated("d0", "d1").end((result("1"), result("2")), (result("1"),))
    assert sent(messages) == [("update_display_data", "1", "now"), ("update_display_data", "", "now")]


def test_batch_says_nothing_of_what_did_not_change() -> None:
    assert updated("d0").end((result("1", 1), stream("x")), (result("1", 9), stream("x"))) == []


def test_terminals_print_changes_with_a_heading_and_no_second_result() -> None:
    printed = PrintedBelow(INNER, NOW, "↻ cell")
    assert printed.begin(None) + printed.output("stream", stream("2")) == []
    assert sent(printed.end((result("1"),), (result("2"),))) == [
        ("stream", "↻ cell\n", "now"),
        ("display_data", "2", "now"),
    ]
    assert printed.end((result("1"),), (result("1"),)) == []


@pytest.mark.parametrize("delivery", [updated("d0"), PrintedBelow(INNER, NOW, "h")])
def test_displays_that_user_code_updates_itself_pass_at_once(delivery: DisplayUpdates | PrintedBelow) -> None:
    content = {"data": {"text/plain": "3"}, "transient": {"display_id": "users"}}
    assert delivery.output("update_display_data", content) == [Message("update_display_data", content, NOW)]


def test_same_outputs_ignores_counts() -> None:
    assert same_outputs((result("1", 1),), (result("1", 2),))
    assert not same_outputs((result("1"),), (result("2"),))
