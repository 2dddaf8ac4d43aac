"""What of a session a checkpoint keeps: its cells with their keys, and the values that they have made.

Reads the session and changes nothing. Pickles nothing (`pickling`) and writes nothing (`saving`). Main thread only.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from marimo_kernel_bridge.checkpoints.manifest import SavedCell
from marimo_kernel_bridge.inspecting.widget_traits import is_widget, stored
from marimo_kernel_bridge.kernel.checkpoints.files import file_state
from marimo_kernel_bridge.kernel.checkpoints.keys import KeyedCell, keys_of
from marimo_kernel_bridge.kernel.ipython.marimo_magic import is_command
from marimo_kernel_bridge.runtime.interface import plain_name, version_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from marimo_kernel_bridge.kernel.cells import Entry
    from marimo_kernel_bridge.kernel.notebook.session import NotebookSession
    from marimo_kernel_bridge.protocol.names import Dialect
    from marimo_kernel_bridge.protocol.notebook import Cell, Output
    from marimo_kernel_bridge.runtime.interface import LiveValue, Node

STATE: Final = "\N{MIDDLE DOT}state\N{MIDDLE DOT}"
"""Begins the name under which the value of a `mo.state` is kept. No name of a notebook begins so."""
PROCESS: Final = "\N{MIDDLE DOT}process"
"""The name under which the states of libraries and the import path are kept."""
_MOST_OUTPUTS: Final = 5_000_000
"""Characters of all outputs that are kept."""
_LOCAL: Final = "_cell_"
"""marimo calls `_x` of a cell `_cell_<id>_x`."""


@dataclass(frozen=True)
class Captured:
    """The state of a session: `values` by name in the namespace, and the cell that has made each of them.

    `superseded` are cells that have lost a name to another one, by their places among all: they are not in the graph.
    `file` is the state of the notebook's file before (`file_state`).
    """

    cells: tuple[SavedCell, ...]
    values: Mapping[str, object]
    makers: Mapping[str, str]
    absent: tuple[str, ...] = ()
    spent: tuple[str, ...] = ()
    superseded: Mapping[int, SavedCell] = field(default_factory=dict)
    file: str = ""

    @property
    def keys(self) -> dict[str, str]:
        """The keys of the fresh cells."""
        return {cell.cell_id: cell.key for cell in self.cells if cell.key}


@dataclass(frozen=True)
class Process:
    """What is kept of the process: the states of libraries, and what cells added to `sys.path`, at its begin and behind.

    The rest of the path is the interpreter's: another one would import packages that are not its own.
    """

    states: list[Any] = field(default_factory=list)
    first_paths: list[str] = field(default_factory=list)
    last_paths: list[str] = field(default_factory=list)


def capture(session: NotebookSession, path: str = "") -> Captured:
    """Return the state of a session, as of now. `path` is that of its file."""
    file = file_state(path)
    graph = session.execution.graph
    nodes, stale = graph.runtime.nodes(), graph.stale
    live, keys = graph.runtime.live_values(), present_keys(session)
    texts = _texts(live)
    namespace, local = graph.runtime.values, _local_names(graph.runtime.values)
    values: dict[str, object] = {}
    makers: dict[str, str] = {}
    cells: list[SavedCell] = []
    superseded: dict[int, SavedCell] = {}
    for entry in session.cells:
        cell_id = entry.cell.cell_id
        if _is_kept_superseded(entry):
            superseded[len(cells) + len(superseded)] = _superseded(entry.cell, entry.address.dialect)
            continue
        if entry.deleted or entry.body is None or cell_id not in nodes or is_command(entry.cell):
            continue
        why = _why_not(entry, stale=cell_id in stale)
        names = sorted(defined_by(session, cell_id, nodes[cell_id]) | local[cell_id])
        held = {name for name in names if name in live or is_widget(namespace.get(name))}
        if not why:
            kept = {name: namespace[name] for name in names if name in namespace and name not in held}
            kept |= {
                STATE + name: live[name].value for name in held & live.keys() if live[name].kind == "state"
            }
            values |= kept
            makers |= dict.fromkeys(kept, cell_id)
        cells.append(
            SavedCell(
                cell_id=cell_id,
                code=entry.cell.code,
                key="" if why else keys[cell_id],
                notebook_id=entry.cell.notebook_cell_id or "",
                dialect=entry.address.dialect,
                status=entry.cell.status,
                count=entry.cell.execution_count,
                seconds=entry.cell.duration,
                at=entry.cell.last_run_at,
                defines=() if why else tuple(name for name in names if name in namespace),
                author=entry.cell.edited_by,
                why=why,
                live=bool(held),
                inputs={} if why else _inputs(held, live, namespace),
                texts={} if why else {name: texts[name] for name in held & texts.keys()},
                observed=_observed(session, cell_id),
                error=None if entry.cell.error is None else msgspec.to_builtins(entry.cell.error),
                expects=session.execution.failures.expected_of(cell_id),
                stopped=entry.stopped,
                once=cell_id in graph.imperative,
            )
        )
    absent, consumed = graph.redefinitions.for_checkpoints.absent, graph.redefinitions.consumed
    spent = tuple(sorted(consumed))
    return Captured(tuple(cells), values, makers, tuple(sorted(absent)), spent, superseded, file)


def _is_kept_superseded(entry: Entry) -> bool:
    """Return whether a cell without its names can run again: in consoles and batch clients each request is a new cell."""
    gone = entry.deleted or entry.cell.status != "superseded" or entry.body is None
    return not gone and entry.address.dialect not in {"terminal", "batch"}


def _superseded(cell: Cell, dialect: Dialect) -> SavedCell:
    return SavedCell(
        cell_id=cell.cell_id,
        code=cell.code,
        notebook_id=cell.notebook_cell_id or "",
        dialect=dialect,
        status=cell.status,
        count=cell.execution_count,
        seconds=cell.duration,
        at=cell.last_run_at,
        author=cell.edited_by,
    )


def capture_process(session: NotebookSession) -> Process:
    """Return what is kept of the process."""
    states, own = session.execution.graph.redefinitions.saved_states(), set(session.path_at_start)
    first = next((place for place, path in enumerate(sys.path) if path in own), len(sys.path))
    added = [path not in own and bool(path) for path in sys.path]
    return Process(
        states,
        [path for place, path in enumerate(sys.path) if added[place] and place < first],
        [path for place, path in enumerate(sys.path) if added[place] and place > first],
    )


def capture_outputs(session: NotebookSession) -> dict[str, tuple[Output, ...]]:
    """Return the outputs of cells by id, as many as are kept."""
    left, found = _MOST_OUTPUTS, {}
    for entry in session.cells:
        outputs = entry.log.outputs()
        left -= (size := len(msgspec.json.encode(outputs, enc_hook=str)))
        if outputs and left >= 0:
            found[entry.cell.cell_id] = outputs
        elif left < 0:
            left += size
    return found


def present_keys(session: NotebookSession, texts: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the keys of the cells in the graph. `texts`: of elements and states by name, in place of the present ones."""
    graph = session.execution.graph
    nodes, versions = graph.runtime.nodes(), graph.redefinitions.for_checkpoints
    makers: dict[str, set[str]] = defaultdict(set)
    for cell_id, node in nodes.items():
        if session.cells[cell_id].cell.status != "refused":  # of which nothing is read
            for name in node.names.defines:
                makers[name].add(cell_id)
    inputs = {**_texts(graph.runtime.live_values()), **(texts or {})}
    cells: dict[str, KeyedCell] = {}
    for cell_id, node in nodes.items():
        body = session.cells[cell_id].body
        if body is None:
            continue
        reads: dict[str, set[str]] = defaultdict(set)
        for name, maker in versions.reads(cell_id):
            if maker in nodes:
                reads[name].add(maker)
        for name in node.names.uses:
            if plain_name(name) not in reads and makers[name]:
                reads[plain_name(name)] |= makers[name]
        own = {plain_name(name): inputs[name] for name in node.names.uses & inputs.keys()}
        # A cell whose makers have not run in this kernel does not use their versions yet.
        own |= {
            name: inputs[version]
            for name, made_by in reads.items()
            for maker in made_by
            if (version := version_name(name, maker)) in inputs
        }
        cells[cell_id] = KeyedCell(body.transformed or body.code, reads, own)
    return keys_of(cells)


