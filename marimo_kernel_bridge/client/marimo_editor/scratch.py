"""Code for marimo's scratchpad: what the host API of 0.25.2 has no request for. Text only.

It runs between cells, sees a copy of the names, and leaves none behind. Cells are run through marimo's own interface for
agents (`marimo._code_mode`), which is the only way to run some of them.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def run_cells(cell_ids: Sequence[str]) -> str:
    """Return code that runs cells as they are, and what depends on them, as marimo is configured."""
    return (
        "import marimo._code_mode as _code_mode\n"
        "async with _code_mode.get_context() as _context:\n"
        f"    for _cell in {list(cell_ids)!r}:\n"
        "        _context.run_cell(_cell)\n"
    )


def list_variables() -> str:
    """Return code whose value is a list with the fields of `Variable`."""
    return f"_names = {_NAMES}\n{_inspection()}\nAnswer(listed(_names))\n"


def read_variable(name: str, rows: int, offset: int) -> str:
    """Return code whose value has the fields of `VariableContent`, or is None if there is no such variable."""
    return (
        f"_names = {_NAMES}\n{_inspection()}\n"
        f"Answer(sampled({name!r}, _names[{name!r}], {rows}, {offset}) if {name!r} in _names else None)\n"
    )


_NAMES = "dict(globals())"


def value_in(text: str) -> Any:
    """Return the JSON that such code has as its value."""
    return json.loads(text)


def _inspection() -> str:
    code = (
        files("marimo_kernel_bridge.client.marimo_editor").joinpath("inspection_code.py").read_text("utf-8")
    )
    # A future import must come first, and the code needs none.
    return code.replace("from __future__ import annotations\n", "")
