"""Lines are counted as Jupyter and Python's tokenizer count them."""

import ast
import io
import tokenize
from pathlib import Path

import pytest

import marimo_kernel_bridge
from marimo_kernel_bridge.protocol.lines import count_lines, line_at, split_lines

NO_LINE_ENDS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
"""Characters at which `str.splitlines` ends a line, and neither Jupyter nor Python does."""


@pytest.mark.parametrize("character", NO_LINE_ENDS)
def test_what_ends_no_line_of_python_splits_no_text(character: str) -> None:
    code = f"a = 'x{character}y'\nb = 2"
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    assert len(split_lines(code)) == max(token.start[0] for token in tokens if token.string.strip()) == 2
    assert split_lines(code)[0] == f"a = 'x{character}y'"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\n\n", ["a", ""]),
        ("a\r\nb\rc\nd", ["a", "b", "c", "d"]),
        ("\n", [""]),
    ],
)
def test_each_line_end_ends_one_line(text: str, lines: list[str]) -> None:
    assert split_lines(text) == lines == text.splitlines()
    assert count_lines(text) == max(1, len(lines))
    assert [line_at(text, number) for number in range(1, len(lines) + 1)] == lines
    assert line_at(text, 0) == line_at(text, len(lines) + 1) == line_at(text, 10**6) == ""


def test_no_module_counts_lines_by_splitlines() -> None:
    root = Path(marimo_kernel_bridge.__file__).parent
    calls = [
        f"{path.relative_to(root)}:{node.lineno}"
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "splitlines"
    ]
    assert calls == []
