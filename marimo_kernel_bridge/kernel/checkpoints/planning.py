"""Which cells a restore makes fresh, and why the others stay stale. Changes nothing."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.checkpoints import LONG
from marimo_kernel_bridge.kernel.checkpoints.capture import PROCESS, SETTLED, STATE, present_keys
from marimo_kernel_bridge.kernel.checkpoints.keys import normal
from marimo_kernel_bridge.kernel.ipython.marimo_magic import is_command
from marimo_kernel_bridge.protocol.lines import split_lines
from marimo_kernel_bridge.runtime.interface import plain_name, version_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from marimo_kernel_bridge.checkpoints.manifest import Manifest, SavedCell
    from marimo_kernel_bridge.kernel.checkpoints.matching import Matches
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession


@dataclass(frozen=True)
class Plan:
    """`fits` are the cells whose key is as it was, by present id; of these, `fresh` have all that they read and made.

    They are as they were, which may be that they failed. `live` of them are made again by running them. `why` has the reasons of the cells that are stale, by present id.
    """

    fits: Mapping[str, SavedCell]
    fresh: frozenset[str]
    live: frozenset[str]
    why: Mapping[str, str] = field(default_factory=dict)


def plan(
    session: NotebookSession,
    manifest: Manifest,
    matches: Matches,
    unavailable: Mapping[str, str],
) -> Plan:
    """Return what a restore does. `unavailable` are saved names without a value, each with the reason."""
    graph = session.execution.graph
    names = SavedNames(session, matches)
    texts = {
        names.present(name): text for cell in matches.saved.values() for name, text in cell.texts.items()
    }
    keys = present_keys(session, texts)
    fits: dict[str, SavedCell] = {}
    why: dict[str, str] = {}
    lacking: set[str] = set()
    here = {name for group in manifest.groups for name in group.names} - unavailable.keys()
    for cell_id, saved in matches.saved.items():
        if not saved.key or keys.get(cell_id) != saved.key:
            if not ran_here(session, cell_id):
                why[cell_id] = saved.why if not saved.key else _changed(session, cell_id, saved)
            continue
        fits[cell_id] = saved
        reason = _lacks(session, saved, cell_id, here, unavailable)
        if reason:
            why[cell_id] = reason
            lacking.add(cell_id)
    for entry in session.cells:
        cell_id = entry.cell.cell_id
        if cell_id not in matches.saved and cell_id in graph.stale and not is_command(entry.cell):
            why[cell_id] = "is not in the checkpoint"
    stale = [
        cell_id for cell_id in why if session.cells[cell_id].cell.status != "refused"
    ]  # which never runs
    below = graph.runtime.descendants(*stale) if stale else frozenset[str]()
    for cell_id in (fits.keys() & below) - why.keys():
        why[cell_id] = _reads_stale(session, cell_id, why)
    fresh = frozenset(fits.keys() - why.keys())
    live = frozenset(cell_id for cell_id in fresh if fits[cell_id].live and fits[cell_id].status == "ok")
    return Plan(
        {cell_id: saved for cell_id, saved in fits.items() if cell_id not in lacking}, fresh, live, why
    )


def ran_here(session: NotebookSession, cell_id: str) -> bool:
    """Return whether a cell is as a run in this kernel has left it."""
    cell = session.cells[cell_id].cell
    return cell.status in SETTLED and cell_id not in session.execution.graph.stale


def _changed(session: NotebookSession, cell_id: str, saved: SavedCell) -> str:
    changed = normal(session.cells[cell_id].cell.code) != normal(saved.code)
    return "its code has changed" if changed else "what it reads has changed"


def _lacks(
    session: NotebookSession,
    saved: SavedCell,
    cell_id: str,
    here: Iterable[str],
    unavailable: Mapping[str, str],
) -> str:
    """Return why the values of a cell cannot be restored; empty if they can."""
    held = saved.inputs.keys() | saved.texts.keys()
    if saved.live and (saved.seconds or 0.0) >= LONG:
        return "its UI elements are made by running it, which takes long"
    if saved.live and session.execution.graph.redefinitions.makers_needed([cell_id]):
        return "its UI elements are made by running it, and a cell above has to run first"
    for name in saved.defines:
        if name in held or name in here or (saved.live and name not in unavailable):
            continue
        return f"`{plain_name(name)}`: {unavailable.get(name, 'its value was not kept')}"
    return ""


def _reads_stale(session: NotebookSession, cell_id: str, why: Mapping[str, str]) -> str:
    """Return that a cell reads what a stale one makes."""
    nodes = session.runtime.nodes()
    for above in sorted(nodes[cell_id].upstream & why.keys()):
        shared = nodes[cell_id].names.uses & nodes[above].names.defines
        if shared:
            return f"reads `{plain_name(min(shared))}` of a stale cell"
    return "is below a stale cell"


def other_python(manifest: Manifest) -> bool:
    """Return whether a checkpoint is of another minor version of Python."""
    return manifest.python.split(".")[:2] != platform.python_version().split(".")[:2]


def require_usable(manifest: Manifest) -> None:
    """Refuse a checkpoint all of whose values have code of another Python. Raises `BridgeError`: checkpoint_other_python."""
    values = [group for group in manifest.groups if PROCESS not in group.names]
    if other_python(manifest) and values and all(group.code for group in values):
        raise BridgeError(
            "checkpoint_other_python",
            f"The checkpoint `{manifest.name}` has only functions and classes of Python {manifest.python}, and this is "
            f"{platform.python_version()}; nothing was restored.",
            "Run the cells, or start a kernel with that Python.",
        )


def unavailable_names(manifest: Manifest) -> dict[str, str]:
    """Return the saved names whose values are not there or cannot be used here, each with the reason."""
    found: dict[str, str] = {}
    for lost in manifest.lost:
        found |= dict.fromkeys(
            (lost.name, version_name(lost.name, lost.cell_id)), _reason(lost.reason, lost.path)
        )
    if other_python(manifest):
        why = f"has functions or classes of Python {manifest.python}, and this is {platform.python_version()}"
        found |= {name: why for group in manifest.groups if group.code for name in group.names}
    return found


def _reason(reason: str, path: str) -> str:
    return f"{reason} (at {path})" if path else reason


class SavedNames:
    """The present names of values that a checkpoint has: versions are named after their cells, whose ids may be others."""

    def __init__(self, session: NotebookSession, matches: Matches) -> None:
        self._several = session.execution.graph.redefinitions.for_checkpoints.several
        self._ids = matches.present()
        self._makers = {name: saved.cell_id for saved in matches.saved.values() for name in saved.defines}

    def present(self, name: str) -> str:
        """Return the name in the namespace under which a saved value belongs."""
        if name == PROCESS or name.startswith("_cell_"):
            return name  # the code of the cell's functions has it
        prefix, bare = (STATE, name.removeprefix(STATE)) if name.startswith(STATE) else ("", name)
        plain, maker = plain_name(bare), self._maker(bare)
        return prefix + (version_name(plain, maker) if maker and plain in self._several else plain)

    def _maker(self, name: str) -> str:
        plain = plain_name(name)
        saved = (
            name.removesuffix("__").rpartition("\N{MIDDLE DOT}")[2]
            if plain != name
            else self._makers.get(name, "")
        )
        return self._ids.get(saved, "")


def first_line(code: str) -> str:
    """Return the first line of a cell that is not empty."""
    return next((line.strip() for line in split_lines(code) if line.strip()), "")
