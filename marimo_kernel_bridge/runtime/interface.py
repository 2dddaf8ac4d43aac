"""The interface between the kernel and a reactive runtime: values and protocols.

`runtime.engine` implements `Runtime` with marimo's graph and scheduler; `kernel.notebook` implements `CellHost`. Cell
ids are those of the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterable, Mapping, Sequence

    from marimo_kernel_bridge.protocol.inspection import UiElement

Header = dict[str, Any]
"""The header of a Jupyter message, which the runtime passes through without reading it."""


@dataclass(frozen=True)
class Names:
    """The global names of one cell: the names that it defines, and those that it reads and other cells may define.

    `local` are its `_private` names, which are invisible to other cells.
    """

    defines: frozenset[str]
    uses: frozenset[str]
    local: frozenset[str] = frozenset()


_MARK: Final = "\N{MIDDLE DOT}"  # valid in a Python identifier, but unlikely in user code


def version_name(name: str, cell_id: str) -> str:
    """Return the internal name in the graph of one cell's version of a name. Never shown to users."""
    return f"__{name}{_MARK}{cell_id}__"


def plain_name(name: str) -> str:
    """Return the name in the user's code."""
    return name[2:].rpartition(_MARK)[0] if _MARK in name and name.startswith("__") else name


def is_private(name: str) -> bool:
    """Return whether marimo's graph has a name of the user's code in its own cell only."""
    return name.startswith("_") and not name.startswith("__")


@dataclass(frozen=True)
class Versions:
    """The names that the graph uses for a cell with this `code`, in place of `names` in the code."""

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
    """The data of an output, by mime type, before and after a redraw. `shown` is its id in its placeholder, if it has one."""

    before: dict[str, object]
    after: dict[str, object]
    shown: str = ""


@dataclass(frozen=True)
class Outcome:
    """How the body of a cell ended.

    `stopped`: by `mo.stop`, which is not an error. `expected`: with an error after which the cells below run all the same.
    """

    error: BaseException | None = None
    stopped: bool = False
    value: object = None
    expected: bool = False


@dataclass(frozen=True)
class LiveValue:
    """A value of marimo's that only its cell can make, and what has to be kept of it.

    "element": `value` is what a front end sends to a UI element, or None for an element that has none to set. "state": the
    value of a `mo.state`. "setter": its setter, of which nothing has to be kept.
    """

    kind: Literal["element", "state", "setter"]
    value: object = None


