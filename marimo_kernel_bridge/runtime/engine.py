"""marimo's kernel behind the `Runtime` protocol: receives commands, and calls the `CellHost`.

Runs on the kernel's main thread. Not re-entrant: the caller issues one command at a time. Does not decide when cells
run or where outputs go.
"""

from __future__ import annotations

import asyncio
import builtins
import linecache
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from marimo._ast.compiler import get_filename
from marimo._runtime.commands import DeleteCellCommand, ExecuteCellCommand
from marimo._runtime.control_flow import MarimoStopError
from marimo._types.ids import CellId_t

from marimo_kernel_bridge.runtime import cell_code, package_names, patches
from marimo_kernel_bridge.runtime.display.formatters import Display
from marimo_kernel_bridge.runtime.display.output_areas import OutputAreas
from marimo_kernel_bridge.runtime.display.shown_elements import ShownElements
from marimo_kernel_bridge.runtime.graph.compiled_cells import names_of
from marimo_kernel_bridge.runtime.graph.refusals import graph_error
from marimo_kernel_bridge.runtime.interface import Node, plain_name
from marimo_kernel_bridge.runtime.marimo_kernel import ReactiveKernel
from marimo_kernel_bridge.runtime.supported_api import check_version
from marimo_kernel_bridge.runtime.ui import values as ui_values
from marimo_kernel_bridge.runtime.ui.queue import UiValueQueue

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterable, Mapping, Sequence
    from types import ModuleType
    from typing import Literal

    from IPython.core.interactiveshell import InteractiveShell

    from marimo_kernel_bridge.protocol.inspection import UiElement
    from marimo_kernel_bridge.runtime.display.output_areas import Capabilities
    from marimo_kernel_bridge.runtime.interface import (
        CellHost,
        GraphError,
        LiveElements,
        LiveValue,
        Names,
        Redrawn,
        SetFromOutside,
        Versions,
    )


@dataclass(frozen=True)
class Screen:
    """The display of a kernel's marimo objects: its shell, and the front end that shows the running cell."""

    shell: InteractiveShell
    capabilities: Capabilities


