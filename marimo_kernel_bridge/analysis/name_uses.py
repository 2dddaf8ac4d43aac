"""Every place in a cell that means a global name: where it is, what it does with the name, and when.

Follows Python's scopes, and which names are certainly bound at each point. Does not know what other cells do.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

from marimo_kernel_bridge.analysis.positions import Text, fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Act = Literal["load", "store", "delete"]
Form = Literal["name", "import", "import_dotted", "shown", "quoted"]

# Modules whose `eval` or `evaluate` evaluates a string where it is called.
_EVALUATING: Final = frozenset({"pd", "pandas", "ne", "numexpr"})
# Names of names in the strings of these methods: pandas' `df.query("a > @limit")`.
_QUERIES: Final = frozenset({"query", "eval"})


@dataclass(frozen=True)
class Occurrence:
    """One place where a cell means a global name.

    `start` and `end` are offsets in the cell's text. `late` places are inside of functions, and do something only
    when the function is called; `owner` is the global name that the function belongs to. `exposed` is a load or
    a `del` that may see what another cell bound. `statement` counts the cell's statements from 0. `form` tells what must be written
    for another name: `import x` becomes `import x as y`; `f"{x=}"` shows the name itself; a `quoted` one is in a string that
    is evaluated, where marimo's private names are not known.
    """

    name: str
    act: Act
    start: int
    end: int
    statement: int
    order: int
    late: bool = False
    owner: str | None = None
    exposed: bool = False
    looped: bool = False
    form: Form = "name"
    origin: str | None = None
    temporary: bool = False
    called: bool = False
    augmented: bool = False


@dataclass
class CellNames:
    """What one cell does with global names. `bound_at_end` are those that are certainly bound when it is done."""

    source: str
    tree: ast.Module
    occurrences: list[Occurrence] = field(default_factory=list)
    bound_at_end: frozenset[str] = frozenset()

    def of(self, name: str) -> list[Occurrence]:
        return self._by_name.get(name, [])

    @cached_property
    def names(self) -> list[str]:
        return list(self._by_name)

    @cached_property
    def _by_name(self) -> dict[str, list[Occurrence]]:
        found: dict[str, list[Occurrence]] = {}
        for occurrence in self.occurrences:
            found.setdefault(occurrence.name, []).append(occurrence)
        return found

    def stores(self, name: str) -> list[Occurrence]:
        """Return where the cell itself binds a name, not a function of it."""
        return [each for each in self.of(name) if each.act == "store" and not each.late]


def read_cell(source: str) -> CellNames:
    """Read a cell. Raises SyntaxError."""
    tree = parse(source)
    reader = _Reader(source)
    bound = reader.block(tree.body, frozenset(), top=True)
    return CellNames(source, tree, sorted(reader.found, key=lambda each: each.order), bound)


def _evaluates(func: ast.expr) -> bool:
    match func:
        case ast.Name(id="eval"):
            return True
        case ast.Attribute(value=ast.Name(id=module), attr="eval" | "evaluate"):
            return module in _EVALUATING
    return False


def parse(source: str) -> ast.Module:
    """Parse a cell, which may await at its top level."""
    tree = compile(
        source,
        "<cell>",
        "exec",
        flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        dont_inherit=True,
    )
    assert isinstance(tree, ast.Module)
    return tree


@dataclass
class _Scope:
    """`so_far` are the names that a class body has bound: before that, it reads the global ones."""

    kind: Literal["function", "class", "comprehension"]
    bound: frozenset[str]
    global_: frozenset[str] = frozenset()
    so_far: set[str] = field(default_factory=set)


class _Reader:
    """Visits statements in order with the set of names that are certainly bound."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[Occurrence] = []
        self._text = Text(source)
        self._scopes: list[_Scope] = []
        self._statement = 0
        self._order = 0
        self._loops = 0
        self._owner: str | None = None
        self._bound: set[str] = set()
        self._assigned: str | None = None

    # Blocks and what they bind

    def block(self, body: Sequence[ast.stmt], bound: frozenset[str], *, top: bool = False) -> frozenset[str]:
        self._bound = set(bound)
        for number, statement in enumerate(body):
            if top:
                self._statement = number
            self.statement(statement)
        return frozenset(self._bound)

    def _branches(self, *bodies: Sequence[ast.stmt]) -> None:
        """Visit blocks of which one runs: what all of them bind is bound after."""
        before = frozenset(self._bound)
        after: list[frozenset[str]] = []
        for body in bodies:
            bound = self.block(body, before)
            if not _leaves(body):
                after.append(bound)
        self._bound = set(frozenset.intersection(*after)) if after else set(before)

    def statement(self, node: ast.stmt) -> None:  # noqa: C901, PLR0912, PLR0915  # one case for each form
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._function(node)
            case ast.ClassDef():
                self._class(node)
            case ast.Assign():
                was, self._assigned = self._assigned, _only_name(node.targets)
                self.expression(node.value)
                self._assigned = was
                for target in node.targets:
                    self.target(target)
            case ast.AugAssign():
                self._augmented(node)
            case ast.AnnAssign():
                if not self._in_function:
                    self.expression(node.annotation)
                if node.value is not None:
                    self.expression(node.value)
                    self.target(node.target)
                elif not isinstance(node.target, ast.Name):
                    self.expression(node.target)
            case ast.For() | ast.AsyncFor():
                self.expression(node.iter)
                self._loops += 1
                self.target(node.target, temporary=True)
                self._visit_block(node.body)  # a loop is taken to run at least once
                self._loops -= 1
                self._optional(node.orelse)
            case ast.While():
                self._loops += 1
                self.expression(node.test)
                self._optional(node.body)
                self._loops -= 1
                self._optional(node.orelse)
            case ast.If():
                self.expression(node.test)
                self._branches(node.body, node.orelse)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    self.expression(item.context_expr)
                    if item.optional_vars is not None:
                        self.target(item.optional_vars, temporary=True)
                self._visit_block(node.body)
            case ast.Try() | ast.TryStar():
                self._try(node)
            case ast.Match():
                self._match(node)
            case ast.Import() | ast.ImportFrom():
                for alias in node.names:
                    self._import(node, alias)
            case ast.Global() | ast.Nonlocal():
                self._global(node)
            case ast.Delete():
                for target in node.targets:
                    self._delete(target)
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self.expression(child)

    def _visit_block(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            self.statement(statement)

    def _optional(self, body: Sequence[ast.stmt]) -> None:
        before = set(self._bound)
        self._visit_block(body)
        self._bound = before

    def _try(self, node: ast.Try | ast.TryStar) -> None:
        before = frozenset(self._bound)
        self._visit_block(node.body)
        self._visit_block(node.orelse)
        after = [frozenset(self._bound)]
        for handler in node.handlers:
            self._bound = set(before)
            if handler.type is not None:
                self.expression(handler.type)
            if handler.name is not None:
                start, _ = self._text.span(handler)
                self._named(handler.name, "store", start, r"\bas\s+", temporary=True)
            self._visit_block(handler.body)
            if not _leaves(handler.body):
                after.append(frozenset(self._bound))
        self._bound = set(frozenset.intersection(*after))
        self._visit_block(node.finalbody)

    def _match(self, node: ast.Match) -> None:
        self.expression(node.subject)
        before = frozenset(self._bound)
        after = [before]
        for case in node.cases:
            self._bound = set(before)
            self._pattern(case.pattern)
            if case.guard is not None:
                self.expression(case.guard)
            self._visit_block(case.body)
            after.append(frozenset(self._bound))
        self._bound = set(frozenset.intersection(*after))

    def _pattern(self, pattern: ast.pattern) -> None:
        for child in ast.iter_child_nodes(pattern):
            if isinstance(child, ast.pattern):
                self._pattern(child)
            elif isinstance(child, ast.expr):
                self.expression(child)
        name = pattern.rest if isinstance(pattern, ast.MatchMapping) else getattr(pattern, "name", None)
        if name is not None:
            start, end = self._text.span(pattern)
            at = [found.start() for found in re.finditer(rf"\b{re.escape(name)}\b", self.source[start:end])]
            if self._is_global(name, "store"):
                self._add(name, "store", (start + at[-1], start + at[-1] + len(name)), temporary=True)

    def _augmented(self, node: ast.AugAssign) -> None:
        match node.target:
            case ast.Name() as target:
                self._name(target, "load", augmented=True)
                self.expression(node.value)
                self._name(target, "store", augmented=True)
            case target:
                self.expression(target)
                self.expression(node.value)

    def _delete(self, target: ast.expr) -> None:
        match target:
            case ast.Name():
                self._name(target, "delete")
            case ast.Tuple() | ast.List():
                for element in target.elts:
                    self._delete(element)
            case _:
                self.expression(target)

    def _import(self, node: ast.Import | ast.ImportFrom, alias: ast.alias) -> None:
        if alias.name == "*" or (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            return
        if not self._is_global((alias.asname or alias.name).partition(".")[0], "store"):
            return
        start, end = self._text.span(alias)
        module = "." * node.level + (node.module or "") if isinstance(node, ast.ImportFrom) else ""
        if alias.asname is not None:
            origin = f"{module}:{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
            self._add(alias.asname, "store", (end - len(alias.asname), end), origin=origin)
        elif isinstance(node, ast.ImportFrom):
            self._add(alias.name, "store", (start, end), origin=f"{module}:{alias.name}", form="import")
        else:
            name, dot, _ = alias.name.partition(".")
            form: Form = "import_dotted" if dot else "import"
            self._add(name, "store", (start, end), origin=name, form=form)

    def _global(self, node: ast.Global | ast.Nonlocal) -> None:
        start, end = self._text.span(node)
        for name in node.names:
            if self._is_global(name) and (found := re.search(rf"\b{name}\b", self.source[start + 6 : end])):
                at = start + 6 + found.start()
                self._add(name, "store" if isinstance(node, ast.Global) else "load", (at, at + len(name)))

    # Functions and classes

    @property
    def _in_function(self) -> bool:
        return any(scope.kind == "function" for scope in self._scopes)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.expression(decorator)
        self._defaults(node.args)
        for annotation in (*(arg.annotation for arg in _arguments(node.args)), node.returns):
            if annotation is not None:
                self.expression(annotation)
        self._body(node.args, node.body, node.name)
        start = self._text.offset(node.lineno, node.col_offset)
        self._named(node.name, "store", start, r"(?:async\s+)?def\s+")

    def _defaults(self, arguments: ast.arguments) -> None:
        for default in (*arguments.defaults, *arguments.kw_defaults):
            if default is not None:
                self.expression(default)

    def _body(self, arguments: ast.arguments, body: Sequence[ast.stmt] | ast.expr, owner: str | None) -> None:
        bound, global_ = _bindings(body if not isinstance(body, ast.expr) else [ast.Expr(body)])
        names = {argument.arg for argument in _arguments(arguments)}
        scope = _Scope("function", frozenset(bound | names), frozenset(global_))
        saved, was_owner, loops = set(self._bound), self._owner, self._loops
        if self._owner is None and not self._scopes:
            self._owner = owner
        self._scopes.append(scope)
        self._loops = 0
        if isinstance(body, ast.expr):
            self.expression(body)
        else:
            self._visit_block(body)
        self._scopes.pop()
        self._bound, self._owner, self._loops = saved, was_owner, loops

    def _class(self, node: ast.ClassDef) -> None:
        for expression in (
            *node.decorator_list,
            *node.bases,
            *(keyword.value for keyword in node.keywords),
        ):
            self.expression(expression)
        bound, global_ = _bindings(node.body)
        was_owner = self._owner
        if self._owner is None and not self._scopes:
            self._owner = node.name
        self._scopes.append(_Scope("class", frozenset(bound), frozenset(global_)))
        saved = set(self._bound)
        self._visit_block(node.body)
        self._bound = saved | (self._bound & global_)
        self._scopes.pop()
        self._owner = was_owner
        start = self._text.offset(node.lineno, node.col_offset)
        self._named(node.name, "store", start, r"class\s+")

    # Expressions

    def expression(self, node: ast.expr) -> None:  # noqa: C901, PLR0912  # see statement
        match node:
            case ast.Name():
                self._name(node, "store" if isinstance(node.ctx, ast.Store) else "load")
            case ast.Lambda():
                self._defaults(node.args)
                self._body(node.args, node.body, self._assigned)
            case ast.NamedExpr():
                self.expression(node.value)
                self._name(node.target, "store", skip_comprehensions=True)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                self._comprehension(node)
            case ast.BoolOp():
                self.expression(node.values[0])
                before = set(self._bound)
                for value in node.values[1:]:
                    self.expression(value)
                self._bound = before
            case ast.IfExp():
                self.expression(node.test)
                before = set(self._bound)
                self.expression(node.body)
                self._bound = set(before)
                self.expression(node.orelse)
                self._bound = before
            case ast.JoinedStr():
                self._fstring(node)
            case ast.Call():
                self._call(node)
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self.expression(child)
                    elif isinstance(child, ast.keyword):
                        self.expression(child.value)

    def _call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name):
            self._name(node.func, "load", called=True)
        else:
            self.expression(node.func)
        for argument in node.args:
            self.expression(argument)
        for keyword in node.keywords:
            self.expression(keyword.value)
        if isinstance(node.func, ast.Attribute) and node.func.attr in _QUERIES:
            self._query(node)
        if _evaluates(node.func) and len(node.args) == 1:
            self._evaluated(node.args[0])

    def _evaluated(self, argument: ast.expr) -> None:
        """Find the names in a string that is evaluated here: `pd.eval("a + b")`."""
        if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
            return
        start, end = self._text.span(argument)
        relative = start - self._text.base
        if self._text.source[relative + 1 : relative + end - start - 1] != argument.value:
            return  # with a prefix or escapes: places in it are not those in the cell
        try:
            tree = ast.parse(argument.value, mode="eval")
        except (SyntaxError, ValueError):
            return
        saved, self._text = self._text, Text(argument.value, start + 1)
        count = len(self.found)
        self.expression(tree.body)
        self._text = saved
        self.found[count:] = [replace(each, form="quoted") for each in self.found[count:]]

    def _query(self, node: ast.Call) -> None:
        """Find `@name` in the string that a method like `DataFrame.query` is called with."""
        for argument in (*node.args[:1], *(each.value for each in node.keywords if each.arg == "expr")):
            if isinstance(argument, (ast.Constant, ast.JoinedStr)) and (
                isinstance(argument, ast.JoinedStr) or isinstance(argument.value, str)
            ):
                start, end = self._text.span(argument)
                relative = start - self._text.base
                literal = self._text.source[relative : relative + end - start]
                for found in re.finditer(r"@([^\W\d]\w*)", literal):
                    if self._is_global(found[1]):
                        place = (start + found.start(1), start + found.end(1))
                        self._add(found[1], "load", place, form="quoted")

    def _fstring(self, node: ast.JoinedStr) -> None:
        start, end = self._text.span(node)
        relative = start - self._text.base
        literal = self._text.source[relative : relative + end - start]
        for each in fields(literal, start):
            saved, self._text = self._text, each.text
            count = len(self.found)
            self.expression(each.tree)
            self._text = saved
            if each.shows_itself and len(self.found) == count + 1 and isinstance(each.tree, ast.Name):
                only = self.found.pop()
                self._order -= 1
                self._add(only.name, "load", each.shows_itself, form="shown")

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        self.expression(node.generators[0].iter)
        bound: set[str] = set()
        for generator in node.generators:
            bound |= _target_names(generator.target)
        self._scopes.append(_Scope("comprehension", frozenset(bound)))
        before = set(self._bound)
        for number, generator in enumerate(node.generators):
            if number:
                self.expression(generator.iter)
            self.target(generator.target)
            for condition in generator.ifs:
                self.expression(condition)
        for part in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            self.expression(part)
        self._bound = before
        self._scopes.pop()

    # Names

    def target(self, node: ast.expr, *, temporary: bool = False) -> None:
        match node:
            case ast.Name():
                self._name(node, "store", temporary=temporary)
            case ast.Tuple() | ast.List():
                for element in node.elts:
                    self.target(element, temporary=temporary)
            case ast.Starred():
                self.target(node.value, temporary=temporary)
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self.expression(child)

    def _is_global(self, name: str, act: Act = "load", *, skip_comprehensions: bool = False) -> bool:
        for depth, scope in enumerate(reversed(self._scopes)):
            if name in scope.global_:
                return True
            if scope.kind == "class" and depth:
                continue
            if scope.kind == "comprehension" and skip_comprehensions:
                continue
            if name in scope.bound and (scope.kind != "class" or act == "store" or name in scope.so_far):
                if scope.kind == "class":
                    scope.so_far.add(name)
                return False
        return True

    def _name(
        self,
        node: ast.Name,
        act: Act,
        *,
        temporary: bool = False,
        called: bool = False,
        augmented: bool = False,
        skip_comprehensions: bool = False,
    ) -> None:
        if self._is_global(node.id, act, skip_comprehensions=skip_comprehensions):
            self._add(
                node.id,
                act,
                self._text.span(node),
                temporary=temporary,
                called=called,
                augmented=augmented,
            )

    def _named(self, name: str, act: Act, start: int, before: str, *, temporary: bool = False) -> None:
        """Add a name that is no node of its own: the first after `before`."""
        if not self._is_global(name, act):
            return
        found = re.compile(rf"{before}({_loosely(name)})").search(self.source, start)
        assert found is not None
        self._add(name, act, found.span(1), temporary=temporary)

    def _add(
        self,
        name: str,
        act: Act,
        span: tuple[int, int],
        *,
        temporary: bool = False,
        called: bool = False,
        augmented: bool = False,
        form: Form = "name",
        origin: str | None = None,
    ) -> None:
        # A function that gets no name is taken to be called where it is written.
        late = self._in_function and self._owner is not None
        self._order += 1
        self.found.append(
            Occurrence(
                name=name,
                act=act,
                start=span[0],
                end=span[1],
                statement=self._statement,
                order=self._order,
                late=late,
                owner=self._owner,
                exposed=act != "store" and not late and name not in self._bound,
                looped=self._loops > 0,
                form=form,
                origin=origin,
                temporary=temporary,
                called=called,
                augmented=augmented,
            )
        )
        if not late:
            if act == "store":
                self._bound.add(name)
            elif act == "delete":
                self._bound.discard(name)


def _loosely(name: str) -> str:
    """Return a pattern for a name as it may be written: Python compares names in their NFKC form."""
    return re.escape(name) if name.isascii() else r"[^\W\d]\w*"


def _only_name(targets: Sequence[ast.expr]) -> str | None:
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else None


def _arguments(arguments: ast.arguments) -> Iterable[ast.arg]:
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    for argument in (arguments.vararg, arguments.kwarg):
        if argument is not None:
            yield argument


def _leaves(body: Sequence[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Raise | ast.Return | ast.Continue | ast.Break)


def _target_names(target: ast.expr) -> set[str]:
    return {
        node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _bindings(body: Iterable[ast.stmt]) -> tuple[set[str], set[str]]:  # noqa: C901  # one case for each form
    """Return the names that a function's or a class's body binds, and those that it declares global."""
    bound: set[str] = set()
    global_: set[str] = set()
    waiting: list[tuple[ast.AST, bool]] = [(statement, False) for statement in body]
    while waiting:
        node, in_comprehension = waiting.pop()
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                bound.add(node.name)
                waiting += [(child, in_comprehension) for child in node.decorator_list]
                continue
            case ast.Lambda():
                continue
            case ast.Global():
                global_.update(node.names)
            case ast.Nonlocal():
                pass
            case ast.Name(ctx=ast.Store() | ast.Del()) if not in_comprehension:
                bound.add(node.id)
            case ast.NamedExpr():
                bound.add(node.target.id)
            case ast.Import() | ast.ImportFrom():
                bound.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
            case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar() if node.name is not None:
                bound.add(node.name)
            case ast.MatchMapping() if node.rest is not None:
                bound.add(node.rest)
            case _:
                pass
        inside = in_comprehension or isinstance(
            node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
        )
        waiting += [(child, inside) for child in ast.iter_child_nodes(node)]
    return bound - global_, global_
