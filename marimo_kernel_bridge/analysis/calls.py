"""What calls make names share, and what their results share with the objects of names.

"Not known to share" is never "does not share": a call that is not known shares its arguments with its result and with
its object.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis import known_calls
from marimo_kernel_bridge.analysis.object_kinds import root_of
from marimo_kernel_bridge.analysis.owners import (
    FLAT,
    IMMUTABLE,
    NOTHING,
    OUTSIDE,
    Depth,
    Link,
    Reach,
    together,
)
from marimo_kernel_bridge.analysis.reached_values import Values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.analysis.habits import Habits
    from marimo_kernel_bridge.analysis.known_calls import Sharing

_IMMUTABLE_RESULTS: Final = frozenset(
    [
        "abs",
        "all",
        "any",
        "ascii",
        "bin",
        "bool",
        "bytes",
        "callable",
        "chr",
        "complex",
        "divmod",
        "float",
        "format",
        "hash",
        "hex",
        "int",
        "isinstance",
        "len",
        "oct",
        "ord",
        "pow",
        "range",
        "repr",
        "round",
        "str",
        "type",
        "input",
    ]  # a list of words
)
_PLAIN_RESULTS: Final = frozenset({"json.load", "json.loads"})
_OBJECTS: Final = frozenset({"object", "'object'", "'O'", "np.object_", "numpy.object_"})
"""The types of items that are objects, as code names them."""


class Calls(Values):
    """Calls of functions and of methods."""

    def _call(self, call: ast.Call) -> Reach:
        given = [self.of(value) for value in call.args] + [
            self.of(keyword.value) for keyword in call.keywords
        ]
        match call.func:
            case ast.Name(id=name):
                return self._function_call(call, name, given)
            case ast.Attribute() as func:
                root = root_of(func)
                if root is not None and self.facts.is_module(root.id) and root.id not in self._local:
                    path = ast.unparse(func).partition(".")[2]
                    return self._module_call(f"{self._origin(root.id)}.{path}", call, given)
                return self._method_call(call, func, self.of(func.value), given)
            case func:
                return self._unknown(self.of(func), given)

    def _function_call(self, call: ast.Call, name: str, given: Sequence[Reach]) -> Reach:  # noqa: PLR0911  # one case for each form
        if name in self._local:
            return self._unknown(self._local[name], given)
        habits = self.habits.get(name)
        if self.facts.kind(name) == "own":
            plain = habits is not None and habits.plain
            made = together((Reach(depth=Depth.FLAT) if plain else NOTHING, *given)).as_item()
            known = self.habits.get(f"{name}.__init__")
            shared = IMMUTABLE if plain else NOTHING
            if known:
                shared = self._by_habits(known, IMMUTABLE if plain else NOTHING, call, given)
            of_class = IMMUTABLE if plain else Reach(parts=habits.of_class) if habits else NOTHING
            return together((made, of_class, shared))
        if habits is not None:
            return self._by_habits(habits, None, call, given)
        if self.facts.is_module(name):
            return self._module_call(self._origin(name), call, given)
        if name == "setattr" and len(call.args) == 3:  # noqa: PLR2004  # its arguments
            self._put(call.args[0], given[2])
            return IMMUTABLE
        if name in known_calls.BUILTINS and self.facts.kind(name) == "unknown":
            if name in _IMMUTABLE_RESULTS:
                return IMMUTABLE
            return self._known(known_calls.BUILTINS[name], call, given)
        if self._is_module_of_torch(name):
            return Reach(holds=together((self._name(name), *given)).names())
        return self._unknown(self._name(name), given)

    def _is_module_of_torch(self, name: str) -> bool:
        """Return whether a name stands for a model or a loss of PyTorch: a call holds what it is given in its result alone."""
        facts = self.facts
        of_torch = facts.origins.get(name, "").startswith("torch.nn.")
        return of_torch or (facts.classes.get(name) in facts.foreign and "torch" in facts.packages())

    def _module_call(self, path: str, call: ast.Call, given: Sequence[Reach]) -> Reach:  # noqa: PLR0911  # one case for each kind
        top = path.partition(".")[0]
        if path.startswith("torch.nn.functional."):
            return Reach(holds=together((NOTHING, *given)).names())
        sharing = _sharing_of(path, call)
        if path == "copy.deepcopy":
            return Reach(depth=max((reach.depth for reach in given), default=Depth.OPAQUE))
        if path in _PLAIN_RESULTS:
            return Reach(depth=Depth.PLAIN)
        if top in {"pandas", "numpy"} and sharing is None:
            return self._new_data(path, given)
        if sharing is None and top in known_calls.MODULES_OF_NEW:
            sharing = "new"
        if sharing is not None:
            new = [NOTHING if top != "numpy" else FLAT] if sharing == "same" else []  # as of a number
            return together((self._known(sharing, call, given), *new))
        reach = together((NOTHING, *(each.by(Link.ARGUMENT) for each in given)))
        self._between(given)
        if top in known_calls.MODULES_OF_HOLDERS:
            return reach
        for each in given:
            for name, link in each.names().items():
                self.owners.link(OUTSIDE, Reach(holds={name: max(link, Link.ARGUMENT)}))
        return together((reach, Reach(same={OUTSIDE: Link.ARGUMENT})))

    def _new_data(self, path: str, given: Sequence[Reach]) -> Reach:
        """Return the result of a function of numpy or pandas that copies what it is given."""
        keeps = path.startswith("pandas.") and not self.facts.copies_on_write
        reach = together(given)
        items = reach.holds if path in {"pandas.Series", "pandas.Index"} else {}
        return Reach(reach.same if keeps else {}, holds=items, depth=Depth.FLAT)

    def _known(self, sharing: Sharing, call: ast.Call, given: Sequence[Reach]) -> Reach:
        reach = together((IMMUTABLE, *given))
        match sharing:
            case "new":
                return NOTHING
            case "items":
                return self._items(call, given).as_item()
            case "holds":
                return together((reach.as_item(), Reach(holds=reach.names(), depth=reach.depth.held())))
            case "same":
                return reach
            case "item":
                return together((self.item(reach), Reach(same=reach.same) if len(given) > 1 else IMMUTABLE))
            case "outside":
                self._know_outside(call.args)
                return together((reach, Reach(same={OUTSIDE: Link.SHOWN})))

    def _method_call(self, call: ast.Call, func: ast.Attribute, of: Reach, given: Sequence[Reach]) -> Reach:
        if self._kind(func.value) in {"frame", "array", "random"}:
            return self._data_call(func, of, given)
        if not of.names() and of.depth is Depth.VALUE:
            return FLAT if not given or isinstance(func.value, ast.Constant | ast.JoinedStr) else NOTHING
        habits = self._habits_of_method(func)
        if habits is not None:
            return self._by_habits(habits, of, call, given)
        if self._kind(func.value) == "plot":
            return Reach(same=of.names(), depth=Depth.OPAQUE)
        self._give(func, of, call, given)
        if isinstance(func.value, ast.Name):
            of = self.of(func.value)  # with what was put into it
        return self._method_result(call, func, of, given)

    def _data_call(self, func: ast.Attribute, of: Reach, given: Sequence[Reach]) -> Reach:
        """Return the result of a method of a frame, an array or a random generator."""
        view = Reach(of.same, of.within, depth=Depth.FLAT)
        match self._kind(func.value):
            case "frame" if func.attr in known_calls.PARTS_OF_FRAMES:
                return Reach(of.same, of.within, of.same, depth=Depth.FLAT)
            case "array" if func.attr in known_calls.VIEWS_OF_ARRAYS:
                return view
            case "random" if func.attr in {"choice", "choices", "sample"}:
                return self.item(together((IMMUTABLE, *given)))
        return FLAT

    def _method_result(self, call: ast.Call, func: ast.Attribute, of: Reach, given: Sequence[Reach]) -> Reach:
        result = NOTHING
        match known_calls.METHODS.get(func.attr):
            case "new":
                pass
            case "items":
                result = together((self._item(of, func.value), self._items(call, given))).as_item()
            case "holds":
                result = Reach(holds=of.names(), depth=of.depth)
            case "item":
                result = together((self._item(of, func.value), *given[1:]))
            case "same":
                result = of
            case _ if self._kind(func.value) not in {"list", "dict", "set"}:
                result = together((of.by(Link.RECEIVER), *(each.by(Link.ARGUMENT) for each in given)))
        return result

    def _give(self, func: ast.Attribute, of: Reach, call: ast.Call, given: Sequence[Reach]) -> None:
        """Record what a method that is not the notebook's own may put into its object."""
        name = func.attr
        if name in known_calls.TAKING or (self._kind(func.value) == "set" and name == "add"):
            if name == "add":
                self._put(func.value, together((IMMUTABLE, *given)))
            return
        if name in known_calls.PUTTING:
            self._put(func.value, together((IMMUTABLE, *given)))
        elif name in known_calls.PUTTING_ITEMS:
            self._put(func.value, self._items(call, given))
        elif given:
            link = Link.ARGUMENT if name in {"fit", "fit_transform", "partial_fit"} else Link.RECEIVER
            for each in given:
                for other in of.names():
                    names = {one: max(link, known) for one, known in each.names().items()}
                    self.owners.link(other, Reach(holds=names))
                    if names:
                        self.owners.blur(other)
            self._blur(given)

    def _items(self, call: ast.Call, given: Sequence[Reach]) -> Reach:
        """Return the reach of the items of arguments, and of keywords' values: what `dict(a, b=c)` takes in."""
        items = [self._item(each, node) for each, node in zip(given, call.args, strict=False)]
        return together((IMMUTABLE, *items, *given[len(call.args) :]))

    def _put(self, target: ast.expr, reach: Reach) -> None:
        root = root_of(target)
        of = self.of(target) if root is None else None
        names = [root.id] if root is not None else list((of or NOTHING).names())
        for name in names:
            if name in self._local:
                for other in self._local[name].names():
                    self.owners.put_into(other, reach)
            else:
                self.owners.put_into(OUTSIDE if self.facts.is_module(name) else name, reach)

    def _unknown(self, func: Reach, given: Sequence[Reach]) -> Reach:
        """Return the result of a call of something that is not known."""
        self._between(given)
        for each in given:
            for name in func.names():
                self.owners.link(name, Reach(holds=each.by(Link.RECEIVER).names()))
        return together((func.by(Link.RECEIVER), *(each.by(Link.ARGUMENT) for each in given)))

    def _between(self, given: Sequence[Reach]) -> None:
        """Record that the arguments of a call that is not known may have been put into each other."""
        names = [each.by(Link.ARGUMENT).names() for each in given]
        for place, some in enumerate(names):
            for others in names[place + 1 :]:
                for name in some:
                    self.owners.link(name, Reach(holds=others, within=others))
        self._blur(given)

    def _blur(self, given: Sequence[Reach]) -> None:
        for each in given:
            for name in each.names():
                if self.facts.kind(name) not in {"array", "frame", "value"}:
                    self.owners.blur(name)

    def _know_outside(self, nodes: Sequence[ast.expr]) -> None:
        """Record that the identity of objects is looked at."""
        for node in nodes:
            reach = self.of(node) if isinstance(node, ast.Name) else NOTHING
            self.owners.link(OUTSIDE, Reach(holds=reach.same))

    def _habits_of_method(self, func: ast.Attribute) -> Habits | None:
        root = func.value
        owner = self.facts.classes.get(root.id) if isinstance(root, ast.Name) else None
        if owner is None and isinstance(root, ast.Name) and self.facts.kind(root.id) == "own":
            return None
        return self.habits.get(f"{owner}.{func.attr}") if owner is not None else None

    def _by_habits(self, habits: Habits, of: Reach | None, call: ast.Call, given: Sequence[Reach]) -> Reach:
        """Record what a call of a function of the notebook makes its arguments share, and return its result."""
        called = call.func.id if isinstance(call.func, ast.Name) else ""
        if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
            called = self.facts.classes.get(call.func.value.id, "")
        default = {called: Link.SHOWN} if called else {}
        arguments = habits.bound(call, given, of, Reach(default, default, default))
        if arguments is None:
            return self._unknown(NOTHING, [*given, *([of] if of is not None else [])])
        for holder, held in habits.holds:
            for name, link in _named(holder, arguments).items():
                names = {one: max(link, by) for one, by in _named(held, arguments).items()}
                self.owners.link(name, Reach(holds=names))
            if holder in arguments and held in arguments and arguments[held].depth is Depth.OPAQUE:
                self._blur([Reach(_named(holder, arguments))])
        for one, other in habits.parts:
            for name in _named(one, arguments):
                self.owners.link(name, Reach(parts=_named(other, arguments)))
        for name in habits.blurs:
            self._blur([Reach(_named(name, arguments))])
        return habits.result(arguments)


def _sharing_of(path: str, call: ast.Call) -> Sharing | None:
    """Return how the result of a function of a module relates to its arguments; None if no table says it."""
    if path.partition(".")[0] in known_calls.MODULES_OF_NEW and _asks_to_share(call):
        return "same"
    if path in known_calls.FUNCTIONS:
        return known_calls.FUNCTIONS[path]
    if path.startswith(known_calls.NEW_BELOW):
        return "new"
    return "same" if path.startswith(known_calls.SHARED_BELOW) else None


def _asks_to_share(call: ast.Call) -> bool:
    """Return whether keywords of a call make its result share its arguments: `copy=False`, `out=a`, `dtype=object`."""
    for keyword in call.keywords:
        match keyword:
            case ast.keyword(arg="copy"):
                if not (isinstance(keyword.value, ast.Constant) and keyword.value.value is True):
                    return True
            case ast.keyword(arg="out" | "buffer" | "buf" | None):
                return True
            case ast.keyword(arg="dtype"):
                if ast.unparse(keyword.value) in _OBJECTS:
                    return True
    return False


def _named(node: str, arguments: dict[str, Reach]) -> dict[str, Link]:
    return arguments[node].names() if node in arguments else {node: Link.SHOWN}
