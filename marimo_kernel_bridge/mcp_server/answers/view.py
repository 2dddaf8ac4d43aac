"""The common base of answers: a frozen dataclass for programs, and the same as short text for models.

Some hosts show a model only the structured content of an answer, others only its text, so each form is complete.
Only images are exclusive to the content list with the text. Independent of kernels and of the MCP library.
"""

from __future__ import annotations

import re
from dataclasses import Field, fields, is_dataclass
from functools import lru_cache
from typing import Any, ClassVar, Final, Protocol

from marimo_kernel_bridge.mcp_server.answers.tables import as_table, as_text, names_of, tables_of, untold_of
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK

CODE_WIDTH: Final = 80

_FIRST_LINE: Final = re.compile(r"\S[^\r\n]*")
_BLANK: Final = 10_000  # characters
_MAY_END_A_LINE: Final = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
"""Characters that end a line for `str.splitlines` and some displays, but not in a cell."""


class View(Protocol):
    """An answer: a frozen dataclass, which is its structured form, and the same as text."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def text(self) -> str: ...


def as_data(view: View, *, tables: bool = False) -> dict[str, Any]:
    """Return a view as structured content, without default values: a model pays for every null. `tables`: see there."""
    data: dict[str, Any] = _plain(view, tables=tables)
    return data


@lru_cache(maxsize=256)
def fields_of(kind: type[View]) -> tuple[Field[Any], ...]:
    """Return the fields of a part of an answer: `fields` goes through all that a class has, each time."""
    return fields(kind)


def first_line(code: str, width: int = CODE_WIDTH) -> str:
    """Return the first line of code that is not blank, cut to a width; empty if blank lines take more than `_BLANK`."""
    found = _FIRST_LINE.search(code, 0, _BLANK)
    line = found[0].rstrip() if found else ""
    return line if len(line) <= width else line[: width - 1] + "…"


def one_line(text: str) -> str:
    """Return a line of code or output with other line separators escaped, so that it is one line for every reader."""
    return _MAY_END_A_LINE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def quoted(code: str) -> str:
    """Return a line of code in backquotes."""
    return f"`{one_line(code)}`"


def who(client: str) -> str:
    """Return a client's name as every answer and resource tells it: the person, or an agent's."""
    return "the person" if client == NOTEBOOK else client or "another client"


def _plain(value: Any, *, tables: bool) -> Any:
    if is_dataclass(value):
        plain = {
            field.name: _plain(item, tables=tables)
            for field in fields_of(type(value))  # type: ignore[arg-type]  # mypy: classes are not Hashable
            if (item := getattr(value, field.name)) != field.default
        }
        if tables:
            kind = type(value)
            lists = {name: of for name, of in tables_of(kind).items() if plain.get(name) is not None}
            plain |= {name: as_table(plain[name], of) for name, of in lists.items()}
            plain |= {name: as_text(plain[name]) for name in plain.keys() & names_of(kind)}
            for name in untold_of(value):
                plain.pop(name, None)
        return plain
    if isinstance(value, tuple):
        return [_plain(item, tables=tables) for item in value]
    return round(value, 3) if isinstance(value, float) else value


def whole_line(full: str | None) -> list[str]:
    """Return the line that names the resource with the complete answer, if this one is incomplete."""
    return [f"--- the whole: resource {full}"] if full else []
