"""Completion of code, and what a name in it is, from the live namespace. Evaluates nothing (`static_values`).

What is asked about is the end of the code, which is looked at backwards, up to a bound.
"""

from __future__ import annotations

import builtins
import difflib
import keyword
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from marimo_kernel_bridge.inspecting.signatures import (
    documentation,
    kind_of,
    parameters,
    place,
    signature,
)
from marimo_kernel_bridge.inspecting.static_values import (
    InstanceOf,
    Known,
    Namespace,
    attributes,
    loaded_module,
)
from marimo_kernel_bridge.inspecting.value_text import (
    class_name,
    first_items,
    library_class,
    shorten,
)
from marimo_kernel_bridge.inspecting.variables import describe
from marimo_kernel_bridge.protocol.inspection import Completion, Completions, Documentation

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from marimo_kernel_bridge.inspecting.static_values import Found, Names

_LOOKED_AT: Final = 20_000
"""Characters at the end of the code."""
_LONGEST_STATEMENT: Final = 1000
_MOST_KEYS: Final = 1000
_LONGEST_NAME: Final = 200
_NAME: Final = re.compile(r"[^\W\d]\w*\Z")
_LITERAL: Final = re.compile(r"""(?:"[^"\n]*"|'[^'\n]*')\Z""")
_PART: Final = re.compile(r"(?<!\w)\w*+\Z")
_IMPORT: Final = re.compile(r"(?:^|\n|;)[ \t]*+(?:from|import)[ \t]++(?:[\w., ]*[, ])?([\w.]*+)\Z")
_FROM: Final = re.compile(
    r"(?:^|\n|;)[ \t]*+from[ \t]++([\w.]++)[ \t]++import[ \t]++\(?(?=[\w, \t\n]*+\Z)[\w, \t\n]*?(\w*+)\Z"
)
_KEY: Final = re.compile(r"""\[\s*(["'])([^"'\n]*)\Z""")
_CLOSING: Final = {")": "(", "]": "[", "}": "{"}
_TABLES: Final = (("pandas", "DataFrame"), ("polars", "DataFrame"))
_CHANGED: Final = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True)
class _Asked:
    """What the code ends with: a name that begins with `part`, of an object if `owner` is not None, or in a call."""

    part: str
    owner: str | None = None
    call: str | None = None


def complete(names: Names, code: str, limit: int, hidden: Container[str] = ()) -> Completions:
    """Return what may stand at the end of code: names, attributes, keys, columns, arguments, modules."""
    before = code[-_LOOKED_AT:]
    line = before[-_LONGEST_STATEMENT:]
    space = Namespace(names, code[: code.rfind("\n") + 1])
    if (found := _FROM.search(line)) is not None:
        return _chosen(found[2], _members(loaded_module(found[1])), limit)
    if (found := _IMPORT.search(line)) is not None:
        return _modules(found[1], limit)
    if (found := _KEY.search(line)) is not None and (
        owner := _expression(before[: len(before) - len(found[0])])
    ):
        return _chosen(found[2], [(key, "key", "") for key in _keys(space.find(owner))], limit)
    asked = _asked(before)
    if asked.owner is not None:
        owner_found = space.find(asked.owner)
        columns = [(key, "column", "") for key in _columns(owner_found) if _NAME.match(key)]
        return _chosen(asked.part, [*_members(owner_found), *columns], limit)
    arguments: list[tuple[str, str, object]] = []
    if asked.call is not None and isinstance(called := space.find(asked.call), Known):
        arguments = [(f"{name}=", "argument", "") for name in parameters(called.value)]
    return _chosen(asked.part, [*arguments, *_globals(names, space, hidden)], limit)


def explain(names: Names, definers: Mapping[str, str], code: str) -> Documentation:
    """Return what the expression at the end of code is: type, value or parameters, documentation."""
    before = code[-_LOOKED_AT:]
    of_call, of_itself = _called(before), _expression(before)
    expression = (of_call or of_itself if before.rstrip()[-1:] in {"'", '"'} else of_itself or of_call) or ""
    space = Namespace(names, code[: code.rstrip().rfind("\n") + 1])
    found = space.find(expression) if expression else None
    first = re.match(r"\w+", expression)
    if found is None:
        missing = "" if first is None or space.find(first[0]) is not None else first[0]
        missing = "" if missing in space.defined_above else missing
        known = [name for name in list(names) if type(name) is str and not name.startswith("_")]
        near = difflib.get_close_matches(missing, known[:_MOST_KEYS], n=3) if missing else []
        return Documentation(shorten(expression), known=False, missing=shorten(missing), near=tuple(near))
    definer = definers.get(first[0]) if first is not None and first[0] not in space.defined_above else None
    if isinstance(found, InstanceOf):
        return Documentation(
            shorten(expression),
            type=class_name(found.kind),
            kind="instance",
            doc=documentation(found).partition("\n\n")[0],
            cell_id=definer,
        )
    value = found.value
    described = describe(expression, value)
    return Documentation(
        shorten(expression),
        type=described.type,
        kind=kind_of(value),
        summary=described.summary if kind_of(value) in {"value", "module"} else "",
        signature=signature(value),
        doc=documentation(found),
        place=place(value),
        cell_id=definer,
    )


