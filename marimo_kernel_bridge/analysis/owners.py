"""Which names may reach which objects: a graph over names, in which "not known to share" never means "does not share".

Owns the graph and what follows from it: who sees a change of an object. `reach` says what an expression returns, and
`ownership` walks over cells and records it here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OUTSIDE: Final = "outside"
"""The node of all that is no name of the notebook: modules, registries of libraries. Not an identifier's version."""
RESULT: Final = "return"
"""The node of what a function returns: a keyword, which no name can be."""


class Link(IntEnum):
    """What two names share an object by, from certain to hardly likely."""

    SHOWN = 0  # the text shows it: `d["k"] = x`
    RECEIVER = 1  # a method that is not known: of its object and its result, or its arguments
    ARGUMENT = 2  # a function that is not known: of its arguments and its result


class Depth(IntEnum):
    """How deep an object goes: how it can be copied."""

    VALUE = 0  # immutable
    FLAT = 1  # its items are immutable
    PLAIN = 2  # lists, dicts and sets of such
    OPAQUE = 3  # not known

    def held(self) -> Depth:
        """Return the depth of a container of such an object."""
        return {Depth.VALUE: Depth.FLAT, Depth.OPAQUE: Depth.OPAQUE}.get(self, Depth.PLAIN)

    def item(self) -> Depth:
        """Return the depth of an item of such an object."""
        return Depth.VALUE if self <= Depth.FLAT else self


@dataclass(frozen=True)
class Reach:
    """What the value of an expression shares with the objects of names.

    `same`: it may be the object of the name. `within`: it may be a part of it. `holds`: the object of the name may be a
    part of it. `parts`: the two may have parts in common. The links say how likely that is.
    """

    same: Mapping[str, Link] = field(default_factory=dict)
    within: Mapping[str, Link] = field(default_factory=dict)
    holds: Mapping[str, Link] = field(default_factory=dict)
    parts: Mapping[str, Link] = field(default_factory=dict)
    depth: Depth = Depth.OPAQUE

    def names(self) -> dict[str, Link]:
        """Return all names that share anything with the value."""
        return merged(self.same, self.within, self.holds, self.parts)

    def as_item(self) -> Reach:
        """Return the reach of an item of a container with these values."""
        return Reach(
            holds=merged(self.same, self.holds),
            parts=merged(self.within, self.parts),
            depth=self.depth.held(),
        )

    def by(self, link: Link) -> Reach:
        """Return the reach of what a call that is not known makes of these values: anything."""
        names = {name: max(link, known) for name, known in self.names().items()}
        return Reach(same=names, within=names, holds=names)


NOTHING: Final = Reach(depth=Depth.OPAQUE)
IMMUTABLE: Final = Reach(depth=Depth.VALUE)
FLAT: Final = Reach(depth=Depth.FLAT)


def merged(*links: Mapping[str, Link]) -> dict[str, Link]:
    """Return all links, of each name the most certain."""
    result: dict[str, Link] = {}
    for each in links:
        for name, link in each.items():
            result[name] = min(link, result.get(name, link))
    return result


def together(reaches: Iterable[Reach]) -> Reach:
    """Return the reach of a value that is one of these."""
    reaches = list(reaches)
    return Reach(
        merged(*(reach.same for reach in reaches)),
        merged(*(reach.within for reach in reaches)),
        merged(*(reach.holds for reach in reaches)),
        merged(*(reach.parts for reach in reaches)),
        max((reach.depth for reach in reaches), default=Depth.VALUE),
    )


