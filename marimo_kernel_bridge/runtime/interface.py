"""The dataflow graph as the rest of the package sees it, and what it needs of a reactive runtime.

Values and protocols only. `runtime/` implements `Runtime` with marimo's graph and scheduler; `session.py` implements
`CellHost`. Cell ids are the kernel's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterable, Mapping, Sequence

    from marimo_kernel_bridge.protocol.inspection import UiElement

Header = dict[str, Any]
"""The header of a Jupyter message, which the runtime passes on and never reads."""


@dataclass(frozen=True)
class Names:
    """The global names of one cell: those it defines, and those it reads that others may define.

    `local` are its `_private` names, which no other cell sees.
    """

    defines: frozenset[str]
    uses: frozenset[str]
    local: frozenset[str] = frozenset()


_MARK: Final = "\N{MIDDLE DOT}"  # may stand in a Python name, and nobody writes it there


def version_name(name: str, cell_id: str) -> str:
    """Return what the graph calls a name as one of several cells makes it. People never see it."""
    return f"__{name}{_MARK}{cell_id}__"


def plain_name(name: str) -> str:
    """Return the name that people know."""
    return name[2:].rpartition(_MARK)[0] if _MARK in name and name.startswith("__") else name


@dataclass(frozen=True)
class Versions:
    """Names that the graph takes for a cell with this `code`, instead of what the code says about `names`."""

    code: str
    names: frozenset[str] = frozenset()
    defines: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Node:
    """One cell's place in the graph. `upstream` and `downstream` are one edge away."""

    names: Names
    upstream: frozenset[str]
    downstream: frozenset[str]


@dataclass(frozen=True)
class GraphError:
    """Why the graph does not take a cell.

    `multiple_definition`: `name` is also defined by `cells`. `cycle`: `cells` depend on each other through
    `name` (several, comma separated). `syntax`: `message` says where.
    """

    kind: Literal["multiple_definition", "cycle", "syntax", "import_star", "other"]
    message: str
    name: str = ""
    cells: tuple[str, ...] = ()


@dataclass(frozen=True)
class Redrawn:
    """Data of an output, by mime type, as it was shown and as it is now."""

    before: dict[str, object]
    after: dict[str, object]


@dataclass(frozen=True)
class Outcome:
    """How the body of a cell ended. `stopped`: by `mo.stop`, which is not an error."""

    error: BaseException | None = None
    stopped: bool = False
    value: object = None


class CellHost(Protocol):
    """Runs the bodies of cells for a runtime and reacts to what becomes of them. All calls on the main thread."""

    async def execute(self, cell_id: str) -> Outcome:
        """Run the cell's body in the shared namespace and show its outputs."""
        ...

    def cancelled(self, cell_id: str, because: str) -> None:
        """React to a cell that was to run and did not, because the cell `because` failed or stopped."""
        ...

    def interrupted(self, cell_id: str) -> None:
        """React to a cell that was to run and did not, because the run was interrupted."""
        ...

    def should_pause(self) -> bool:
        """Return whether the run should stop after the current cell and leave the others stale."""
        ...

    def graph_errors_changed(self, errors: dict[str, tuple[GraphError, ...]]) -> None:
        """React to a change of the cells that the graph refuses; cells missing from `errors` are no longer refused."""
        ...

    def wake(self) -> None:
        """Schedule a run: cells became stale outside of one. May be called on any thread."""
        ...


