"""A request for a cell begins, is replied to and has its dependents run, in the order that its front end needs."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.cell_requests import CellRequests
from marimo_kernel_bridge.kernel.cells import Address
from marimo_kernel_bridge.kernel.messaging.requests import Cause, CellRequest, ExecuteRequest, LabRequest
from marimo_kernel_bridge.kernel.notebook.agents import Agents
from marimo_kernel_bridge.kernel.notebook.early_answers import EarlyAnswer
from marimo_kernel_bridge.protocol.names import Dialect
from marimo_kernel_bridge.protocol.notebook import CellError


class Kernel:
    """A kernel, its notebook and its scheduler in one, which notes what happens."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.agents = Agents()
        self.loaded = True
        self.early: EarlyAnswer | None = None
        self.replies: list[dict[str, Any]] = []
        self.requests = CellRequests(self)

    @property
    def notebook(self) -> Any:
        return self

    @property
    def scheduler(self) -> "Kernel":
        return self

    @property
    def loader(self) -> "Kernel":
        return self

    def prepare_notebook(self) -> None:
        self.happened.append("prepare")

    def publish_input(self, _cause: Cause, code: str, execution_count: int | None) -> None:
        self.happened.append(f"input [{execution_count}] {code}")

    def send_execute_reply(
        self, _stream: Any, _cause: Cause, content: dict[str, Any], *, aborts: bool
    ) -> None:
        self.replies.append(content)
        self.happened.append(f"reply {content['status']}{' aborts' if aborts else ''}")

    def caused_by(self, cause: Cause) -> None:
        self.happened.append(f"caused by {cause.message['msg_id']}")

    async def run_now(self) -> None:
        self.happened.append("run dependents")

    def run_later(self, delay: float) -> None:
        self.happened.append(f"run dependents in {delay}")

    def quiet_in(self) -> float:
        return 0.3

    async def answer_early(self, _request: LabRequest) -> EarlyAnswer | None:
        return self.early

    def answered(self, _answer: EarlyAnswer, _request: LabRequest) -> None:
        self.happened.append("answered")

    def delete(self, deleted: tuple[str, ...], _address: Address) -> None:
        self.happened += [f"delete {cell}" for cell in deleted]

    def begin(self, request: CellRequest) -> Any:
        self.happened.append(f"begin {request.notebook_cell_id} {request.code} by {request.author}")
        return SimpleNamespace(address=request.address)

    def refuse(self, _entry: Any, code: str) -> None:
        self.happened.append(f"refuse {code}")

    def end(self, _entry: Any, execution_count: int | None) -> None:
        self.happened.append(f"end [{execution_count}]")

    def aborted(self, request: CellRequest) -> None:
        self.happened.append(f"aborted {request.notebook_cell_id}")

    async def execute(self) -> None:
        entry = self.requests.take()
        assert entry is not None
        assert self.requests.take() is None
        self.requests.refuse_if_unparsed(entry, "x")
        self.requests.end(entry, 1)
        await self.requests.before_reply(entry)
        self.happened.append("reply")


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


CAUSE = Cause([b"client"], {"msg_id": "m1"})


def request(
    dialect: Dialect, deleted: tuple[str, ...] | None = None, client: str | None = None
) -> CellRequest:
    kind = LabRequest if dialect == "lab" else CellRequest
    address = Address(dialect, {"msg_id": "m1"}, "page")
    return kind(
        header=address.parent,
        code="x = 1",
        client=client,
        notebook_cell_id="c",
        address=address,
        deleted=deleted,
    )


BEGUN = ["prepare", "begin c x = 1 by notebook", "caused by m1", "end [1]"]


@pytest.mark.parametrize(
    ("dialect", "after"),
    [
        ("lab", ["reply", "run dependents"]),
        ("vscode", ["reply", "run dependents in 0.3"]),
        ("batch", ["run dependents", "reply"]),
        ("terminal", ["run dependents", "reply"]),
    ],
)
def test_dependents_run_when_the_front_end_can_show_them(
    kernel: Kernel, dialect: Dialect, after: list[str]
) -> None:
    asyncio.run(kernel.requests.handle(None, CAUSE, request(dialect), kernel.execute))
    assert kernel.happened == [*BEGUN, *after]
    assert kernel.requests.requested is None


