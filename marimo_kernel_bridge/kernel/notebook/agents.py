"""The agents that use the kernel, and whether the user has paused them.

A client is an agent if it names itself in a request: in the metadata of an `execute_request`, or as the user in the
header of a bridge request. Another client of the same user can still run code without a name, so a pause is a safeguard
for cooperating agents, not a security boundary. It is kept in a file (`protocol.pauses`), so that no restart ends it.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

from marimo_kernel_bridge.errors import AgentsPausedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from marimo_kernel_bridge.kernel.messaging.requests import CellRequest


_LOOKS: Final = frozenset({"status", "graph", "agents", "help"})
_OF_THE_PERSON: Final = frozenset({"pause", "resume", "accept", "open", "view"})
_TEXTS_KEPT: Final = 2_000
_ORDERS_KEPT: Final = 100
_ACTIONS_KEPT: Final = 10
_WORTH_TELLING: Final = 0.05  # seconds
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Action:
    """What an agent did, in words, and when, in seconds since the epoch."""

    at: float
    what: str


@dataclass(frozen=True)
class SeenAgent:
    """An agent that has sent requests. `last_heard` is in seconds since the epoch.

    `runs` counts its requests that ran or changed something, `refused` those that the kernel refused, `looks` those that only
    read. `seconds` is how long the kernel ran code because of it. `actions` are the newest, the last one last.
    """

    name: str
    last_heard: float
    runs: int = 0
    refused: int = 0
    looks: int = 0
    seconds: float = 0.0
    actions: tuple[Action, ...] = ()

    @property
    def told(self) -> str:
        """How often it ran something or looked, in words, and what that cost."""
        ran = f"ran or changed something {_times(self.runs)}" if self.runs else "ran and changed nothing"
        facts = [
            f"{ran} ({self.seconds:.1f} s of running)" if self.seconds >= _WORTH_TELLING else ran,
            f"looked {_times(self.looks)}" if self.looks else "",
            f"was refused {_times(self.refused)}" if self.refused else "",
        ]
        return ", ".join(filter(None, facts))


@dataclass(frozen=True)
class RequestOfAgent:
    """Whose request runs. `scratch`: its code stays out of the graph."""

    client: str
    scratch: bool


class Agents:
    """The agents that use a kernel. Any thread may call `heard` and read `paused`; the main thread sets it."""

    def __init__(self, pause_names: Callable[[], Sequence[str]] = tuple) -> None:
        """`pause_names` returns the names under which a pause is kept over a restart: of the notebook, or of the kernel."""
        self._pause_names = pause_names
        self._paused = False  # where it cannot be kept
        self.running: ContextVar[RequestOfAgent | None] = ContextVar("running", default=None)
        """The request of an agent whose code runs in this thread; None if the code is the person's."""
        self._seen: dict[str, SeenAgent] = {}
        # By the front end's id of a cell ("" where it is not known yet) and its text.
        self._authors: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._ordered: OrderedDict[tuple[str, str], tuple[str, str]] = OrderedDict()
        self._over: deque[str] = deque(maxlen=_ORDERS_KEPT)
        self._charged: OrderedDict[str, float] = OrderedDict()

    @property
    def paused(self) -> bool:
        """Whether the person has paused agents, in this notebook or everywhere."""
        from marimo_kernel_bridge.protocol import pauses  # noqa: PLC0415  # with the first agent

        return self._paused or pauses.paused(*self._pause_names())

    @paused.setter
    def paused(self, paused: bool) -> None:
        from marimo_kernel_bridge.protocol import pauses  # noqa: PLC0415  # with the first agent

        self._paused = paused
        with suppress(OSError):  # it holds until the kernel ends
            names = self._pause_names()
            for name in names[:1] if paused else names:
                (pauses.pause if paused else pauses.resume)(name)

    def kernel_ends(self, kernel_id: str) -> None:
        """Forget the pause of a kernel that has no notebook and will not start again."""
        from marimo_kernel_bridge.protocol import pauses  # noqa: PLC0415  # not needed when a kernel starts

        if kernel_id:
            with suppress(OSError):
                pauses.resume(kernel_id)

    def __iter__(self) -> Iterator[SeenAgent]:
        return iter(list(self._seen.values()))

    def heard(self, name: str, *, ran: bool = False, refused: bool = False, did: str = "") -> None:
        """Record the outcome of an agent's request, and what it `did` in words.

        A client without a name only identifies kernels, and is no agent.
        """
        if not name:
            return
        now = time.time()
        seen = self._seen.get(name) or SeenAgent(name, now)
        told = did and (f"was refused: {did}" if refused else did)
        actions = (*seen.actions, Action(now, told))[-_ACTIONS_KEPT:] if told else seen.actions
        self._seen[name] = replace(
            seen,
            last_heard=now,
            runs=seen.runs + ran,
            refused=seen.refused + refused,
            looks=seen.looks + (not ran and not refused and not did),
            actions=actions,
        )

    def charge(self, name: str, run_id: str, seconds: float) -> None:
        """Note for how long the kernel has run code because of a request of an agent, so far. The main thread, or a subshell's."""
        seen = self._seen.get(name)
        if seen is None:
            return
        before = self._charged.pop(run_id, 0.0)
        _keep(self._charged, run_id, seconds)
        self._seen[name] = replace(self._seen[name], seconds=seen.seconds + max(0.0, seconds - before))

    def wrote(self, notebook_cell_id: str | None, code: str, author: str) -> None:
        """Record who wrote a text that a document shows, before a front end runs it. Any thread."""
        _keep(self._authors, (notebook_cell_id or "", code), author)

    def ordered(self, notebook_cell_id: str | None, code: str, author: str, operation: str) -> None:
        """Record that a front end will run a text because of an agent's order, if it cannot say so itself. Any thread."""
        _keep(self._ordered, (notebook_cell_id or "", code), (author, operation))

    def placed(self, notebook_cell_id: str, code: str) -> None:
        """Note the front end's id of a new cell with a text. Any thread."""
        author, ordered = self._authors.pop(("", code), None), self._ordered.pop(("", code), None)
        if author is not None:
            self.wrote(notebook_cell_id, code, author)
        if ordered is not None:
            self.ordered(notebook_cell_id, code, *ordered)

    def forget_text(self, notebook_cell_id: str | None, code: str) -> None:
        """Note that a document does not show a text after all: a person who types the same is its author. Any thread."""
        for kept in (self._authors, self._ordered):
            kept.pop((notebook_cell_id or "", code), None)

    def order_is_over(self, operation: str) -> None:
        """Note that a front end has not answered an order in time: it must not run cells because of it. Any thread."""
        self._over.append(operation)
        for key, ordered in list(self._ordered.items()):
            if ordered[1] == operation:
                self._ordered.pop(key, None)

    def is_over(self, operation: str | None) -> bool:
        """Return whether a front end that runs a cell because of an order has not answered that in time."""
        return operation in self._over

    def attributed(self, request: CellRequest) -> CellRequest:
        """Return a request with the order that it is because of. VS Code's extension cannot add metadata."""
        if request.ordered_by is not None or request.address.dialect != "vscode" or not self._ordered:
            return request
        for notebook_cell_id in (request.notebook_cell_id or "", ""):
            found = self._ordered.pop((notebook_cell_id, request.code), None)
            if found is not None:
                return replace(request, ordered_by=found[0], operation=found[1])
        return request

    def author_of(self, request: CellRequest) -> str:
        """Return who wrote the text of a request."""
        if request.client is None:
            for notebook_cell_id in (request.notebook_cell_id or "", ""):
                author = self._authors.get((notebook_cell_id, request.code))
                if author is not None:
                    return author
        return request.author

    def refusal_of(self, command: str) -> str | None:
        """Return why the code that runs now may not give a `%marimo` command; None if it may.

        Ending a pause is the person's, and scratch code of an agent changes neither the graph nor what runs.
        """
        request, name = self.running.get(), (command.split() or ["status"])[0]
        if request is None or name in _LOOKS:
            return None
        if name in _OF_THE_PERSON:
            return f"`%marimo {name}` is the person's command, not an agent's; nothing was changed."
        if request.scratch:
            return f"`%marimo {name}` changes the notebook, and scratch code stays out of it; nothing was changed."
        return None

    def require_not_paused(self) -> None:
        """Raise `BridgeError` paused if the user has paused agents."""
        if self.paused:
            raise AgentsPausedError("nothing was run or changed")


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _keep(kept: OrderedDict[_Key, _Value], key: _Key, value: _Value) -> None:
    kept.pop(key, None)
    kept[key] = value
    while len(kept) > _TEXTS_KEPT:
        with suppress(KeyError):
            kept.popitem(last=False)
