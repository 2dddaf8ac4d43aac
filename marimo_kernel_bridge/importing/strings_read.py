"""Names that cells read only in strings: `eval("low + 1")`, a function of the notebook that evaluates its arguments, SQL.

marimo does not see such a read, and a new name would not reach the string. So these names keep theirs, cells that bind
one of them again become one cell, and a reader mentions the name. Decides nothing about other names.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.name_uses import parse, read_cell
from marimo_kernel_bridge.analysis.plan import Join
from marimo_kernel_bridge.analysis.syntax import words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from marimo_kernel_bridge.analysis.name_uses import CellNames
    from marimo_kernel_bridge.analysis.plan import Plan
    from marimo_kernel_bridge.importing.prepared import Working

_EVALUATING: Final = frozenset({"eval", "exec", "evaluate", "run_cell_magic", "run_line_magic"})
_QUERYING: Final = frozenset({"sql", "query", "execute", "sqldf", "from_query"})
_TABLE: Final = re.compile(r"(?i)\b(?:from|join)\s+([^\W\d]\w*)")
_REFERENCE: Final = re.compile(r"@([^\W\d]\w*)")
_NAMESPACES: Final = frozenset({"globals", "locals", "vars"})
_FIELD: Final = re.compile(r"\{([^\W\d]\w*)|%\(([^\W\d]\w*)\)|\$\{?([^\W\d]\w*)")
"""A field of a text that `format`, `%` or `string.Template` fills in."""


@dataclass(frozen=True)
class StringReads:
    """What the strings of a notebook may read: its own global names, and its functions that evaluate strings."""

    bound: frozenset[str]
    evaluating: frozenset[str]
    assigned: dict[str, list[ast.expr]]
    tables: bool
    functions: dict[str, frozenset[str]] = field(default_factory=dict)
    """What functions of the notebook read in strings of their own."""

    def of(self, code: str) -> frozenset[str]:
        """Return the names that a cell reads in strings."""
        return self.within(parse(code))

    def within(self, tree: ast.AST) -> frozenset[str]:
        """Return the names that code reads in strings, also by functions that it mentions."""
        found: set[str] = set()
        of_functions = {
            id(part)
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for part in ast.walk(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call | ast.BinOp) and _fills_in_globals(
                node, ("globals",) if id(node) in of_functions else _NAMESPACES
            ):
                found |= {name for text in _texts([node], self.assigned) for name in _fields(text)}
            match node:
                case ast.Call():
                    found |= self._of_call(node)
                case ast.Name(id=name, ctx=ast.Load()) if name in self.functions:
                    found |= self.functions[name]
                case ast.Subscript(
                    value=ast.Call(func=ast.Name(id=name), args=[]), slice=ast.Constant(value=str(key))
                ) if name in _NAMESPACES:
                    found.add(key)
        return frozenset(found & self.bound)

    def _of_call(self, call: ast.Call) -> frozenset[str]:
        name = _called(call)
        texts = list(_texts([*call.args, *(keyword.value for keyword in call.keywords)], self.assigned))
        if name in self.evaluating:
            return frozenset().union(*map(words_of, texts))
        if name not in _QUERYING:
            return frozenset()
        tables = [table for text in texts for table in _TABLE.findall(text)] if self.tables else []
        return frozenset([*tables, *(found for text in texts for found in _REFERENCE.findall(text))])


def _fills_in_globals(node: ast.Call | ast.BinOp, namespaces: Iterable[str]) -> bool:
    """Return whether a call, or `%`, is given all variables: `"{a}".format(**globals())`, `"%(a)s" % locals()`."""
    if isinstance(node, ast.BinOp):
        given = [node.right] if isinstance(node.op, ast.Mod) else []
    elif isinstance(node.func, ast.Attribute):
        given = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg is None)]
    else:
        given = []
    return any(
        isinstance(each, ast.Call)
        and isinstance(each.func, ast.Name)
        and not each.args
        and each.func.id in namespaces
        for each in given
    )


def _fields(text: str) -> Iterator[str]:
    for found in _FIELD.finditer(text):
        yield found[1] or found[2] or found[3]


def string_reads(codes: Sequence[str]) -> StringReads | None:
    """Look for strings that are evaluated; None if a notebook has none."""
    words = frozenset().union(*map(words_of, codes))
    if not words & (_EVALUATING | _QUERYING | _NAMESPACES):
        return None
    trees = [parse(code) for code in codes]
    bound: set[str] = set()
    for code in codes:
        bound |= {
            use.name for use in read_cell(code).occurrences if use.act == "store" and use.origin is None
        }
    assigned: dict[str, list[ast.expr]] = {}
    for tree in trees:
        for node in ast.walk(tree):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    assigned.setdefault(name, []).append(value)
    tables = bool(words & {"duckdb", "sqldf", "pandasql"})
    reads = StringReads(frozenset(bound), _evaluating_in(trees), assigned, tables)
    functions = (node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef))
    for node in list(functions):
        if found := reads.within(node) - {argument.arg for argument in node.args.args}:
            reads.functions[node.name] = reads.functions.get(node.name, frozenset()) | found
    return reads


def _evaluating_in(trees: Sequence[ast.Module]) -> frozenset[str]:
    """Return the names of functions and classes that evaluate strings, directly or through one another."""
    calls: dict[str, set[str]] = {}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                called = (_called(part) for part in ast.walk(node) if isinstance(part, ast.Call))
                calls.setdefault(node.name, set()).update(called)
    evaluating = _EVALUATING
    while more := {name for name, called in calls.items() if called & evaluating} - evaluating:
        evaluating |= more
    return evaluating


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _texts(nodes: Iterable[ast.expr], assigned: dict[str, list[ast.expr]]) -> Iterator[str]:
    """Yield the strings in arguments, also those that a name in them was assigned."""
    for node in nodes:
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield part.value
            elif isinstance(part, ast.Name):
                for value in assigned.get(part.id, ()):
                    yield from _texts([value], {})


def _renamed_in_strings(names: CellNames) -> frozenset[str]:
    """Return the names that the analysis finds in literals such as `eval("a + b")`, where it can rename them."""
    return frozenset(use.name for use in names.occurrences if use.form == "quoted")


def mention(cells: Sequence[Working], reads: StringReads) -> frozenset[str]:
    """Let cells mention the names that they read in strings only; return those that must keep theirs."""
    quoted: set[str] = set()
    above: set[str] = set()
    for cell in cells:
        names = read_cell(cell.code)
        read = reads.of(cell.code)
        quoted |= read - _renamed_in_strings(names)
        seen = {use.name for use in names.occurrences if use.form != "quoted"}
        if new := sorted((read & above) - seen):
            cell.code = f"{', '.join(new)}  # read in strings\n{cell.code}"
            cell.parts = dict.fromkeys(cell.parts, cell.code)
        above |= names.bound_at_end
    return frozenset(quoted)


def join_for(cells: Sequence[Working], plan: Plan, reads: StringReads, quoted: frozenset[str]) -> Join | None:
    """Return a request to join the cells that bind or read a name in strings which would get another name."""
    for name in sorted(quoted):
        binding = {index for index, cell_plan in enumerate(plan.cells) if name in cell_plan.defines}
        if all(plan.cells[index].defines[name] == name for index in binding):
            continue
        reading = {
            index
            for index, cell in enumerate(cells)
            if name in reads.of(cell.code) - _renamed_in_strings(read_cell(cell.code))
        }
        members = sorted(binding | reading)
        if len(members) > 1:
            return Join(tuple(members), members[0], f"`{name}` is read in strings, so it keeps its name")
    return None
