"""One entry in a JSON file of settings: put in or taken out, with everything else left as it is, comments too.

Hosts write JSON with comments and trailing commas, which a person has arranged; so the text is edited and not rewritten.
Each edit is checked: read again, the text must say what it said before, but for the entry.
"""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_DEEPEST: Final = 100
_IDLE: Final = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_SCALAR: Final = re.compile(r"[^\s,\]}/\"]+")
_REST_OF_LINE: Final = re.compile(r"[ \t]*(?://[^\n]*|/\*[^\n]*?\*/[ \t]*)?(?=\r?\n)")


class CannotEditError(ValueError):
    """The text is not one that can be edited safely; the message says why."""


@dataclass
class _Member:
    name: str
    start: int
    value: _Node
    comma: int | None = None
    """Where the comma after it is."""


@dataclass
class _Node:
    start: int
    end: int = 0
    value: Any = None
    members: list[_Member] | None = None
    """Of an object."""


@dataclass
class _Reader:
    text: str
    at: int = 0
    depth: int = field(default=0)

    def document(self) -> _Node:
        self.at = 1 if self.text.startswith("\ufeff") else 0
        self._skip()
        node = self._node()
        self._skip()
        if self.at != len(self.text):
            raise self._wrong("more than one value")
        return node

    def _skip(self) -> None:
        match = _IDLE.match(self.text, self.at)
        assert match is not None
        self.at = match.end()

    def _wrong(self, why: str) -> CannotEditError:
        return CannotEditError(f"line {self.text.count(chr(10), 0, self.at) + 1}: {why}")

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _node(self) -> _Node:
        node, first = _Node(self.at), self._peek()
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self._wrong("too many levels")
        if first == "{":
            self._object(node)
        elif first == "[":
            node.value = self._array()
        elif first == '"':
            node.value = self._string()
        else:
            node.value = self._scalar()
        self.depth -= 1
        node.end = self.at
        return node

    def _object(self, node: _Node) -> None:
        node.members, node.value = [], {}
        self.at += 1
        self._skip()
        while self._peek() != "}":
            start, name = self.at, self._string()
            self._skip()
            if self._peek() != ":":
                raise self._wrong("a colon is missing")
            self.at += 1
            self._skip()
            member = _Member(name, start, self._node())
            if name in node.value:
                raise self._wrong(f"{name!r} is there twice")
            node.members.append(member)
            node.value[name] = member.value.value
            member.comma = self._comma("}")
        self.at += 1

    def _array(self) -> list[Any]:
        items: list[Any] = []
        self.at += 1
        self._skip()
        while self._peek() != "]":
            items.append(self._node().value)
            self._comma("]")
        self.at += 1
        return items

    def _comma(self, end: str) -> int | None:
        """Read the comma after a value, and return where it is; None before the end."""
        self._skip()
        if self._peek() == ",":
            at, self.at = self.at, self.at + 1
            self._skip()
            return at
        if self._peek() != end:
            raise self._wrong("a comma is missing")
        return None

    def _string(self) -> str:
        match = _STRING.match(self.text, self.at)
        if match is None:
            raise self._wrong("a text in double quotes is missing")
        self.at = match.end()
        try:
            return str(json.loads(match[0]))
        except ValueError:
            raise self._wrong("this is no text") from None

    def _scalar(self) -> Any:
        match = _SCALAR.match(self.text, self.at)
        try:
            value = json.loads(match[0] if match else "")
        except ValueError:
            raise self._wrong("a value is missing") from None
        assert match is not None
        self.at = match.end()
        return value


def read(text: str) -> Any:
    """Return what a text says. Raises `CannotEditError`."""
    return _Reader(text).document().value if text.strip() else {}


def with_entry(text: str, path: Sequence[str], entry: dict[str, Any]) -> str:
    """Return a text in which the entry at a path has these fields; other fields of an entry that is there stay.

    Raises `CannotEditError`.
    """
    if not text.strip():
        return json.dumps(_nested(path, entry), indent=2, ensure_ascii=False) + "\n"
    root = _Reader(text).document()
    wanted = copy.deepcopy(root.value)
    node, missing = _deepest(root, path)
    if not missing and isinstance(node.value, dict):
        entry = node.value | entry
    _set(wanted, path, entry)
    if wanted == root.value:
        return text
    newline = "\r\n" if "\r\n" in text else "\n"
    if missing:
        edited = _inserted(text, node, missing[0], _nested(missing[1:], entry), newline)
    else:
        written = _written(entry, _indent_of(text, node.start), _unit(text, root), newline)
        edited = text[: node.start] + written + text[node.end :]
    return _checked(edited, wanted)


