"""Rounds of analysis: joins cells and repeats definitions until renaming alone is enough."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.analysis.analyze import analyze
from marimo_kernel_bridge.analysis.changes import WHY_JOINED
from marimo_kernel_bridge.analysis.model import Given
from marimo_kernel_bridge.analysis.plan import CopyDefinition, Join, rewritten
from marimo_kernel_bridge.analysis.shown_names import SHOWN_AS
from marimo_kernel_bridge.importing.imports import added_cells, settings_cells
from marimo_kernel_bridge.importing.joining import joined
from marimo_kernel_bridge.importing.known_values import functions_of_none
from marimo_kernel_bridge.importing.moving import closed
from marimo_kernel_bridge.importing.prepared import Working
from marimo_kernel_bridge.importing.strings_read import join_for, mention, string_reads
from marimo_kernel_bridge.importing.written_once import (
    WITH_GLOBALS,
    again,
    is_simple,
    names_read,
    with_again,
    without_again,
    write_once,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.analysis.plan import Plan
    from marimo_kernel_bridge.importing.prepared import Prepared
    from marimo_kernel_bridge.importing.written_once import Again

_MOST_ROUNDS: Final = 60
_COPY: Final = re.compile(r"( = )(?:(copy)(?=\.(?:copy|deepcopy)\((?!\)))|(clone)(?=\())")
"""What is imported for a line that the analysis puts before a cell: not the notebook's own `x = copy.copy()`."""

_SHOWN_AS: Final = f"@{SHOWN_AS}"


def make_reactive(prepared: Prepared, *, ipython: bool, quoted: frozenset[str] = frozenset()) -> None:
    """Analyze the cells and meet the requests of the analysis until there are none; then rename.

    With `ipython`, IPython provides `display`. `quoted` names stand in annotations that are strings.
    """
    cells = prepared.cells
    # First, or the analysis would see their names bound below their first use.
    cells[:] = [*settings_cells(prepared.needs), *cells]
    strings = string_reads([cell.code for cell in cells])
    in_strings = mention(cells, strings) if strings is not None else frozenset()
    quoted |= in_strings
    repeated: list[Again] = []
    for number in range(_MOST_ROUNDS):
        plan = analyze(_given(prepared), quoted, copies_on_write=prepared.copies_on_write)
        if not plan.requests and strings is not None:
            join = join_for(cells, plan, strings, in_strings)
            plan.requests += [join] if join is not None else []
        if not plan.requests or number == _MOST_ROUNDS - 1:
            break
        repeated = _meet(prepared, plan, repeated)
    simple = [function for function in repeated if is_simple(function)]
    for function in simple:
        prepared.need(WITH_GLOBALS, [int(function.target)])
        quoted |= names_read(function)
    plan = _with_added_cells(prepared, plan, quoted, ipython=ipython)
    helper = prepared.called.get(WITH_GLOBALS, WITH_GLOBALS)
    _tell_of_copies(prepared, write_once(cells, plan.cells, repeated, helper))
    _apply(prepared, plan)


def _tell_of_copies(prepared: Prepared, repeated: Sequence[Again]) -> None:
    for function in repeated:
        text = f"`{function.name}` is written here and in cell {int(function.source)}: edit both"
        prepared.note([int(function.target)], text)


def _with_added_cells(prepared: Prepared, plan: Plan, quoted: frozenset[str], *, ipython: bool) -> Plan:
    """Put what the result needs above the cells; return their plan then. New names may need more."""
    own = [cell for cell in prepared.cells if cell.positions]
    while True:
        for cell, cell_plan in zip(prepared.cells, plan.cells, strict=True):
            for module in sorted(cell_plan.needs):
                prepared.need(module, cell.positions)
        needs = {
            need: position
            for need, position in prepared.needs.items()
            if not (ipython and need.key == "display")
        }
        added = added_cells(own, needs)
        if [cell.code for cell in added] == [cell.code for cell in prepared.cells[: -len(own) or None]]:
            return plan
        prepared.cells[:] = [*added, *own]
        plan = analyze(_given(prepared), quoted, copies_on_write=prepared.copies_on_write)