class CellHost(Protocol):
    """The caller of a runtime: runs the bodies of cells and is notified of their fate. All calls on the main thread."""

    async def execute(self, cell_id: str) -> Outcome:
        """Run the cell's body in the shared namespace and show its outputs."""
        ...

    def cancelled(self, cell_id: str, because: str) -> None:
        """React to a cell that does not run, because the cell `because` failed or stopped."""
        ...

    def interrupted(self, cell_id: str) -> None:
        """React to a cell that does not run, because the run was interrupted."""
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
    """The dataflow graph: its cells, what they define and use, and which are stale."""

    @property
    def redefinitions(self) -> Literal["relaxed", "strict"]:
        """Return the configured handling of a name that several cells define."""
        ...

    def parse(self, cell_id: str, code: str) -> Names | None:
        """Return the names of `code` without touching the graph; None if it cannot be a cell."""
        ...

    def register(self, cell_id: str, code: str, *, stale: bool = False) -> tuple[GraphError, ...]:
        """Register a cell, replacing its earlier code, without running it.

        Dependents that lost an input become stale. A refused cell stays registered, so that it is accepted when the
        graph is fixed.
        """
        ...

    def register_stale(self, cells: Sequence[tuple[str, str]]) -> None:
        """Register several cells (id, code) as stale: they run before cells that depend on them."""
        ...

    def assign(self, versions: Mapping[str, Versions | None], places: Mapping[str, int]) -> None:
        """Make cells (by id) define and use versions of names, or with None the names in their code.

        Changes no values and no other cells. `places` are the positions of cells in the document, which the caller keeps
        up to date. Versions for other code than a cell has now apply when that code is registered.
        """
        ...

    def check_again(self, cell_ids: Iterable[str]) -> None:
        """Check cells for graph errors, as if they had just been registered."""
        ...

    def unresolved(self, names: Names) -> frozenset[str]:
        """Return the used names that no cell, value or builtin provides."""
        ...

    def delete(self, cell_ids: Iterable[str], *, keep_values: bool = False) -> None:
        """Remove cells from the graph, and the values of their names unless `keep_values`."""
        ...

    def set_aside(self, cell_ids: Iterable[str]) -> None:
        """Remove cells from the graph before their code is replaced; their values stay until they run."""
        ...

    def nodes(self) -> dict[str, Node]:
        """Return the graph, in the order of registration."""
        ...

    def changed_nodes(self) -> dict[str, Node | None]:
        """Return the cells with a changed node since the last call; None for a cell that was removed."""
        ...

    def definers(self, name: str) -> frozenset[str]:
        """Return the cells in the graph that define `name`, or a version of it."""
        ...

    def descendants(self, *cell_ids: str) -> frozenset[str]:
        """Return all cells downstream of these. In a cycle, this includes the cell itself."""
        ...

    def ancestors(self, *cell_ids: str) -> frozenset[str]:
        """Return all cells upstream of these. In a cycle, this includes the cell itself."""
        ...

    def stale(self) -> frozenset[str]:
        """Return the cells whose inputs changed since they ran."""
        ...

    def stale_above(self, cell_ids: Iterable[str]) -> frozenset[str]:
        """Return the stale cells among these and their ancestors."""
        ...

    def set_stale(self, cell_ids: Iterable[str], *, stale: bool = True) -> None:
        """Mark cells as stale, or as fresh."""
        ...

    def set_disabled(self, cell_id: str, *, disabled: bool) -> None:
        """Keep a cell, and the cells downstream, from running by themselves, or let them run again."""
        ...

    def note_restored(self, cell_id: str, *, failed: bool) -> None:
        """Note that the values of a cell's names are those of a run of it, which was not in this kernel and may have failed."""
        ...


@dataclass(frozen=True)
class SetFromOutside:
    """The cells that read UI elements which a person or an agent has set, and those that read states which threads have set."""

    by_people: frozenset[str] = frozenset()
    by_threads: frozenset[str] = frozenset()


class Runs(Protocol):
    """Runs of cells in the order of the graph."""

    @property
    def mode(self) -> Literal["autorun", "lazy"]:
        """Return the configured mode of running dependents."""
        ...

    async def run(self, cell_ids: Iterable[str]) -> None:
        """Run cells, their stale ancestors first, through `CellHost.execute`; mark their descendants stale."""
        ...

    def take_set(self) -> SetFromOutside:
        """Return the cells that read what was set since the last call, other than by the body of a cell."""
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
    """UI elements, and setting their values from code."""

    def ui_elements(self) -> list[UiElement]:
        """Return the UI elements that global variables hold; any thread."""
        ...

    def queue_ui_value(self, target: str, value: object) -> None:
        """Queue a value for a UI element. The next run sets it and makes its readers stale.

        `target` is the global variable that holds the element, or the element's id. May be called while cells run.
        Raises `BridgeError`: no_such_ui_element, ui_value_refused.
        """
        ...

    def live_values(self) -> dict[str, LiveValue]:
        """Return the UI elements, states and setters that global variables hold, by name."""
        ...

    def set_live_values(self, values: Mapping[str, object]) -> dict[str, str]:
        """Give UI elements and states, by name, values of `live_values`. Runs no callback, and makes no cell stale.

        Returns the reasons of those that did not take theirs.
        """
        ...

    def settle_ui_values(self, *, release: bool) -> dict[str, list[Redrawn]]:
        """Return the changes of each cell's outputs that are caused by setting UI elements.

        Called after the cells that read the elements have run. `release` resets buttons: `mo.ui.run_button` is pressed
        for one run only.
        """
        ...


