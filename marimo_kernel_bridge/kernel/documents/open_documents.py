"""The documents that are open in front ends: what each shows, and which of them an order goes to.

A copy of each, as its front end told it; the front end's text is the state of record. Pure: knows neither messages nor the
graph. For the control thread.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.document import NO_SETTINGS
from marimo_kernel_bridge.protocol.document_edits import OpenDocument
from marimo_kernel_bridge.protocol.names import agent_name
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from marimo_kernel_bridge.protocol.document import Attach, CellSettings, CellType, Changed, DocumentCell

MOST_DOCUMENTS: Final = 32
_LONGEST_PATH: Final = 4_000  # characters; the rest is cut
MOST_CELLS: Final = 20_000
MOST_TEXT: Final = 50_000_000  # characters in one document

VersionOf: TypeAlias = "Callable[[str, str], int]"
"""Returns the version of a cell's text, by its key."""


@dataclass(frozen=True)
class ShownCell:
    """A cell as a document shows it. `by` is the author of its text."""

    key: str
    type: CellType
    code: str
    by: str
    version: int
    settings: CellSettings = NO_SETTINGS


@dataclass(frozen=True)
class Difference:
    """What differs between two states of a document."""

    kind: Literal["changed", "added", "deleted", "moved"]
    key: str
    by: str
    before: str | None = None
    after: str | None = None


@dataclass
class Document:
    """An open document. `cells` are in its order."""

    client: str
    front_end: str
    path: str
    shared_id: str | None
    can: frozenset[str]
    cells: dict[str, ShownCell]
    dirty: bool = False
    focused: bool = False
    editing: str | None = None
    revision: int = 0
    heard_at: float = field(default_factory=time.monotonic)
    active_at: float = 0.0  # when the person was last seen in it
    away: bool = False  # it did not answer
    adopts: bool = False  # it shows late outputs of requests that others have sent,
    took_over: bool = False  # and knows those requests

    @property
    def info(self) -> OpenDocument:
        """What agents are told of it."""
        heard_at = time.time() - (time.monotonic() - self.heard_at)
        return OpenDocument(
            self.client,
            self.front_end,
            self.path,
            self.dirty,
            self.focused,
            self.editing,
            "apply" in self.can,
            heard_at,
            len(self.cells),
        )

    def shows(self, path: str, shared_id: str | None) -> bool:
        """Whether it is a view of a shared document, or of a file."""
        if self.shared_id is not None or shared_id is not None:
            return self.shared_id == shared_id
        return self.path == path

    def before(self, key: str) -> str | None:
        """Return the key of the cell before this one, None for the first."""
        keys = list(self.cells)
        place = keys.index(key)
        return keys[place - 1] if place else None


