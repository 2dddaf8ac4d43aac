"""Cycles in a graph of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet


def cycles(upstream: Mapping[int, AbstractSet[int]]) -> list[list[int]]:  # noqa: C901  # one case for each form
    """Return the groups of cells that depend on each other, each sorted (Tarjan's components of two or more)."""
    number: dict[int, int] = {}
    lowest: dict[int, int] = {}
    stack: list[int] = []
    stacked: set[int] = set()
    components: list[list[int]] = []
    for root in sorted(upstream):
        if root in number:
            continue
        work = [(root, iter(sorted(upstream[root])))]
        number[root] = lowest[root] = len(number)
        stack.append(root)
        stacked.add(root)
        while work:
            node, waiting = work[-1]
            for near in waiting:
                if near not in number:
                    number[near] = lowest[near] = len(number)
                    stack.append(near)
                    stacked.add(near)
                    work.append((near, iter(sorted(upstream[near]))))
                    break
                if near in stacked:
                    lowest[node] = min(lowest[node], number[near])
            else:
                work.pop()
                if work:
                    above = work[-1][0]
                    lowest[above] = min(lowest[above], lowest[node])
                if lowest[node] == number[node]:
                    component: list[int] = []
                    while not component or component[-1] != node:
                        component.append(stack.pop())
                    stacked.difference_update(component)
                    if len(component) > 1:
                        components.append(sorted(component))
    return components
