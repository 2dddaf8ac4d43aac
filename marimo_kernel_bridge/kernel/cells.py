"""The kernel's table of cells: their identity, frozen values, outputs, and where the outputs are shown.

The main thread writes; any thread reads. A `Cell` is never modified, only replaced in the table atomically, so that a
reader sees either the old value or the new one. Independent of the graph and of how cells run.
"""

from __future__ import annotations

import random
import re
import string
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK, Cell
from marimo_kernel_bridge.protocol.output_log import OutputLog

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence

    from marimo_kernel_bridge.kernel.front_ends import Delivery, Header
    from marimo_kernel_bridge.protocol.names import Dialect
    from marimo_kernel_bridge.protocol.notebook import Output


@dataclass(frozen=True)
class Body:
    """A cell's code prepared by IPython for execution: its statements, and the file name in tracebacks.

    `code` is for the analysis of the dataflow graph: in it, statements represent what magics define and use;
    `transformed` is the code that runs. `private` are `_names` that marimo's renaming of local names does not cover
    because magics use them: they are deleted after the run. `stars` are the modules of star imports, which are not in
    `code`. `fault` says why a statement does not compile; `code` then ends before it. `shared` are names imported exactly
    as in other cells, not in `code`; `whole` is the code with them.
    """

    code: str
    nodes: Sequence[ast.stmt]
    file_name: str
    interactivity: str
    transformed: str = ""
    private: frozenset[str] = frozenset()
    stars: tuple[str, ...] = ()
    fault: str = ""
    shared: frozenset[str] = frozenset()
    whole: str = ""


@dataclass
class Allowance:
    """How much work one batch of edits may make: characters that IPython may still tokenize, and seconds of reading scripts.

    For each magic in a cell IPython tokenizes the whole cell again. 300,000 characters take a second or two.
    """

    characters: int = 300_000
    seconds: float = 3.0

    def spend(self, characters: int) -> None:
        """Take characters from the allowance. Raises RuntimeError, as IPython does for a cell with 500 magics."""
        self.characters -= characters
        if self.spent:
            raise RuntimeError("the allowance is spent")

    def read(self, read: Callable[[str], str | None], path: str) -> str | None:
        """Read a script; None if the time for that is used up."""
        if self.seconds <= 0:
            return None
        begun = time.monotonic()
        text = read(path)
        self.seconds -= time.monotonic() - begun
        return text

    @property
    def spent(self) -> bool:
        """Whether more was to be tokenized than is allowed."""
        return self.characters < 0


@dataclass(frozen=True)
class Address:
    """The place where a cell is shown: its newest request (also an aborted one) and the sender.

    `session` is the front end's id in message headers; VS Code's cell ids are valid within one session only.
    """

    dialect: Dialect
    parent: Header
    session: str


@dataclass
class Entry:
    """One cell in the table. `cell` may be read by any thread, the rest only by the main thread."""

    cell: Cell
    address: Address
    log: OutputLog = field(default_factory=OutputLog)
    body: Body | None = None
    shown_code: str | None = None  # the code in the person's notebook; None if no notebook shows the cell
    delivery: Delivery | None = None  # of the reactive run in progress
    shown_before: tuple[Output, ...] = ()  # the outputs before the run of its own request
    shown: int = 0  # characters that the current run has shown
    stopped: bool = False  # by `mo.stop`, in its last run
    deleted: bool = False  # reported by the front end
    detached: bool = False  # of an earlier session of VS Code, which has new ids now
    requested_by: str = ""  # the message id of the newest request for it,
    requested_at: int = 0  # when that came, as a number that grows,
    requested_before: int = 0  # and the one before that; 0: there was none
    touched: set[str] = field(default_factory=set)  # the table's cells that are not as they were

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in {"cell", "body", "deleted"} and "touched" in self.__dict__:
            self.touched.add(self.cell.cell_id)

    @property
    def live(self) -> bool:
        """Whether a notebook shows the cell, so that no other cell may take over its names."""
        return self.cell.notebook_cell_id is not None and not self.deleted and not self.detached