def _given(prepared: Prepared) -> list[Given]:
    """Return the cells for the analysis: what a run has shown of them follows their text."""
    return [
        Given(cell.code + _observed(prepared, cell), cell.fails, len(cell.positions))
        for cell in prepared.cells
    ]


def _observed(prepared: Prepared, cell: Working) -> str:
    return "".join(prepared.observed.get(position, "") for position in cell.positions)


def _apply(prepared: Prepared, plan: Plan) -> None:
    shown_as = prepared.called.get(SHOWN_AS, SHOWN_AS)

    def imported(call: re.Match[str]) -> str:
        name = call[2] or call[3]
        return f"{call[1]}{prepared.called.get(name, name)}"

    for cell, change in zip(prepared.cells, plan.cells, strict=True):
        change.edits = [
            replace(edit, text=f"@{shown_as}{edit.text.removeprefix(_SHOWN_AS)}")
            if edit.text.startswith(_SHOWN_AS)
            else edit
            for edit in change.edits
            if edit.end <= len(cell.code)  # not in what a run has shown
        ]
        change.before = [_COPY.sub(imported, line) for line in change.before]
        cell.code = rewritten(cell.code, change).strip("\n")
        for note in change.notes:
            prepared.note(cell.positions, note.text)
    _remove_unused(prepared)
    prepared.added = [cell.code for cell in prepared.cells if not cell.positions]


def _remove_unused(prepared: Prepared) -> None:
    """Remove added functions that only definitions needed which are written once now."""
    for key in (SHOWN_AS, WITH_GLOBALS):
        name = prepared.called.get(key, key)
        if not any(cell.positions and re.search(rf"\b{name}\(", cell.code) for cell in prepared.cells):
            prepared.cells[:] = [
                cell for cell in prepared.cells if cell.positions or not cell.code.startswith(f"def {name}(")
            ]


def _meet(prepared: Prepared, plan: Plan, known: list[Again]) -> list[Again]:
    """Meet the first request of the analysis. Return the `known` functions that cells define again, and a new one."""
    cells = prepared.cells
    match request := plan.requests[0]:
        case CopyDefinition(name, source, target, reason) if not any(
            each.name == name and each.target in cells[target].parts for each in known
        ):
            changed = cells[target]
            function = again(name, cells[source], changed, known)
            changed.parts[function.target] = with_again(changed.parts[function.target], function)
            display = prepared.called.get("display", "display")
            changed.code, _ = joined(
                [changed.parts[place] for place in sorted(changed.parts)],
                display,
                last_alone=prepared.last_alone,
                silent=functions_of_none(cell.code for cell in cells),
            )
            prepared.note(
                cells[target].positions, f"it defines `{name}` of {_named(cells[source])} again: {reason}"
            )
            return [*known, function]
        case CopyDefinition(name, source, target, reason):
            request = Join(
                tuple(range(min(source, target), max(source, target) + 1)), min(source, target), reason
            )
        case Join():
            pass
    lazy = request.reason.endswith(WHY_JOINED["consumed"])
    request = closed(request, cells, plan, lazy=lazy)
    members = [cells[index] for index in request.cells]
    parts = {position: code for member in members for position, code in member.parts.items()}
    known = without_again(parts, known)
    positions = tuple(sorted({int(place) for place in parts}))
    display = prepared.called.get("display", "display")
    code, needs = joined(
        [parts[place] for place in sorted(parts)],
        display,
        last_alone=prepared.last_alone,
        silent=functions_of_none(cell.code for cell in cells),
    )
    for need in needs:
        prepared.need(need, positions)
    whole = Working(positions, code, any(member.fails for member in members), parts)
    listed = " and ".join(_named(member) for member in members)
    prepared.note(positions, f"{listed} are one cell: {request.reason}")
    at = cells[request.at]
    prepared.cells[:] = [
        whole if cell is at else cell
        for index, cell in enumerate(cells)
        if cell is at or index not in request.cells
    ]
    return known


def _named(cell: Working) -> str:
    return "cell " + "+".join(map(str, cell.positions)) if cell.positions else "the added cell"
