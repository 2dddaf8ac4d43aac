"""marimo's Kernel, with display and execution delegated to the host.

Kept from marimo: the graph, its errors, staleness, the order of a run, `mo.state`, UI elements, cell-local names.
Removed: its output formatting and broadcasts (Jupyter's display machinery shows outputs), closing of figures
(matplotlib's inline backend does that), and the decision *when* dependents run: the kernel is always in marimo's lazy
mode, in which a run marks descendants as stale, and the session runs them when its front end is ready.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final, Literal

from marimo._ast.app_config import _AppConfig
from marimo._ast.visitor import VariableData
from marimo._config.manager import get_default_config_manager
from marimo._messaging.context import RUN_ID_CTX, run_id_context
from marimo._messaging.types import KernelStreams
from marimo._runtime import patches
from marimo._runtime.commands import AppMetadata
from marimo._runtime.context.kernel_context import initialize_kernel_context
from marimo._runtime.runner import (
    hooks_lens,
    hooks_on_finish,
    hooks_post_execution,
    hooks_pre_execution,
)
from marimo._runtime.runner.hooks import NotebookCellHooks, Priority
from marimo._runtime.runtime import Kernel
from marimo._runtime.threads import is_marimo_thread
from marimo._session.model import SessionMode
from marimo._types.ids import CellId_t

from marimo_kernel_bridge.runtime import process_state
from marimo_kernel_bridge.runtime.display.notification_stream import NotificationStream
from marimo_kernel_bridge.runtime.graph import run_steps
from marimo_kernel_bridge.runtime.graph.compiled_cells import CompiledCells
from marimo_kernel_bridge.runtime.graph.indexed_graph import IndexedGraph, IndexedModules
from marimo_kernel_bridge.runtime.graph.versioned_cells import with_versions
from marimo_kernel_bridge.runtime.host_executor import HostExecutor
from marimo_kernel_bridge.runtime.interface import SetFromOutside, plain_name
from marimo_kernel_bridge.runtime.ui.widgets import ElementRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import ModuleType

    from marimo._ast.cell import CellImpl
    from marimo._ast.visitor import ImportData
    from marimo._messaging.errors import Error
    from marimo._plugins.ui._core.ui_element import UIElement
    from marimo._runtime.commands import UpdateUIElementCommand
    from marimo._runtime.runner.cell_runner import RunResult
    from marimo._runtime.runner.hook_context import (
        OnFinishHookContext,
        PostExecutionHookContext,
        PreparationHookContext,
    )
    from marimo._runtime.state import State

    from marimo_kernel_bridge.runtime.display.output_areas import OutputAreas
    from marimo_kernel_bridge.runtime.interface import CellHost, LiveObserver, Versions

_NO_CELL: Final = CellId_t("")


class ReactiveKernel(Kernel):
    """marimo's kernel in an IPython namespace."""

    def __init__(
        self,
        module: ModuleType,
        host: CellHost,
        notebook: str | None = None,
        areas: OutputAreas | None = None,
        widget_changed: Callable[[UIElement[Any, Any]], None] = lambda _: None,
    ) -> None:
        """Embed marimo in the namespace of `module`.

        `notebook` is the path of the notebook if it is known; `areas` show what cells write with `mo.output`;
        `widget_changed` is called with the UI element around a widget that a person changed.
        """
        self._host = host
        self._output_areas = areas
        self.observers: list[LiveObserver] = []
        # Names that each cell actually defined in its last run. marimo deletes all names that a cell *could* define
        # before it runs; a cell that takes over `x` from another one in `x = x + 1` still needs the old value.
        self._defined: dict[CellId_t, set[str]] = {}
        self._keeping: set[str] = set()
        self._paused = False
        self._set_by_people: set[CellId_t] = set()  # the readers of what they have set
        self._set_by_threads: set[CellId_t] = set()
        self.versions: dict[str, Versions] = {}
        self.compiled_cells = CompiledCells()
        self._compiled: dict[CellId_t, CellImpl] = {}  # as their code says
        config = get_default_config_manager(current_path=notebook).get_config(hide_secrets=False)
        self.on_cell_change = config["runtime"]["on_cell_change"]
        # An additional key, which marimo ignores.
        settings: Mapping[str, object] = {**config["runtime"]}
        self.redefinitions: Literal["relaxed", "strict"] = (
            "strict" if settings.get("redefinitions") == "strict" else "relaxed"
        )
        config["runtime"]["on_cell_change"] = "lazy"
        config["runtime"]["auto_reload"] = "off"
        with process_state.preserved():
            super().__init__(
                cell_configs={},
                app_metadata=AppMetadata(
                    query_params={}, cli_args={}, app_config=_AppConfig(), filename=notebook
                ),
                user_config=config,
                streams=KernelStreams(
                    stream=NotificationStream(areas, self.observers), stdout=None, stderr=None, stdin=None
                ),
                module=module,
                enqueue_control_request=lambda _: host.wake(),
                hooks=self._build_hooks(),
            )
        process_state.add_to_path(settings.get("pythonpath"))
        self.graph: IndexedGraph = IndexedGraph()
        self.module_registry = IndexedModules(self.graph)
        self.host_executor = HostExecutor(host.execute)
        self.context = initialize_kernel_context(
            kernel=self,
            streams=self._streams,
            virtual_file_storage=None,  # data URLs instead of files that only marimo's server serves
            mode=SessionMode.EDIT,
        )
        self.context.ui_element_registry = self._elements = ElementRegistry(widget_changed)

    def mutate_graph(self, *args: Any, **kwargs: Any) -> set[CellId_t]:
        """Change the graph without broadcasting marimo's list of all variables.

        Making the list visits every cell for every variable, and only marimo's editor shows it.
        """
        context: Any = self.context  # shadows the method during the call
        context.is_embedded = lambda: True
        try:
            return super().mutate_graph(*args, **kwargs)
        finally:
            del context.is_embedded

    def _try_compiling_cell(
        self, cell_id: CellId_t, code: str, carried_imports: list[ImportData]
    ) -> tuple[CellImpl | None, Error | None]:
        reused = None if carried_imports else self.compiled_cells.take(cell_id, code)
        cell, error = (
            (reused, None)
            if reused is not None
            else super()._try_compiling_cell(cell_id, code, carried_imports)
        )
        if cell is None:
            return cell, error
        if reused is None and not carried_imports:
            self.compiled_cells.registered(cell_id, code, cell)
        self._compiled[cell_id] = cell
        return with_versions(cell, self.versions.get(cell_id)), error

    def assign(self, versions: Mapping[str, Versions | None], places: Mapping[str, int]) -> None:
        """Make cells define and use versions of names. Staleness, values and UI elements do not change."""
        self.graph.topology.places = places
        for cell_id, versions_of_cell in versions.items():
            if versions_of_cell is None:
                self.versions.pop(cell_id, None)
            else:
                self.versions[cell_id] = versions_of_cell
        cells, changed = self.graph.cells, []
        for cell_id in [CellId_t(changed_id) for changed_id in versions if changed_id in cells]:
            versions_of_cell = versions[cell_id]
            about_to_change = (
                versions_of_cell.code != cells[cell_id].code
                if versions_of_cell is not None
                else bool(self.versions)
            )
            if about_to_change:  # for other code, or none: until that is registered the cell keeps its names
                continue
            cell = with_versions(self._compiled[cell_id], versions_of_cell)
            if (cell.defs, cell.refs) != (cells[cell_id].defs, cells[cell_id].refs):
                changed.append(cell)
        if not changed:
            return
        stale = self.graph.get_stale()
        for cell in changed:  # remove all before adding any: old and new cells together could form a cycle
            self.graph.delete_cell(cell.cell_id)
        for cell in changed:
            self.graph.register_cell(cell.cell_id, cell)
            if cell.cell_id in self._defined:
                plain = {plain_name(name) for name in self._defined[cell.cell_id]}
                self._defined[cell.cell_id] = {name for name in cell.defs if plain_name(name) in plain}
        self.graph.stale_cells.become(stale)

    def _build_hooks(self) -> NotebookCellHooks:
        hooks = NotebookCellHooks()
        hooks.add_preparation(run_steps.update_staleness)
        hooks.add_preparation(self._dispose_below, Priority.LATE)
        for before in (run_steps.clear_staleness, hooks_pre_execution._set_status_to_running):
            hooks.add_pre_execution(before)
        for after in (
            hooks_post_execution._set_imported_defs,
            hooks_post_execution._set_run_result_status,
            hooks_post_execution._store_reference_to_output,
            run_steps.note_states,
            hooks_post_execution._issue_exception_side_effect,
            hooks_post_execution._delete_local_variables,
            hooks_lens.mount_lens,
            self._end_output_area,
            self._note_defined,
            self._pause_if_asked,
        ):
            hooks.add_post_execution(after)
        hooks.add_finalization(hooks_post_execution._set_status_idle)
        hooks.add_on_finish(self._report_cells_that_did_not_run)
        hooks.add_on_finish(hooks_on_finish._flush_cache_manifests)
        return hooks

    def _end_output_area(self, cell: CellImpl, ctx: PostExecutionHookContext, result: RunResult) -> None:
        if self._output_areas is not None:
            self._output_areas.end_run(cell, ctx, result)

    def _note_defined(self, cell: CellImpl, ctx: PostExecutionHookContext, _result: object) -> None:
        self._defined[cell.cell_id] = {name for name in cell.defs if name in ctx.glbls}

    def _pause_if_asked(self, _cell: CellImpl, _ctx: PostExecutionHookContext, _result: object) -> None:
        # An interrupted run discards state updates, so pause only if there are none.
        scheduler = self.scheduler()
        if scheduler is not None and not self.state_updates and self._host.should_pause():
            self._paused = True
            scheduler.interrupted = True

    def scheduler(self) -> Any:
        """Return marimo's scheduler of the run in progress, None if there is none."""
        return self.context.active_scheduler

    def _report_cells_that_did_not_run(self, ctx: OnFinishHookContext) -> None:
        paused, self._paused = self._paused, False
        for cell_id in ctx.cells_to_run:
            ctx.graph.cells[cell_id].set_runtime_state("idle")
            ctx.graph.cells[cell_id].set_stale(stale=True, broadcast=False)
            if not paused and cell_id not in ctx.cancelled_cells:
                self._host.interrupted(cell_id)
        for failed in ctx.cancelled_cells:
            for cell_id in ctx.cancelled_cells[failed]:
                ctx.graph.cells[cell_id].set_runtime_state("idle")
                self._host.cancelled(cell_id, failed)

    async def _run_cells(self, cell_ids: set[CellId_t]) -> None:
        """Do what marimo's method does, but search for disabled cells only if there are any."""
        if self.graph.disabled_cells:
            await super()._run_cells(cell_ids)
            return
        with run_id_context(RUN_ID_CTX.get(None)), patches.patch_main_module_context(self._module):
            self.graph.set_stale(await self._run_cells_internal(cell_ids), prune_imports=True)

    def _invalidate_cell_state(
        self,
        cell_id: CellId_t,
        exclude_defs: set[str] | None = None,
        deletion: bool = False,  # noqa: FBT001, FBT002  # marimo's signature
    ) -> None:
        """Release the resources of a cell, as marimo does.

        Unlike marimo's, it does not broadcast missing modules: that visits all cells twice, and has no receiver here.
        """
        if cell_id in self._elements.makers:
            self._elements.makers.discard(cell_id)
            for observer in self.observers:
                observer.elements_removed(cell_id)
        cell = self.graph.cells[cell_id]
        defs, defined = cell.defs, self._defined.get(cell_id, set())
        kept = defs if cell_id in self._keeping else defs - defined
        cell.import_workspace.imported_defs = set()
        temporaries = {name: [VariableData(kind="variable")] for name in cell.temporaries}
        self._delete_variables({**cell.variable_data, **temporaries}, (exclude_defs or set()) | kept)
        cell.set_output(None)
        self.context.cell_lifecycle_registry.dispose(cell_id, deletion=deletion)
        if (
            deletion or exclude_defs is not None
        ):  # otherwise cells are about to run, and `_dispose_below` does it for all
            self._dispose({cell_id}, deletion=deletion)
        if cell_id not in self._keeping:
            for name in defined - defs - self.graph.definitions.keys():
                self.globals.pop(name, None)  # of earlier code of the cell, which was set aside

    def _dispose_below(self, ctx: PreparationHookContext) -> None:
        self._dispose(ctx.cells_to_run, deletion=False)

    def _dispose(self, cell_ids: Iterable[CellId_t], *, deletion: bool) -> None:
        """Release resources of downstream cells, except their values; marimo does it below each cell of a run."""
        registry = self.context.cell_lifecycle_registry
        if registry.registry:
            for cell_id in registry.registry.keys() & self.graph.topology.below(cell_ids):
                registry.dispose(cell_id, deletion=deletion)

    @contextlib.contextmanager
    def keeping(self, cell_ids: set[str]) -> Iterator[None]:
        """Keep the values of cells that leave the graph in this block, until they run again."""
        outer, self._keeping = self._keeping, cell_ids
        try:
            yield
        finally:
            self._keeping = outer

    def note_restored(self, cell_id: CellId_t, *, failed: bool) -> None:
        """Note that a cell has defined the names of it that have values, and whether it had failed then."""
        cell = self.graph.cells[cell_id]
        cell.set_run_result_status("exception" if failed else "success")
        self._defined[cell_id] = {name for name in cell.defs if name in self.globals}
        self.context.state_registry.register_scope(self.globals, defs=set(cell.defs))

    def forget_definitions(self, cell_id: str) -> None:
        """Keep the values of a cell when it is deleted."""
        self._defined.pop(cell_id, None)  # type: ignore[call-overload]  # CellId_t is a NewType of str
        if cell_id not in self.graph.cells:
            self._compiled.pop(cell_id, None)  # type: ignore[call-overload]  # CellId_t is a NewType of str

    def release_buttons(self, elements: Iterable[UIElement[Any, Any]]) -> None:
        """Reset buttons that were pressed for one run, which marimo does not do in lazy mode."""
        self.reactive_execution_mode = "autorun"
        try:
            for element in elements:
                element._on_update_completion()
        finally:
            self.reactive_execution_mode = "lazy"

    def register_state_update(self, state: State[Any]) -> None:
        super().register_state_update(state)
        if is_marimo_thread():  # marimo has marked the readers as stale
            self._set_by_threads.update(self._find_cells_for_state(state, _NO_CELL))
        self._host.wake()

    async def set_ui_element_value(self, request: UpdateUIElementCommand, *, notify_frontend: bool) -> bool:
        self.graph.marked.clear()
        try:
            return await super().set_ui_element_value(request, notify_frontend=notify_frontend)
        finally:
            self._set_by_people |= self.graph.marked

    def take_set(self) -> SetFromOutside:
        """Return the cells that read what was set since the last call, other than by the body of a cell."""
        found = SetFromOutside(frozenset(self._set_by_people), frozenset(self._set_by_threads))
        self._set_by_people.clear()
        self._set_by_threads -= found.by_threads  # there may be more by now
        return found
