"""Which text stands for an output."""

from __future__ import annotations

from typing import Any

import pytest

from marimo_kernel_bridge.protocol.output_text import joined, plain_text, shown_text

RED = "\x1b[31m"
ERROR = {
    "output_type": "error",
    "ename": "ValueError",
    "evalue": "no",
    "traceback": [f"{RED}Traceback", "ValueError: no"],
}


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ({"output_type": "stream", "name": "stdout", "text": f"{RED}hi\n"}, "hi\n"),
        ({"output_type": "stream", "name": "stdout", "text": ["a\n", "b"]}, "a\nb"),
        ({"output_type": "display_data", "data": {"text/plain": "<Figure>", "image/png": "x"}}, "<Figure>"),
        ({"output_type": "execute_result", "data": {"text/plain": ["4", "2"]}}, "42"),
        ({"output_type": "display_data", "data": {"image/png": "x"}}, ""),
        ({"output_type": "display_data"}, ""),
        (ERROR, "ValueError: no"),
    ],
)
def test_each_output_has_a_text(output: dict[str, Any], text: str) -> None:
    assert plain_text(output) == text


def test_an_error_has_a_traceback_on_demand() -> None:
    assert plain_text(ERROR, traceback=True) == "Traceback\nValueError: no"
    assert plain_text({"output_type": "error", "traceback": None}, traceback=True) == ""


def test_of_a_long_text_only_the_beginning_is_looked_at() -> None:
    assert plain_text({"output_type": "stream", "text": "abc"}, most=2) == "ab"
    assert plain_text({"output_type": "display_data", "data": {"text/plain": "abc"}}, most=2) == "ab"


def test_outputs_are_shown_one_below_the_other() -> None:
    stream = {"output_type": "stream", "name": "stdout", "text": "hi\n"}
    assert shown_text([stream, ERROR]) == "hi\nValueError: no"


@pytest.mark.parametrize(("text", "whole"), [("a", "a"), (["a", "b"], "ab"), (None, ""), (3, "3")])
def test_lines_of_a_text_are_joined(text: object, whole: str) -> None:
    assert joined(text) == whole
