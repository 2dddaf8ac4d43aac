"""Which cells of a notebook act on more than its own values: files, processes, networks, databases. Pure.

Owns what a changed value may reach. It knows code by its names, so that it sees no action inside a library.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_NOT_PYTHON: Final = re.compile(r"(?m)^([ \t]*+)([%!?].*|.*[?])$")
_WHOLE: Final = re.compile(r"\s*%%(?:time|timeit|capture)\b.*")
"""Cell magics whose body is Python that runs in the notebook."""
_SHELL: Final = re.compile(r"(?m)^[^#'\"\n]*?(?:^|=)[ \t]*(?:!|%%?(?!\s|%)(?P<magic>\w+))")
_QUIET_MAGICS: Final = re.compile(
    r"autoreload|capture|config|load_ext|marimo|matplotlib|precision|pylab|time|timeit"
)
_MODULES: Final = re.compile(
    r"aiohttp|asyncpg|boto3|botocore|ctypes|duckdb|ftplib|httpx|huggingface_hub|imaplib|mlflow|multiprocessing|os|paramiko|"
    r"psycopg|psycopg2|pymongo|pymysql|redis|requests|shutil|smtplib|socket|sqlalchemy|sqlite3|subprocess|telnetlib|"
    r"tempfile|threading|urllib|urllib3|wandb|webbrowser|websockets"
)
_IMPORTED: Final = re.compile(rf"{_MODULES.pattern}|docker|git|google|http|openai|signal")
"""Modules that act; those at the end have names that other values have too."""
_CALLS: Final = re.compile(
    r"""(?x)
    (?:delete|deploy|destroy|download|dump|export|install|kill|publish|purge|push|put|post|remove|save|send|terminate
      |upload|wipe|write)_\w+
    | drop_(?:all|collection|database|index|table) | (?:insert|replace|update)_(?:one|many)
    | to_(?!array|datetime|dense|dict|frame|html|json|latex|list|markdown|numeric|numpy|period|records|series|string
          |timedelta|timestamp)\w+
    | chmod|commit|connect|copy2|copyfile|copytree|create_engine|delete|deploy|destroy|download|dump|eval|exec
    | execute|executemany|executescript|export|fetch|fork|get_ipython|hardlink_to|imsave|imwrite|input|install|kill
    | login|makedirs|mkdir|patch|popen|Popen|post|Process|ProcessPoolExecutor|publish|purge|push|put|read_sql\w*
    | rename|request|rmdir|rmtree|run|run_cell_magic|run_line_magic|save|savefig|savemat|savetxt|savez\w*|send|sendall
    | sendmail|submit|symlink_to|system|terminate|Thread|ThreadPoolExecutor|tofile|touch|truncate|unlink|upload|urlopen
    | urlretrieve|wipe|write|writelines|writer|writerow|writerows|__import__
    """
)
"""Functions and methods that act. Some have harmless namesakes."""
_WITH_A_FILE: Final = re.compile(r"to_(?:html|json|latex|markdown|string)")
_READING: Final = re.compile(r"[rbtU]*")
_WRITING: Final = re.compile(r"[rbt]*+[wax+][wax+bt]*+")


def python(code: str) -> str | None:
    """Return a text of equal length and lines that is Python, None if there is none."""
    head, _, _ = code.partition("\n")
    if _WHOLE.fullmatch(head):
        code = " " * len(head) + code[len(head) :]
    for text in (code, _NOT_PYTHON.sub(lambda line: line[1] + "_".ljust(len(line[2])), code)):
        try:
            ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        return text
    return None


@dataclass(frozen=True)
class _Cell:
    """The names of a cell, and whether it acts by itself. `acting` are its functions and imports that act when used."""

    bound: frozenset[str]
    read: frozenset[str]
    acts: bool
    imported: frozenset[str] = frozenset()
    tested: frozenset[str] = frozenset()
    functions: tuple[tuple[str, frozenset[str], bool], ...] = ()
    modules: frozenset[str] = frozenset()
    assigned: tuple[tuple[frozenset[str], frozenset[str]], ...] = ()


@dataclass(frozen=True)
class Effects:
    """The cells of a notebook, for what they act on."""

    codes: Sequence[str]

    @cached_property
    def _cells(self) -> dict[str, _Cell]:
        return {code: _cell(code) for code in self.codes}

    @cached_property
    def tested(self) -> frozenset[str]:
        """The names that conditions of the notebook read, and those that these are computed from."""
        tested = frozenset[str]().union(*(cell.tested for cell in self._cells.values()))
        assigned = [each for cell in self._cells.values() for each in cell.assigned]
        while more := frozenset[str]().union(*(read for names, read in assigned if names & tested)) - tested:
            tested |= more
        return tested

    @cached_property
    def _acting(self) -> frozenset[str]:
        """The modules that act, and the functions and classes of the notebook that use them."""
        acting = set().union(*(cell.modules for cell in self._cells.values()))
        functions = [each for cell in self._cells.values() for each in cell.functions]
        while more := {name for name, read, acts in functions if acts or acting & read} - acting:
            acting |= more
        return frozenset(acting)

    def reached_from(self, code: str) -> bool:
        """Return whether a cell acts, or one that depends on it by names."""
        cells = self._cells
        modules = frozenset[str]().union(*(cell.imported for cell in cells.values()))
        reached = {code}
        names = set(cells[code].bound)
        while more := {
            each for each, cell in cells.items() if each not in reached and (names - modules) & cell.read
        }:
            reached |= more
            names.update(*(cells[each].bound for each in more))
        return any(cells[each].acts or self._acting & cells[each].read for each in reached)


def tests(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of a node that decide which code runs, or how often."""
    match node:
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) | ast.Assert(test=test):
            yield test
        case ast.For(iter=several) | ast.AsyncFor(iter=several):
            yield several
        case ast.comprehension(iter=several, ifs=conditions):
            yield from (several, *conditions)
        case ast.BoolOp():
            yield node
        case ast.Match(subject=subject):
            yield subject
        case ast.match_case(pattern=pattern, guard=guard):
            yield from (each for each in (pattern, guard) if each is not None)


