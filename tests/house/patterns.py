"""The regular expressions of the package, as its sources have them, and texts that are hard for each.

    python -m tests.house.patterns [LETTERS]

prints those that take more than linear time.
"""

from __future__ import annotations

import ast
import re
import re._constants as c  # type: ignore[import-not-found]  # untyped
import re._parser as parser  # type: ignore[import-not-found]
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "marimo_kernel_bridge"
_SEARCHES: Final = ("search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer")
_REPEATS: Final = (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT)
_LONG: Final = 200
"""Repetitions from which one counts as endless."""
_FASTER: Final = 6.5
"""Times that four times as long a text takes: 4 in linear time, 16 in quadratic."""
_SURE: Final = 0.1  # seconds
_ENDS: Final = ("", "\0", "!")
_OF_CATEGORY: Final = {c.CATEGORY_DIGIT: "1", c.CATEGORY_SPACE: " ", c.CATEGORY_NOT_WORD: "-"}
_ANYWHERE: Final = ("a", " ", "\n", "1", "a ", "a\n")


@dataclass(frozen=True)
class Use:
    """A pattern, and a method by which it is used somewhere."""

    place: str
    method: str
    pattern: re.Pattern[Any]

    def seconds(self, text: str) -> float:
        """Return the CPU time that it takes for a text."""
        subject: Any = text if isinstance(self.pattern.pattern, str) else text.encode(errors="replace")
        method: Any = getattr(self.pattern, "findall" if self.method == "finditer" else self.method)
        given = (subject[:0], subject) if self.method.startswith("sub") else (subject,)
        before = time.process_time()
        method(*given)
        return time.process_time() - before


class _UnknownError(Exception):
    pass


def uses() -> Iterator[Use]:
    """Yield each pattern of the package with each method by which its module uses it, or by any if none is seen."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
    for path, text in texts.items():
        if "re." not in text:
            continue
        tree, known = ast.parse(text), {}
        for statement in tree.body:
            for name, value in _assigned(statement):
                try:
                    known[name] = _constant(value, known)
                except (_UnknownError, re.error, TypeError):
                    continue
        names = {id(value): name for node in ast.walk(tree) for name, value in _assigned(node)}
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=method)) if (
                    method in _SEARCHES or method == "compile"
                ):
                    try:
                        pattern = re.compile(_constant(node.args[0], known), _flags(node))
                    except _UnknownError:
                        continue
                    name = names.get(id(node))
                    place = f"{path.relative_to(PACKAGE).as_posix()} {name or node.lineno}"
                    for one in (method,) if method != "compile" else _methods(name, text):
                        yield Use(place, one, pattern)


def _assigned(node: ast.AST) -> list[tuple[str, ast.expr]]:
    match node:
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            return [(name, value)]
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return [(name, value)]
    return []


def _methods(name: str | None, text: str) -> tuple[str, ...]:
    """Return how a module uses a pattern; one that it does not use by its name, in all ways in which it uses any."""
    searches = "|".join(_SEARCHES)
    by_name = re.findall(rf"\b{name}\.({searches})\b", text) if name else []
    found = by_name or re.findall(rf"(?<!\bre)\.({searches})\(", text)
    return tuple(sorted(set(found))) or ("search",)


def _constant(node: ast.expr, known: dict[str, Any]) -> Any:  # noqa: C901, PLR0911  # one case for each kind of expression
    """Return the value of an expression; a name that is known only at runtime is some word."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.JoinedStr(values=values):
            return "".join(str(_constant(part, known)) for part in values)
        case ast.FormattedValue(value=value):
            return _constant(value, known)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _constant(left, known) + _constant(right, known)
        case ast.Name(id=name):
            return known.get(name, "word")
        case ast.Attribute(value=value, attr="pattern"):
            return _constant(value, known)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr="compile"), args=[first, *_]):
            return _constant(first, known)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr="escape")):
            return "word"
        case ast.Call(func=ast.Attribute(value=between, attr="join"), args=[ast.Tuple(elts=parts)]):
            return _constant(between, known).join(_constant(part, known) for part in parts)
        case ast.Call(func=ast.Attribute(attr="join")):
            return "word|words"
        case ast.IfExp(orelse=orelse):
            return _constant(orelse, known)
    raise _UnknownError(ast.dump(node)[:80])


def _flags(call: ast.Call) -> int:
    named = (
        node.attr
        for argument in (*call.args[1:], *call.keywords)
        for node in ast.walk(argument)
        if isinstance(node, ast.Attribute)
    )
    flags = 0
    for name in named:
        flags |= getattr(re, name, 0) if name.isupper() else 0
    return flags


def hard_texts(pattern: re.Pattern[Any]) -> dict[tuple[str, str], None]:
    """Return what to repeat for a pattern, each with what stands before it: what its parts match, alone and after one another."""
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    tree = parser.parse(
        text, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags
    )
    found: dict[tuple[str, str], None] = {}
    _look(tree, "", found)
    for way in range(3):
        whole = _example(tree, way)
        found |= dict.fromkeys((("", whole), ("", whole[:-1])))
    words = [part for before, part in found if not before and part[:1].isalnum() and part[-1:].isalnum()]
    found |= dict.fromkeys(("", part) for part in (*_ANYWHERE, *(f"{word} " for word in words)))
    return dict.fromkeys((before, part) for before, part in found if part and len(before + part) < _LONG)


