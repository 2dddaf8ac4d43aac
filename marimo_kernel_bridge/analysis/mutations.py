"""Where a cell changes an object that a name stands for, without binding the name: `df["a"] = 1`, `rows.append(1)`.

Recognised by form: what is assigned to, and methods that are known to change their object. Functions and classes of
the notebook are read, so that a call counts for what they change of their arguments and of globals.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from marimo_kernel_bridge.analysis.object_kinds import (
    CONSUMED,
    Kind,
    is_view,
    kind_of,
    root_of,
    shared_with,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

How = Literal[
    "item",
    "attribute",
    "nested",
    "method",
    "inplace",
    "fit",
    "plot",
    "random",
    "next",
    "call",
    "augmented",
    "other",
]

# Methods that change their object whatever it is: no class has them for anything else.
_CHANGING: Final = frozenset(
    """append appendleft extend extendleft insert remove discard clear popitem setdefault popleft reverse
    sort rotate update intersection_update difference_update symmetric_difference_update
    fill put itemset partial_fit add_node add_nodes_from add_edge add_edges_from remove_node remove_nodes_from
    remove_edge remove_edges_from add_weighted_edges_from push enqueue dequeue""".split()  # noqa: SIM905  # a list of words
)
# Those of them that do so only with a certain use: `x.pop(0)` of a list, not `re.sub`; `s.add(1)`, not `a.add(b)`.
_CHANGING_IF_DISCARDED: Final = frozenset(
    {"pop", "add", "resize", "partition", "shuffle", "set", "compile", "load"}
)
_FITTING: Final = frozenset({"fit", "train", "fit_generator"})
_DRAWING: Final = frozenset(
    """plot scatter bar barh hist hist2d fill fill_between fill_betweenx imshow contour contourf pcolormesh pcolor
    quiver streamplot errorbar boxplot violinplot pie stackplot step stem axhline axvline axhspan axvspan hlines vlines
    text annotate legend grid set_title set_xlabel set_ylabel set_zlabel set_xlim set_ylim set_zlim set_xticks set_yticks
    set_xticklabels set_yticklabels set_xscale set_yscale set_aspect set_axis_off set_facecolor tick_params
    invert_yaxis invert_xaxis add_patch add_artist add_collection add_line margins axis suptitle tight_layout
    subplots_adjust colorbar set_size_inches set_figheight set_figwidth plot_surface plot_wireframe autoscale
    set twinx loglog semilogx semilogy autofmt_xdate add_subplot set_prop_cycle spines""".split()  # noqa: SIM905  # a list of words
)
_DRAWS_RANDOM: Final = frozenset(
    """random rand randn randint integers normal standard_normal uniform choice choices shuffle permutation
    poisson binomial exponential gamma beta sample gauss randrange multivariate_normal lognormal laplace bytes
    standard_t chisquare dirichlet multinomial geometric weibull random_sample betavariate expovariate""".split()  # noqa: SIM905  # a list of words
)
# Functions that change what they are given.
_CHANGES_ARGUMENT: Final = {
    "shuffle": 0,
    "heappush": 0,
    "heappop": 0,
    "heapify": 0,
    "insort": 0,
    "setattr": 0,
}
_PANDAS_PARTS: Final = frozenset({"loc", "iloc", "at", "iat"})
_PANDAS_ATTRIBUTES: Final = frozenset({"columns", "index", "name", "names", "values"})


@dataclass(frozen=True)
class Mutation:
    """One place where an object is changed. `at` is the node of the name: its place ties it to an occurrence.

    `key` is the constant that is assigned to, if any; `repeatable` tells that doing it twice is like doing it once. `together`
    are the other names that share the object; `viewed`: one of them looks into the memory of another, as slices of
    arrays do, which no copy keeps up.
    """

    name: str
    how: How
    at: ast.Name
    statement: ast.stmt
    key: str | None = None
    repeatable: bool = False
    kind: Kind = "unknown"
    together: frozenset[str] = frozenset()
    viewed: bool = False


@dataclass
class Habits:
    """What calling a function of the notebook changes: parameters (by position and by name), and global names."""

    positions: set[int] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    globals: set[str] = field(default_factory=set)
    changes_self: set[str] = field(default_factory=set)  # of a class: the methods that change their object


@dataclass
class Known:
    """What the cells above tell: kinds of names, what imports stand for, and what functions change."""

    kinds: dict[str, Kind] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)
    habits: dict[str, Habits] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)  # name of an object -> name of its class
    shared: dict[str, frozenset[str]] = field(default_factory=dict)
    views: set[str] = field(default_factory=set)  # names of arrays that share another's memory
    foreign: set[str] = field(default_factory=set)  # classes that build on others than the notebook's
    frames: frozenset[str] = frozenset()  # names that are used as only pandas objects are

    def group(self, name: str) -> frozenset[str]:
        """Return the names that may share their object, or parts of it, with `name`; itself among them."""
        found, waiting = {name}, [name]
        while waiting:
            current = waiting.pop()
            near = set(self.shared.get(current, ())) | {
                other for other, sources in self.shared.items() if current in sources
            }
            waiting += near - found
            found |= near
        return frozenset(found)


def mutations(tree: ast.Module, known: Known) -> list[Mutation]:
    """Find what a cell changes, in order, and put into `known` what it makes known."""
    finder = _Finder(known)
    for statement in tree.body:
        finder.statement(statement)
    return finder.found


class _Finder:
    def __init__(self, known: Known) -> None:
        self.known = known
        self.found: list[Mutation] = []
        self._current: ast.stmt = ast.Pass()

    def statement(self, node: ast.stmt) -> None:  # noqa: C901, PLR0912  # one case for each form
        was, self._current = self._current, node
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self.known.habits[node.name] = habits(node, self.known)
                self._bind(node.name, "generator" if _yields(node) else "value")
            case ast.ClassDef():
                self.known.habits[node.name] = _habits_of_class(node, self.known)
                self._bind(node.name, "own")
                if any(self._is_foreign(base) for base in node.bases):
                    self.known.foreign.add(node.name)
            case ast.Import() | ast.ImportFrom():
                self._import(node)
            case ast.Assign():
                self._expression(node.value)
                for target in node.targets:
                    self._assign(target, node.value)
            case ast.AnnAssign() if node.value is not None:
                self._expression(node.value)
                self._assign(node.target, node.value)
            case ast.AugAssign():
                self._expression(node.value)
                self._augment(node)
            case ast.Delete():
                for target in node.targets:
                    if not isinstance(target, ast.Name):
                        self._changed(target, repeatable=False)
            case ast.For() | ast.AsyncFor():
                self._expression(node.iter)
                for name in _stored(node.target):
                    self._bind(name, "unknown", shared_with(node.iter, self.known.kinds))
                    if kind_of(node.iter, self.known.kinds, self.known.modules) == "plot":
                        self.known.kinds[name] = "plot"
                self._block(node.body)
                self._block(node.orelse)
            case ast.Expr(value=ast.Call() as call):
                self._discarded(call)
                self._expression(call)
            case _:
                self._children(node)
        self._current = was

    def _block(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            self.statement(statement)

    def _children(self, node: ast.stmt) -> None:
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.stmt():
                    self.statement(child)
                case ast.expr():
                    self._expression(child)
                case ast.withitem():
                    self._expression(child.context_expr)
                    if isinstance(child.optional_vars, ast.Name):
                        kind = kind_of(child.context_expr, self.known.kinds, self.known.modules)
                        self._bind(child.optional_vars.id, kind)
                case ast.ExceptHandler() | ast.match_case():
                    self._block(child.body)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            bound = alias.asname or alias.name.partition(".")[0]
            origin = alias.name if alias.asname else bound
            if isinstance(node, ast.ImportFrom):
                origin = f"{node.module or ''}.{alias.name}"
            self._bind(bound, "module")
            self.known.modules[bound] = origin

    # Binding

    def _bind(self, name: str, kind: Kind, shared: frozenset[str] = frozenset()) -> None:
        self.known.kinds[name] = "frame" if kind == "unknown" and name in self.known.frames else kind
        self.known.modules.pop(name, None)
        self.known.classes.pop(name, None)
        if name in shared:  # it may still be what it was
            self.known.shared[name] = self.known.shared.get(name, frozenset()) | shared - {name}
            return
        for other, sources in list(self.known.shared.items()):
            if name in sources:
                self.known.shared[other] = sources - {name}
        self.known.shared.pop(name, None)
        if shared - {name}:  # most share nothing, and the rest is gone through for each name
            self.known.shared[name] = shared - {name}

    def _assign(self, target: ast.expr, value: ast.expr) -> None:  # noqa: C901, PLR0912  # one case for each form
        match target:
            case ast.Name():
                kind = kind_of(value, self.known.kinds, self.known.modules)
                if kind == "own" and _called_name(value) in self.known.foreign:
                    kind = "live"
                viewed = is_view(value, self.known.kinds)
                self._bind(target.id, kind, shared_with(value, self.known.kinds))
                self.known.views.discard(target.id)
                if viewed:
                    self.known.views.add(target.id)
                if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
                    if value.func.id in self.known.habits and self.known.kinds.get(value.func.id) == "own":
                        self.known.classes[target.id] = value.func.id
                elif isinstance(value, ast.Name) and value.id in self.known.classes:
                    self.known.classes[target.id] = self.known.classes[value.id]
                if isinstance(value, ast.Lambda):
                    self.known.habits[target.id] = Habits()
            case ast.Tuple() | ast.List():
                together = isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts)
                for number, element in enumerate(target.elts):
                    inner = element.value if isinstance(element, ast.Starred) else element
                    part = (
                        value.elts[number] if together and isinstance(value, ast.Tuple | ast.List) else value
                    )
                    if isinstance(inner, ast.Name) and not together:
                        kind = kind_of(value, self.known.kinds, self.known.modules)
                        self._bind(inner.id, kind, shared_with(value, self.known.kinds))
                    else:
                        self._assign(inner, part)
                names = _stored(target)
                if not together and kind_of(value, self.known.kinds, self.known.modules) == "plot":
                    for name in names[1:]:  # a figure and its axes are one
                        self.known.shared[name] = frozenset({names[0]})
            case ast.Starred():
                self._assign(target.value, value)
            case _:
                self._changed(target, value=value)
                root = root_of(target)
                if root is not None and self.known.kinds.get(root.id) not in {"frame", "array"}:
                    given = shared_with(value, self.known.kinds) - {root.id}
                    if given:
                        self.known.shared[root.id] = self.known.shared.get(root.id, frozenset()) | given

    def _augment(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            kind = self.known.kinds.get(node.target.id, "unknown")
            if kind not in {"value", "generator", "unknown"}:
                self._add(Mutation(node.target.id, "augmented", node.target, node))
            return
        self._changed(node.target, repeatable=False)

    def _changed(self, target: ast.expr, *, value: ast.expr | None = None, repeatable: bool = True) -> None:
        root = root_of(target)
        if root is None:
            # `f(x).attr = 1`, `df.iloc[0].values[:] = 1` with a call on the way
            root = next((node for node in ast.walk(target) if isinstance(node, ast.Name)), None)
            if root is not None and self.known.kinds.get(root.id) != "module":
                self._add(Mutation(root.id, "nested", root, self._current))
            return
        how: How = "item" if isinstance(target, ast.Subscript) else "attribute"
        assert isinstance(target, ast.Subscript | ast.Attribute | ast.Starred)
        inner = target.value
        key = _key(target)
        if (
            isinstance(inner, ast.Attribute)
            and inner.attr in _PANDAS_PARTS
            and isinstance(inner.value, ast.Name)
        ):
            how, key = "item", None
        elif (
            isinstance(target, ast.Attribute)
            and target.attr in _PANDAS_ATTRIBUTES
            and isinstance(inner, ast.Name | ast.Attribute)
        ):
            how = "item" if self.known.kinds.get(root.id) == "frame" else how
        elif not isinstance(inner, ast.Name):
            how, key = "nested", None
        self._add(
            Mutation(
                root.id,
                how,
                root,
                self._current,
                key,
                repeatable=repeatable and value is not None and _repeatable(root.id, key, value, target),
            )
        )

    # Calls

    def _expression(self, node: ast.expr) -> None:
        shown = isinstance(self._current, ast.Expr) and self._current.value is node
        if not (
            shown and isinstance(node, ast.Name)
        ):  # a name alone shows its object, and takes nothing from it
            self._consume(node)
        for call in _calls(node):
            self._call(call)
        if isinstance(node, ast.NamedExpr):
            self._assign(node.target, node.value)

    def _consume(self, node: ast.expr) -> None:
        """See which iterators and files are moved on in: nearly all that one does with them does so."""
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and self.known.kinds.get(each.id) in CONSUMED:
                self._add(Mutation(each.id, "next", each, self._current))
            match each:
                case ast.Call(func=ast.Name(id="next"), args=[ast.Name() as name, *_]):
                    self._add(Mutation(name.id, "next", name, self._current))

    def _discarded(self, call: ast.Call) -> None:
        """See what a call is made for whose value nobody takes."""
        if not isinstance(call.func, ast.Attribute):
            return
        root = root_of(call.func.value)
        if root is None or self._is_module(root.id):
            return
        if call.func.attr in _FITTING:
            self._add(Mutation(root.id, "fit", root, self._current, repeatable=True))
        elif call.func.attr in _CHANGING_IF_DISCARDED and self.known.kinds.get(root.id) != "plot":
            how: How = "other" if self.known.kinds.get(root.id, "unknown") == "unknown" else "method"
            self._add(Mutation(root.id, how, root, self._current))
        elif (
            call.func.attr.startswith(("set_", "add_", "append_")) and self.known.kinds.get(root.id) != "plot"
        ):
            self._add(
                Mutation(root.id, "other", root, self._current, repeatable=call.func.attr.startswith("set_"))
            )

    def _call(self, call: ast.Call) -> None:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if isinstance(call.func, ast.Attribute):
            root = root_of(call.func.value)
            if root is not None and not self._is_module(root.id):
                self._method(call, root, name)
        elif isinstance(call.func, ast.Name):
            name = call.func.id
        called = self.known.habits.get(name) if isinstance(call.func, ast.Name) else None
        if called is not None:
            self._known_call(call, called)
        elif name in _CHANGES_ARGUMENT and len(call.args) > _CHANGES_ARGUMENT[name]:
            self._argument(call.args[_CHANGES_ARGUMENT[name]])
        for keyword in call.keywords:
            if keyword.arg == "ax" and isinstance(keyword.value, ast.Name):
                self._add(Mutation(keyword.value.id, "plot", keyword.value, self._current))
            if keyword.arg == "out" and isinstance(keyword.value, ast.Name):
                self._add(Mutation(keyword.value.id, "item", keyword.value, self._current, repeatable=True))

    def _method(self, call: ast.Call, root: ast.Name, name: str) -> None:
        kind = self.known.kinds.get(root.id, "unknown")
        assert isinstance(call.func, ast.Attribute)
        direct = isinstance(call.func.value, ast.Name)
        of_class = self.known.habits.get(self.known.classes.get(root.id, ""))
        if any(each.arg == "inplace" and _is_true(each.value) for each in call.keywords):
            self._add(Mutation(root.id, "inplace" if direct else "nested", root, self._current))
        elif of_class is not None and direct and name in of_class.changes_self:
            self._add(Mutation(root.id, "call", root, self._current))
        elif kind == "plot":
            if name in _DRAWING or name.startswith(("set_", "add_")):
                self._add(Mutation(root.id, "plot", root, self._current))
        elif kind == "random":
            if name in _DRAWS_RANDOM:
                self._add(Mutation(root.id, "random", root, self._current))
        elif name in _CHANGING and not (name == "update" and kind == "live"):
            self._add(Mutation(root.id, "method" if direct else "nested", root, self._current))
        elif name == "pop" and kind in {"list", "dict", "set"}:
            self._add(Mutation(root.id, "method", root, self._current))
        elif name == "insert" and kind == "frame":
            self._add(Mutation(root.id, "inplace", root, self._current))

    def _known_call(self, call: ast.Call, called: Habits) -> None:
        for number, argument in enumerate(call.args):
            if number in called.positions:
                self._argument(argument)
        for keyword in call.keywords:
            if keyword.arg in called.names:
                self._argument(keyword.value)
        assert isinstance(call.func, ast.Name)
        for name in sorted(called.globals):
            self._add(Mutation(name, "call", call.func, self._current))

    def _argument(self, argument: ast.expr) -> None:
        root = root_of(argument)
        if root is not None and not self._is_module(root.id):
            self._add(Mutation(root.id, "call", root, self._current))

    def _is_foreign(self, base: ast.expr) -> bool:
        if not isinstance(base, ast.Name):
            return True
        return base.id != "object" and (
            self.known.kinds.get(base.id) != "own" or base.id in self.known.foreign
        )

    def _is_module(self, name: str) -> bool:
        return self.known.kinds.get(name) == "module"

    def _add(self, mutation: Mutation) -> None:
        if mutation.how == "next":  # the iterator moves on, not what it goes through
            self.found.append(replace(mutation, kind=self.known.kinds.get(mutation.name, "unknown")))
        elif not self._is_module(mutation.name):
            self.found.append(
                replace(
                    mutation,
                    kind=self.known.kinds.get(mutation.name, "unknown"),
                    together=self.known.group(mutation.name) - {mutation.name},
                    viewed=not self.known.views.isdisjoint(self.known.group(mutation.name)),
                )
            )


def habits(node: ast.FunctionDef | ast.AsyncFunctionDef, known: Known) -> Habits:
    """Read what a function changes of its parameters and of global names."""
    arguments = [*node.args.posonlyargs, *node.args.args]
    parameters = [argument.arg for argument in arguments]
    own = {*parameters, *(argument.arg for argument in node.args.kwonlyargs)}
    inner = Known(dict(known.kinds), dict(known.modules), dict(known.habits), dict(known.classes))
    for name in own:
        inner.kinds.pop(name, None)
        inner.classes.pop(name, None)
    assigned = _assigned_in(node)
    finder = _Finder(inner)
    found = Habits()
    rebound: set[str] = set()
    for statement in node.body:
        count = len(finder.found)
        finder.statement(statement)
        for mutation in finder.found[count:]:
            for name in {mutation.name, *(() if mutation.name in rebound else mutation.together)}:
                if name in own and name not in rebound:
                    found.names.add(name)
                    if name in parameters:
                        found.positions.add(parameters.index(name))
                elif name not in own and name not in assigned:
                    found.globals.add(name)
        if isinstance(statement, ast.Assign):
            rebound |= {name for target in statement.targets for name in _stored(target)}
    declared = {name for each in ast.walk(node) if isinstance(each, ast.Global) for name in each.names}
    found.globals |= declared & assigned
    return found


def _habits_of_class(node: ast.ClassDef, known: Known) -> Habits:
    """Read which methods of a class change their object, directly or through other methods of it."""
    methods = {
        each.name: each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    found = Habits()
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in known.habits:
            found.changes_self |= known.habits[base.id].changes_self
    calls: dict[str, set[str]] = {}
    for name, method in methods.items():
        its = habits(method, known)
        found.globals |= its.globals if name == "__init__" else set()
        if 0 in its.positions and name != "__init__":
            found.changes_self.add(name)
        calls[name] = {
            call.func.attr
            for call in ast.walk(method)
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id == "self"
        }
    while more := {
        name
        for name, called in calls.items()
        if name not in found.changes_self and called & found.changes_self
    }:
        found.changes_self |= more
    return found


def _assigned_in(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    return {
        each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }


def _calls(node: ast.expr) -> Iterator[ast.Call]:
    """Yield the calls in an expression that are made when it is evaluated, innermost first."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Lambda):
            continue
        if isinstance(child, ast.expr):
            yield from _calls(child)
        elif isinstance(child, ast.keyword):
            yield from _calls(child.value)
        elif isinstance(child, ast.comprehension):
            yield from _calls(child.iter)
            for condition in child.ifs:
                yield from _calls(condition)
    if isinstance(node, ast.Call):
        yield node


