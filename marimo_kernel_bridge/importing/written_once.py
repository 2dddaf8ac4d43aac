"""Functions that cells below call with other values of the names that they read: each is written once.

The analysis reads such a cell with the function defined again at its start, under a name of its own. In the result a
call stands there that makes it from the only definition, so an edit of that reaches all cells.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.cycles import cycles
from marimo_kernel_bridge.analysis.name_uses import parse, read_cell
from marimo_kernel_bridge.analysis.plan import Edit, rewritten

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marimo_kernel_bridge.analysis.plan import CellPlan
    from marimo_kernel_bridge.importing.prepared import Working

WITH_GLOBALS: Final = "with_globals"
_BLANK: Final = re.compile(r"\n*+")


@dataclass(frozen=True)
class Again:
    """A function that the part of a notebook's cell at `target` defines again as that at `source` does."""

    name: str
    text: str
    source: float
    target: float


def again(name: str, source: Working, target: Working, known: Sequence[Again]) -> Again:
    """Return the function `name` of a cell, again at the start of another. `known` are those that cells define again."""
    for each in known:
        if each.name == name and each.target in source.parts:
            return Again(name, each.text, each.source, min(target.parts))
    place = max(place for place, part in source.parts.items() if _definition(part, name) is not None)
    return Again(name, definition_text(source.code, name), place, min(target.parts))


def with_again(part: str, function: Again) -> str:
    """Return the text of a cell with a function defined again at its start."""
    return f"{function.text}\n\n\n{part}"


def without_again(parts: dict[float, str], known: Sequence[Again]) -> list[Again]:
    """Remove from parts that become one cell the functions that another of them defines; return the others."""
    one = [each for each in known if each.source in parts and each.target in parts]
    for each in one:
        parts[each.target] = parts[each.target].replace(with_again("", each), "", 1)
    return [each for each in known if each not in one]


def is_simple(function: Again) -> bool:
    """Return whether a function can be made again from its code: no class in it looks up globals, nothing decorates it."""
    node = parse(function.text).body[0]
    return (
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.decorator_list
        and not any(isinstance(part, ast.ClassDef) for part in ast.walk(node))
    )


def names_read(function: Again) -> frozenset[str]:
    """Return the function's name, and the globals that it reads."""
    return frozenset(
        use.name for use in read_cell(function.text).occurrences if use.late and use.act == "load"
    ) | {function.name}


def write_once(
    cells: Sequence[Working], plans: Sequence[CellPlan], known: Sequence[Again], helper: str
) -> list[Again]:
    """Edit the plans so that cells make the `known` functions from their definitions; return those that cannot be.

    A function that would close a cycle stays defined again. `helper` is the name of the function that makes them.
    """
    made = [each for each in known if is_simple(each)]
    while made:
        edits = {each: _edit(each, cells, plans, helper) for each in made}
        texts = [
            rewritten(
                cell.code, _with_edits(plan, [edits[each] for each in made if each.target in cell.parts])
            )
            for cell, plan in zip(cells, plans, strict=True)
        ]
        closed = {index for cycle in cycles(_upstream(texts)) for index in cycle}
        closing = [each for each in made if any(each.target in cells[index].parts for index in closed)]
        if not closing:
            for cell, plan in zip(cells, plans, strict=True):
                plan.edits = _with_edits(
                    plan, [edits[each] for each in made if each.target in cell.parts]
                ).edits
            break
        made = [each for each in made if each not in closing]
    return [each for each in known if each not in made]


def definition_text(code: str, name: str) -> str:
    """Return the text of the function or class that a cell defines last under a name."""
    node = _definition(code, name)
    assert node is not None, name
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return "\n".join(code.split("\n")[first - 1 : node.end_lineno])


def _definition(code: str, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | None:
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return next(
        (node for node in reversed(parse(code).body) if isinstance(node, definitions) and node.name == name),
        None,
    )


def _with_edits(plan: CellPlan, edits: Sequence[Edit]) -> CellPlan:
    inner = [each for each in plan.edits if not any(edit.start <= each.start < edit.end for edit in edits)]
    return type(plan)([*inner, *edits], plan.before)


def _edit(function: Again, cells: Sequence[Working], plans: Sequence[CellPlan], helper: str) -> Edit:
    source, target = (
        next(index for index, cell in enumerate(cells) if place in cell.parts)
        for place in (function.source, function.target)
    )
    code = cells[target].code
    start, size = code.index(function.text), len(function.text)
    written = _new_names(cells[source].code, plans[source], cells[source].code.rindex(function.text), size)
    read = _new_names(code, plans[target], start, size)
    others = {name: read[place] for place, name in written.items() if read[place] != name}
    made, of = (plans[index].defines.get(function.name, function.name) for index in (target, source))
    names = "".join(f", {name}=lambda: {other}" for name, other in others.items())
    following = _BLANK.match(code, start + size)
    assert following is not None
    return Edit(start, min(following.end(), start + size + 3), f"{made} = {helper}({of}{names})\n")


def _new_names(code: str, plan: CellPlan, start: int, size: int) -> dict[int, str]:
    """Return the new names of the globals that a function reads when it is called, by their place in its text."""
    new = {edit.start: edit.text for edit in plan.edits}
    return {
        use.start - start: new.get(use.start, use.name)
        for use in read_cell(code).occurrences
        if use.late and use.act == "load" and start <= use.start < start + size
    }


def _upstream(codes: Sequence[str]) -> Mapping[int, set[int]]:
    read = [read_cell(code) for code in codes]
    makers: dict[str, set[int]] = {}
    for index, names in enumerate(read):
        for use in names.occurrences:
            if use.act == "store":
                makers.setdefault(use.name, set()).add(index)
    return {
        index: set().union(*(makers.get(use.name, set()) for use in names.occurrences if use.act == "load"))
        - {index}
        for index, names in enumerate(read)
    }
