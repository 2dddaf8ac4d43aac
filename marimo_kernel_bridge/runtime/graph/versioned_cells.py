"""Compiled cells for the graph, with versions of names in place of the names in their code."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from marimo._ast.visitor import VariableData

if TYPE_CHECKING:
    from marimo._ast.cell import CellImpl

    from marimo_kernel_bridge.runtime.interface import Versions


def with_versions(cell: CellImpl, versions: Versions | None) -> CellImpl:
    """Return a compiled cell that defines and uses these versions; the cell itself if they belong to other code."""
    if versions is None or versions.code != cell.code:
        return cell
    data = {name: known for name, known in cell.variable_data.items() if name not in versions.names}
    for name in versions.defines:
        known = cell.variable_data.get(name)
        data[name] = known if known is not None else [VariableData(kind="variable")]
    return dataclasses.replace(
        cell,
        defs=(cell.defs - versions.names) | versions.defines,
        refs=(cell.refs - versions.names) | versions.uses,
        deleted_refs=cell.deleted_refs - versions.names,
        temporaries=set(),  # versions start with `_` but are not local: marimo must not delete imported ones
        variable_data=data,
    )
