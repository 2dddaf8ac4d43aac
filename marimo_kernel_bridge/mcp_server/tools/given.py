"""Texts of an editor as tool arguments, for hosts whose editor has no extension of this project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from marimo_kernel_bridge.mcp_server.views.notebook_source import Given, SourceCell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class EditorCell(BaseModel):
    """Without code, it has the text that is known."""

    model_config = ConfigDict(extra="forbid", strict=True)

    cell_id: str
    type: Literal["code", "markdown", "raw"] = "code"
    code: str | None = None


StructureArg = Annotated[
    list[EditorCell] | None,
    Field(description="Your editor's cells, in order: cell_id, type, code.", max_length=2000),
]
CodeArg = Annotated[
    dict[str, str] | None, Field(description="Your editor's unsaved texts, by id.", max_length=2000)
]
AsInOutline = Annotated[list[EditorCell] | None, Field(description="As in list_cells.", max_length=2000)]
CodeAsInOutline = Annotated[dict[str, str] | None, Field(description="As in list_cells.", max_length=2000)]


def given_of(structure: Sequence[EditorCell] | None, code: Mapping[str, str] | None) -> Given:
    """Return the texts of a call."""
    if structure is None:
        return Given(None, code)
    cells = [SourceCell(one.cell_id, one.type, one.code or "") for one in structure]
    return Given(cells, code, frozenset(one.cell_id for one in structure if one.code is None))
