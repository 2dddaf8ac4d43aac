"""Characters that end a line for `str.splitlines` and not for Python, such as a form feed and U+2028.

marimo indents the lines of a cell with `textwrap.indent`, which takes them for line ends and so puts spaces into strings.
In code they become escapes, or blanks where they mean nothing.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.positions import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

_BREAKS: Final = "\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_BREAK: Final = re.compile(f"[{_BREAKS}]")
_ESCAPABLE: Final = re.compile(rf"(?<!\\)((?:\\\\)*)([{_BREAKS}])")
_INDENTATION: Final = re.compile(r"(?m)^[ \t]*\f")
"""A form feed in indentation: Python counts the columns after it."""


def without_breaks(text: str) -> str:
    """Return a text for people, such as Markdown, with blanks for these characters."""
    return _BREAK.sub(" ", text)


def with_escaped_breaks(code: str) -> str:
    """Return code with the same meaning and without these characters; the same code where that is not possible."""
    if not _BREAK.search(code):
        return code
    pieces, at = [], 0
    for start, end in _strings(code):
        pieces += [_blank(code[at:start]), _escaped(code[start:end])]
        at = end
    written = "".join([*pieces, _blank(code[at:])]).strip("\n")
    return written if _meaning(written) == _meaning(code) is not None else code


def _blank(code: str) -> str:
    return _BREAK.sub(" ", _INDENTATION.sub("", code))


def _escaped(literal: str) -> str:
    prefix = re.match(r"\w*", literal)
    raw, formatted = (prefix is not None and letter in prefix[0].lower() for letter in "rf")
    if raw and not formatted and _BREAK.search(literal):
        return ascii(ast.literal_eval(literal))
    while _ESCAPABLE.search(literal):
        literal = _ESCAPABLE.sub(lambda found: found[1] + ascii(found[2])[1:-1], literal)
    return literal


def _strings(code: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of the string literals; an f-string is one, with all that is in it."""
    lines, depth, start = Text(code), 0, 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            name = tokenize.tok_name[token.type]
            begin, end = (lines.offset(line, 0) + column for line, column in (token.start, token.end))
            if name == "FSTRING_START":
                start = begin if not depth else start
                depth += 1
            elif name == "FSTRING_END":
                depth -= 1
                if not depth:
                    yield start, end
            elif name == "STRING" and not depth:
                yield begin, end
    except (tokenize.TokenError, SyntaxError):
        return


def _meaning(code: str) -> str | None:
    try:
        return ast.dump(ast.parse(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
