"""Outputs after iopub messages, as nbformat has them."""

from typing import Any

import pytest

from marimo_kernel_bridge.protocol import output_log as outputs
from marimo_kernel_bridge.protocol.output_log import OutputLog, strip_ansi

Folded = tuple[str, dict[str, Any]]
"""A message as (type, content)."""


def log(*messages: Folded) -> OutputLog:
    made = OutputLog()
    for msg_type, content in messages:
        made.apply(msg_type, content)
    return made


def out(text: str, name: str = "stdout") -> Folded:
    return ("stream", {"name": name, "text": text})


def display(text: str, display_id: str | None = None) -> Folded:
    transient = {"display_id": display_id} if display_id else {}
    return ("display_data", {"data": {"text/plain": text}, "metadata": {}, "transient": transient})


def update(text: str, display_id: str | None) -> Folded:
    return ("update_display_data", display(text, display_id)[1])


CLEAR, CLEAR_NEXT = ("clear_output", {"wait": False}), ("clear_output", {"wait": True})


@pytest.mark.parametrize(
    ("messages", "shown"),
    [
        ([out("a"), out("b")], ["ab"]),
        ([out("a"), out("b", "stderr"), out("c")], ["a", "b", "c"]),
        ([out("a"), CLEAR], []),
        ([out("a"), CLEAR_NEXT], ["a"]),
        ([out("a"), CLEAR_NEXT, out("b")], ["b"]),
        ([out("a"), CLEAR_NEXT, CLEAR, out("b"), out("c")], ["bc"]),
        ([display("x", "d"), display("y"), update("z", "d")], ["z", "y"]),
        ([display("x", "d"), display("y", "d"), update("z", "d")], ["z", "z"]),
        ([update("z", "unknown")], []),
        ([("error", {"ename": "E", "evalue": "v", "traceback": ["t"]})], ["E"]),
        ([out("a"), display("x"), out("b")], ["a", "x", "b"]),
    ],
)
def test_messages_fold_into_outputs(messages: list[Folded], shown: list[str]) -> None:
    def text(output: dict[str, Any]) -> object:
        return output.get("text") or output.get("ename") or output["data"]["text/plain"]

    assert [text(output) for output in log(*messages).outputs()] == shown


def test_results_keep_their_count_and_displays_have_none() -> None:
    content = {"data": {"text/plain": "1"}, "metadata": {}, "execution_count": 7}
    (result,) = log(("execute_result", content)).outputs()
    assert result == {"output_type": "execute_result", **content}
    assert "execution_count" not in log(display("x")).outputs()[0]


def test_reads_are_copies() -> None:
    made = log(out("a"))
    made.outputs()[0]["text"] = "changed"
    assert made.outputs()[0]["text"] == "a"


def test_restart_forgets_all_and_a_pending_clear_too() -> None:
    made = log(out("a"), CLEAR_NEXT)
    made.restart()
    made.apply(*out("b"))
    made.apply(*out("c"))
    assert made.outputs()[0]["text"] == "bc"


def test_colours_are_stripped() -> None:
    assert strip_ansi("\x1b[0;31mred\x1b[0m") == "red"


def test_a_stream_without_end_is_kept_at_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "KEPT", 100)
    made = OutputLog()
    for number in range(1000):
        made.apply(*out(f"{number:04d} "))
    (output,) = made.outputs()
    assert output["text"].startswith("0000 0001 ")
    assert output["text"].endswith("0998 0999 ")
    assert "characters were not kept" in output["text"]
    assert len(output["text"]) < 200


@pytest.mark.parametrize(("most", "kept"), [(0, ("", "")), (1, ("", "")), (4, ("ab", "yz"))])
def test_a_text_that_is_cut_keeps_its_ends_and_nothing_where_nothing_is_wanted(
    most: int, kept: tuple[str, str]
) -> None:
    stream = {"output_type": "stream", "name": "stdout", "text": "ab" + "-" * 50 + "yz"}
    text = outputs.shortened([stream], most)[0]["text"]
    first, _, last = text.split("\n")
    assert (first, last) == kept