def _yields(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether a function is a generator: whether it yields itself, not in a function inside of it."""
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        each = waiting.pop()
        if isinstance(each, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(each)
    return False


def _stored(target: ast.expr) -> list[str]:
    return [
        node.id for node in ast.walk(target) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]


def _called_name(value: ast.expr) -> str:
    return value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else ""


def _key(target: ast.expr) -> str | None:
    match target:
        case ast.Subscript(slice=ast.Constant(value=value)):
            return repr(value)
        case ast.Attribute(attr=attr):
            return f".{attr}"
        case _:
            return None


def _repeatable(name: str, key: str | None, value: ast.expr, target: ast.expr) -> bool:
    """Tell whether what is assigned does not depend on what the assignment changes."""
    parents = {child: node for node in ast.walk(value) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(value):
        if isinstance(node, ast.Name) and node.id == name:
            around = parents.get(node)
            read = _key(around) if isinstance(around, ast.Subscript | ast.Attribute) else None
            if key is None or read is None or read in {key, f".{key.strip(chr(39))}"}:
                return False
            if isinstance(around, ast.Attribute) and not isinstance(
                parents.get(around), ast.Attribute | ast.BinOp
            ):
                return False
    return not any(
        isinstance(node, ast.Name) and node.id == name
        for node in ast.walk(getattr(target, "slice", ast.Pass()))
    )


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True
