"""The restore of a checkpoint into a session: values, versions, UI elements, outputs, and the states of libraries.

Fresh cells become exactly those that `planning` says; the others are stale and held until somebody runs them. Runs no cell
but those that make UI elements. Main thread only, while no cell runs.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.inspecting import ipywidgets
from marimo_kernel_bridge.inspecting.widget_traits import is_widget
from marimo_kernel_bridge.kernel.checkpoints.capture import PROCESS, STATE, Process
from marimo_kernel_bridge.kernel.checkpoints.differences import differences, lost_names
from marimo_kernel_bridge.kernel.checkpoints.matching import match
from marimo_kernel_bridge.kernel.checkpoints.pickling import LoadError, load_group
from marimo_kernel_bridge.kernel.checkpoints.planning import (
    Plan,
    SavedNames,
    first_line,
    other_python,
    plan,
    unavailable_names,
)
from marimo_kernel_bridge.protocol.checkpoints import Restored, StaleCell
from marimo_kernel_bridge.protocol.notebook import CellError
from marimo_kernel_bridge.startup.working_directory import working_directory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marimo_kernel_bridge.checkpoints.store import OpenCheckpoint
    from marimo_kernel_bridge.kernel.cells import Address
    from marimo_kernel_bridge.kernel.checkpoints.matching import Matches
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
    from marimo_kernel_bridge.protocol.notebook import Output


class Restoring:
    """One restore of a checkpoint."""

    def __init__(
        self, session: NotebookSession, opened: OpenCheckpoint, address: Address, *, add: bool
    ) -> None:
        """`address` is that of the request. `add`: cells that a front end had shown and the notebook lacks are added."""
        self._session = session
        self._graph = session.execution.graph
        self._opened = opened
        self._manifest = opened.manifest
        self._address = address
        self._add = add
        self._told: list[str] = []
        self._begun = time.monotonic()

    def preview(self) -> Restored:
        """Return what the restore would do. Unpickles nothing."""
        matches = match(self._session, self._manifest, self._address, add=self._add)
        self._tell_differences(matches)
        planned = plan(self._session, self._manifest, matches, unavailable_names(self._manifest))
        result = self._result(matches, planned, preview=True)
        self._session.execution.forget(matches.added)
        return result

    async def restore(self) -> Restored:
        """Restore."""
        session, manifest = self._session, self._manifest
        if manifest.strict != self._graph.strict:
            self._graph.switch_redefinitions(session.prepare, strict=manifest.strict)
        if manifest.mode in {"autorun", "lazy"}:
            session.execution.stale_cells.mode = manifest.mode  # type: ignore[assignment]  # narrowed by the test
        matches = match(session, manifest, self._address, add=self._add)
        unavailable = unavailable_names(manifest)
        planned = plan(session, manifest, matches, unavailable)
        process = self._load_process()
        values, failed = self._load(planned)
        if failed:
            planned = plan(session, manifest, matches, {**unavailable, **failed})
        names = SavedNames(session, matches)
        present = {names.present(name): value for name, value in values.items()}
        self._set(present, planned, matches)
        planned = await self._run_live(planned, present, matches)
        self._finish(planned, matches)
        self._bring_back_process(process, matches)
        self._tell_differences(matches)
        return self._result(matches, planned, preview=False)

    # -- values ------------------------------------------------------------------------------------------------------

    def _load(self, planned: Plan) -> tuple[dict[str, object], dict[str, str]]:
        """Return the values of the cells that fit, and the names that cannot be loaded, each with the reason."""
        wanted = {name for saved in planned.fits.values() for name in saved.defines}
        wanted |= {STATE + name for saved in planned.fits.values() for name in saved.texts}
        skipped = unavailable_names(self._manifest)
        values: dict[str, object] = {}
        failed: dict[str, str] = {}
        for group in self._manifest.groups:
            if wanted.isdisjoint(group.names) or skipped.keys() & set(group.names):
                continue
            try:
                stream, buffers = self._opened.read(group)
                loaded = load_group(stream, buffers, self._session.runtime.values)
            except LoadError as error:
                failed |= dict.fromkeys(group.names, str(error))
            except BridgeError as error:
                failed |= dict.fromkeys(group.names, error.message)
            else:
                values |= {name: value for name, value in loaded.items() if name in wanted}
        return values, failed

    def _set(self, values: Mapping[str, object], planned: Plan, matches: Matches) -> None:
        """Put values into the namespace, and mark the fresh cells."""
        graph, names = self._graph, SavedNames(self._session, matches)
        fitting = {saved.cell_id for saved in planned.fits.values()}
        absent, spent = (
            [names.present(name) for name in versions if _maker(name) in fitting]
            for versions in (self._manifest.absent, self._manifest.spent)
        )
        kept = {name: value for name, value in values.items() if not name.startswith(STATE)}
        ran_at = {cell_id: saved.at for cell_id, saved in matches.saved.items() if saved.at is not None}
        ran = sorted(ran_at, key=ran_at.__getitem__)
        graph.redefinitions.for_checkpoints.bring_back_runs(ran)
        graph.redefinitions.for_checkpoints.bring_back_values(kept, absent, spent)
        self._mark(planned)

    def _mark(self, planned: Plan) -> None:
        for cell_id in planned.fresh:
            self._graph.runtime.note_restored(cell_id, failed=planned.fits[cell_id].status == "error")
        self._graph.runtime.set_stale(planned.fresh, stale=False)
        self._graph.refresh_stale()

    async def _run_live(self, planned: Plan, values: Mapping[str, object], matches: Matches) -> Plan:
        """Run the cells that make UI elements, and give these their values. Return the plan without those that failed."""
        live = planned.live
        if not live:
            return planned
        session, names = self._session, SavedNames(self._session, matches)
        await session.execution.run_together(set(live))
        failed = {cell_id for cell_id in live if session.cells[cell_id].cell.status != "ok"}
        inputs = {
            names.present(name): value
            for cell_id in live - failed
            for name, value in planned.fits[cell_id].inputs.items()
        }
        namespace = session.runtime.values
        widgets = {name: value for name, value in inputs.items() if is_widget(namespace.get(name))}
        states = {name.removeprefix(STATE): value for name, value in values.items() if name.startswith(STATE)}
        elements = {name: value for name, value in inputs.items() if name not in widgets}
        refused = self._graph.runtime.set_live_values({**elements, **states}) | _set_widgets(
            widgets, namespace
        )
        self._told += [f"`{name}` {reason}" for name, reason in refused.items()]
        made = session.runtime.live_values().keys()
        kept = {
            name: value
            for name, value in values.items()
            if not name.startswith(STATE) and name not in made and name not in widgets
        }
        self._graph.redefinitions.for_checkpoints.bring_back_values(kept, (), ())
        # A cell whose input is not what it was reads something else than the checkpoint has.
        failed |= {
            cell_id
            for cell_id in live
            if not refused.keys().isdisjoint(map(names.present, planned.fits[cell_id].inputs))
        }
        below = self._graph.runtime.descendants(*failed) if failed else frozenset[str]()
        reasons = dict.fromkeys(
            below & planned.fresh, "is below a cell whose UI elements are not as they were"
        )
        reasons |= dict.fromkeys(failed, "its UI elements could not be made as they were")
        return replace(planned, fresh=planned.fresh - reasons.keys(), why={**planned.why, **reasons})

    def _finish(self, planned: Plan, matches: Matches) -> None:
        """Give the cells what the table says of them, and hold those that are stale."""
        session, graph = self._session, self._graph
        outputs = self._outputs()
        for cell_id, saved in matches.saved.items():
            entry, failed = session.cells[cell_id], ""
            if cell_id in planned.fresh and cell_id not in planned.live:
                session.cells.change(
                    cell_id,
                    status=saved.status,
                    error=None if saved.error is None else msgspec.convert(saved.error, CellError),
                    execution_count=saved.count,
                    last_run_at=saved.at,
                    last_run_by=saved.author or None,
                    duration=saved.seconds,
                )
                entry.stopped = saved.stopped
                if saved.status == "error" and entry.cell.error is not None:
                    failed = entry.cell.error.ename
            session.execution.failures.bring_back(cell_id, failed=failed, expected=saved.expects)
            if cell_id not in planned.live and not entry.log.outputs():
                for output in outputs.get(saved.cell_id, ()):
                    entry.log.apply(*_message(output))
        graph.bring_back_imperative(cell_id for cell_id in planned.fresh if matches.saved[cell_id].once)
        self._mark(planned)
        stale = {cell_id for cell_id in planned.why if session.cells[cell_id].cell.status != "refused"}
        stale |= graph.runtime.descendants(*stale) if stale else frozenset()
        graph.runtime.set_stale(stale)
        graph.refresh_stale()
        session.execution.stale_cells.release(session.cells.ids())
        session.execution.stale_cells.hold(stale)

    def _outputs(self) -> dict[str, list[Output]]:
        blob = self._manifest.extras.outputs
        if blob is None:
            return {}
        try:
            return msgspec.json.decode(self._opened.blob(blob), type=dict[str, list[dict[str, Any]]])
        except (BridgeError, ValueError, RecursionError) as error:
            self._told.append(f"The outputs of the cells are not back: {error}.")
            return {}

    # -- the process -------------------------------------------------------------------------------------------------

    def _load_process(self) -> Process:
        """Return what is kept of the process, and extend the import path, which values may need."""
        group = next((group for group in self._manifest.groups if PROCESS in group.names), None)
        if group is None or (group.code and other_python(self._manifest)):
            return Process()
        try:
            process = load_group(*self._opened.read(group), self._session.runtime.values)[PROCESS]
        except (LoadError, BridgeError) as error:
            self._told.append(f"The states of libraries are not back: {error}.")
            return Process()
        assert isinstance(process, Process)
        sys.path[:0] = [path for path in process.first_paths if path not in sys.path]
        sys.path += [path for path in process.last_paths if path not in sys.path]
        return process

    def _bring_back_process(self, process: Process, matches: Matches) -> None:
        if process.states:
            failed = self._graph.redefinitions.states.bring_back(process.states, matches.present())
            self._told += [f"The state of {module} is not back." for module in failed]
        folder = self._manifest.extras.cwd
        if folder and folder != working_directory():
            try:
                os.chdir(folder)
            except OSError as error:
                self._told.append(f"The working directory was {folder}: {error.strerror}.")

    # -- the answer --------------------------------------------------------------------------------------------------

    def _tell_differences(self, matches: Matches) -> None:
        manifest = self._manifest
        self._told += differences(manifest)
        if matches.gone:
            lines = ", ".join(f"`{first_line(saved.code)}`" for saved in matches.gone[:3])
            self._told.append(f"Not in the notebook any more: {len(matches.gone)} of its cells ({lines}).")

    def _result(self, matches: Matches, planned: Plan, *, preview: bool) -> Restored:
        session = self._session
        stale = [
            StaleCell(
                entry.cell.cell_id,
                first_line(entry.cell.code),
                planned.why[entry.cell.cell_id],
                seconds=matches.saved[entry.cell.cell_id].seconds
                if entry.cell.cell_id in matches.saved
                else None,
            )
            for entry in session.cells
            if entry.cell.cell_id in planned.why
        ]
        as_they_were = [entry.cell.cell_id for entry in session.cells if entry.cell.cell_id in planned.fresh]
        fresh = [cell_id for cell_id in as_they_were if matches.saved[cell_id].status == "ok"]
        if len(fresh) < len(as_they_were):
            number = len(as_they_were) - len(fresh)
            self._told.append(
                f"{number} of its cells had failed or not run because of that, and are as they were."
            )
        return Restored(
            self._manifest.name,
            self._manifest.at,
            round(time.monotonic() - self._begun, 3),
            tuple(fresh),
            tuple(stale),
            lost_names(self._manifest, matches.present()),
            tuple(dict.fromkeys(self._told)),
            preview,
        )


def _maker(version: str) -> str:
    """Return the cell after which a version is named."""
    return version.removesuffix("__").rpartition("\N{MIDDLE DOT}")[2]


def _set_widgets(values: Mapping[str, object], namespace: Mapping[str, object]) -> dict[str, str]:
    failed: dict[str, str] = {}
    for name, value in values.items():
        try:
            ipywidgets.set_value(namespace[name], value)
        except Exception as error:  # noqa: BLE001  # a refusal, or whatever a callback raises
            failed[name] = f"does not take its value: {error}"
    return failed


def _message(output: Output) -> tuple[str, dict[str, Any]]:
    """Return the message that shows an output."""
    kind = output["output_type"]
    return kind, {name: value for name, value in output.items() if name != "output_type"}