class Engine:
    """Implements `interface.Runtime` with marimo's kernel."""

    def __init__(
        self, module: ModuleType, host: CellHost, notebook: str | None = None, screen: Screen | None = None
    ) -> None:
        """Embed marimo in the namespace of `module`.

        `notebook` is the path of the notebook if it is known: marimo reads the `pyproject.toml` next to it. Without a
        `screen`, marimo's objects have no formatters and `mo.output` shows nothing.
        Raises `BridgeError`: runtime_mismatch.
        """
        check_version()
        patches.install()
        self._host = host
        self._display: Display | None = None
        areas = None
        if screen is not None:
            self._display = Display(
                screen.shell, screen.capabilities.prefers_markdown, screen.capabilities.live
            )
            self._display.install()
            areas = OutputAreas(screen.shell, self._display, screen.capabilities)
        self._ui_values = UiValueQueue(host.wake)
        self._kernel = ReactiveKernel(module, host, notebook, areas, self._ui_values.widget_changed)
        self._versions: dict[
            str, set[str]
        ] = {}  # names with versions in the graph, and the cells that define them

    @cached_property
    def live(self) -> LiveElements:
        """The UI elements as marimo's own front end shows them."""
        from marimo_kernel_bridge.runtime.live.elements import MarimoElements  # noqa: PLC0415  # few notebooks show elements

        shown = ShownElements() if self._display is None else self._display.shown
        return MarimoElements(self._kernel, self._ui_values, shown)

    @property
    def mode(self) -> Literal["autorun", "lazy"]:
        """The mode of running dependents in marimo's configuration."""
        return "lazy" if self._kernel.on_cell_change == "lazy" else "autorun"

    @property
    def redefinitions(self) -> Literal["relaxed", "strict"]:
        return self._kernel.redefinitions

    def parse(self, cell_id: str, code: str) -> Names | None:
        return self._kernel.compiled_cells.names(cell_id, code)

    def register(self, cell_id: str, code: str, *, stale: bool = False) -> tuple[GraphError, ...]:
        before = dict(self._kernel.errors)
        marimo_id = CellId_t(cell_id)
        self._kernel.mutate_graph(
            [ExecuteCellCommand(cell_id=marimo_id, code=code)],
            deletion_requests=[],
            cells_starting_stale={marimo_id} if stale else None,
        )
        self._report_errors(before)
        return self._errors().get(cell_id, ())

    def register_stale(self, cells: Sequence[tuple[str, str]]) -> None:
        before = dict(self._kernel.errors)
        requests = [ExecuteCellCommand(cell_id=CellId_t(cell_id), code=code) for cell_id, code in cells]
        stale = {request.cell_id for request in requests}
        self._kernel.mutate_graph(requests, deletion_requests=[], cells_starting_stale=stale)
        self.set_stale(stale)  # also those whose code did not change
        self._report_errors(before)

    def assign(self, versions: Mapping[str, Versions | None], places: Mapping[str, int]) -> None:
        for cell_id, known in versions.items():
            before = self._kernel.versions.get(cell_id)
            for name in before.defines if before is not None else ():
                definers = self._versions[plain_name(name)]
                definers.discard(cell_id)
                if not definers:
                    del self._versions[plain_name(name)]
            for name in known.defines if known is not None else ():
                self._versions.setdefault(plain_name(name), set()).add(cell_id)
        self._kernel.assign(versions, places)

    def check_again(self, cell_ids: Iterable[str]) -> None:
        before = dict(self._kernel.errors)
        cells = [self._kernel.graph.cells[CellId_t(cell_id)] for cell_id in cell_ids if cell_id in self._kernel.graph.cells]  # fmt: skip
        self._kernel.mutate_graph(
            [ExecuteCellCommand(cell_id=cell.cell_id, code=cell.code) for cell in cells], []
        )
        self._report_errors(before)

    @property
    def values(self) -> dict[str, Any]:
        return self._kernel.globals

    def unresolved(self, names: Names) -> frozenset[str]:
        sources = (
            self._kernel.graph.definitions,
            self._kernel.globals,
            vars(builtins),
            self._versions,
            names.defines,
        )
        return frozenset(name for name in names.uses if not any(name in source for source in sources))

    def delete(self, cell_ids: Iterable[str], *, keep_values: bool = False) -> None:
        gone = list(cell_ids)
        if keep_values:
            for cell_id in gone:
                self._kernel.forget_definitions(cell_id)
        self._delete(gone)
        for cell_id in gone:
            self._kernel.forget_definitions(cell_id)
            if self._display is not None:
                self._display.shown.forget(cell_id)

    def _delete(self, cell_ids: Iterable[str]) -> None:
        deleted = [CellId_t(cell_id) for cell_id in cell_ids if cell_id in self._kernel.graph.cells]
        if not deleted:
            return
        before = dict(self._kernel.errors)
        self._kernel.mutate_graph([], [DeleteCellCommand(cell_id=cell_id) for cell_id in deleted])
        for cell_id in deleted:
            linecache.cache.pop(
                get_filename(cell_id), None
            )  # marimo adds an entry for each cell that it compiles
        self._report_errors(before)

    def set_aside(self, cell_ids: Iterable[str]) -> None:
        with self._kernel.keeping(set(cell_ids)):
            self._delete(cell_ids)

    def _errors(self) -> dict[str, tuple[GraphError, ...]]:
        """Return the cells that the graph refuses, and why."""
        return {
            cell_id: tuple(graph_error(error) for error in errors)
            for cell_id, errors in self._kernel.errors.items()
        }

    def _report_errors(self, before: object) -> None:
        if self._kernel.errors != before:
            self._host.graph_errors_changed(self._errors())

    def nodes(self) -> dict[str, Node]:
        return {cell_id: self._node(cell_id) for cell_id in self._kernel.graph.cells}

    def changed_nodes(self) -> dict[str, Node | None]:
        graph = self._kernel.graph
        changed: dict[str, Node | None] = {
            cell_id: self._node(cell_id) if cell_id in graph.cells else None for cell_id in graph.touched
        }
        graph.touched.clear()
        return changed

    def _node(self, cell_id: CellId_t) -> Node:
        graph = self._kernel.graph
        return Node(
            names_of(graph.cells[cell_id]),
            frozenset(graph.parents[cell_id]),
            frozenset(graph.children[cell_id]),
        )

    def definers(self, name: str) -> frozenset[str]:
        versions = self._versions.get(name, set()) & self._kernel.graph.cells.keys()
        return frozenset(self._kernel.graph.definitions.get(name, ())) | versions

    def descendants(self, *cell_ids: str) -> frozenset[str]:
        graph = self._kernel.graph
        return frozenset(
            graph.topology.below(CellId_t(cell_id) for cell_id in cell_ids if cell_id in graph.cells)
        )

    def ancestors(self, *cell_ids: str) -> frozenset[str]:
        graph = self._kernel.graph
        return frozenset(
            graph.topology.above(CellId_t(cell_id) for cell_id in cell_ids if cell_id in graph.cells)
        )

    def stale(self) -> frozenset[str]:
        stale: frozenset[str] = self._kernel.graph.stale_cells.frozen()
        return (
            stale - self._kernel.errors.keys() if self._kernel.errors else stale
        )  # marimo never runs disabled cells

    def stale_above(self, cell_ids: Iterable[str]) -> frozenset[str]:
        graph = self._kernel.graph
        return frozenset(
            graph.stale_above(CellId_t(cell_id) for cell_id in cell_ids if cell_id in graph.cells)
        )

    def set_stale(self, cell_ids: Iterable[str], *, stale: bool = True) -> None:
        for cell_id in cell_ids:
            cell = self._kernel.graph.cells.get(CellId_t(cell_id))
            if cell is not None:
                cell.set_stale(stale, broadcast=False)

    def set_disabled(self, cell_id: str, *, disabled: bool) -> None:
        self._kernel._configure_cells({CellId_t(cell_id): {"disabled": disabled}})

    def queue_ui_value(self, target: str, value: object) -> None:
        element = ui_values.find(target, self._kernel.globals, self._kernel.context.ui_element_registry)
        self._ui_values.put(element, ui_values.frontend_value(element, value))

    def live_values(self) -> dict[str, LiveValue]:
        from marimo_kernel_bridge.runtime.ui import kept  # noqa: PLC0415  # only checkpoints ask for them

        return kept.live_values(self._kernel.globals)

    def set_live_values(self, values: Mapping[str, object]) -> dict[str, str]:
        from marimo_kernel_bridge.runtime.ui import kept  # noqa: PLC0415  # only checkpoints do it

        failed, elements = kept.set_live_values(self._kernel.globals, values)
        self._ui_values.note_set(elements, self._kernel.observers)
        return failed

    def note_restored(self, cell_id: str, *, failed: bool) -> None:
        self._kernel.note_restored(CellId_t(cell_id), failed=failed)

    def settle_ui_values(self, *, release: bool) -> dict[str, list[Redrawn]]:
        elements = self._ui_values.take_set()
        if release:
            self._kernel.release_buttons(elements)
        return {} if self._display is None or not elements else self._display.redrawn(elements)

    async def run(self, cell_ids: Iterable[str]) -> None:
        await self._ui_values.set_all(self._kernel, self._kernel.observers)
        requested = {CellId_t(cell_id) for cell_id in cell_ids}
        if requested or self._kernel.state_updates:
            await self._kernel._run_cells(requested)

    def take_set(self) -> SetFromOutside:
        return self._kernel.take_set()

    @property
    def running(self) -> bool:
        return self._kernel.scheduler() is not None

    def interrupt(self) -> bool:
        execution = self._kernel.context.execution_context
        if execution is not None and execution.duckdb_connection is not None:
            # A connection interrupted by a signal is left in an inconsistent state; its own API is safe.
            execution.duckdb_connection.interrupt()
        scheduler = self._kernel.scheduler()
        if scheduler is None:
            return False
        # The task that is executing right now cannot be cancelled before its next await, which may never come.
        in_task = scheduler.has_active_tasks() and not scheduler.owns_task(_running_task())
        scheduler.cancel_all()
        # An async cell is cancelled through the loop: raising would escape into asyncio.
        return execution is not None and not in_task

    def mangle_locals(self, cell_id: str, nodes: list[ast.stmt]) -> list[ast.stmt]:
        return cell_code.mangle_locals(cell_id, nodes)

    def private_names(self, code: str) -> frozenset[str]:
        return cell_code.private_names(code)

    def is_stop(self, error: BaseException) -> bool:
        return isinstance(error, MarimoStopError)

    def ui_elements(self) -> list[UiElement]:
        from marimo_kernel_bridge.runtime.ui import listing  # noqa: PLC0415  # only agents ask for them

        return listing.elements(self._kernel.globals)

    def package_of(self, module: str) -> str:
        return package_names.package_of(module)


def _running_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no running event loop
        return None