def defined_by(session: NotebookSession, cell_id: str, node: Node) -> set[str]:
    """Return the names in the namespace that a cell defines or makes a version of."""
    versions = session.execution.graph.redefinitions.for_checkpoints
    several = versions.several
    plain = {plain_name(name) for name in node.names.defines}
    plain |= {name for name in versions.makes_private(cell_id) if versions.made_last(name) in {cell_id, None}}
    plain |= {name for name, makers in several.items() if cell_id in makers}
    return {version_name(name, cell_id) if name in several else name for name in plain}


def _local_names(namespace: Iterable[str]) -> dict[str, set[str]]:
    """Return the `_private` names of each cell, as marimo calls them."""
    found: dict[str, set[str]] = defaultdict(set)
    for name in namespace:
        if name.startswith(_LOCAL):
            found[name.removeprefix(_LOCAL).partition("_")[0]].add(name)
    return found


SETTLED: Final = frozenset({"ok", "error", "cancelled"})
"""A cell that is not stale and ended so stays as it is until something that it reads changes."""


def _why_not(entry: Entry, *, stale: bool) -> str:
    """Return why a cell is not as a run now would leave it, as a clause; empty if it is."""
    if entry.cell.status in SETTLED:
        return "an input had changed since it ran" if stale else ""
    match entry.cell.status:
        case "refused":
            return (
                f"it was refused: {entry.cell.error.ename}"
                if entry.cell.error is not None
                else "it was refused"
            )
        case "interrupted":
            return "it was interrupted"
        case _:
            return "it had not run"


def _inputs(
    held: Iterable[str], live: Mapping[str, LiveValue], namespace: Mapping[str, object]
) -> dict[str, Any]:
    """Return the values of elements and widgets, as far as JSON has them."""
    found: dict[str, Any] = {}
    for name in held:
        value = live[name].value if name in live else stored(namespace[name]).get("value")
        if (name not in live or live[name].kind == "element") and value is not None and _is_json(value):
            found[name] = value
    return found


def _is_json(value: object) -> bool:
    try:
        return bool(msgspec.json.decode(msgspec.json.encode(value)) == value)
    except Exception:  # noqa: BLE001  # an object of any class, which may compare as it likes
        return False


def _texts(live: Mapping[str, LiveValue]) -> dict[str, str]:
    """Return the values of elements and states as texts, as keys have them."""
    return {name: _text(value.value) for name, value in live.items() if value.kind != "setter"}


def _text(value: object) -> str:
    """Return a value as text: of an object that JSON has not, its type."""
    try:
        return msgspec.json.encode(value, order="deterministic").decode()
    except Exception:  # noqa: BLE001  # an object of any class
        return type(value).__qualname__


def _observed(session: NotebookSession, cell_id: str) -> dict[str, Any]:
    known = session.execution.graph.redefinitions.for_checkpoints.observations(cell_id)
    if known is None or not known[1]:
        return {}
    facts: dict[str, Any] = msgspec.to_builtins(known[1], order="deterministic")
    return {"code": known[0], **{name: found for name, found in facts.items() if found}}