_OWN_ID: Final = re.compile("[A-Za-z]{4}")


class NewIds:
    """The ids of new cells: marimo's algorithm, so that the first cells have the same ids as in marimo."""

    def __init__(self, taken: Container[str]) -> None:
        self._taken = taken
        self._random = random.Random(42)  # noqa: S311  # not a secret

    def take(self, besides: Container[str] = ()) -> str:
        """Return the id of a new cell; `besides` are not to be taken."""
        while (cell_id := self._next(self._random)) in besides:
            pass
        return cell_id

    def free(self, ids: Iterable[str | None]) -> set[str]:
        """Return which ids of a notebook are of this form, as in files that a kernel's cells were saved in, and no cell's here."""
        return {
            cell_id
            for cell_id in ids
            if cell_id and _OWN_ID.fullmatch(cell_id) and cell_id not in self._taken
        }

    def coming(self, count: int) -> list[str]:
        """Return the ids of the next new cells. Any thread."""
        same = random.Random()  # noqa: S311  # not a secret
        same.setstate(self._random.getstate())
        ids: list[str] = []
        while len(ids) < count:
            if (cell_id := self._next(same)) not in ids:
                ids.append(cell_id)
        return ids

    def _next(self, numbers: random.Random) -> str:
        while (cell_id := "".join(numbers.choices(string.ascii_letters, k=4))) in self._taken:
            pass
        return cell_id


