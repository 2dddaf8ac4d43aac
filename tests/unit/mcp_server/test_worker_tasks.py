"""What the process that reads a kernel's texts answers to each request, without that process."""

import json
from typing import Any

import pytest

from marimo_kernel_bridge.mcp_server.media import work
from marimo_kernel_bridge.mcp_server.media.framing import LENGTH, length_of, read, written

CELL = {
    "cell_type": "code",
    "id": "c1",
    "metadata": {},
    "source": "x = 1",
    "outputs": [],
    "execution_count": 1,
}
DOCUMENT = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [CELL]}
SECRETS = [["API_KEY", "hunter2hunter2"]]


def ask(task: str, **arguments: Any) -> Any:
    """Return the answer as it comes through the pipe."""
    sent = written({"task": task, "arguments": arguments})
    answered = written(work.answer(read(sent[LENGTH:])))
    assert length_of(answered[:LENGTH]) == len(answered) - LENGTH
    return read(answered[LENGTH:])


def result(task: str, **arguments: Any) -> Any:
    answer = ask(task, **arguments)
    assert answer.keys() == {"result"}, answer
    return answer["result"]


def test_long_texts_arrive_as_they_are_wherever_they_are() -> None:
    texts = ["\n" * 20_000, "é" * 20_000, "\ud800" * 20_000, "short"]
    for message in (
        {"result": texts[0]},
        {"result": {"text": texts[1], "notes": [texts[2]], "more": {"there": texts[0]}}, "\ud800": 1},
        {"arguments": dict(zip("abcd", texts, strict=True)), "task": "a", "none": None, "number": 1.5},
    ):
        sent = written(message)
        assert length_of(sent[:LENGTH]) == len(sent) - LENGTH
        assert read(sent[LENGTH:]) == message
    assert len(written({"result": texts[0]})) < 20_100  # it is not escaped


def test_lines_are_found_and_a_wrong_pattern_is_refused_with_its_reason() -> None:
    texts = [["c1", "code", "first\nsecond 2"]]
    assert result("find_lines", texts=texts, query=r"\d", limit=5, regex=True) == [
        [["c1", "code", 2, "second 2"]],
        1,
    ]
    refused = ask("find_lines", texts=texts, query="(", limit=5, regex=True)["refused"]
    assert (refused["code"], refused["hint"] != "") == ("bad_request", True)


def test_secrets_are_gone_from_outputs_texts_and_structured_answers() -> None:
    output = {"output_type": "stream", "name": "stdout", "text": "key hunter2hunter2\n"}
    shown = result("show", outputs=[output], drawings=None, secrets=SECRETS, pictures=False)
    text = result("redact", text="hunter2hunter2", secrets=SECRETS)
    texts, data = result(
        "redact_answer", texts=["hunter2hunter2"], data={"a": ["hunter2hunter2"]}, secrets=SECRETS
    )
    assert "hunter2" not in json.dumps([shown, text, texts, data])
    assert "key " in shown["text"]


def test_a_notebook_becomes_a_description_and_a_file() -> None:
    names = {"defines": ["x"], "uses": [], "upstream": [], "downstream": []}
    described = json.loads(result("description", document=DOCUMENT, name="a.ipynb", graph={"c1": names}))
    assert (described["source"], described["cells"][0]["defines"]) == ("a.ipynb", ["x"])
    text = result("document_text", document=DOCUMENT)
    assert (json.loads(text), text.endswith("}\n")) == (DOCUMENT, True)


@pytest.mark.parametrize(
    "request_",
    [{"task": "nothing", "arguments": {}}, {"task": "description", "arguments": {"document": 1}}],
)
def test_what_cannot_be_read_is_refused_with_the_class_of_the_error_alone(request_: dict[str, Any]) -> None:
    refused = work.answer(request_)["refused"]
    assert refused["code"] == "too_large"
    assert refused["message"].startswith("What the kernel sent cannot be read (")