def called(node: ast.Call) -> str:
    """Return the last name of what is called."""
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _cell(code: str) -> _Cell:
    text = python(code)
    if text is None:
        return _Cell(frozenset(), frozenset(), acts=True)
    tree = ast.parse(text)
    nodes = list(ast.walk(tree))
    return _Cell(
        bound=frozenset(_bound(nodes)),
        imported=frozenset(
            (each.asname or each.name).partition(".")[0]
            for node in nodes
            if isinstance(node, ast.Import | ast.ImportFrom)
            for each in node.names
        ),
        read=_read(nodes),
        acts=_runs_a_magic(code) or any(map(_acts, nodes)),
        tested=frozenset(
            name
            for node in nodes
            if isinstance(
                node, ast.If | ast.While | ast.IfExp | ast.Assert | ast.BoolOp | ast.Match | ast.match_case
            )
            for part in tests(node)
            for name in _read(ast.walk(part))
        ),
        functions=tuple(
            (node.name, _read(inner), any(map(_acts, inner)))
            for node in nodes
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            for inner in [list(ast.walk(node))]
        ),
        modules=frozenset(_modules(nodes)),
        assigned=tuple(
            (frozenset(_bound(ast.walk(node))), _read(ast.walk(node)))
            for node in nodes
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr)
        ),
    )


def _runs_a_magic(code: str) -> bool:
    return any(not _QUIET_MAGICS.fullmatch(match["magic"] or "") for match in _SHELL.finditer(code))


def _bound(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names that a cell gives a value, or whose value it may change."""
    for node in nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case (
                ast.Attribute(value=value, ctx=ast.Store())
                | ast.Subscript(value=value, ctx=ast.Store())
                | ast.Call(func=ast.Attribute(value=value))
            ):
                yield from (each.id for each in ast.walk(value) if isinstance(each, ast.Name))


def _read(nodes: Iterable[ast.AST]) -> frozenset[str]:
    return frozenset(
        node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store)
    )


def _modules(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names of modules that act, and of what is imported from them."""
    for node in nodes:
        match node:
            case ast.Import(names=names):
                for each in names:
                    if _acting(each.name):
                        yield each.asname or each.name.partition(".")[0]
            case ast.ImportFrom(module=str(module), names=names) if _acting(module):
                yield from (each.asname or each.name for each in names if each.name != "path")


def _acting(module: str) -> bool:
    return module != "os.path" and bool(_IMPORTED.fullmatch(module.partition(".")[0]))


def _acts(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name, ctx=ast.Load()):
            return bool(_MODULES.fullmatch(name))
        case ast.Constant(value=str(text)):
            return "://" in text
        case ast.Call(args=values, keywords=keywords):
            name = called(node)
            file = _WITH_A_FILE.fullmatch(name) and (
                values or any(each.arg in {"buf", "path_or_buf"} for each in keywords)
            )
            return bool(file or _CALLS.fullmatch(name)) or (name == "open" and _writes(node))
    return False


def _writes(node: ast.Call) -> bool:
    """Return whether a call of some `open` may write."""
    modes = [each.value for each in node.keywords if each.arg in {"mode", None}]
    if isinstance(node.func, ast.Name):
        modes += node.args[1:2]
        return not all(_has_text(mode, _READING) for mode in modes)
    return any(_has_text(each, _WRITING) for each in node.args) or not all(
        _has_text(each, _READING) for each in modes
    )


def _has_text(node: ast.expr, pattern: re.Pattern[str]) -> bool:
    return (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(pattern.fullmatch(node.value))
    )
