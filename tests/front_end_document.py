"""A document that is open in a front end with the extension, as the extensions handle it: the reference for them.

It has the text of the notebook, applies the kernel's orders wholly or not at all, runs cells by execute_request, and tells the
kernel what the person does. It reaches the kernel through a `Link`, so that it works with a kernel in memory and with one
in a process. What a person does are its methods.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from marimo_kernel_bridge.protocol import document as wire
from marimo_kernel_bridge.protocol.names import METADATA_KEY

EVERYTHING = ("apply", "propose", "run", "save", "rename", "settings")
_REMEMBERED = 100  # orders

_numbers = itertools.count(1)


class Link(Protocol):
    """The connection of a page with its kernel."""

    def request(self, content: dict[str, Any]) -> dict[str, Any]:
        """Send a `DOCUMENT_REQUEST` on control, and return the content of the reply."""
        ...

    def execute(self, key: str, code: str, metadata: dict[str, Any]) -> str:
        """Send an execute_request for a cell, and return its message id."""
        ...

    def adopt(self, parents: dict[str, str]) -> None:
        """Show what comes for these requests in these cells, by key."""
        ...


class RefusedError(Exception):
    """The kernel refuses a request; `code` says why."""

    def __init__(self, content: dict[str, Any]) -> None:
        super().__init__(content["evalue"])
        self.code = content["code"]


@dataclass
class TextCell:
    """A cell of the buffer. `by` is the agent that wrote its text, None for the person."""

    key: str
    type: wire.CellType
    code: str
    by: str | None = None
    settings: wire.CellSettings | None = None

    @property
    def sent(self) -> wire.DocumentCell:
        return wire.DocumentCell(self.key, self.type, self.code, self.by, settings=self.settings)


@dataclass
class Buffer:
    """The text of a notebook: of one page, or with real-time collaboration of several."""

    cells: list[TextCell]
    views: list[FrontEndDocument] = field(default_factory=list)

    def find(self, key: str) -> TextCell | None:
        return next((cell for cell in self.cells if cell.key == key), None)


class FrontEndDocument:
    """A view of a notebook."""

    def __init__(
        self,
        link: Link,
        cells: dict[str, str] | Buffer,
        *,
        front_end: str = "JupyterLab",
        path: str = "n.ipynb",
        shared_id: str | None = None,
        can: tuple[str, ...] = EVERYTHING,
    ) -> None:
        """`cells` are the codes by key; Markdown is marked by `#%md` in front of it."""
        self.link = link
        self.client = f"page-{next(_numbers)}"
        if isinstance(cells, Buffer):
            self.buffer = cells
        else:
            kinds = {key: ("markdown" if code.startswith("#%md") else "code") for key, code in cells.items()}
            self.buffer = Buffer([TextCell(key, kinds[key], code) for key, code in cells.items()])  # type: ignore[arg-type]
        self.buffer.views.append(self)
        self.front_end, self.path, self.shared_id, self.can = front_end, path, shared_id, can
        self.orders: deque[dict[str, Any]] = deque()
        self.answers = True  # False: as a page that is frozen
        self.proposals: dict[str, wire.Propose] = {}
        self.states: dict[str, wire.CellState] = {}
        self.outputs: dict[str, wire.ShownOutputs] = {}
        self.agents: list[wire.AgentInfo] = []
        self.paused = False
        self.applied: list[str] = []  # operations, oldest first
        self.saved: list[str] = []
        self.attached: wire.Attached | None = None
        self.focused = self.dirty = False
        self.editing: str | None = None
        self._accepted: dict[tuple[str, str], str] = {}  # keys of new cells by operation and token
        self._done: dict[str, wire.Done] = {}
        self._revision = 0
        self._order_changed = False
        self._changed: set[str] = set()

    # -- the protocol --------------------------------------------------------------------------------------------

    def ask(self, request: wire.FrontEndRequest) -> wire.Reply:
        """Send a request, and return the reply. Raises `RefusedError`."""
        content = self.link.request(msgspec.to_builtins(request))
        if content["status"] != "ok":
            raise RefusedError(content)
        reply: wire.Reply = msgspec.convert(content, wire.Reply)
        return reply

    def attach(self, *, focused: bool = True) -> wire.Attached:
        """Attach to the kernel; again after a restart or a reconnection."""
        self.orders.clear()  # what came before the reply is dropped
        self.focused = focused
        self._revision, self._order_changed = 0, False
        self._changed.clear()
        reply = self.ask(
            wire.Attach(
                client=self.client,
                front_end=self.front_end,
                version="1",
                path=self.path,
                cells=[cell.sent for cell in self.buffer.cells],
                shared_id=self.shared_id,
                focused=focused,
                dirty=self.dirty,
                can=list(self.can),  # type: ignore[arg-type]
            )
        )
        assert isinstance(reply, wire.Attached)
        self.orders.clear()
        self.attached, self.paused, self.agents = reply, reply.paused, reply.agents
        self.states = dict(reply.cells)
        self.proposals = {proposal.op_id: proposal for proposal in reply.open}
        self.link.adopt(reply.parents)
        return reply

    def flush(self) -> None:
        """Send what has changed since the last message."""
        self._revision += 1
        order = [cell.key for cell in self.buffer.cells] if self._order_changed else None
        changed = [cell.sent for cell in self.buffer.cells if cell.key in self._changed]
        self._order_changed = False
        self._changed.clear()
        reply = self.ask(
            wire.Changed(
                client=self.client,
                revision=self._revision,
                order=order,
                cells=changed,
                dirty=self.dirty,
                focused=self.focused,
                editing=self.editing,
                path=self.path,
            )
        )
        assert isinstance(reply, wire.Noted)
        if reply.attach:
            self.attach(focused=self.focused)

    def work(self) -> None:
        """Carry out the orders that have come, one after the other."""
        while self.answers and self.orders:
            order: wire.Order = msgspec.convert(self.orders.popleft(), wire.Order)
            if order.to in {None, self.client}:
                self._carry_out(order)

    def _carry_out(self, order: wire.Order) -> None:  # noqa: C901  # one for each
        match order:
            case wire.Apply():
                self._answer(order.op_id, lambda: self._apply(order))
            case wire.Run(op_id=op_id, author=author, keys=keys):
                self._answer(op_id, lambda: self._result(op_id, runs=self._run(keys, author, op_id)))
            case wire.Save(op_id=op_id):
                self._answer(op_id, lambda: self._save(op_id))
            case wire.Rename(op_id=op_id, name=name):
                self.path = name
                self._answer(op_id, lambda: self._result(op_id))
                self.flush()
            case wire.Propose():
                self.proposals[order.op_id] = order
            case wire.Withdraw(op_id=op_id):
                self.proposals.pop(op_id, None)
            case wire.AgentsOrder(agents=agents, paused=paused):
                self.agents, self.paused = agents, paused
            case wire.State(cells=cells):
                self.states |= cells
            case wire.Who():
                self.flush()
            case wire.Settings(cells=cells):
                for key, settings in cells.items():
                    self.settle(key, settings)
            case wire.Outputs(cells=cells):
                self.outputs = {**cells, **self.outputs}  # not in those that show some

    def _answer(self, op_id: str, act: Any) -> None:
        if op_id not in self._done:  # never twice
            self._done[op_id] = act()
            for oldest in list(self._done)[:-_REMEMBERED]:
                del self._done[oldest]
        reply = self.ask(self._done[op_id])
        assert isinstance(reply, wire.Noted)
        if reply.over:
            self._come_too_late()

    def _come_too_late(self) -> None:
        """The kernel does not wait for an order any more. It drops what was sent because of it."""

    def _result(self, op_id: str, result: Any = "applied", **fields: Any) -> wire.Done:
        return wire.Done(client=self.client, op_id=op_id, result=result, **fields)

    def _apply(self, order: wire.Apply) -> wire.Done:
        if "apply" not in self.can:
            return self._result(order.op_id, "refused", message="The document is read-only.")
        conflicts = self._conflicts(order.changes)
        if conflicts:
            return self._result(order.op_id, "conflict", conflicts=conflicts)
        author = None if order.author == "notebook" else order.author
        added: dict[str, str] = {}
        to_run: list[str] = []
        for change in order.changes:
            key = self._change(change, added, author)
            if key is not None:
                to_run.append(key)
        self.applied.append(order.op_id)
        runs = self._run(to_run, order.author, order.op_id) if order.run else []
        return self._result(order.op_id, added=added, runs=runs)

    def _conflicts(self, changes: list[wire.DocumentChange]) -> list[wire.Conflict]:
        tokens = {change.token for change in changes if isinstance(change, wire.Insert)}
        found: list[wire.Conflict] = []
        for change in changes:
            cell = None if isinstance(change, wire.Insert) else self.buffer.find(change.key)
            if cell is None and not isinstance(change, wire.Insert):
                found.append(wire.Conflict(change.key, None))
            elif isinstance(change, wire.ChangeText | wire.Delete):
                assert cell is not None
                if wire.base_of(cell.code) != change.base:
                    found.append(wire.Conflict(change.key, cell.code))
            elif (
                change.after is not None and change.after not in tokens and not self.buffer.find(change.after)
            ):
                found.append(wire.Conflict(change.after, None))
        return found

    def _change(self, change: wire.DocumentChange, added: dict[str, str], by: str | None) -> str | None:
        """Change the buffer. Return the key of a code cell that has a new text."""
        cells = self.buffer.cells
        if isinstance(change, wire.Insert):
            cell = TextCell(self._new_key(), change.type, change.code, by)
            added[change.token] = cell.key
            self._place(cell, added.get(change.after or "", change.after))
            self._note(cell.key)
            return cell.key if cell.type == "code" else None
        found = self.buffer.find(change.key)
        assert found is not None
        match change:
            case wire.ChangeText(code=code):
                found.code, found.by = code, by
                self._note(found.key)
                return found.key if found.type == "code" else None
            case wire.Delete():
                cells.remove(found)
            case wire.Move(after=after):
                cells.remove(found)
                self._place(found, added.get(after or "", after))
        self._note(None)
        return None

    def _new_key(self) -> str:
        return f"cell-{next(_numbers)}"

    def _place(self, cell: TextCell, after: str | None) -> None:
        keys = [other.key for other in self.buffer.cells]
        self.buffer.cells.insert(0 if after is None else keys.index(after) + 1, cell)
        self._note(None)

    def _note(self, key: str | None) -> None:
        """Note a change for the next message, in each view of the buffer. None: of the order."""
        for view in self.buffer.views:
            view.dirty = True
            if key is None:
                view._order_changed = True
            else:
                view._changed.add(key)

    def _run(self, keys: list[str], author: str, op_id: str) -> list[wire.RunOf]:
        metadata = {METADATA_KEY: {"author": author, "op": op_id}}
        runs: list[wire.RunOf] = []
        for key in keys:
            cell = self.buffer.find(key)
            if cell is not None and cell.code.strip():
                runs.append(wire.RunOf(key, self.link.execute(key, cell.code, metadata)))
        return runs

    def _save(self, op_id: str) -> wire.Done:
        self.saved = [cell.code for cell in self.buffer.cells]
        self.dirty = False
        return self._result(op_id)

    # -- what a person does ----------------------------------------------------------------------------------------

    def type(self, key: str, code: str, *, flush: bool = True) -> None:
        """Change a cell's text by hand."""
        cell = self.buffer.find(key)
        assert cell is not None
        cell.code, cell.by, self.editing, self.focused = code, None, key, True
        self._note(key)
        if flush:
            self.flush()

    def settle(self, key: str, settings: wire.CellSettings) -> None:
        """Give a cell settings of marimo's, in its metadata."""
        cell = self.buffer.find(key)
        assert cell is not None
        cell.settings = settings
        self._note(key)
        self.flush()

    def insert(self, key: str, code: str, after: str | None, type: wire.CellType = "code") -> None:  # noqa: A002
        self._place(TextCell(key, type, code), after)
        self._note(key)
        self.flush()

    def delete(self, key: str) -> None:
        cell = self.buffer.find(key)
        assert cell is not None
        self.buffer.cells.remove(cell)
        self._note(None)
        self.flush()
        for op_id, proposal in list(self.proposals.items()):
            for number, change in enumerate(proposal.changes):
                if (
                    not isinstance(change, wire.Insert)
                    and change.key == key
                    and number not in proposal.decided
                ):
                    self._decide(op_id, number, "gone")

    def run(self, key: str) -> str:
        """Run a cell as it is; return the message id of the request."""
        cell = self.buffer.find(key)
        assert cell is not None
        return self.link.execute(key, cell.code, {})

    def accept(self, op_id: str, change: int = 0, code: str | None = None) -> None:
        """Accept a change of a proposal, with another text if `code` is given, and run it."""
        proposal = self.proposals[op_id]
        wanted = proposal.changes[change]
        if code is not None:
            wanted = msgspec.structs.replace(wanted, code=code)  # type: ignore[type-var]
        if isinstance(wanted, wire.Insert | wire.Move):
            wanted = msgspec.structs.replace(wanted, after=self._anchor(proposal, wanted.after))
        added: dict[str, str] = {}
        key = self._change(wanted, added, proposal.author)
        self._accepted |= {(op_id, token): cell for token, cell in added.items()}
        self.flush()
        runs = [] if key is None else self._run([key], proposal.author, op_id)
        self._decide(op_id, change, "accepted", code=code, key=key, runs=runs)

    def _anchor(self, proposal: wire.Propose, after: str | None) -> str | None:
        """Return the cell behind which a new one goes, where that may be another new one of the proposal."""
        tokens = {change.token: change for change in proposal.changes if isinstance(change, wire.Insert)}
        while after in tokens:
            after = self._accepted.get((proposal.op_id, after)) or tokens[after].after
        return after

    def reject(self, op_id: str, change: int = 0) -> None:
        self._decide(op_id, change, "rejected")

    def _decide(self, op_id: str, change: int, decision: Any, **fields: Any) -> None:
        proposal = self.proposals[op_id]
        proposal = msgspec.structs.replace(proposal, decided=[*proposal.decided, change])
        rest = len(proposal.changes) - len(proposal.decided)
        self.proposals[op_id] = proposal
        if rest == 0:
            del self.proposals[op_id]
        self.ask(
            wire.Decided(
                client=self.client, op_id=op_id, change=change, decision=decision, rest=rest, **fields
            )
        )
        self.flush()

    def undo(self, op_id: str) -> None:
        """Undo an agent's change."""
        self.ask(wire.Undo(client=self.client, op_id=op_id))

    def pause(self, *, paused: bool = True) -> None:
        """Restrict agents to reading, or end that."""
        reply = self.ask(wire.Pause(client=self.client, paused=paused))
        assert isinstance(reply, wire.Noted)
        assert reply.paused is paused

    def compare(self) -> wire.Compared:
        reply = self.ask(wire.Compare(client=self.client))
        assert isinstance(reply, wire.Compared)
        return reply

    def close(self) -> None:
        """Close the page."""
        self.answers = False
        self.buffer.views.remove(self)
        self.ask(wire.Detach(client=self.client))

    def rename(self, path: str) -> None:
        self.path = path
        self.flush()

    # -- looking -------------------------------------------------------------------------------------------------

    @property
    def codes(self) -> dict[str, str]:
        """The texts of the cells by key, in order."""
        return {cell.key: cell.code for cell in self.buffer.cells}
