"""The names that cells have in the graph, as the flow of values between them gives them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marimo_kernel_bridge.analysis.observations import (
    bound_unseen,
    file_name,
    file_path,
    is_file_name,
    read_unseen,
)
from marimo_kernel_bridge.runtime.interface import Names, Versions, version_name

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from marimo_kernel_bridge.kernel.versions.value_flow import Part, ValueFlow


def versions_of(
    cell_id: str,
    part: Part,
    several: Container[str],
    governed: AbstractSet[str],
    *,
    only_above: bool,
) -> Versions:
    """Return the versions that a cell defines and uses. `several` are names with several versions.

    `governed` are names with edges that come from the flow; `only_above`: the cell depends on no cell below.
    """
    flow = part.flow
    names = (part.names & governed) | flow.repeats | part.circular
    if part.source.imports:  # names of star imports, which are not in the code for the graph
        names |= flow.makes
    names |= read_unseen(part.source.observed) | bound_unseen(part.source.observed)
    if only_above:  # a batch client's cell never depends on a later cell
        names |= flow.early.keys() | (flow.late - flow.makes - {name for name, _ in part.reads})
    made = {(name, cell_id) for name in (flow.makes & names) - flow.repeats}
    read = {(name, maker) for name, maker in part.reads if name in names}
    defines, uses = (
        frozenset(
            version_name(name, maker) if name in several or is_file_name(name) else name
            for name, maker in versions
        )
        for versions in (made, read)
    )
    return Versions(part.source.code, names, defines, uses)


def names_in_graph(flow: ValueFlow, names: Mapping[str, Names]) -> dict[str, Names]:
    """Return the names of cells as a graph with this flow has them; `names` are those in their codes."""
    governed = flow.governed() | set(filter(is_file_name, flow.makers))
    several = {name for name in flow.makers if flow.has_versions(name)}
    versions = {
        cell_id: versions_of(cell_id, part, several, governed, only_above=False)
        for cell_id, part in flow.parts.items()
    }
    return {
        cell_id: Names(
            (plain.defines - versions[cell_id].names) | versions[cell_id].defines,
            (plain.uses - versions[cell_id].names) | versions[cell_id].uses,
        )
        if cell_id in versions
        else plain
        for cell_id, plain in names.items()
    }


def reads_change(before: ValueFlow, after: ValueFlow) -> set[str]:
    """Return the cells that read other versions in one flow than in the other."""
    return {
        cell_id
        for cell_id, part in after.parts.items()
        if cell_id in before.parts and before.parts[cell_id].reads != part.reads
    }


def is_gone(name: str, written: Iterable[str]) -> bool:
    """Return whether a file is gone, so that its maker must write it again; never if that could overwrite anything.

    `written` are the names of files that the maker has written.
    """
    if not _is_file(name):
        return False
    files = {name, *filter(_is_file, written)}
    folder = os.path.dirname(file_path(name))  # noqa: PTH120  # as `lexists`
    if not os.path.isdir(folder) and file_name(folder) not in files:  # noqa: PTH112  # likewise
        return False  # the maker would fail
    return not any(os.path.lexists(file_path(each)) for each in files)


def _is_file(name: str) -> bool:
    """Return whether a name stands for a file or a folder, and not for what is in a folder or in a module."""
    path = file_path(name) if is_file_name(name) else ""
    return os.path.isabs(path) and not path.endswith(os.sep)  # noqa: PTH117  # as `lexists`
