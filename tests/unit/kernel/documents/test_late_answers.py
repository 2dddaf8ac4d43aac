"""Answers of front ends that come late, and what a person does while an order is under way."""

import pytest

from marimo_kernel_bridge.protocol import document as messages
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import AddCell
from tests.front_end_document import FrontEndDocument
from tests.unit.kernel.document_agents import Agent, two_windows
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd, KernelInMemory


@pytest.fixture
def document(page: FrontEnd) -> FrontEndDocument:
    document = page.open({"a": "x = 1", "b": "y = x + 1", "c": "y"})
    for key, code in document.codes.items():
        page.run(key, code)
    return document


def is_ordered(document: FrontEndDocument) -> bool:
    """Whether a change waits for the front end."""
    return any(order["kind"] == "apply" for order in list(document.orders))


def send(agent: Agent, code: str) -> str:
    """Send a change without waiting for the reply; return the message's id."""
    request = wire.EditDocument(changes=[AddCell(code=code)], client=agent.name)
    message = agent.front_end.session.msg(wire.REQUEST, wire.encode_request(request))
    agent.front_end.kernel.control(agent.front_end.session.serialize(message, agent.front_end.ident))
    msg_id: str = message["header"]["msg_id"]
    return msg_id


def test_a_change_that_was_kept_and_is_applied_late_is_not_offered_again(
    document: FrontEndDocument, agent: Agent, impatient: KernelInMemory
) -> None:
    before = list(document.codes.values())
    document.answers = False
    edit = agent.add("z = 1")
    assert edit.outcome == "kept"
    agent.edit_the_kernel(AddCell(code="z = 1"))
    assert impatient.run_until(lambda: any(order["kind"] == "propose" for order in list(document.orders)))
    document.answers = True
    document.work()
    assert impatient.run_until(lambda: not document.proposals)
    assert list(document.codes.values()) == [*before, "z = 1"]
    assert edit.op_id is not None
    assert agent.undo(edit.op_id).outcome == "applied"
    assert list(document.codes.values()) == before


def test_nor_is_one_that_the_kernel_gets_after_that(
    document: FrontEndDocument, agent: Agent, impatient: KernelInMemory
) -> None:
    document.answers = False
    assert agent.add("z = 1").outcome == "kept"
    document.answers = True
    document.work()
    document.flush()
    agent.edit_the_kernel(AddCell(code="z = 1"))
    impatient.run_until(lambda: bool(impatient.kernel.documents.shared.proposals), 0.1)
    document.work()
    assert document.proposals == {}


def test_a_shared_document_that_two_views_have_changed_has_the_new_cell_once(
    connect: Connect, agent: Agent, impatient: KernelInMemory
) -> None:
    first, second = two_windows(connect, shared=True)
    second.type("b", "x  # here")
    second.answers = False
    assert agent.add("z = 1").outcome == "applied"
    second.answers = True
    second.work()
    assert impatient.run_until(lambda: list(first.codes.values()) == ["x = 1", "x  # here", "z = 1"])


def test_a_late_refusal_does_not_count_while_another_window_has_the_order(
    connect: Connect, agent: Agent, impatient: KernelInMemory
) -> None:
    first, second = two_windows(connect, shared=False)
    second.type("b", "x  # here")
    second.answers = False

    def refuse() -> None:
        for order in list(first.orders):
            if order["kind"] == "apply" and order["to"] == first.client:
                refusal = messages.Done(client=second.client, op_id=order["op_id"], result="refused")
                second.ask(refusal)

    impatient.between.insert(0, refuse)
    assert agent.add("z = 1").outcome == "applied"


def test_what_the_person_types_while_an_order_is_under_way_is_theirs(
    document: FrontEndDocument, agent: Agent
) -> None:
    def type_on() -> None:
        if is_ordered(document) and document.codes["a"] == "x = 1":
            document.type("a", "x = 1  # mine")

    agent.front_end.kernel.between.insert(0, type_on)
    assert agent.change("a", "x = 2").outcome == "proposed"
    changes = [(one.by, one.after) for one in agent.changes(0).changes if one.kind == "changed"]
    assert changes == [("notebook", "x = 1  # mine")]


def test_what_the_person_types_on_before_the_answer_to_an_order_is_what_agents_read(
    document: FrontEndDocument, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = document.ask

    def type_before(request: messages.FrontEndRequest) -> messages.Reply:
        if isinstance(request, messages.Done) and document.codes["a"] == "x = 2":
            document.type("a", "x = 2  # mine")
        return ask(request)

    monkeypatch.setattr(document, "ask", type_before)
    assert agent.change("a", "x = 2").outcome == "applied"
    cell = agent.cells()["a"]
    assert (cell.code, cell.by) == ("x = 2  # mine", "notebook")


def test_who_types_what_an_agent_was_refused_is_its_author(
    document: FrontEndDocument, page: FrontEnd, agent: Agent
) -> None:
    cell = document.buffer.find("c")
    assert cell is not None
    document.buffer.cells.remove(cell)
    assert agent.add("w = 1", after="c").outcome == "refused"
    document.insert("mine", "w = 1", after="a")
    page.finish(document.run("mine"))
    assert page.cells()["mine"].edited_by == "notebook"


def test_changes_that_wait_are_planned_for_the_document_of_their_turn(
    document: FrontEndDocument, agent: Agent, connect: Connect
) -> None:
    document.answers = False
    agents = [agent, Agent(connect("lab"), "cursor"), Agent(connect("lab"), "zed")]
    sent = [(one.front_end, send(one, f"by_{one.name} = 1")) for one in agents]
    document.answers = True
    for front_end, msg_id in sent:
        assert front_end.kernel.run_until(lambda front=front_end, of=msg_id: of in front.replies)  # type: ignore[misc]
    assert list(document.codes.values())[3:] == ["by_claude = 1", "by_cursor = 1", "by_zed = 1"]


def test_nothing_comes_before_an_order_that_is_given_again(
    document: FrontEndDocument, agent: Agent, connect: Connect
) -> None:
    other = Agent(connect("lab"), "cursor")
    early: list[bool] = []

    def reconnect() -> None:
        if is_ordered(document) and not early:
            document.attach()
            send(other, "w = 1")
            early.append(is_ordered(document))

    agent.front_end.kernel.between.insert(0, reconnect)
    assert agent.add("z = 1").outcome == "applied"
    assert early == [False]
