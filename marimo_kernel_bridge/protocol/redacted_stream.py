"""Redaction of a text that arrives in pieces, for secrets that begin in one piece and end in another. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from marimo_kernel_bridge.protocol.redaction import Redactor

_LONGEST_KEY: Final = 64 * 1024
_LONGEST_WORD: Final = 4096
_BEGIN: Final = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}?(?:PRIVATE KEY|\Z)")
_END: Final = re.compile(r"-----END [A-Z0-9 ]{0,40}?PRIVATE KEY(?: BLOCK)?-----")
_OPENING: Final = re.compile(
    r"(?i)(?<![\w-])[\w-]{0,40}?(?:authorization|bearer|machine|password|access_?key|[_-](?:token|key|secret)|cookie|curl )[^\n]{0,200}\Z"
)
"""The beginning of a line in which a secret follows a word and a space."""


class RedactedStream:
    """A stream that is passed on without secrets: what may be the beginning of one waits until its end is known."""

    def __init__(self) -> None:
        self._held = ""

    def add(self, text: str, redactor: Redactor) -> str:
        """Take the next piece; return what can be passed on."""
        text = self._held + text
        end = _end_of_what_is_known(text, redactor.spaced, redactor.longest)
        self._held = text[end:]
        return redactor.text(text[:end])

    def flush(self, redactor: Redactor) -> str:
        """Return what was held back, at the end of the stream or before other output."""
        held, self._held = self._held, ""
        return redactor.text(held)


def _end_of_what_is_known(text: str, spaced: list[str], longest: int) -> int:
    """Return where the last word begins, or the key, value or header that is not over.

    `spaced`: values with white space; `longest`: the length of the longest value.
    """
    end = len(text)
    begin = text.rfind("-----BEGIN ")
    closed = None
    if begin >= 0 and end - begin < _LONGEST_KEY and _BEGIN.match(text, begin):
        closed = _END.search(text, begin)
        end = begin if closed is None else end
    last = text[max(0, end - max(_LONGEST_WORD, longest)) : end]
    if last and not last[-1].isspace():
        end -= len(last.rsplit(None, 1)[-1])
    if opening := _OPENING.search(text, max(0, end - _LONGEST_WORD), end):
        end = opening.start()
    if closed is not None:
        end = max(end, closed.end())
    for form in spaced:
        start = text.find(form[0], max(0, end - len(form) + 1))
        while 0 <= start < end:
            if form.startswith(text[start : start + len(form)]):
                end = start
            start = text.find(form[0], start + 1)
    return end
