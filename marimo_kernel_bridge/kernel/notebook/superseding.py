"""The rules for which cell loses a name when two define it. Pure; `graph` applies them.

In general the second definition is another version of the name (`versions.redefinitions`), or marimo refuses it. But the
kernel often has cells that no notebook shows any more (deleted, merged, split, of a reloaded VS Code window) or never
did (terminals, nbclient, agents): these must not block a visible cell.
"""

from __future__ import annotations

import dis
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marimo_kernel_bridge.kernel.cells import Entry


def is_superseded_by(owner: Entry, newcomer: Entry, *, strict: bool) -> bool:
    """Return whether `owner`, which is in the graph, leaves it for `newcomer`, which defines one of its names."""
    if not strict and newcomer.address.dialect == "batch":
        return False  # its requests are the cells of a document, in order
    if not owner.live or not newcomer.live:
        # Also the other way round: what a terminal or an agent runs must have an effect.
        return True
    # Merge and split in JupyterLab: new ids appear, and that old cells are gone or shorter is not reported.
    if not strict and owner.cell.code == newcomer.cell.code:
        return False  # twice in the document
    return newcomer.cell.last_run_at is None and _is_part_of_other(owner.cell.code, newcomer.cell.code)


def _is_part_of_other(one: str, other: str) -> bool:
    """Return whether all lines of one cell stand together in the other."""
    first, second = _padded(one), _padded(other)
    return first.strip() != "" and second.strip() != "" and (first in second or second in first)


def _padded(code: str) -> str:
    return "\n" + code.strip() + "\n"


def reads_before_writing(code: str, name: str) -> bool:
    """Return whether code reads the old value of a global before it binds it again, as `x = x + 1` does."""
    try:
        instructions = dis.get_instructions(compile(code, "<cell>", "exec", flags=0x2000))  # top-level await
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    for instruction in instructions:
        if instruction.argval == name and instruction.opname in {"LOAD_NAME", "STORE_NAME", "DELETE_NAME"}:
            return instruction.opname != "STORE_NAME"
    return False