def without_entry(text: str, path: Sequence[str]) -> str:
    """Return a text without the entry at a path; the same text if it has none. Raises `CannotEditError`."""
    if not text.strip():
        return text
    root = _Reader(text).document()
    parent, missing = _deepest(root, path[:-1])
    if missing or parent.members is None or path[-1] not in parent.value:
        return text
    wanted = copy.deepcopy(root.value)
    inner = wanted
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    place = next(number for number, member in enumerate(parent.members) if member.name == path[-1])
    member = parent.members[place]
    start, end = member.start, member.value.end if member.comma is None else member.comma + 1
    line = text.rfind("\n", 0, start) + 1
    rest = _REST_OF_LINE.match(text, end)
    if not text[line:start].strip() and rest is not None:  # it has its lines for itself
        start, end = line, text.index("\n", end) + 1
    edited = text[:start] + text[end:]
    if member.comma is None and place and (comma := parent.members[place - 1].comma) is not None:
        edited = edited[:comma] + edited[comma + 1 :]
    return _checked(edited, wanted)


def _deepest(node: _Node, path: Sequence[str]) -> tuple[_Node, Sequence[str]]:
    """Return the node at a path, or the deepest one on the way, and what is missing below it. Raises `CannotEditError`."""
    for depth, name in enumerate(path):
        if node.members is None:
            raise CannotEditError(f"{'.'.join(path[:depth]) or 'the file'} is no object")
        found = next((member for member in node.members if member.name == name), None)
        if found is None:
            return node, path[depth:]
        node = found.value
    return node, ()


def _nested(path: Sequence[str], entry: Any) -> Any:
    for name in reversed(path):
        entry = {name: entry}
    return entry


def _set(value: dict[str, Any], path: Sequence[str], entry: Any) -> None:
    for name in path[:-1]:
        value = value.setdefault(name, {})
    value[path[-1]] = entry


def _inserted(text: str, parent: _Node, name: str, value: Any, newline: str) -> str:
    unit = _unit(text, parent)
    outer = _indent_of(text, parent.start)
    indent = outer + unit
    assert parent.members is not None
    if not parent.members:
        member = f"{json.dumps(name)}: {_written(value, indent, unit, newline)}"
        inside = text[parent.start + 1 : parent.end - 1].rstrip()
        return f"{text[: parent.start]}{{{inside}{newline}{indent}{member}{newline}{outer}{text[parent.end - 1 :]}"
    last = parent.members[-1]
    line = text.rfind("\n", 0, last.start) + 1
    own_line = not text[line : last.start].strip()
    if own_line:
        indent = text[line : last.start]
    member = f"{json.dumps(name)}: {_written(value, indent, unit, newline)}"
    trailing = last.comma is not None
    at = last.comma + 1 if last.comma is not None else last.value.end
    before = text[:at] if trailing else text[:at] + ","
    rest = _REST_OF_LINE.match(text, at)
    if rest is not None:  # a comment about the last member stays beside it
        before, at = before + rest[0], rest.end()
    separator = f"{newline}{indent}" if own_line else " "
    return f"{before}{separator}{member}{',' if trailing else ''}{text[at:]}"


def _written(value: Any, indent: str, unit: str, newline: str) -> str:
    lines = json.dumps(value, indent=unit, ensure_ascii=False).split("\n")
    return f"{newline}{indent}".join(lines)


def _indent_of(text: str, at: int) -> str:
    """Return the white space at the beginning of the line."""
    match = re.compile(r"[ \t]*").match(text, text.rfind("\n", 0, at) + 1)
    assert match is not None
    return match[0]


def _unit(text: str, node: _Node) -> str:
    """Return one level of indentation, as the members of an object have it."""
    for member in node.members or ():
        line = text.rfind("\n", 0, member.start) + 1
        own = text[line : member.start]
        outer = _indent_of(text, node.start)
        if own and not own.strip() and own.startswith(outer) and own != outer:
            return own.removeprefix(outer)
    return "  "


def _checked(edited: str, wanted: Any) -> str:
    if _Reader(edited).document().value != wanted:
        raise CannotEditError("it is laid out in a way that is not understood")
    return edited