class CellTable:
    """All cells, in document order if it is known, else in the order in which the kernel first saw them."""

    def __init__(self) -> None:
        self.order = object()  # replaced when known cells change places
        self.places: dict[str, int] = {}  # increasing numbers of cells in their order
        self._next_place = 0
        self._touched: set[str] = set()
        self._entries: dict[str, Entry] = {}
        self._by_front_end: dict[tuple[str, str], str] = {}
        self._by_msg_id: dict[str, str] = {}
        self._vscode_sessions: set[str] = set()
        # By the front end's ids: the highest version of a text that a document has shown. Any thread writes.
        self.shown_versions: dict[str, int] = {}
        self.new_ids = NewIds(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, cell_id: str) -> bool:
        return cell_id in self._entries

    def __getitem__(self, cell_id: str) -> Entry:
        return self._entries[cell_id]

    def get(self, cell_id: str) -> Entry | None:
        """Return a cell by the kernel's id; None if there is none."""
        return self._entries.get(cell_id)

    def find(self, cell_id: str) -> Entry:
        """Return a cell by the kernel's id or the front end's. Raises `BridgeError`: no_such_cell."""
        entry = self._entries.get(cell_id)
        if entry is not None and not entry.deleted:
            return entry
        for entry in self:
            if entry.cell.notebook_cell_id == cell_id and not entry.deleted:
                return entry
        raise BridgeError(
            "no_such_cell",
            f"The kernel has no cell {cell_id!r}.",
            "It has the cells that ran or were added; list them to see their ids.",
        )

    def by_message(self, msg_id: str) -> Entry | None:
        """Return the cell with this message id as its newest request. Any thread."""
        cell_id = self._by_msg_id.get(msg_id)
        return None if cell_id is None else self._entries.get(cell_id)

    def by_front_end(self, notebook_cell_id: str, address: Address) -> Entry | None:
        """Return the cell with a front end's id."""
        cell_id = self._by_front_end.get(_front_end_key(notebook_cell_id, address))
        return None if cell_id is None else self._entries.get(cell_id)

    def with_key(self, notebook_cell_id: str) -> Entry | None:
        """Return the cell with a front end's id that is valid in any of its sessions now. Any thread."""
        for session in ("", *self._vscode_sessions):
            entry = self._entries.get(self._by_front_end.get((session, notebook_cell_id), ""))
            if entry is not None and not entry.deleted and not entry.detached:
                return entry
        return None

    def rename(self, notebook_cell_id: str, new: str) -> None:
        """Note that a front end has another id for a cell: VS Code gives one to each cell that is moved."""
        for session in ("", *self._vscode_sessions):
            cell_id = self._by_front_end.pop((session, notebook_cell_id), None)
            if cell_id is not None:
                self._by_front_end[session, new] = cell_id
                self.change(cell_id, notebook_cell_id=new)

    def show(self, notebook_cell_id: str, code: str, author: str, address: Address) -> Entry | None:
        """Return an agent's cell that no notebook has shown so far, under the id that it has there now.

        It is found by its code if its `author` has put it there, or by the kernel's own id and its code if an export has: files name
        such cells by that id, and a person has opened the file.
        """
        named = self._entries.get(notebook_cell_id)
        for entry in self if author != NOTEBOOK else [] if named is None else [named]:
            cell = entry.cell
            exported = entry is named and cell.code.strip() == code.strip()
            if cell.notebook_cell_id is None and (exported or (cell.code, cell.edited_by) == (code, author)):
                self._by_front_end[_front_end_key(notebook_cell_id, address)] = cell.cell_id
                if address.dialect == "vscode":
                    self._vscode_sessions.add(address.session)
                self.change(cell.cell_id, notebook_cell_id=notebook_cell_id)
                return entry
        return None

    def adopt(self, notebook_cell_id: str, code: str, address: Address) -> Entry | None:
        """Return a cell of an earlier session of VS Code, found by its code, under its new id.

        VS Code's cell ids are valid for one session; after a reload another cell may have an old id.
        """
        if self._vscode_sessions <= {address.session}:
            return None
        for entry in self:
            old = entry.address
            entry.detached = entry.detached or (old.dialect == "vscode" and old.session != address.session)
        for entry in self:
            old = entry.address
            if old.dialect != "vscode" or old.session == address.session or entry.cell.code != code:
                continue
            assert entry.cell.notebook_cell_id is not None
            self._by_front_end.pop(_front_end_key(entry.cell.notebook_cell_id, old), None)
            self._by_front_end[_front_end_key(notebook_cell_id, address)] = entry.cell.cell_id
            self.change(entry.cell.cell_id, notebook_cell_id=notebook_cell_id)
            entry.detached = False
            return entry
        return None

    def add(
        self,
        notebook_cell_id: str | None,
        code: str,
        author: str,
        address: Address,
        *,
        cell_id: str | None = None,
    ) -> Entry:
        """Create a new cell, which has not run. `cell_id`: the id that it has elsewhere, and no cell here."""
        version = self.shown_versions.get(notebook_cell_id or "", 0) + 1
        if cell_id is not None and cell_id == notebook_cell_id:
            # Who has read another text under this id, in an earlier kernel, has another version.
            version += 1_000 + crc32(code.encode("utf-8", "replace")) % 9_000
        cell = Cell(
            cell_id=cell_id or self.new_ids.take(),
            notebook_cell_id=notebook_cell_id,
            code=code,
            version=version,
            status="new",
            stale=False,
            execution_count=None,
            edited_by=author,
            last_run_by=None,
            last_run_at=None,
            duration=None,
            error=None,
        )
        entry = Entry(cell, address, touched=self._touched)
        self._touched.add(cell.cell_id)
        self.places[cell.cell_id], self._next_place = self._next_place, self._next_place + 1
        if notebook_cell_id is not None and address.dialect != "agent":
            entry.shown_code = code
        self._entries[cell.cell_id] = entry
        if address.dialect == "vscode":
            self._vscode_sessions.add(address.session)
        if notebook_cell_id is not None:
            self._by_front_end[_front_end_key(notebook_cell_id, address)] = cell.cell_id
        self._by_msg_id[address.parent["msg_id"]] = cell.cell_id
        return entry

    def ids(self) -> list[str]:
        """Return the kernel's ids of all cells, in their order."""
        return list(self._entries)

    def add_beside(
        self,
        notebook_cell_id: str | None,
        code: str,
        author: str,
        address: Address,
        after: str | None = None,
        *,
        cell_id: str | None = None,
    ) -> Entry:
        """Create one of several new cells that a single request adds: each has its own address."""
        entry = self.add(notebook_cell_id, code, author, address, cell_id=cell_id)
        own = {**address.parent, "msg_id": f"{address.parent['msg_id']}/{entry.cell.cell_id}"}
        self.move_to(entry.cell.cell_id, replace(address, parent=own))
        if after is not None:
            self.place(entry.cell.cell_id, after)
        return entry

    def place(self, cell_id: str, after: str | None) -> None:
        """Place a cell after another one in document order, or first."""
        order = [other for other in self._entries if other != cell_id]
        order.insert(0 if after is None else order.index(after) + 1, cell_id)
        self._reorder(order)

    def arrange(self, order: Iterable[str]) -> None:
        """Arrange cells in an order; each of the others stays after its predecessor."""
        arranged = [cell_id for cell_id in dict.fromkeys(order) if cell_id in self._entries]
        behind: dict[str, list[str]] = {cell_id: [] for cell_id in ("", *arranged)}
        last = ""
        for cell_id in self._entries:
            last = cell_id if cell_id in behind else last
            if cell_id not in behind:
                behind[last].append(cell_id)
        ids = [cell_id for first in ("", *arranged) for cell_id in (first, *behind[first]) if cell_id]
        self._reorder(ids)

    def _reorder(self, ids: list[str]) -> None:
        if ids != list(self._entries):
            self._entries = {cell_id: self._entries[cell_id] for cell_id in ids}
            self.places = {cell_id: place for place, cell_id in enumerate(ids)}
            self._next_place = len(ids)
            self.order = object()

    def take_touched(self) -> set[str]:
        """Return the cells that were added, removed, or changed in value or body since the last call."""
        touched = set(self._touched)
        self._touched.clear()
        return touched

    def touch(self, cell_id: str) -> None:
        """Record a change of a cell."""
        self._touched.add(cell_id)

    def change(self, cell_id: str, **fields: Any) -> Cell:
        """Replace a cell's value atomically."""
        entry = self._entries[cell_id]
        entry.cell = replace(entry.cell, **fields)
        return entry.cell

    def set_code(self, cell_id: str, code: str, author: str) -> None:
        """Set the code of a cell; identical code does not create a new version."""
        cell = self._entries[cell_id].cell
        if cell.code != code:
            shown = self.shown_versions.get(cell.notebook_cell_id or "", 0)
            self.change(cell_id, code=code, version=max(cell.version, shown) + 1, edited_by=author)

    def move_to(self, cell_id: str, address: Address) -> None:
        """Record that a newer request shows the cell."""
        entry = self._entries[cell_id]
        self._by_msg_id.pop(entry.address.parent["msg_id"], None)
        entry.address = address
        self._by_msg_id[address.parent["msg_id"]] = cell_id

    def forget(self, cell_id: str) -> None:
        """Remove a cell."""
        entry = self._entries.pop(cell_id)
        del self.places[cell_id]
        self._touched.add(cell_id)
        self._by_msg_id.pop(entry.address.parent["msg_id"], None)
        if entry.cell.notebook_cell_id is not None:
            self._by_front_end.pop(_front_end_key(entry.cell.notebook_cell_id, entry.address), None)


def _front_end_key(notebook_cell_id: str, address: Address) -> tuple[str, str]:
    """Return the key of an id: nbformat ids outlive a reload, VS Code's document URIs do not."""
    return (address.session if address.dialect == "vscode" else "", notebook_cell_id)
