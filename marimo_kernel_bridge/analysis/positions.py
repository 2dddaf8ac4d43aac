"""Positions in a cell's text: from Python's lines and byte columns to offsets, also inside f-strings.

Before Python 3.12, the positions of nodes inside an f-string are wrong, so its fields are located by scanning the
literal.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator


_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n?|\n|\Z)")
"""A line as Python's parser counts them, with its end: a form feed or U+2028 ends none."""


class Text:
    """A piece of Python in a cell. `base` is the offset of its first character in the cell."""

    def __init__(self, source: str, base: int = 0) -> None:
        self.source, self.base = source, base
        self._lines = _LINE.findall(source)
        self._starts = [0, *accumulate(map(len, self._lines))]

    def offset(self, line: int, column: int) -> int:
        """Return the offset in the cell of a line (from 1) and a column in UTF-8 bytes (from 0), as in `ast`."""
        text = self._lines[line - 1]
        width = column if text.isascii() else len(text.encode()[:column].decode(errors="replace"))
        return self.base + self._starts[line - 1] + width

    def span(
        self, node: ast.expr | ast.stmt | ast.alias | ast.ExceptHandler | ast.pattern
    ) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            self.offset(node.lineno, node.col_offset),
            self.offset(node.end_lineno, node.end_col_offset),
        )

    def literal(self, node: ast.expr) -> tuple[str, int]:
        """Return the text of an expression, and its offset in the cell."""
        start, end = self.span(node)
        return self.source[start - self.base : end - self.base], start


@dataclass(frozen=True)
class Field:
    """A replacement field of an f-string. `shows_itself` is the span of `{x=}` with its braces."""

    tree: ast.expr
    text: Text
    shows_itself: tuple[int, int] | None = None


def fields(literal: str, base: int) -> Iterator[Field]:
    """Yield the replacement fields of a string literal, or of several adjacent ones, in reading order."""
    if not hasattr(tokenize, "FSTRING_START"):
        yield from _fields_of_tokens(literal, base)
    else:  # since Python 3.12 the tokenizer splits f-strings
        yield from _fields_of_parts(literal, base)


def _fields_of_tokens(literal: str, base: int) -> Iterator[Field]:
    for token, start in _tokens(literal):
        if token.type != tokenize.STRING:
            continue
        quote = min(at for at in (token.string.find("'"), token.string.find('"')) if at >= 0)
        if "f" not in token.string[:quote].lower():
            continue
        width = 3 if token.string[quote : quote + 3] in {"'''", '"""'} else 1
        inner = token.string[quote + width : -width]
        yield from _fields_of_body(inner, base + start + quote + width)


def _fields_of_parts(literal: str, base: int) -> Iterator[Field]:
    """Read f-strings token by token: since Python 3.12, nested quotes may be of any kind."""
    depth, start = 0, 0
    for token, at in _tokens(literal):
        name = tokenize.tok_name[token.type]
        if name == "FSTRING_START":
            depth += 1
            if depth == 1:
                start = at + len(token.string)
        elif name == "FSTRING_END":
            depth -= 1
            if depth == 0:
                yield from _fields_of_body(literal[start:at], base + start)


def _tokens(literal: str) -> Iterator[tuple[tokenize.TokenInfo, int]]:
    """Yield the tokens of a literal, which may have several lines, with their offsets in it."""
    enclosed = Text(f"({literal}\n)", -1)
    try:
        for token in tokenize.generate_tokens(io.StringIO(enclosed.source).readline):
            if token.type == tokenize.ENDMARKER:
                return
            yield token, enclosed.offset(token.start[0], 0) + token.start[1]
    except (tokenize.TokenError, SyntaxError):
        return


def _fields_of_body(body: str, base: int) -> Iterator[Field]:
    at = 0
    while at < len(body):
        if body[at : at + 2] in {"{{", "}}"}:
            at += 2
        elif body[at] == "{":
            end = _end_of_expression(body, at + 1)
            yield from _field(body, at, end, base)
            close = _end_of_field(body, end)
            if body[end : end + 1] == ":" or ":" in body[end:close]:
                spec = body.index(":", end) + 1
                yield from _fields_of_body(body[spec:close], base + spec)
            at = close + 1
        else:
            at += 1


def _field(body: str, start: int, end: int, base: int) -> Iterator[Field]:
    source = body[start + 1 : end]
    shown = source.rstrip().endswith("=") and not source.rstrip().endswith(("==", "!=", "<=", ">="))
    expression = source.rstrip()[:-1] if shown else source
    lead = len(expression) - len(expression.lstrip())
    try:
        tree = ast.parse(f"({expression.lstrip()}\n)", mode="eval").body
    except (SyntaxError, ValueError):
        return
    whole = (base + start, base + end + 1) if shown and body[end : end + 1] == "}" else None
    plain = whole is not None and source == f"{expression.strip()}="
    yield Field(tree, Text(f"({expression.lstrip()}\n)", base + start + lead), whole if plain else None)


def _end_of_expression(body: str, at: int) -> int:
    """Return the end of the expression that starts at `at`: its `!r`, its `:spec` or its brace."""
    depth, quote = 0, ""
    while at < len(body):
        character = body[at]
        if quote:
            if body.startswith(quote, at):
                at += len(quote)
                quote = ""
                continue
            at += 2 if character == "\\" else 1
            continue
        if character in "'\"":
            quote = body[at : at + 3] if body[at : at + 3] in {"'''", '"""'} else character
            at += len(quote)
            continue
        if character in "([{":
            depth += 1
        elif depth and character in ")]}":
            depth -= 1
        elif not depth and (character in "}:" or (character == "!" and body[at + 1 : at + 2] != "=")):
            return at
        at += 1
    return at


def _end_of_field(body: str, at: int) -> int:
    depth = 0
    while at < len(body):
        if body[at] == "{":
            depth += 1
        elif body[at] == "}":
            if not depth:
                return at
            depth -= 1
        at += 1
    return at