class OpenDocuments:
    """The open documents, by the ids of their clients."""

    def __init__(self, version_of: VersionOf) -> None:
        self._version_of = version_of
        self._documents: dict[str, Document] = {}

    def all(self) -> list[Document]:
        """Return all documents. Any thread."""
        return list(self._documents.values())

    def __bool__(self) -> bool:
        return bool(self._documents)

    def get(self, client: str) -> Document | None:
        """Return a client's document."""
        return self._documents.get(client)

    def attach(self, request: Attach) -> tuple[Document, list[Difference]]:
        """Take over a document, and return what is different since it, or another view of it, was last seen."""
        _require_size(request.cells)
        now = time.monotonic()
        document = Document(
            request.client,
            request.front_end[:100],
            request.path[:_LONGEST_PATH],
            request.shared_id,
            frozenset(request.can),
            {cell.key: self._shown(cell) for cell in request.cells},
            request.dirty,
            request.focused,
            request.editing,
            active_at=now if request.focused else 0.0,
        )
        before = self._documents.pop(request.client, None)
        if before is None:
            before = next(iter(self.views_of(document)), None)
        elif not request.focused:
            document.active_at = before.active_at
        self._documents[request.client] = document
        while len(self._documents) > MOST_DOCUMENTS:
            oldest = min(self._documents.values(), key=lambda one: one.heard_at)
            del self._documents[oldest.client]
        self._elect()
        return document, differences(before.cells, document.cells) if before is not None else []

    def change(self, document: Document, request: Changed) -> list[Difference] | None:
        """Apply a change. Return the differences; None if a message was lost, so that it must attach again."""
        if request.revision <= document.revision:
            return []  # sent twice
        if request.revision != document.revision + 1:
            return None
        cells = document.cells | {cell.key: self._shown(cell) for cell in request.cells}
        if request.order is not None:
            if not cells.keys() >= set(request.order):
                return None
            cells = {key: cells[key] for key in request.order}
        _require_size(cells.values())
        document.revision = request.revision
        found = differences(document.cells, cells)
        document.cells = cells
        document.dirty, document.focused = request.dirty, request.focused
        document.editing = request.editing
        document.path = document.path if request.path is None else request.path[:_LONGEST_PATH]
        if request.focused or any(cell.by is None for cell in request.cells):
            document.active_at = time.monotonic()
            self._elect()
        return found

    def put(self, document: Document, cells: Mapping[str, ShownCell]) -> list[Difference]:
        """Note what a document shows after an order, before it says so itself."""
        found = differences(document.cells, cells)
        document.cells = dict(cells)
        return found

    def detach(self, client: str) -> None:
        """Forget a document."""
        self._documents.pop(client, None)
        self._elect()

    def heard(self, document: Document) -> None:
        """Note that a client has said something."""
        document.heard_at = time.monotonic()
        if document.away:
            document.away = False
            self._elect()

    def went_away(self, document: Document) -> None:
        """Note that a client did not answer in time."""
        document.away = True
        self._elect()

    def active(self, client: str | None = None) -> Document | None:
        """Return a client's document, or the one in which the person was last; None if none is there that answers. Any thread."""
        if client is not None:
            document = self._documents.get(client)
            if document is None:
                raise BridgeError("no_document", f"No document is attached by {client!r}.")
            return document
        there = [document for document in self.all() if not document.away]
        return max(there, key=_activity, default=None)

    def views_of(self, document: Document) -> list[Document]:
        """Return the other views of a document, the one in which the person was last first."""
        views = (other for other in self._documents.values() if other.client != document.client)
        same = [other for other in views if other.shows(document.path, document.shared_id)]
        return sorted(same, key=_activity, reverse=True)

    def showing(self, path: str, shared_id: str | None) -> Document | None:
        """Return the view of a notebook in which the person was last."""
        views = (document for document in self._documents.values() if document.shows(path, shared_id))
        return max(views, key=_activity, default=None)

    def _elect(self) -> None:
        """Choose, of the views of each shared document, one that shows late outputs: they are shared, too."""
        for document in sorted(self._documents.values(), key=_activity, reverse=True):
            if document.shared_id is None:
                document.adopts = True
                continue
            others = [view for view in self.views_of(document) if view.adopts and not view.away]
            if not document.away:
                document.adopts = not others

    def _shown(self, cell: DocumentCell) -> ShownCell:
        by = NOTEBOOK if cell.by is None or cell.by == NOTEBOOK else agent_name(cell.by)
        version = self._version_of(cell.key, cell.code)
        return ShownCell(cell.key, cell.type, cell.code, by, version, cell.settings or NO_SETTINGS)


def differences(before: Mapping[str, ShownCell], after: Mapping[str, ShownCell]) -> list[Difference]:
    """Return what differs between two states of a document; the person is the author of all but texts."""
    found = [
        Difference("deleted", key, NOTEBOOK, cell.code) for key, cell in before.items() if key not in after
    ]
    for key, cell in after.items():
        if key not in before:
            found.append(Difference("added", key, cell.by, None, cell.code))
        elif before[key].code != cell.code:
            found.append(Difference("changed", key, cell.by, before[key].code, cell.code))
    return [*found, *(Difference("moved", key, NOTEBOOK) for key in moved(list(before), list(after)))]


def moved(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Return a smallest set of keys that explains the new order of those that are in both."""
    places = {key: place for place, key in enumerate(before)}
    keys = [key for key in after if key in places]
    if all(places[first] < places[second] for first, second in pairwise(keys)):
        return []
    # Those on a longest increasing subsequence of places have stayed.
    ends: list[int] = []
    chains: list[tuple[str, int]] = []  # each key with the length of its chain
    for key in keys:
        length = bisect_left(ends, places[key])
        ends[length : length + 1] = [places[key]]
        chains.append((key, length))
    stayed: set[str] = set()
    wanted, above = len(ends) - 1, len(before)
    for key, length in reversed(chains):
        if length == wanted and places[key] < above:
            stayed.add(key)
            wanted, above = wanted - 1, places[key]
    return [key for key in keys if key not in stayed]


def _activity(document: Document) -> tuple[bool, float, float]:
    return (not document.away, document.active_at, document.heard_at)


def _require_size(cells: Collection[DocumentCell | ShownCell]) -> None:
    if len(cells) > MOST_CELLS or sum(len(cell.code) for cell in cells) > MOST_TEXT:
        raise _too_large()


def _too_large() -> BridgeError:
    return BridgeError(
        "too_large", f"A document may have {MOST_CELLS} cells and {MOST_TEXT} characters.", "Split it."
    )
