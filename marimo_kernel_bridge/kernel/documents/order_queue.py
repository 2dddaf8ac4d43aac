"""The orders to front ends that change a document: one at a time, each to one client, with a time limit for its answer.

An order that is not answered goes to the next view of the same document. Sends through a function, and knows nothing of
what orders say. For the control thread.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.documents.operations import new_id
from marimo_kernel_bridge.protocol.document import Delete, Move
from marimo_kernel_bridge.protocol.notebook import NOTEBOOK

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Sequence

    from marimo_kernel_bridge.kernel.documents.open_documents import Difference, Document, OpenDocuments
    from marimo_kernel_bridge.protocol.document import DocumentChange, Done, Order

_MOST_WAITING: Final = 64
_AFTER_ATTACH: Final = 0.2  # seconds
_ENDED_KEPT: Final = 100


class Timers(Protocol):
    """The timers of the control thread."""

    def call_later(self, delay: float, callback: Callable[[], Any]) -> object: ...

    def remove_timeout(self, timeout: Any) -> None: ...


@dataclass
class Limits:
    """Seconds to wait for front ends. `answer` counts from when the client was last heard, at most `longest` in all.

    `look` is how often the kernel looks for a pause that was made elsewhere.
    """

    answer: float = 2.0
    longest: float = 12.0
    flush: float = 0.3
    look: float = 1.0


@dataclass
class Operation:
    """One change of a document, or another thing that its front end shall do. `order` makes the order for a client.

    `changes` are the author's, if there are any.
    `given_up`: another client gets it under another id, because it must not be carried out twice; called with the id before.
    `answered` gets the front end's answer and the document; None and None if none answered. `failed` is called if that fails.
    `late` gets what another client says to have applied after that, and the document that `answered` has got.
    """

    op_id: str
    document: Document
    ability: str
    order: Callable[[Document, str], Order]
    answered: Callable[[Done | None, Document | None], None]
    failed: Callable[[], None]
    author: str = NOTEBOOK
    changes: Sequence[DocumentChange] = ()
    late: Callable[[Done, Document, Document | None], None] | None = None
    given_up: Callable[[str], None] | None = None
    tried: set[str] = field(default_factory=set)


class OrderQueue:
    """The operations that are under way."""

    def __init__(
        self,
        documents: OpenDocuments,
        send: Callable[[Order], None],
        timers: Timers,
        limits: Limits,
        log: logging.Logger,
    ) -> None:
        self._log = log
        self._documents = documents
        self._send = send
        self._timers = timers
        self._limits = limits
        self._waiting: deque[Callable[[], None]] = deque()
        self._current: tuple[Operation, Document, float] | None = None  # the client and when it was sent
        self._timer: object = None
        # Those of which another client may still say that it has applied them, with the document that has answered.
        self._ended: OrderedDict[str, tuple[Operation, Document | None]] = OrderedDict()
        self._given_up: deque[str] = deque(
            maxlen=_ENDED_KEPT
        )  # ids of orders that nobody is to carry out any more

    def when_free(self, act: Callable[[], None]) -> None:
        """Act as soon as no order is under way: what is changed then is planned for the document as it is then."""
        if len(self._waiting) >= _MOST_WAITING:
            raise BridgeError("kernel_busy", "Too many changes of the document wait.", "Call again later.")
        self._waiting.append(act)
        self._next()

    def submit(self, operation: Operation) -> None:
        """Give an order: at once if none is under way, because it was planned for the document as it is now."""
        if self._current is None:
            self._try_next_view(operation)
        else:
            self.when_free(partial(self._try_next_view, operation))

    def is_over(self, op_id: str) -> bool:
        """Return whether an order was given to another client instead, or to none, and must not be carried out any more."""
        return op_id in self._given_up

    def answered(self, done: Done) -> None:
        """Take an answer to the present order, or a late one."""
        if self._current is None or self._current[0].op_id != done.op_id:
            self._answered_late(done)
            return
        operation, document, _ = self._current
        if document.client != done.client:  # a client before it answers late
            if done.result != "applied":
                return
            document = self._documents.get(done.client) or document
        self._end()
        self._finish(operation, done, document)

    def _answered_late(self, done: Done) -> None:
        operation, by = self._ended.get(done.op_id, (None, None))
        document = self._documents.get(done.client)
        if operation is None or operation.late is None or document is None or done.result != "applied":
            return
        if done.client in operation.tried and (by is None or by.client != done.client):
            self._ended[done.op_id] = operation, document
            operation.late(done, document, by)

    def attached(self, document: Document) -> None:
        """Give the present order again to a client that has attached again: it may have dropped the order.

        A moment later, because it drops what comes before the reply to `attach`.
        """
        if self._current is None or self._current[1].client != document.client:
            return
        operation = self._current[0]
        self._end()
        operation.tried.discard(document.client)
        self._current = (operation, document, time.monotonic())  # so that no other one comes before it
        self._timer = self._timers.call_later(_AFTER_ATTACH, self._give_again)

    def attributed(self, document: Document, found: list[Difference]) -> list[Difference]:
        """Return what a document says of its changes, deletions and moves of the present order with their author.

        A front end may say what it shows before it answers the order. It names the authors of texts itself: the person may
        be typing in a cell that the order is about.
        """
        if self._current is None or self._current[1] is not document:
            return found
        operation = self._current[0]
        deleted = {change.key for change in operation.changes if isinstance(change, Delete)}
        moves = any(isinstance(change, Move) for change in operation.changes)
        return [
            replace(one, by=operation.author)
            if (one.kind == "deleted" and one.key in deleted) or (one.kind == "moved" and moves)
            else one
            for one in found
        ]

    def detached(self, client: str) -> None:
        """Give the present order to another client, if this one had it."""
        if self._current is not None and self._current[1].client == client:
            self._move_on(self._current[0])

    def _give_again(self) -> None:
        self._timer = None
        if self._current is not None:
            self._try_next_view(self._current[0])

    def _next(self) -> None:
        while self._current is None and self._waiting:
            self._waiting.popleft()()

    def _try_next_view(self, operation: Operation) -> None:
        self._end()
        # The client may have attached again since.
        operation.document = self._documents.get(operation.document.client) or operation.document
        views = [operation.document, *self._documents.views_of(operation.document)]
        able = (
            view
            for view in views
            if self._documents.get(view.client) is view
            and view.client not in operation.tried
            and operation.ability in view.can
            and not (view.away and operation.tried)
        )
        document = next(able, None)
        if document is None:
            self._finish(operation, None, None)
            return
        operation.tried.add(document.client)
        self._current = (operation, document, time.monotonic())
        self._wait(self._limits.answer)
        self._send(operation.order(document, operation.op_id))

    def _finish(self, operation: Operation, done: Done | None, document: Document | None) -> None:
        self._ended.pop(operation.op_id, None)  # of the same order, given before
        if operation.late is not None and (done is None or len(operation.tried) > 1):
            self._ended[operation.op_id] = operation, document
            while len(self._ended) > _ENDED_KEPT:
                self._ended.popitem(last=False)
        try:
            operation.answered(done, document)
        except Exception:  # noqa: BLE001  # a bug is logged once, and the agent gets an answer
            self._log.exception("The answer to an order could not be taken over")
            operation.failed()
        self._next()

    def _wait(self, delay: float) -> None:
        self._timer = self._timers.call_later(delay, self._look)

    def _look(self) -> None:
        """Wait on for a client that has said something since, up to a limit."""
        self._timer = None
        if self._current is None:
            return
        operation, document, sent_at = self._current
        now = time.monotonic()
        deadline = min(max(document.heard_at, sent_at) + self._limits.answer, sent_at + self._limits.longest)
        if self._documents.get(document.client) is document and now < deadline:
            self._wait(deadline - now)
            return
        self._documents.went_away(document)
        self._move_on(operation)

    def _move_on(self, operation: Operation) -> None:
        """Give an order to another client than the one that has got it."""
        if operation.given_up is not None:
            self._given_up.append(operation.op_id)
            operation.given_up(operation.op_id)
            operation.op_id = new_id()
        self._try_next_view(operation)

    def _end(self) -> None:
        self._current = None
        if self._timer is not None:
            self._timers.remove_timeout(self._timer)
            self._timer = None
