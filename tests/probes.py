"""Which lines and branches of the package run in this process, without a trace function, which doubles what Python costs.

Each statement of the package gets a probe before it, when its module is imported: `_probes[7] = 1`. What the probes
found is written as coverage's data, with the lines and branches as coverage finds them in the source; coverage measures
other processes itself, and reports all. Of handlers of an exception that none of them takes, nothing is told. Modules
with probes are kept compiled in `.build/probes`.
"""

from __future__ import annotations

import ast
import atexit
import marshal
import os
import sys
from collections import defaultdict
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

import coverage
from coverage.parser import PythonParser

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import CodeType, ModuleType

Arc = tuple[int, int]
"""From a line to a line, as coverage has it; negative is the beginning or the end of a function."""

_ROOT = Path(__file__).parents[1]
_PACKAGE = _ROOT / "marimo_kernel_bridge"
_COMPILED = _ROOT / ".build/probes"
_NAME = "_probes"
_found: dict[str, tuple[list[int], list[list[Arc]]]] = {}
"""Of each imported file: which probes were reached, and what that means."""


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
        (probe,) = ast.parse(f"{_NAME}[{len(self.means)}] = 1").body
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


def _compiled(path: str) -> tuple[CodeType, list[list[Arc]]]:
    """Return the same from the cache, and keep it there."""
    kept = _COMPILED / path.removeprefix(f"{_PACKAGE}{os.sep}").replace(os.sep, ".")
    key = [path, sys.version, coverage.__version__, *(os.stat(file).st_mtime_ns for file in (path, __file__))]  # noqa: PTH116
    try:
        found, *rest = marshal.loads(kept.read_bytes())
    except (OSError, EOFError, ValueError, TypeError):
        found, rest = None, []
    if found != key:
        rest = list(probed(path, Path(path).read_text()))
        kept.parent.mkdir(parents=True, exist_ok=True)
        new = kept.with_name(f"{kept.name}.{os.getpid()}")
        new.write_bytes(marshal.dumps([key, *rest]))
        new.replace(kept)
    code, means = rest
    return code, means


class _Loader(SourceFileLoader):
    """Loads a module with probes."""

    def exec_module(self, module: ModuleType) -> None:
        code, means = _compiled(self.path)
        reached, _ = _found.setdefault(self.path, ([0] * len(means), means))
        setattr(module, _NAME, reached)
        exec(code, vars(module))


class _Finder(MetaPathFinder):
    """Finds the modules of the package."""

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] != _PACKAGE.name:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def begin() -> None:
    """Measure with probes in this process, if coverage measures it."""
    measured = coverage.Coverage.current()
    if measured is None:
        return
    measured.stop()
    if "PYTEST_XDIST_WORKER" not in os.environ:  # one process for all
        for file in _PACKAGE.rglob("*.py"):
            _compiled(str(file))
    sys.meta_path.insert(0, _Finder())
    atexit.register(_write, measured, os.getpid())


def _write(measured: coverage.Coverage, pid: int) -> None:
    """Give coverage what the probes found. It writes that as the process ends."""
    if os.getpid() == pid:
        measured.get_data().add_arcs({path: found(*of) for path, of in _found.items()})


def found(reached: list[int], means: list[list[Arc]]) -> set[Arc]:
    """Return the lines and branches that were run."""
    return {arc for hit, arcs in zip(reached, means, strict=True) if hit for arc in arcs}