class Namespace(Protocol):
    """The namespace in which all code runs, and marimo's rules for names in it."""

    @property
    def values(self) -> dict[str, Any]:
        """Return the namespace in which all code runs."""
        ...

    def mangle_locals(self, cell_id: str, nodes: list[ast.stmt]) -> list[ast.stmt]:
        """Rename the `_private` names that a cell defines to names unique to the cell, in place."""
        ...

    def private_names(self, code: str) -> frozenset[str]:
        """Return the `_private` names that a cell's code defines, except those that its functions need later."""
        ...

    def package_of(self, module: str) -> str:
        """Return the name of the package to install for a top-level module; any thread."""
        ...


@dataclass(frozen=True)
class FunctionResult:
    """The answer of a function of a UI element. `found`: whether the element has it; `message`: why it failed."""

    value: object = None
    ok: bool = True
    message: str = ""
    found: bool = True


@dataclass(frozen=True)
class AssetPack:
    """Files of marimo's front end, joined to parts that are compressed with gzip. `parts` are their names and sizes in bytes, in order.

    The first pack also has what starts the front end: its entry script, the names of those to ask for next, its style sheets,
    the configuration to mount it with, and the text of the first message of a server.
    """

    data: tuple[bytes, ...]
    parts: tuple[tuple[tuple[str, int], ...], ...]
    entry: str = ""
    later: tuple[str, ...] = ()
    css: tuple[str, ...] = ()
    mount: Mapping[str, object] = field(default_factory=dict)
    ready: str = ""


@dataclass(frozen=True)
class LiveFrontEnd:
    """Pages with marimo's own front end. `key` is the kernel's on them; `attached`: one of them is there.

    `sure`: the notebook is open in one that will get it, so that what an object has of its own may wait for that.
    """

    key: str
    attached: bool
    sure: bool


class LiveObserver(Protocol):
    """Pages that show marimo's own elements, or marimo's editor. Any thread."""

    def value_changed(self, object_id: str, value: object, source: str) -> None:
        """React to a new value of an element, as marimo's front end has it. `source` is who has set it."""
        ...

    def elements_removed(self, cell_id: str) -> None:
        """React to a cell that runs again: its elements begin with their initial values."""
        ...

    def notified(self, op: str, data: bytes) -> None:
        """React to a notification of marimo's for its front end. `data` is its JSON."""
        ...


class LiveElements(Protocol):
    """marimo's UI elements as its own front end shows them. Values are those of that front end.

    `shown` is the id of a shown object in its placeholder, or the static HTML that stands in its output.
    """

    @property
    def observers(self) -> list[LiveObserver]: ...

    @property
    def version(self) -> str:
        """The version of the front end."""
        ...

    def fault(self) -> str:
        """Return why the installed marimo has no front end that can be shown, empty if it has."""
        ...

    def assets(self, names: Sequence[str] | None) -> AssetPack:
        """Return the files that start the front end, or these files and what they import; any thread. Raises `OSError`."""
        ...

    def html(self, shown: str, cell_id: str = "") -> str | None:
        """Return marimo's own HTML of a shown object; None if no cell shows it any more. Any thread.

        `cell_id` is the cell with the output, because static HTML may be the same in several.
        """
        ...

    def static(self, shown: str) -> Mapping[str, object] | None:
        """Return the present data of the object's output, if the output has been sent with other data. Any thread."""
        ...

    def values(self, object_ids: Iterable[str]) -> dict[str, object]:
        """Return the values of those of the elements that exist. Any thread."""
        ...

    def set_values(self, values: Sequence[tuple[str, object]], source: str) -> None:
        """Queue values, in place of those that wait for the same elements. Ids of no element are ignored.

        `source` is a page's id, "editor", or empty: every other observer gets to know the values.
        """
        ...

    async def call(self, namespace: str, name: str, args: Mapping[str, object]) -> FunctionResult:
        """Call a function of an element, while no cell runs."""
        ...

    def result_notification(self, call: str, result: FunctionResult) -> bytes:
        """Return the JSON of marimo's notification about the result of the call with this id."""
        ...


class Runtime(Graph, Runs, UiValues, Namespace, Protocol):
    """A dataflow graph over one namespace that knows which cells are stale and in which order to run them."""

    @property
    def live(self) -> LiveElements:
        """The UI elements as marimo's own front end shows them."""
        ...