def _look(sequence: Any, before: str, found: dict[tuple[str, str], None]) -> str:
    """Add what the parts of a pattern match that are repeated; return what the pattern itself matches."""
    start = before
    for op, value in sequence:
        if op in _REPEATS and value[1] >= _LONG:
            for way in range(4):
                part = _example(value[2], way)
                found |= dict.fromkeys(((before, part), (before[len(start) :], part), ("", part)))
        for inner in _inside(op, value):
            _look(inner, before, found)
        before += _one(op, value, 0)
        found["", before[len(start) :]] = None
    return before


def _inside(op: Any, value: Any) -> list[Any]:
    if op in _REPEATS:
        return [value[2]]
    if op is c.SUBPATTERN:
        return [value[3]]
    if op is c.ATOMIC_GROUP:
        return [value]
    if op is c.BRANCH:
        return list(value[1])
    return [value[1]] if op in (c.ASSERT, c.ASSERT_NOT) else []


def _example(sequence: Any, way: int) -> str:
    return "".join(_one(op, value, way) for op, value in sequence)


def _one(op: Any, value: Any, way: int) -> str:
    if op is c.LITERAL:
        return chr(value)
    if op is c.IN:
        letters = _letters(value)
        return letters[way % len(letters)]
    if op in _REPEATS:
        return _example(value[2], way) * max(value[0], 1 - way % 2)
    if op is c.BRANCH:
        return _example(value[1][way % len(value[1])], way)
    inner = _inside(op, value) if op in (c.SUBPATTERN, c.ATOMIC_GROUP) else []
    return _example(inner[0], way) if inner else "a" if op in (c.ANY, c.NOT_LITERAL, c.GROUPREF) else ""


def _letters(items: Any) -> list[str]:
    if items[0][0] is c.NEGATE:
        one = (
            re.compile(f"[{''.join(map(re.escape, _excluded(items[1:])))}]") if _excluded(items[1:]) else None
        )
        return [letter for letter in "a 0x,<\n\"'-." if one is None or not one.match(letter)] or ["\u00e9"]
    return [
        chr(value if op is c.LITERAL else value[0])
        if op in (c.LITERAL, c.RANGE)
        else _OF_CATEGORY.get(value, "a")
        for op, value in items
    ]


def _excluded(items: Any) -> list[str]:
    by_category = {c.CATEGORY_DIGIT: "01", c.CATEGORY_SPACE: " \n", c.CATEGORY_WORD: "a0x"}
    return [
        letter
        for op, value in items
        for letter in (
            chr(value)
            if op is c.LITERAL
            else "".join(x for x in "a0x" if value[0] <= ord(x) <= value[1])
            if op is c.RANGE
            else by_category.get(value, "")
        )
    ]


BOUNDED: Final = {
    ("importing/verifying/effects.py _WRITING", "finditer"): "used by fullmatch",
    ("importing/verifying/effects.py _WRITING", "sub"): "used by fullmatch",
    ("inspecting/code_help.py _NAME", "search"): "in 200 letters",
    ("rendering/elements.py _DIV", "finditer"): "up to the last > only",
    ("sandbox/repositories.py _SECTIONS", "sub"): "once, at the begin of a line",
    ("viewing/page/__init__.py _IMPORT", "findall"): "in files of this package",
    ("viewing/page/__init__.py _INDENTED", "sub"): "in files of this package",
}
"""Patterns that need not be fast, and why."""


def slow(use: Use, length: int, most: float) -> str | None:
    """Return a text, described, for which the time of a pattern grows faster than its length; None if there is none."""

    def seconds(before: str, part: str, end: str, times: int) -> float:
        return use.seconds(before + part * (times * length // len(part) + 1) + end)

    for before, part in hard_texts(use.pattern):
        for end in _ENDS:
            if seconds(before, part, end, 1) > most:
                times = 2
                once, more = (min(seconds(before, part, end, each) for _ in range(2)) for each in (2, 8))
                while more > _FASTER * once and more < _SURE:  # a gap with a limit?
                    times *= 4
                    once, more = more, seconds(before, part, end, 4 * times)
                if more > _FASTER * once:  # or something else took the processor's caches once
                    once, more = (
                        min(seconds(before, part, end, each) for _ in range(3)) for each in (times, 4 * times)
                    )
                if more > _FASTER * once:
                    return (
                        f"{before!r} + {part!r} * n + {end!r}: {once:.4f} s, four times as much: {more:.4f} s"
                    )
    return None


def slow_ones(of: Iterable[Use], length: int = 1000, most: float = 0.0004) -> Iterator[str]:
    """Yield those that take more than linear time, but those that are bounded otherwise."""
    tried: set[tuple[Any, ...]] = set()
    for use in of:
        key = (use.pattern.pattern, use.pattern.flags, use.method)
        if key in tried or (use.place, use.method) in BOUNDED:
            continue
        tried.add(key)
        if (text := slow(use, length, most)) is not None:
            yield f"{use.place} .{use.method}: {text}"


def main(length: int = 1000) -> int:
    """Print them; return how many there are."""
    told = []
    for one in slow_ones(uses(), length):
        print(one, flush=True)  # noqa: T201  # a program
        told.append(one)
    return len(told)


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:]))))
