"""The proposals to people: changes that wait for a decision, and the decisions. Gone with the kernel.

A proposal is a batch that an agent proposed, or one that met another text (`conflict`), or one that the kernel has made in its
own cells because no document was there (`kept`). For the control thread.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.documents.batches import rebased, with_key
from marimo_kernel_bridge.protocol.document import ChangeText, Delete, Insert, Move, Propose
from marimo_kernel_bridge.protocol.document_edits import Decision
from marimo_kernel_bridge.protocol.document_edits import Proposal as ProposalResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from marimo_kernel_bridge.kernel.documents.open_documents import Document
    from marimo_kernel_bridge.protocol.document import Decided, DocumentChange

_KEPT: Final = 200  # proposals, of which the oldest decided ones go first
_MOST_TEXT: Final = 20_000_000  # characters in all of them


@dataclass
class Proposal:
    """A proposal. `document` is the path of the notebook that it is for; None: any."""

    op_id: str
    author: str
    changes: list[DocumentChange]
    note: str = ""
    document: str | None = None
    kept: bool = False
    conflict: bool = False
    withdrawn: bool = False
    decisions: dict[int, Decision] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    waiting: list[Callable[[], None]] = field(default_factory=list)  # called when all is decided

    @property
    def open(self) -> bool:
        """Whether any change waits for a decision."""
        return not self.withdrawn and len(self.decisions) < len(self.changes)

    def order(self, document: Document | None) -> Propose:
        """Return the order that shows it in a document."""
        keys = {
            change.token: (self.decisions[number].cell or "", change.after)
            for number, change in enumerate(self.changes)
            if isinstance(change, Insert) and number in self.decisions
        }
        changes = [_behind_decided(change, keys) for change in self.changes]
        if document is not None:
            changes = rebased(changes, document.cells)
        return Propose(
            to=None if document is None else document.client,
            op_id=self.op_id,
            author=self.author,
            changes=changes,
            note=self.note,
            kept=self.kept,
            conflict=self.conflict,
            decided=sorted(self.decisions),
        )

    def result(self, shown_in: str | None) -> ProposalResult:
        """Return it as agents read it."""
        decisions = tuple(
            self.decisions.get(number) or Decision(number, "open") for number in range(len(self.changes))
        )
        return ProposalResult(
            self.op_id,
            self.author,
            self.note,
            decisions,
            shown_in if self.open else None,
            self.withdrawn,
            tuple(self.runs),
        )

    @property
    def size(self) -> int:
        return len(self.note) + sum(len(getattr(change, "code", "")) for change in self.changes)


class Proposals:
    """The proposals by id, oldest first."""

    def __init__(self) -> None:
        self._proposals: OrderedDict[str, Proposal] = OrderedDict()

    def __iter__(self) -> Iterator[Proposal]:
        return iter(list(self._proposals.values()))

    def get(self, op_id: str) -> Proposal:
        """Return a proposal. Raises `BridgeError`: no_such_edit."""
        proposal = self._proposals.get(op_id)
        if proposal is None:
            raise BridgeError(
                "no_such_edit",
                f"The kernel knows no proposal {op_id!r}.",
                "It is too old, or the kernel was restarted: proposals are gone with the kernel. Propose it again.",
            )
        return proposal

    def add(self, proposal: Proposal) -> list[Proposal]:
        """Keep a proposal. Return those that are dropped for it, oldest first."""
        self._proposals[proposal.op_id] = proposal
        dropped: list[Proposal] = []
        while len(self._proposals) > 1 and (
            len(self._proposals) > _KEPT or sum(one.size for one in self) > _MOST_TEXT
        ):
            oldest = next((one for one in self if not one.open), next(iter(self)))
            del self._proposals[oldest.op_id]
            dropped.append(oldest)
        return [one for one in dropped if one.open]

    def decide(self, decided: Decided) -> Proposal:
        """Record a decision, unless the proposal was withdrawn. Raises `BridgeError`: no_such_edit, bad_request."""
        proposal = self.get(decided.op_id)
        if not 0 <= decided.change < len(proposal.changes):
            raise BridgeError("bad_request", f"The proposal has no change {decided.change}.")
        if proposal.withdrawn:
            return proposal
        change = proposal.changes[decided.change]
        code = decided.code if decided.code is not None else getattr(change, "code", None)
        proposal.decisions[decided.change] = Decision(
            decided.change,
            decided.decision,
            code if decided.decision == "accepted" else None,
            decided.key or getattr(change, "key", None),
        )
        ids = [run.msg_id or proposal.op_id for run in decided.runs]
        proposal.runs += [run_id for run_id in ids if run_id not in proposal.runs]
        return proposal

    def withdraw(self, proposal: Proposal) -> None:
        """Take back what is not decided yet."""
        proposal.withdrawn = True

    def rename_cell(self, key: str, new: str) -> None:
        """Note that a cell has another key."""
        for proposal in self:
            proposal.changes = [with_key(change, key, new) for change in proposal.changes]

    def renamed(self, before: str, after: str) -> None:
        """Note that a notebook has another path."""
        for proposal in self:
            if proposal.document == before:
                proposal.document = after

    def open_for(self, document: Document) -> list[Propose]:
        """Return the orders that show the open proposals in a document that has attached.

        Changes that the document has already are decided by that.
        """
        shown: list[Propose] = []
        for proposal in self:
            if not proposal.open or proposal.document not in {None, document.path}:
                continue
            if proposal.kept:
                note_present(proposal, document)
            if proposal.open:
                shown.append(proposal.order(document))
        return shown


def _behind_decided(change: DocumentChange, decided: Mapping[str, tuple[str, str | None]]) -> DocumentChange:
    """Return a change that names no new cell on which is decided: but its key, or the cell before its place."""
    if not isinstance(change, Insert | Move):
        return change
    after, left = change.after, dict(decided)
    while after is not None and after in left:  # each once: front ends choose keys
        key, before = left.pop(after)
        after = key or before
    return change if after == change.after else msgspec.structs.replace(change, after=after)


def note_present(proposal: Proposal, document: Document) -> None:
    """Record as accepted the changes of a kept proposal that a document already shows."""
    for number, change in enumerate(proposal.changes):
        if number in proposal.decisions:
            continue
        key = _shown_as(change, document)
        if key is not None:
            proposal.decisions[number] = Decision(number, "accepted", None, key)


def _shown_as(change: DocumentChange, document: Document) -> str | None:
    """Return the key of the cell by which a document shows a change already; None if it does not."""
    match change:
        case ChangeText(key=key, code=code):
            return key if key in document.cells and document.cells[key].code == code else None
        case Insert(type=kind, code=code):
            same = (cell.key for cell in document.cells.values() if (cell.type, cell.code) == (kind, code))
            return next(same, None)
        case Delete(key=key):
            return key if key not in document.cells else None
        case Move(key=key, after=after):
            return key if key in document.cells and document.before(key) == after else None
