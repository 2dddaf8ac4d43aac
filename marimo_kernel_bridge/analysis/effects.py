"""The effects of calling the functions and classes of a notebook: which arguments and globals a call mutates.

Does not find mutations: the caller passes the function that does.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.changing_methods import change_by_call
from marimo_kernel_bridge.analysis.mutation import Effects, Mutation
from marimo_kernel_bridge.analysis.name_facts import NameFacts
from marimo_kernel_bridge.analysis.object_kinds import root_of
from marimo_kernel_bridge.analysis.syntax import assigned_in, of_itself, stored, with_mutable_default

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MOST: Final = 2000
"""Definitions that are remembered, each with the facts in which it was read."""
_known: dict[tuple[object, ...], tuple[Effects, list[Effects | None]]] = {}

Find = Callable[[Sequence[ast.stmt], NameFacts], Iterator[list[Mutation]]]
"""A function that yields the mutations by each statement, and records what the statement binds."""


def of_function(node: ast.FunctionDef | ast.AsyncFunctionDef, facts: NameFacts, find: Find) -> Effects:
    """Return the parameters and the global names whose objects a function mutates."""
    return _remembered(node, facts, lambda: _of_function(node, facts, find))


def _remembered(node: ast.AST, facts: NameFacts, find_out: Callable[[], Effects]) -> Effects:
    """Return the effects of a definition, found out once for the same facts about the names in it."""
    names = _names_in(node)
    classes = facts.classes
    names = (*names, *(classes[name] for name in names if name in classes))
    used = [facts.effects.get(name) for name in names]  # kept, so that no other has the identity of one
    about = (
        (
            facts.kinds.get(name),
            facts.modules.get(name),
            classes.get(name),
            facts.origins.get(name),
            facts.holders.get(name, ()),
            id(effects),
        )
        for name, effects in zip(names, used, strict=True)
    )
    key = (node, facts.thorough, *about)
    if key not in _known:
        if len(_known) >= _MOST:
            _known.clear()
        _known[key] = find_out(), used
    return _known[key][0]


@lru_cache(maxsize=_MOST)
def _names_in(node: ast.AST) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.id for each in ast.walk(node) if isinstance(each, ast.Name)))


def _of_function(node: ast.FunctionDef | ast.AsyncFunctionDef, facts: NameFacts, find: Find) -> Effects:
    arguments = [*node.args.posonlyargs, *node.args.args]
    parameters = [argument.arg for argument in arguments]
    local = {*parameters, *(argument.arg for argument in node.args.kwonlyargs)}
    inner = NameFacts(dict(facts.kinds), dict(facts.modules), dict(facts.effects), dict(facts.classes))
    inner.thorough, inner.origins = facts.thorough, dict(facts.origins)
    inner.holders = {name: keys for name, keys in facts.holders.items() if name not in local}
    for name in local:
        inner.kinds.pop(name, None)
        inner.classes.pop(name, None)
    nested = {part.name for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)}
    assigned = assigned_in(node) | nested
    effects = Effects()
    rebound: set[str] = set()
    made_of: dict[str, set[str]] = {}
    for statement, mutations in zip(node.body, find(node.body, inner), strict=True):
        trained = _made_of_others(mutations, made_of) if facts.thorough else ()
        for name in (*_mutated(mutations, rebound), *trained):
            if name in local and name not in rebound:
                effects.names.add(name)
                if name in parameters:
                    effects.positions.add(parameters.index(name))
            elif name not in local and name not in assigned:
                effects.globals.add(name)
        if isinstance(statement, ast.Assign):
            bound = {name for target in statement.targets for name in stored(target)}
            rebound |= bound
            if isinstance(statement.value, ast.Call):
                loaded = {name for name in _names_in(statement.value) if not inner.is_module(name)}
                made_of |= dict.fromkeys(bound, loaded - bound)
    effects.defaults = {
        name: place for name, place in with_mutable_default(node.args).items() if name in effects.names
    }
    for within in (inner.effects[name] for name in nested):
        effects.within |= within.globals - local - assigned
        effects.deeper |= (within.within | within.deeper) - local - assigned
    effects.called_on = _called_on(node, local, parameters)
    effects.globals |= assigned & {
        name for inside in ast.walk(node) if isinstance(inside, ast.Global) for name in inside.names
    }
    return effects


def _called_on(
    node: ast.FunctionDef | ast.AsyncFunctionDef, local: set[str], parameters: list[str]
) -> dict[str | int, set[str]]:
    """Return the parameters of which a function calls methods, and those: `ax` and `plot` for `ax.plot(...)`."""
    found: dict[str | int, set[str]] = {}
    for call in (part for part in ast.walk(node) if isinstance(part, ast.Call)):
        root = root_of(call.func) if isinstance(call.func, ast.Attribute) else None
        if isinstance(call.func, ast.Attribute) and root is not None and root.id in local:
            found.setdefault(root.id, set()).add(call.func.attr)
    return found | {place: found[name] for place, name in enumerate(parameters) if name in found}


def _mutated(mutations: Iterable[Mutation], rebound: set[str]) -> Iterator[str]:
    for mutation in mutations:
        yield mutation.name
        if mutation.name not in rebound:
            yield from mutation.together


def _made_of_others(mutations: Iterable[Mutation], made_of: Mapping[str, set[str]]) -> set[str]:
    """Return of what the objects are made that a function trains: an optimizer changes the model that it was given."""
    waiting = {each.name for each in mutations if each.how in {"train", "call"}}
    found: set[str] = set()
    while waiting:
        more = made_of.get(waiting.pop(), set()) - found
        found |= more
        waiting |= more
    return found


def returns_closure_that_changes(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether a function returns one that changes variables of the call, as a counter does with `nonlocal`."""
    own = list(of_itself(node))
    variables = {part.id for part in own if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    variables |= {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
    inside = [inner for inner in own if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)]
    changing = {inner.name for inner in inside if not variables.isdisjoint(_changed_and_returned(inner))}
    returned = [part.value for part in own if isinstance(part, ast.Return) and part.value is not None]
    return any(
        isinstance(part, ast.Name) and part.id in changing for value in returned for part in ast.walk(value)
    )


def _changed_and_returned(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Return the variables of the function around that a function binds, or whose objects it changes and returns a value of.

    What is only assigned by its key is a cache, which changes no result.
    """
    own = list(of_itself(node))
    returned = {
        name.id
        for part in own
        if isinstance(part, ast.Return) and part.value is not None
        for name in ast.walk(part.value)
        if isinstance(name, ast.Name)
    }
    found: set[str] = set()
    for part in own:
        match part:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if (
                change_by_call(method, "list", direct=True) is not None
            ):
                found.add(name)
            case ast.AugAssign(
                target=ast.Subscript(value=ast.Name(id=name)) | ast.Attribute(value=ast.Name(id=name))
            ):
                found.add(name)
    rebound = {name for part in ast.walk(node) if isinstance(part, ast.Nonlocal) for name in part.names}
    return (found & returned) | rebound


def of_class(node: ast.ClassDef, facts: NameFacts, find: Find) -> Effects:
    """Return the methods of a class that mutate their object, directly or through other methods of it."""
    return _remembered(node, facts, lambda: _of_class(node, facts, find))


def _of_class(node: ast.ClassDef, facts: NameFacts, find: Find) -> Effects:
    effects = Effects()
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in facts.effects:
            effects.changes_self |= facts.effects[base.id].changes_self
            effects.methods |= facts.effects[base.id].methods
            effects.within |= facts.effects[base.id].within
    methods = {
        method.name: method
        for method in node.body
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    for name, method in methods.items():
        of_method = of_function(method, facts, find)
        if of_method.defaults:
            effects.methods[name] = of_method
        if name == "__init__":
            effects.globals |= of_method.globals
        elif name == "__init_subclass__":
            effects.within |= of_method.globals
        elif 0 in of_method.positions:
            effects.changes_self.add(name)
    called = {name: _methods_called(method) for name, method in methods.items()}
    while more := {
        name
        for name, names in called.items()
        if name not in effects.changes_self and names & effects.changes_self
    }:
        effects.changes_self |= more
    return effects


def _methods_called(method: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Return the names of the methods that a method calls on `self`."""
    return {
        call.func.attr
        for call in ast.walk(method)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "self"
    }
