"""The interface between the kernel and marimo's editor: what the editor shows, and what it asks for. Values and protocols.

Cell ids are those of the kernel, which takes over those of cells that the editor makes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from marimo_kernel_bridge.protocol.document import NO_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marimo_kernel_bridge.protocol.changes import GraphProblem
    from marimo_kernel_bridge.protocol.document import CellSettings
    from marimo_kernel_bridge.protocol.notebook import Cell, EditorLink, Output


@dataclass(frozen=True)
class EditorCell:
    """A cell as the editor shows it. `settings` are those of the notebook's document.

    `is_command`: it only steers the notebook, and is no part of an app. `is_markdown`: its code is Markdown, which does not run.
    """

    cell: Cell
    outputs: tuple[Output, ...] = ()
    settings: CellSettings = NO_SETTINGS
    is_command: bool = False
    is_markdown: bool = False


@dataclass(frozen=True)
class RunCells:
    """Run cells, given with their ids and codes: changed ones, new ones, and ones as they are. `order` is that of all cells."""

    cells: tuple[tuple[str, str], ...]
    order: tuple[str, ...]


@dataclass(frozen=True)
class RunStale:
    """Run all stale cells."""


@dataclass(frozen=True)
class ChangeMarkdown:
    """Give a cell with Markdown another text, in place of one of those that the editor has `seen`."""

    cell_id: str
    text: str
    seen: frozenset[str]


@dataclass(frozen=True)
class SetSettings:
    """Give a cell another name, or have it shown otherwise."""

    cell_id: str
    settings: CellSettings


@dataclass(frozen=True)
class DeleteCell:
    """Remove a cell, and the names that it defines."""

    cell_id: str


@dataclass(frozen=True)
class Arrange:
    """Put the cells into an order, which may hold cells that did not run yet."""

    order: tuple[str, ...]


@dataclass(frozen=True)
class Configure:
    """Enable or disable cells."""

    disabled: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class SetValues:
    """Give UI elements values, as marimo's front end has them."""

    values: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class CallFunction:
    """Call a function of a UI element; `Pages.notified` gets the result."""

    call_id: str
    namespace: str
    name: str
    arguments: Any


@dataclass(frozen=True)
class Complete:
    """Complete the code before the cursor; `Pages.completed` gets the result, under this id."""

    request_id: str
    code: str


Command: TypeAlias = "RunCells | RunStale | ChangeMarkdown | SetSettings | DeleteCell | Arrange | Configure | SetValues | CallFunction | Complete"


class EditorHost(Protocol):
    """The kernel, as its editor uses it. All methods on any thread."""

    def cells(self) -> Sequence[EditorCell]:
        """Return the cells in the order of the document."""
        ...

    def html(self, shown: str, cell_id: str) -> str | None:
        """Return the HTML that marimo's front end needs for an element that an output of a cell shows; None: it shows none."""
        ...

    def values(self, object_ids: Iterable[str]) -> Mapping[str, Any]:
        """Return the present values of UI elements, as marimo's front end has them."""
        ...

    def act(self, command: Command) -> None:
        """Carry out a command, soon."""
        ...

    def interrupt(self) -> None:
        """Interrupt the running cell."""
        ...


class Pages(Protocol):
    """The pages of marimo's editor and app view. All methods on any thread, except where a docstring says otherwise."""

    def link(self, *, app: bool) -> EditorLink:
        """Return an address that opens the editor or the app view, which is served from now on. Raises `BridgeError`: runtime_mismatch."""
        ...

    def refresh(self) -> None:
        """Tell the pages what is new, soon."""
        ...

    def value_changed(self, object_id: str, value: Any) -> None:
        """Show a value that was set elsewhere."""
        ...

    def elements_removed(self, cell_id: str) -> None:
        """Note that a cell makes its elements again, or is gone."""
        ...

    def notified(self, message: bytes) -> None:
        """Pass on a notification of marimo's, in its JSON."""
        ...

    def variables(self, names: Sequence[str], values: Mapping[str, Any]) -> None:
        """Show the values of variables. On the main thread: it runs code of the values."""
        ...

    def completed(self, request_id: str, prefix_length: int, names: Sequence[tuple[str, str]]) -> None:
        """Answer a `Complete` by names with their types."""
        ...

    def refused(self, cell_id: str, problems: Sequence[GraphProblem]) -> None:
        """Show in a cell why the kernel has not taken its code."""
        ...