class Graph(Protocol):
    """The dataflow graph: which cells it holds, what they define and use, and which are stale."""

    @property
    def redefinitions(self) -> Literal["relaxed", "strict"]:
        """Return what the configuration says about a name that several cells define."""
        ...

    def parse(self, cell_id: str, code: str) -> Names | None:
        """Return the names of `code` without touching the graph; None if it cannot be a cell."""
        ...

    def register(self, cell_id: str, code: str, *, stale: bool = False) -> tuple[GraphError, ...]:
        """Register a cell, replacing its earlier code, without running it.

        Dependents that lost an input become stale. A refused cell stays known, so that it is accepted when the
        graph is fixed.
        """
        ...

    def register_stale(self, cells: Sequence[tuple[str, str]]) -> None:
        """Register cells (id, code) together, stale: they run before what needs them."""
        ...

    def assign(self, versions: Mapping[str, Versions | None], places: Mapping[str, int]) -> None:
        """Make cells (by id) define and use versions of names; None: what their code says. Others stay as they are.

        Changes no values. `places` are those of cells in the document, which the caller keeps up to date. Cells of
        other code than given are taken by it once they are registered.
        """
        ...

    def check_again(self, cell_ids: Iterable[str]) -> None:
        """Look for errors of cells in the graph, as if they were registered just now."""
        ...

    def unresolved(self, names: Names) -> frozenset[str]:
        """Return the names that are used and that no cell, value or builtin provides."""
        ...

    def delete(self, cell_ids: Iterable[str], *, keep_values: bool = False) -> None:
        """Take cells out of the graph with the names they defined (unless `keep_values`)."""
        ...

    def set_aside(self, cell_ids: Iterable[str]) -> None:
        """Take cells out of the graph whose code is about to be replaced; their values stay until they run."""
        ...

    def nodes(self) -> dict[str, Node]:
        """Return the graph, in the order of registration."""
        ...

    def changed_nodes(self) -> dict[str, Node | None]:
        """Return the cells whose place in the graph changed since this was last called; None: it is gone."""
        ...

    def definers(self, name: str) -> frozenset[str]:
        """Return the cells in the graph that define `name`, or a version of it."""
        ...

    def descendants(self, *cell_ids: str) -> frozenset[str]:
        """Return every cell downstream of one of these. In a cycle, that is itself too."""
        ...

    def stale(self) -> frozenset[str]:
        """Return the cells whose inputs changed since they ran."""
        ...

    def set_stale(self, cell_ids: Iterable[str], *, stale: bool = True) -> None:
        """Mark cells as stale, or as fresh."""
        ...


class Runs(Protocol):
    """Runs of cells in the order of the graph."""

    @property
    def mode(self) -> Literal["autorun", "lazy"]:
        """Return what the configuration says about running dependents."""
        ...

    async def run(self, cell_ids: Iterable[str]) -> None:
        """Run cells, their stale ancestors first, through `CellHost.execute`; mark their descendants stale."""
        ...

    @property
    def running(self) -> bool:
        """Return whether a run is in progress."""
        ...

    def interrupt(self) -> bool:
        """React to SIGINT (in a signal handler). Returns whether KeyboardInterrupt should be raised."""
        ...

    def is_stop(self, error: BaseException) -> bool:
        """Return whether an exception is `mo.stop` ending a cell; its `output` is what to show."""
        ...


class UiValues(Protocol):
    """UI elements, and values of theirs that are set from code."""

    def ui_elements(self) -> list[UiElement]:
        """Return the UI elements that global variables hold; any thread."""
        ...

    def queue_ui_value(self, target: str, value: object) -> None:
        """Queue a value for a UI element, which it gets with the next run; its readers become stale then.

        `target` is the global variable that holds the element, or the element's id. May be called while cells run.
        Raises `BridgeError`: no_such_ui_element, ui_value_refused.
        """
        ...

    def settle_ui_values(self, *, release: bool) -> dict[str, list[Redrawn]]:
        """Return what of each cell's outputs changes because UI elements in it were set.

        Called when the cells that read the elements have run. `release` buttons: `mo.ui.run_button` is pressed for
        one run only.
        """
        ...


class Namespace(Protocol):
    """The namespace in which all code runs, and what names in code mean there."""

    @property
    def values(self) -> dict[str, Any]:
        """Return the namespace in which all code runs."""
        ...

    def mangle_locals(self, cell_id: str, nodes: list[ast.stmt]) -> list[ast.stmt]:
        """Rename the `_private` names that a cell defines to names of its own, in place."""
        ...

    def private_names(self, code: str) -> frozenset[str]:
        """Return the `_private` names that a cell's code defines, except those that its functions need later."""
        ...

    def package_of(self, module: str) -> str:
        """Return the name of the package to install for a top-level module; any thread."""
        ...


class Runtime(Graph, Runs, UiValues, Namespace, Protocol):
    """A dataflow graph over one namespace that knows which cells are stale and in which order to run them."""