class Owners:
    """The graph. Nodes are names, `OUTSIDE`, and in functions `RESULT`."""

    def __init__(self) -> None:
        self._holds: dict[str, dict[str, Link]] = {}  # name -> names whose objects it may hold
        self._held: dict[str, dict[str, Link]] = {}  # the same, the other way round
        self._parts: dict[str, dict[str, Link]] = {}  # symmetric
        self._depths: dict[str, Depth] = {}
        self._exact: dict[str, int] = {}  # names that are certainly bound to one object have one number
        self._number = 0
        self._found: dict[str, dict[str, Link]] = {}  # what is connected, as long as nothing becomes known
        self._components: dict[str, frozenset[str]] = {}

    def copy(self) -> Owners:
        """Return a graph that later changes of this one leave alone."""
        new = Owners()
        new._holds = {name: dict(links) for name, links in self._holds.items()}
        new._held = {name: dict(links) for name, links in self._held.items()}
        new._parts = {name: dict(links) for name, links in self._parts.items()}
        new._depths, new._exact, new._number = dict(self._depths), dict(self._exact), self._number
        return new

    # What is known

    def depth(self, name: str) -> Depth:
        """Return how deep the object of a name goes."""
        return self._depths.get(name, Depth.OPAQUE)

    def is_linked(self, name: str) -> bool:
        """Return whether the object of a name may have to do with any other."""
        return any(links.get(name) for links in (self._holds, self._held, self._parts))

    def exact(self, name: str) -> set[str]:
        """Return the other names that are certainly bound to the same object."""
        number = self._exact.get(name)
        if number is None:
            return set()
        return {other for other, same in self._exact.items() if same == number and other != name}

    def held_by(self, name: str) -> dict[str, Link]:
        """Return the names whose objects the object of a name may reach."""
        return self._closure({name: Link.SHOWN}, self._holds)

    def holders(self, name: str) -> dict[str, Link]:
        """Return who may see a change of a name's object itself, not of its parts: names and `OUTSIDE`."""
        found: dict[str, Link] = {}
        waiting = [(name, Link.SHOWN)]
        while waiting:
            at, by = waiting.pop()
            near = self._held.get(at, {})
            if at not in {name, OUTSIDE}:
                near = merged(near, self._parts.get(at, {}))
            waiting += _new(near, by, found, name)
        return found

    def connected(self, name: str) -> dict[str, Link]:
        """Return who may see a change of a name's object or of its parts."""
        known = self._found.get(name)
        if known is not None:
            return dict(known)
        found: dict[str, Link] = {}
        waiting = [(name, Link.SHOWN)]
        while waiting:
            at, by = waiting.pop()
            if at != OUTSIDE:
                for links in (self._held, self._holds, self._parts):
                    if at in links:
                        waiting += _new(links[at], by, found, name)
        self._found[name] = found
        return dict(found)

    def component(self, name: str) -> frozenset[str]:
        """Return a name with all that are connected with it: one set for all names in it, without links."""
        if name == OUTSIDE:
            return frozenset({OUTSIDE})
        if name not in self._components:
            found, waiting = {name}, [name]
            while waiting:
                at = waiting.pop()
                for links in (self._held, self._holds, self._parts):
                    new = links.get(at, {}).keys() - found
                    found |= new
                    waiting += new - {OUTSIDE}
            component = frozenset(found)
            self._components |= dict.fromkeys(component - {OUTSIDE}, component)
        return self._components[name]

    def _changed(self) -> None:
        self._found.clear()
        self._components.clear()

    @staticmethod
    def _closure(start: dict[str, Link], edges: Mapping[str, Mapping[str, Link]]) -> dict[str, Link]:
        (name,) = start
        found: dict[str, Link] = {}
        waiting = list(start.items())
        while waiting:
            at, by = waiting.pop()
            if at != OUTSIDE:
                waiting += _new(edges.get(at, {}), by, found, name)
        return found

    # What becomes known

    def bind(self, name: str, reach: Reach, *, certain: bool = True, exact: str | None = None) -> None:
        """Record that a name is bound to a value. `exact`: the value is the object of that name."""
        number = self._exact.get(exact) if exact is not None else None
        if exact is not None and number is None:
            number = self._number = self._number + 1
            self._exact[exact] = number
        own = name in reach.names()
        if certain:
            reach = self._without(name, reach)
            self._forget(name)
        self._exact.pop(name, None)
        if number is not None and certain:
            self._exact[name] = number
        self._depths[name] = reach.depth if certain else max(reach.depth, self.depth(name))
        if own and not certain:
            self._depths[name] = Depth.OPAQUE
        self.link(name, reach)

    def link(self, name: str, reach: Reach) -> None:
        """Record what the object of a name shares with others."""
        self._changed()
        for other, link in merged(reach.same, reach.holds).items():
            self._hold(name, other, link)
        for other, link in merged(reach.same, reach.within).items():
            self._hold(other, name, link)
        for other, link in reach.parts.items():
            if other != name:
                _note(self._parts, name, other, link)
                _note(self._parts, other, name, link)

    def put_into(self, name: str, reach: Reach) -> None:
        """Record that a value has become a part of the object of a name, or of one of its parts."""
        self.link(name, replace(reach.as_item(), depth=Depth.OPAQUE))
        if name in reach.names():  # a copy of what holds itself would hold the original
            self.link(OUTSIDE, Reach(holds={name: Link.SHOWN}))
        if name == OUTSIDE:
            return
        depth = reach.depth.held()
        for holder in (name, *self.connected(name)):
            if self.depth(holder) < depth:
                self._depths[holder] = depth if holder == name else max(depth, Depth.PLAIN)

    def blur(self, name: str) -> None:
        """Record that something that is not known has had the object of a name, and may have put anything into it."""
        if self.depth(name) > Depth.VALUE:
            self._depths[name] = Depth.OPAQUE

    def _hold(self, name: str, other: str, link: Link) -> None:
        if name != other:
            _note(self._holds, name, other, link)
            _note(self._held, other, name, link)

    def _without(self, name: str, reach: Reach) -> Reach:
        """Return a reach in terms of the names that a name's object is known by otherwise."""
        if name not in reach.names():
            return reach
        holds, held = self._holds.get(name, {}), self._held.get(name, {})
        same = {other: link for other, link in holds.items() if other in held}
        rest = [
            {other: link for other, link in links.items() if other != name}
            for links in (reach.same, reach.within, reach.holds, reach.parts)
        ]
        others = merged(holds, held, self._parts.get(name, {}))
        if name in reach.same:
            rest[0] = merged(rest[0], same)
            rest[1], rest[2] = merged(rest[1], held), merged(rest[2], holds)
            rest[3] = merged(rest[3], self._parts.get(name, {}))
        if name in reach.within:
            rest[0], rest[1] = merged(rest[0], holds), merged(rest[1], held, holds)
            rest[3] = merged(rest[3], self._parts.get(name, {}))
        if name in reach.holds:
            rest[2], rest[3] = merged(rest[2], holds), merged(rest[3], others)
        if name in reach.parts:
            rest[3] = merged(rest[3], others)
        return Reach(rest[0], rest[1], rest[2], rest[3], reach.depth)

    def _forget(self, name: str) -> None:
        """Take a name out; those that shared its object go on sharing it."""
        self._changed()
        holds, held = self._holds.pop(name, {}), self._held.pop(name, {})
        parts = self._parts.pop(name, {})
        for other in holds:
            self._held.get(other, {}).pop(name, None)
        for other in held:
            self._holds.get(other, {}).pop(name, None)
        for other in parts:
            self._parts.get(other, {}).pop(name, None)
        for one, by in held.items():
            for other, link in holds.items():
                self._hold(one, other, max(by, link))
        near = list(merged(holds, held, parts).items())
        for place, (one, by) in enumerate(near):
            for other, link in near[place + 1 :]:
                if OUTSIDE not in {one, other}:
                    _note(self._parts, one, other, max(by, link))
                    _note(self._parts, other, one, max(by, link))


def _note(edges: dict[str, dict[str, Link]], name: str, other: str, link: Link) -> None:
    links = edges.setdefault(name, {})
    links[other] = min(link, links.get(other, link))


def _new(near: Mapping[str, Link], by: Link, found: dict[str, Link], start: str) -> list[tuple[str, Link]]:
    new = []
    for other, link in near.items():
        strength = max(by, link)
        if other != start and strength < found.get(other, 9):
            found[other] = strength
            new.append((other, strength))
    return new
