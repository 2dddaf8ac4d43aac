"""Python source as text: parsing, the value that a cell shows, and edits that keep all other text unchanged."""

from __future__ import annotations

import ast
import io
import tokenize

from marimo_kernel_bridge.analysis.name_uses import parse
from marimo_kernel_bridge.importing.known_values import containers_in, value_of
from marimo_kernel_bridge.protocol.lines import split_lines


def parses(source: str) -> bool:
    """Return whether code is Python; top-level `await` is allowed."""
    try:
        parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def is_expression(code: str) -> bool:
    try:
        ast.parse(code, mode="eval")
    except (SyntaxError, ValueError):
        return False
    return True


def span(code: str, node: ast.expr | ast.stmt) -> tuple[int, int]:
    lines = code.split("\n")

    def offset(line: int, column: int) -> int:
        return sum(len(text) + 1 for text in lines[: line - 1]) + len(
            lines[line - 1].encode()[:column].decode()
        )

    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return offset(node.lineno, node.col_offset), offset(node.end_lineno, node.end_col_offset)


def with_value(code: str, name: str) -> tuple[str, str]:
    """Bind the value of a cell's last expression to a name; return the code and the name ("" if it shows nothing)."""
    if not code.strip() or not parses(code):
        return code, ""
    tree = parse(code)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr) or hides_its_value(code):
        return code, ""
    if value_of(last.value, containers_in(code)) == "none":
        return code, ""
    start, end = span(code, last)
    value = code[start:end]
    if "\n" in value and not value.startswith(("(", "[", "{")):
        value = f"({value})"
    return f"{code[:start]}{name} = {value}{code[end:]}", name


def hides_its_value(code: str) -> bool:
    """Return whether a cell ends with a semicolon, which hides its value."""
    last = ""
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type not in {
                tokenize.COMMENT,
                tokenize.NL,
                tokenize.NEWLINE,
                tokenize.ENDMARKER,
                tokenize.DEDENT,
            }:
                last = token.string
    except (tokenize.TokenError, SyntaxError, IndentationError):
        return False
    return last == ";"


def indented(code: str) -> str:
    """Indent code by four columns, except the lines inside a string."""
    inside: set[int] = set()
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.STRING or tokenize.tok_name[token.type] in {
                "FSTRING_MIDDLE",
                "FSTRING_END",
            }:
                inside.update(range(token.start[0] + 1, token.end[0] + 1))
    except (tokenize.TokenError, SyntaxError, IndentationError):
        pass
    return "\n".join(
        line if number in inside or not line.strip() else f"    {line}"
        for number, line in enumerate(code.split("\n"), start=1)
    )


def first_line(text: str) -> str:
    return text.strip().split("\n")[0].rstrip()


def commented(source: str) -> str:
    return "\n".join(f"# {line}".rstrip() for line in split_lines(source))