def _asked(before: str) -> _Asked:
    part = _PART.search(before)
    assert part is not None
    rest = before[: part.start()].rstrip(" \t")
    if rest.endswith("."):
        return _Asked(part[0], owner=_expression(rest[:-1]) or "")
    return _Asked(part[0], call=_called(rest))


def _expression(text: str) -> str | None:
    """Return the names, attributes, calls and subscripts that a text ends with."""
    end = at = len(text.rstrip())
    while True:
        opened = _bracket(text, at)
        if opened < 0:
            return None
        start = opened
        name = _NAME.search(text[max(0, opened - _LONGEST_NAME) : opened])
        if name is not None:
            start = opened - len(name[0])
        elif opened == at:  # neither brackets nor a name: a text perhaps
            literal = _LITERAL.search(text[max(0, at - _LONGEST_NAME) : at])
            return None if literal is None else text[at - len(literal[0]) : end]
        before = text[:start].rstrip()
        if name is None or not before.endswith("."):
            found = text[start:end].strip()
            return None if keyword.iskeyword(found) else found or None
        at = len(before[:-1].rstrip())


def _bracket(text: str, at: int) -> int:
    """Return where the brackets begin that end at `at`, one after another; `at` if there is none, -1 if one is not opened."""
    while at > 0 and text[at - 1] in ")]":
        at = _opening(text, at)
        if at < 0:
            return -1
    return at


def _opening(text: str, at: int) -> int:
    """Return the place of the bracket that closes before `at`; -1 if there is none."""
    wanted: list[str] = []
    while at > 0:
        at -= 1
        letter = text[at]
        if letter in _CLOSING:
            wanted.append(_CLOSING[letter])
        elif letter in "([{":
            if not wanted or wanted.pop() != letter:
                return -1
            if not wanted:
                return at
        elif letter in "\"'":
            at = text.rfind(letter, 0, at)
            if at < 0:
                return -1
    return -1


def _called(text: str) -> str | None:
    """Return the function in whose parentheses a text ends."""
    at, depth = len(text), 0
    while at > 0:
        at -= 1
        letter = text[at]
        if letter in _CLOSING:
            depth += 1
        elif letter in "([{":
            if depth == 0:
                return _expression(text[:at]) if letter == "(" else None
            depth -= 1
        elif letter in "\"'":
            at = text.rfind(letter, 0, at)
            if at < 0:
                return None
    return None


def _members(found: Found) -> list[tuple[str, str, object]]:
    return [(name, "", value) for name, value in attributes(found)]


def _globals(names: Names, space: Namespace, hidden: Container[str]) -> Iterable[tuple[str, str, object]]:
    for name in space.defined_above:
        yield name, "name", ""
    for name, value in list(names.items()):
        if type(name) is str and name not in hidden:
            yield name, "", value
    for name, value in vars(builtins).items():
        yield name, "", value
    for name in keyword.kwlist:
        yield name, "keyword", ""


def _modules(part: str, limit: int) -> Completions:
    package, _, beginning = part.rpartition(".")
    names = [name for name in list(sys.modules) if type(name) is str]
    if package:
        below = {
            name.removeprefix(f"{package}.").partition(".")[0]
            for name in names
            if name.startswith(f"{package}.")
        }
    else:
        below = {name.partition(".")[0] for name in names} | sys.stdlib_module_names
    return _chosen(beginning, [(name, "module", "") for name in sorted(below)], limit)


def _keys(found: Found) -> list[str]:
    """Return the keys of a dict, or the columns of a table."""
    if isinstance(found, Known) and type(found.value) is dict:
        return [key for key, _ in first_items(found.value, _MOST_KEYS) if type(key) is str]
    return _columns(found)


def _columns(found: Found) -> list[str]:
    if not isinstance(found, Known):
        return []
    value: Any = found.value
    if not any(library_class(*table) is type(value) for table in _TABLES):
        return []
    with suppress(*_CHANGED):  # a cell may change the table meanwhile
        names = list(value.columns)[:_MOST_KEYS]
        return [name for name in names if type(name) is str]
    return []


def _chosen(part: str, candidates: Iterable[tuple[str, str, object]], limit: int) -> Completions:
    """Return those that begin with a text, the likeliest first: the same case, public ones, those that are nearest."""
    wanted, seen = part.casefold(), set()
    matches: list[tuple[str, str, object]] = []
    for name, kind, value in candidates:
        if (
            name in seen
            or not name.casefold().startswith(wanted)
            or (name.startswith("_") and not part.startswith("_"))
        ):
            continue
        seen.add(name)
        matches.append((name, kind, value))
    matches.sort(key=lambda match: (not match[0].startswith(part), match[0].startswith("_")))
    shown = [
        Completion(shorten(name), kind or kind_of(value), "" if kind else shorten(signature(value), 120))
        for name, kind, value in matches[:limit]
    ]
    return Completions(part, tuple(shown), len(matches))
