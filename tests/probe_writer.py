"""Writes probes into the source of a module, and tells which lines and branches of it those that were reached mean.

A probe is a statement before another one: `_probes[7] = 1`. What it means to reach it is told by the lines and branches
that coverage finds in the source. Of handlers of an exception that none of them takes, nothing is told.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import TYPE_CHECKING

from coverage.parser import PythonParser

from tests.probes import NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import CodeType

Arc = tuple[int, int]
"""From a line to a line, as coverage has it; negative is the beginning or the end of a function."""


class _Writer:
    """Writes probes into the source of a module."""

    def __init__(self, text: str) -> None:
        parser = PythonParser(text)
        parser.parse_source()
        self._line = parser.first_line
        self._lines = parser.statements
        self._exits: defaultdict[int, set[int]] = defaultdict(set)
        for start, end in parser.arcs():
            self._exits[start].add(end)
        self.tree = ast.parse(text)
        self.means: list[list[Arc]] = []
        self.tree.body = self._block(self.tree.body, documented=True)

    def _probe(self, arcs: Iterable[Arc], place: ast.stmt) -> list[ast.stmt]:
        """Return the statement that tells that these were run, at the place of another one."""
        if not (means := sorted(set(arcs))):
            return []
        (probe,) = ast.parse(f"{NAME}[{len(self.means)}] = 1").body
        for node in ast.walk(probe):
            ast.copy_location(node, place)
        self.means.append(means)
        return [probe]

    def _block(
        self, body: list[ast.stmt], arcs: Iterable[Arc] = (), *, documented: bool = False
    ) -> list[ast.stmt]:
        """Return statements with a probe before each; that of the first tells also how it was reached."""
        written: list[ast.stmt] = []
        told = list(arcs)
        for number, statement in enumerate(body):
            told += [(-line, line) for line in self._header(statement)]
            # These have to stay the first
            if not (documented and number == 0 and _is_text(statement)) and not _is_future(statement):
                written += self._probe(told, statement)
                told = []
            self._parts(statement)
            written.append(statement)
        return written

    def _header(self, statement: ast.stmt) -> list[int]:
        """Return the lines of a statement without the statements in it."""
        first, last = _first(statement), statement.end_lineno or statement.lineno
        if inner := [
            *getattr(statement, "body", ()),
            *(case.pattern for case in getattr(statement, "cases", ())),
        ]:
            last = max(statement.lineno, _first(inner[0]) - 1)
        return [line for line in range(first, last + 1) if line in self._lines]

    def _parts(self, statement: ast.stmt) -> None:
        """Write probes into the statements in a statement."""
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                statement.body = self._block(statement.body, documented=True)
            case ast.If() | ast.For() | ast.AsyncFor() | ast.While():
                into, past = self._ways(statement.lineno, statement.body)
                statement.body = self._block(statement.body, into)
                statement.orelse = self._block(statement.orelse, past) or self._probe(past, statement)
            case ast.With() | ast.AsyncWith():
                statement.body = self._block(statement.body)
            case ast.Try() | ast.TryStar():
                parts = [(handler.lineno, handler.body) for handler in statement.handlers]
                for handler, told in zip(statement.handlers, self._one_of(parts), strict=False):
                    handler.body = self._block(handler.body, told)
                statement.body = self._block(statement.body)
                statement.orelse = self._block(statement.orelse)
                statement.finalbody = self._block(statement.finalbody)
            case ast.Match():
                *ways, no_case = self._one_of([(case.pattern.lineno, case.body) for case in statement.cases])
                for case, means in zip(statement.cases, ways, strict=True):
                    case.body = self._block(case.body, means)
                if not _takes_all(statement.cases[-1]):
                    body = self._probe(no_case, statement) or [ast.copy_location(ast.Pass(), statement)]
                    rest = ast.copy_location(ast.MatchAs(), statement)
                    statement.cases.append(ast.match_case(rest, None, body))

    def _ways(self, line: int, body: Sequence[ast.stmt]) -> tuple[list[Arc], list[Arc]]:
        """Return how a line goes on into a body, and how past it: nothing where there is one way only."""
        line = self._line(line)
        exits = self._exits[line] if len(self._exits[line]) > 1 else set()
        inside = range(_first(body[0]), (body[-1].end_lineno or 0) + 1)
        arcs = sorted((line, end) for end in exits)
        return [arc for arc in arcs if arc[1] in inside], [arc for arc in arcs if arc[1] not in inside]

    def _one_of(self, parts: Sequence[tuple[int, Sequence[ast.stmt]]]) -> Iterator[list[Arc]]:
        """Yield for each of several bodies what is run on the way to it, and at last what is if none is taken."""
        before: list[Arc] = []
        for line, body in parts:
            into, past = self._ways(line, body)
            own = [(-line, line)] if line in self._lines else []
            yield [*before, *own, *into]
            before += [*own, *past]
        yield before


def _first(node: ast.stmt | ast.pattern) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(getattr(statement.value, "value", None), str)


def _is_future(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def _takes_all(case: ast.match_case) -> bool:
    """Whether Python lets no case follow."""
    patterns = case.pattern.patterns if isinstance(case.pattern, ast.MatchOr) else [case.pattern]
    last = patterns[-1]
    return case.guard is None and isinstance(last, ast.MatchAs) and last.pattern is None


def probed(path: str, text: str) -> tuple[CodeType, list[list[Arc]]]:
    """Return the code of a module with probes, and for each probe what it means that it was reached."""
    writer = _Writer(text)
    return compile(writer.tree, path, "exec", dont_inherit=True), writer.means


def found(reached: Sequence[int], means: list[list[Arc]]) -> set[Arc]:
    """Return the lines and branches that were run."""
    return {arc for hit, arcs in zip(reached, means, strict=True) if hit for arc in arcs}
