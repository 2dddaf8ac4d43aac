"""Text as nbformat stores it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marimo_kernel_bridge.notebooks.nbformat_json import lines, serialized, source_of
from marimo_kernel_bridge.protocol.output_text import joined


@given(st.text())
def test_a_text_that_was_split_into_lines_joins_to_itself(text: str) -> None:
    assert joined(lines(text)) == text


def test_only_line_feeds_split_lines() -> None:
    assert lines("a\nb\u2028c\rd\n") == ["a\n", "b\u2028c\rd\n"]


@pytest.mark.parametrize(("text", "expected"), [(None, ""), ([], ""), ("a", "a"), (["a", 1], "a1"), (3, "3")])
def test_whatever_stands_for_a_text_is_joined(text: object, expected: str) -> None:
    assert joined(text) == expected
    assert source_of({"source": text}) == expected


def test_a_file_ends_in_a_line_feed_and_keeps_letters_readable() -> None:
    assert serialized({"a": "é"}) == '{\n "a": "é"\n}\n'
