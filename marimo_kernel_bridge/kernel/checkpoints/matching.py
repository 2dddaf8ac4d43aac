"""Which cells of a checkpoint are which cells of the notebook, and the cells that the notebook does not have: added, if wanted.

Cells are found by the front end's id, else by their code. Registers what it adds in the graph as stale; runs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from marimo_kernel_bridge.analysis.observations import Observations
from marimo_kernel_bridge.kernel.cells import Address
from marimo_kernel_bridge.kernel.checkpoints.keys import normal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marimo_kernel_bridge.checkpoints.manifest import Manifest, SavedCell
    from marimo_kernel_bridge.kernel.cells import Entry
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession


@dataclass(frozen=True)
class Matches:
    """The saved cells by the present id of each, those that were added, and those that the notebook has no more."""

    saved: Mapping[str, SavedCell]
    added: tuple[str, ...] = ()
    gone: tuple[SavedCell, ...] = ()

    def present(self) -> dict[str, str]:
        """Return the present ids by the saved ones."""
        return {saved.cell_id: cell_id for cell_id, saved in self.saved.items()}


def match(session: NotebookSession, manifest: Manifest, address: Address, *, add: bool) -> Matches:
    """Find the cells of a checkpoint in the notebook. `add`: those that a front end has shown and that are not found, too.

    Cells that no front end has shown, as those of agents, are added in any case. The new ones have outputs that go to no
    page until somebody runs them there.
    """
    found = _found(manifest.cells, [entry for entry in session.cells if not entry.deleted])
    lacking = [saved for saved in manifest.cells if saved.cell_id not in found]
    added = [saved for saved in lacking if add or not saved.notebook_id]
    entries = [_add(session, saved, address) for saved in added]
    found |= {saved.cell_id: entry.cell.cell_id for saved, entry in zip(added, entries, strict=True)}
    superseded = _add_superseded(session, manifest, address, add=add)
    if added or superseded:
        places = found | superseded
        session.cells.arrange(places[cell_id] for cell_id in _order(manifest) if cell_id in places)
    _register(
        session, entries, {found[saved.cell_id]: saved for saved in manifest.cells if saved.cell_id in found}
    )
    return Matches(
        {found[saved.cell_id]: saved for saved in manifest.cells if saved.cell_id in found},
        (*(entry.cell.cell_id for entry in entries), *superseded.values()),
        tuple(saved for saved in lacking if saved not in added),
    )


def _found(cells: Sequence[SavedCell], entries: Iterable[Entry]) -> dict[str, str]:
    """Return the present ids by the saved ones."""
    left = {entry.cell.cell_id: entry.cell for entry in entries if entry.cell.status != "superseded"}
    by_id = {cell.notebook_cell_id: cell_id for cell_id, cell in left.items() if cell.notebook_cell_id}
    found = {saved.cell_id: by_id[saved.notebook_id] for saved in cells if saved.notebook_id in by_id}
    for cell_id in found.values():
        left.pop(cell_id, None)
    for saved in cells:
        if saved.cell_id in found:
            continue
        code = normal(saved.code)
        same = next((cell_id for cell_id, cell in left.items() if normal(cell.code) == code), None)
        if same is not None:
            found[saved.cell_id] = same
            del left[same]
    return found


def _add(session: NotebookSession, saved: SavedCell, address: Address) -> Entry:
    msg_id = f"{address.parent['msg_id']}/{saved.cell_id}"
    own = Address(saved.dialect or "lab", {**address.parent, "msg_id": msg_id}, "")  # type: ignore[arg-type]  # of a manifest that a kernel has signed
    cell_id = None if saved.cell_id in session.cells else saved.cell_id
    entry = session.cells.add(
        saved.notebook_id or None, saved.code, saved.author or "notebook", own, cell_id=cell_id
    )
    entry.body = session.prepare(entry, saved.code)
    return entry


def _add_superseded(
    session: NotebookSession, manifest: Manifest, address: Address, *, add: bool
) -> dict[str, str]:
    """Add cells that have lost a name to another cell. Return their present ids by the saved ones.

    They stay outside of the graph, but have run: one that runs again is no new cell, which would get the name.
    """
    here = {entry.cell.notebook_cell_id for entry in session.cells if not entry.deleted}
    added: dict[str, str] = {}
    for saved in manifest.superseded.values():
        is_here = saved.notebook_id in here if saved.notebook_id else saved.cell_id in session.cells
        if is_here or (saved.notebook_id and not add):
            continue
        cell_id = added[saved.cell_id] = _add(session, saved, address).cell.cell_id
        session.cells.change(
            cell_id,
            status="superseded",
            execution_count=saved.count,
            last_run_at=saved.at,
            last_run_by=saved.author or None,
            duration=saved.seconds,
        )
    return added


def _order(manifest: Manifest) -> list[str]:
    """Return the saved ids of all cells, in their order."""
    order = [saved.cell_id for saved in manifest.cells]
    for place, saved in sorted(manifest.superseded.items()):
        order.insert(place, saved.cell_id)
    return order


def _register(session: NotebookSession, entries: Sequence[Entry], saved: Mapping[str, SavedCell]) -> None:
    """Put new cells into the graph, and what was observed of those that have not run in this kernel."""
    graph = session.execution.graph
    observed = {
        cell_id: _observations(cell)
        for cell_id, cell in saved.items()
        if cell.observed and session.cells[cell_id].cell.last_run_at is None
    }
    graph.redefinitions.for_checkpoints.bring_back_observations(observed)
    graph.redefinitions.update()
    # Whoever comes first has a name: what the graph had refused must come after what it had accepted.
    refused = [entry for entry in entries if saved[entry.cell.cell_id].status == "refused"]
    graph.admit_stale(entry for entry in entries if entry not in refused)
    graph.admit_stale(refused)
    graph.refresh_stale()
    session.execution.stale_cells.hold(entry.cell.cell_id for entry in entries)


def _observations(saved: SavedCell) -> tuple[str, Observations]:
    facts = {name: value for name, value in saved.observed.items() if name != "code"}
    return str(saved.observed["code"]), msgspec.convert(facts, Observations)
