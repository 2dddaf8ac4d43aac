"""What calling a function of the notebook makes its arguments share, as its body shows."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marimo_kernel_bridge.analysis.owners import OUTSIDE, RESULT, Depth, Link, Reach, merged, together
from marimo_kernel_bridge.analysis.syntax import with_mutable_default

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marimo_kernel_bridge.analysis.owners import Owners


@dataclass(frozen=True)
class Habits:
    """The habits of a function. Nodes are its parameters, global names and `OUTSIDE`.

    `holds` are pairs of a node and one whose object it holds after a call, `parts` pairs that have parts in common.
    `same`, `within`, `held` and `common` are the reach of the result, of the `depth`. `blurs` are the parameters that
    something that is not known may put anything into. `of_class`: of a class, the mutable attributes of the class.
    `plain`: of a class whose objects consist of what they are given, of values, and of plain containers of such.
    """

    parameters: tuple[str, ...] = ()
    rest: frozenset[str] = frozenset()  # `*args` and `**options`
    defaults: frozenset[str] = frozenset()  # parameters whose default value may be changed
    holds: frozenset[tuple[str, str]] = frozenset()
    parts: frozenset[tuple[str, str]] = frozenset()
    same: frozenset[str] = frozenset()
    within: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    common: frozenset[str] = frozenset()
    blurs: frozenset[str] = frozenset()
    depth: Depth = Depth.OPAQUE
    of_class: Mapping[str, Link] = field(default_factory=dict)
    plain: bool = False

    def keeps_to_itself(self) -> bool:
        """Return whether a method leaves its object known: nothing else gets hold of it, and it of nothing that is global."""
        own = self.parameters[0] if self.parameters else ""
        others = {*self.parameters, *self.rest}
        return own not in self.blurs and all(
            holder in others and held in others for holder, held in self.holds if own in {holder, held}
        )

    def bound(
        self, call: ast.Call, given: Sequence[Reach], of: Reach | None, default: Reach
    ) -> dict[str, Reach] | None:
        """Return what each parameter is bound to, by name; None if that cannot be told.

        `of`: the object of a method. `default`: what holds the default values.
        """
        if any(isinstance(value, ast.Starred) for value in call.args):
            return None
        values = ([of] if of is not None else []) + list(given[: len(call.args)])
        arguments: dict[str, list[Reach]] = {name: [] for name in (*self.parameters, *self.rest)}
        for place, value in enumerate(values):
            names = [self.parameters[place]] if place < len(self.parameters) else list(self.rest)
            for name in names:
                arguments[name].append(value if place < len(self.parameters) else value.as_item())
            if not names:
                return None
        for keyword, value in zip(call.keywords, given[len(call.args) :], strict=True):
            if keyword.arg in self.parameters:
                arguments[keyword.arg].append(value)
            elif not self.rest or keyword.arg is None:
                return None
            else:
                for name in self.rest:
                    arguments[name].append(value.as_item())
        nothing = Reach(depth=Depth.VALUE)
        return {
            name: together(values) if values else default if name in self.defaults else nothing
            for name, values in arguments.items()
        }

    def result(self, arguments: Mapping[str, Reach]) -> Reach:
        """Return the reach of a call's result."""
        same = [arguments.get(name, Reach({name: Link.SHOWN})) for name in self.same]

        def names(nodes: frozenset[str]) -> dict[str, Link]:
            return merged(
                *(arguments[name].names() if name in arguments else {name: Link.SHOWN} for name in nodes)
            )

        depth = max([self.depth, *(reach.depth for reach in same)]) if same else self.depth
        whole = together(same)
        return Reach(
            whole.same,
            merged(whole.within, names(self.within)),
            merged(whole.holds, names(self.held)),
            merged(whole.parts, names(self.common)),
            depth,
        )


def habits_of(
    node: ast.FunctionDef | ast.AsyncFunctionDef,
    after: Owners,
    local: frozenset[str],
    blurred: frozenset[str],
) -> Habits:
    """Return the habits of a function, from the graph at the end of its body. `local` are its own names."""
    parameters = tuple(argument.arg for argument in (*node.args.posonlyargs, *node.args.args))
    named = tuple(argument.arg for argument in node.args.kwonlyargs)
    rest = frozenset(argument.arg for argument in (node.args.vararg, node.args.kwarg) if argument is not None)
    own = {*parameters, *named, *rest}

    def outer(links: Mapping[str, Link]) -> set[str]:
        return {name for name in links if name in own or name not in local} - {RESULT}

    holds: set[tuple[str, str]] = set()
    parts: set[tuple[str, str]] = set()
    for name in own:
        held, connected = outer(after.held_by(name)), outer(after.connected(name))
        holders = outer(after.holders(name))
        holds |= {(name, other) for other in held if other != OUTSIDE}
        holds |= {(other, name) for other in holders}
        parts |= {(name, other) for other in connected - held - holders - {OUTSIDE}}
    held, holders = outer(after.held_by(RESULT)), outer(after.holders(RESULT))
    connected = outer(after.connected(RESULT))
    return Habits(
        (*parameters, *named),
        rest,
        frozenset(with_mutable_default(node.args)),
        frozenset(holds),
        frozenset(parts),
        frozenset(held & holders),
        frozenset(holders - held),
        frozenset(held - holders),
        frozenset(connected - held - holders),
        frozenset(blurred & own),
        after.depth(RESULT),
    )
