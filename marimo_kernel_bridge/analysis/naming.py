"""The names of versions: the original name, a numbered one, or one that is private to its cell."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.model import PYTHON

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from marimo_kernel_bridge.analysis.model import Version
    from marimo_kernel_bridge.analysis.name_uses import CellNames

_NUMBER: Final = re.compile(r"_?(?<!\d)\d++$")
_CALLING_AT_ONCE: Final = frozenset(
    """sorted sort min max reduce apply map_elements applymap agg aggregate transform assign pipe sort_values groupby
    any all list sum print fromfunction apply_along_axis curve_fit minimize quad solve_ivp odeint""".split()  # noqa: SIM905  # a list of words
)
"""Functions and methods that call the lambda which they are given before they return."""


def name_versions(
    all_versions: Mapping[str, list[Version]], words: AbstractSet[str], quoted: AbstractSet[str]
) -> None:
    """Set the name of each version. `words` are all words in the cells, which new names must avoid.

    `quoted` names also occur in evaluated strings, where marimo does not mangle private names.
    """
    taken = _Taken(words)
    for name, versions in all_versions.items():
        crossing = [
            version
            for version in versions
            if version.readers - {version.cell} or version.outlives or name in quoted
        ]
        if name.startswith("_") and not name.startswith("__"):
            _name_private(name, versions, crossing, taken)
        elif len(versions) == 1:
            versions[0].text = name
        else:
            _name_several(name, versions, crossing, taken)


def _name_private(name: str, versions: list[Version], crossing: list[Version], taken: _Taken) -> None:
    """Name the versions of a `_name`, which marimo makes local to its cell: versions read elsewhere become public."""
    base = name
    if crossing:
        base = name.strip("_") or "underscore"
        base = taken.next_free(base) if base in taken else base
        taken.add(base)
    for version in versions:
        if version not in crossing:
            version.text = name
        else:
            version.text = base if version is crossing[0] else taken.next_free(base)
        if crossing:
            taken.add(version.text)


def _name_several(name: str, versions: list[Version], crossing: list[Version], taken: _Taken) -> None:
    """Name several versions: private if no other cell reads them; the first other one keeps its name."""
    plain_free = True
    for version in versions:
        public = version in crossing or version.derived or version.definition or version.cell == PYTHON
        if not public and f"_{name}" not in taken:
            version.text = f"_{name}"
        elif plain_free:
            version.text, plain_free = name, False
        else:
            version.text = taken.next_free(name)
            taken.add(version.text)


class _Taken(set[str]):
    """The names that are taken. `numbered` are the stems of those of the notebook that end with a number."""

    def __init__(self, words: AbstractSet[str]) -> None:
        super().__init__(words)
        self._numbered = {_NUMBER.sub("", word) for word in words if word[-1:].isdigit()}

    def next_free(self, name: str) -> str:
        """Return a name for another version: `x_1`, but `x_v2` where that would look like one of the notebook's."""
        versioned = name[-1].isdigit() or name in self._numbered
        number = 2 if versioned else 1
        while (free := f"{name}_{'v' if versioned else ''}{number}") in self:
            number += 1
        return free


def read_after_the_cell(names: CellNames) -> frozenset[str]:
    """Return the names of a cell which code of its own may read when the cell is over, unseen by marimo.

    marimo deletes private names at the end of a cell, but for those that a function or class *below* their assignment
    reads. It does not see the readers above, lambdas that are arguments, and generators.
    """
    first: dict[str, int] = {}
    for use in names.occurrences:
        if use.act == "store" and not use.late:
            first.setdefault(use.name, use.order)
    later = {
        use.name
        for use in names.occurrences
        if use.late and use.act == "load" and use.order < first.get(use.name, -1)
    }
    at_once = _run_at_once(names.tree)
    for node in ast.walk(names.tree):
        if isinstance(node, ast.GeneratorExp | ast.Lambda) and id(node) not in at_once:
            later |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return frozenset(later & first.keys())


def _run_at_once(tree: ast.Module) -> set[int]:
    """Return the ids of lambdas and generators that are over when their statement is, or that marimo sees."""
    found: set[int] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name()], value=value):
                found.add(id(value) if isinstance(value, ast.Lambda) else 0)
            case ast.Call():
                arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
                name = (
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                )
                found |= {
                    id(argument)
                    for argument in arguments
                    if isinstance(argument, ast.GeneratorExp) or name in _CALLING_AT_ONCE
                }
    return found
