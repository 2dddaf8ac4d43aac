"""What IPython expands in the line of a magic or a shell command: `{expression}` and `$name`.

As `IPython.utils.text.DollarFormatter` reads it, whose pattern takes time by the square of the text's length.
"""

from __future__ import annotations

import re
from string import Formatter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

Part = tuple[str, str | None, str | None, str | None]
"""Text, and the expression after it, its format and its conversion, as `string.Formatter.parse` has them."""

_DOLLAR: Final = re.compile(r"\$(\$?[\w.]+)")


def parse(text: str) -> Iterator[Part]:
    """Yield the parts of a command. Raises `ValueError` for braces that do not pair, as IPython does."""
    for literal, field, spec, conversion in Formatter().parse(text):
        kept, begins = "", 0
        quotes, looked_at = literal.count("'"), 0  # those after `looked_at`
        for match in _DOLLAR.finditer(literal):
            quotes -= literal.count("'", looked_at, match.end())
            looked_at = match.end()
            if quotes % 2:  # it stands in single quotes
                continue
            line = max(
                begins, literal.rfind("\n", begins, match.start()) + 1
            )  # what is before is lost, as with IPython
            before, begins = literal[line : match.start()], match.end()
            if match[1].startswith("$"):
                kept += before + match[1]
            else:
                yield kept + before, match[1], "", None
                kept = ""
        yield kept + literal[begins:], field, spec, conversion
