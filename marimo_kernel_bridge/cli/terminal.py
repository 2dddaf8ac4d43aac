"""What commands print. A terminal gets no control characters: notebooks, kernels and agents may have put some into what is told of them.

What goes into a file or a pipe stays as it is.
"""

from __future__ import annotations

import sys
import unicodedata
from typing import Final, TextIO

import click

_KEPT: Final = frozenset("\n\t\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}")
_ACTING: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of characters that are no sign themselves: of control, of direction, of lines."""


def echo(message: str | bytes = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a text, on standard error with `err`, and a line feed behind it with `nl`."""
    stream = sys.stderr if err else sys.stdout
    if isinstance(message, str):
        message = encodable(visible(message) if stream.isatty() else message, stream)
    click.echo(message, err=err, nl=nl)


def confirmed(question: str) -> bool:
    """Ask a person, on standard error. What is asked may quote an agent."""
    return click.confirm(visible(question), default=False, err=True)


def encodable(text: str, stream: TextIO) -> str:
    r"""Return a text that a stream can write: what it cannot becomes an escape like \ud800, which in JSON means the same."""
    encoding = stream.encoding or "utf-8"
    try:
        text.encode(encoding, stream.errors or "strict")
    except UnicodeEncodeError:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    return text


def visible(text: str) -> str:
    """Return a text with U+FFFD for each character that would act on a terminal."""
    if text.isprintable():
        return text
    return "".join(
        letter
        if letter.isprintable() or letter in _KEPT or unicodedata.category(letter) not in _ACTING
        else "\N{REPLACEMENT CHARACTER}"
        for letter in text
    )