def test_an_agents_cell_is_its_own_and_its_dependents_run_after_the_reply(kernel: Kernel) -> None:
    asyncio.run(kernel.requests.handle(None, CAUSE, request("agent", client="Claude"), kernel.execute))
    assert kernel.happened[1] == "begin c x = 1 by Claude"
    assert kernel.happened[-2:] == ["reply", "run dependents"]


def test_cells_that_the_front_end_deleted_go_before_the_cell_begins(kernel: Kernel) -> None:
    asyncio.run(kernel.requests.handle(None, CAUSE, request("lab", deleted=("a", "b")), kernel.execute))
    assert kernel.happened[:4] == ["prepare", "delete a", "delete b", "begin c x = 1 by notebook"]


def test_a_cell_that_ran_before_its_turn_is_answered_without_running(kernel: Kernel) -> None:
    kernel.early = EarlyAnswer("Aaaa", 7)
    asyncio.run(kernel.requests.handle(None, CAUSE, request("lab"), kernel.execute))
    assert kernel.happened == ["caused by m1", "input [7] x = 1", "answered", "reply ok", "run dependents"]
    assert kernel.replies == [
        {"status": "ok", "execution_count": 7, "user_expressions": {}, "payload": []},
    ]


def test_a_failure_before_its_turn_is_the_reply_and_aborts_the_rest(kernel: Kernel) -> None:
    kernel.early = EarlyAnswer("Aaaa", 7, CellError("ValueError", "no", ("line",)))
    asyncio.run(kernel.requests.handle(None, CAUSE, request("lab"), kernel.execute))
    assert kernel.happened[3] == "reply error aborts"
    assert kernel.replies[0]["traceback"] == ["line"]


def test_nothing_is_answered_early_before_there_is_a_runtime(kernel: Kernel) -> None:
    kernel.early, kernel.loaded = EarlyAnswer("Aaaa", 7), False
    asyncio.run(kernel.requests.handle(None, CAUSE, request("lab"), kernel.execute))
    assert kernel.happened[0] == "prepare"


def test_code_that_ipython_did_not_parse_is_refused(kernel: Kernel) -> None:
    async def execute() -> None:
        entry = kernel.requests.requested
        assert entry is not None
        kernel.requests.refuse_if_unparsed(entry, "x = ")
        kernel.requests.end(entry, None)

    asyncio.run(kernel.requests.handle(None, CAUSE, request("lab"), execute))
    assert kernel.happened[3:5] == ["refuse x = ", "end [None]"]


def test_a_request_that_fails_leaves_no_cell_for_the_next_code(kernel: Kernel) -> None:
    async def execute() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        asyncio.run(kernel.requests.handle(None, CAUSE, request("lab"), execute))
    assert kernel.requests.take() is None


@pytest.mark.parametrize("loaded", [True, False])
def test_an_aborted_request_is_noted_once_there_is_a_notebook(kernel: Kernel, loaded: bool) -> None:
    kernel.loaded = loaded
    kernel.requests.abort(request("lab"))
    assert kernel.happened == (["aborted c"] if loaded else [])


def test_a_paused_agent_is_refused_and_a_person_is_not(kernel: Kernel) -> None:
    agent = ExecuteRequest(header={"msg_id": "m1"}, code="", client="Claude")
    assert kernel.requests.refuse_agent(agent) is None
    kernel.agents.paused = True
    refusal = kernel.requests.refuse_agent(agent)
    assert isinstance(refusal, BridgeError)
    assert refusal.code == "paused"
    assert kernel.requests.refuse_agent(request("lab")) is None
    assert [(seen.name, seen.runs, seen.refused) for seen in kernel.agents] == [("Claude", 1, 1)]
