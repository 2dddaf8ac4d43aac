"""Lines of code and of outputs, counted as Jupyter and Python's tokenizer count them. Pure."""

from __future__ import annotations

import re
from typing import Final

_LINE_END: Final = re.compile(r"\r\n?|\n")


def split_lines(text: str) -> list[str]:
    r"""Split a text at `\n`, `\r\n` and `\r`; a line end at the end of the text does not start another line.

    `str.splitlines` also splits at form feeds, U+0085, U+2028 and others, which do not end a line of a cell.
    """
    lines = _LINE_END.split(text)
    return lines if lines[-1] else lines[:-1]
