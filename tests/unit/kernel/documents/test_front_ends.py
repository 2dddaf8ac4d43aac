"""Front ends of other kinds, and messages that no front end sends."""

import asyncio
import threading
from typing import Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.documents import open_documents
from marimo_kernel_bridge.kernel.messaging.requests import ReceivedMessage
from marimo_kernel_bridge.protocol import document as messages
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import AddCell
from tests.front_end_document import FrontEndDocument, RefusedError, TextCell
from tests.unit.kernel.document_agents import Agent
from tests.unit.kernel.notebook_in_memory import BOUND, Connect, FrontEnd, KernelInMemory

ATTACH = {
    "op": "attach",
    "client": "c",
    "front_end": "f",
    "version": "1",
    "path": "n.ipynb",
    "cells": [{"key": "a", "type": "code", "code": "x = 1"}],
}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"op": "nonsense", "client": "c"}, "bad_request"),
        ({**ATTACH, "extra": 1}, "bad_request"),
        ({**ATTACH, "client": ""}, "bad_request"),
        ({**ATTACH, "client": "c" * 2_000}, "bad_request"),
        ({**ATTACH, "protocol": 99}, "unsupported_version"),
        ({**ATTACH, "cells": [{"key": "a", "type": "cod", "code": ""}]}, "bad_request"),
        ({**ATTACH, "cells": [{"key": str(n), "type": "code", "code": ""} for n in range(20_001)]}, "too_large"),
        ({**ATTACH, "cells": 3}, "bad_request"),
        ({}, "bad_request"),
    ],
    ids=["op", "field", "empty", "long", "version", "type", "many", "cells", "nothing"],
)  # fmt: skip
def test_a_bad_message_is_refused_with_a_code(page: FrontEnd, content: dict[str, Any], code: str) -> None:
    reply = page.request(content)
    assert (reply["status"], reply["code"], reply["protocol"]) == ("error", code, 1)


def test_a_client_that_the_kernel_does_not_know_attaches_again(page: FrontEnd, agent: Agent) -> None:
    document = page.open({"a": "x = 1"}, attach=False)
    document.type("a", "x = 2")
    assert agent.cells()["a"].code == "x = 2"


def test_a_client_whose_message_was_lost_attaches_again(page: FrontEnd, agent: Agent) -> None:
    document = page.open({"a": "x = 1"})
    document._revision += 1
    document.type("a", "x = 2")
    assert agent.cells()["a"].code == "x = 2"


def test_a_message_that_comes_twice_counts_once(page: FrontEnd, agent: Agent) -> None:
    document = page.open({"a": "x = 1"})
    document.type("a", "x = 2")
    change = messages.Changed(
        client=document.client, revision=1, cells=[messages.DocumentCell("a", "code", "x = 3")]
    )
    document.ask(change)
    assert agent.cells()["a"].code == "x = 2"


def test_a_bug_is_logged_once_and_still_answered(
    page: FrontEnd, kernel: KernelInMemory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    document = page.open({"a": "x = 1"})
    shared = kernel.kernel.documents.shared
    monkeypatch.setattr(shared.journal, "note", lambda *_, **__: 1 / 0)
    with pytest.raises(RefusedError) as refused:
        document.type("a", "x = 2")
    assert refused.value.code == "bad_request"
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_an_agent_is_answered_where_the_kernel_fails(
    page: FrontEnd, agent: Agent, kernel: KernelInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.open({"a": "x = 1"})
    monkeypatch.setattr(kernel.kernel.documents.shared.journal, "note", lambda *_, **__: 1 / 0)
    edit = agent.add("z = 1")
    assert (edit.outcome, "bug" in edit.message) == ("refused", True)


def test_an_agent_is_answered_where_the_answer_cannot_be_sent(
    page: FrontEnd, agent: Agent, kernel: KernelInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.open({"a": "x = 1"})
    handler = kernel.kernel.bridge_requests._handler
    send, failures = handler._without_secrets, iter([ZeroDivisionError()])

    def fail_once(content: Any) -> Any:
        for failure in failures:
            raise failure
        return send(content)

    monkeypatch.setattr(handler, "_without_secrets", fail_once)
    with pytest.raises(BridgeError) as refusal:
        agent.read()
    assert refusal.value.code == "bad_request"


def test_the_text_of_a_document_is_bounded_over_all_messages(
    page: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = page.open({"a": "", "b": ""})
    monkeypatch.setattr(open_documents, "MOST_TEXT", 100)
    document.type("a", "#" * 60)
    with pytest.raises(RefusedError) as refused:
        document.type("b", "#" * 60)
    assert refused.value.code == "too_large"


def test_clients_that_vanish_are_forgotten(page: FrontEnd, agent: Agent, kernel: KernelInMemory) -> None:
    for number in range(40):
        page.request({**ATTACH, "client": f"c{number}"})
    documents = agent.read().documents
    assert len(documents) == 32
    assert documents[-1].client == "c39"
    shared = kernel.kernel.documents.shared
    assert kernel.run_until(lambda: len(shared._told) == 32)


def test_no_status_messages_frame_a_message_about_a_document(page: FrontEnd) -> None:
    document = page.open({"a": "x = 1"})
    document.type("a", "x = 2")
    asked = {
        message["parent_header"].get("msg_type") for message in page.seen if message["msg_type"] == "status"
    }
    assert messages.DOCUMENT_REQUEST not in asked


def uri(key: str) -> str:
    return f"vscode-notebook-cell:/n.ipynb#{key}"


class VSCode(FrontEndDocument):
    """VS Code's extension: it cannot add metadata to requests, and does not know their ids."""

    def _new_key(self) -> str:
        return uri(super()._new_key())

    def _run(self, keys: list[str], author: str, op_id: str) -> list[messages.RunOf]:  # noqa: ARG002  # it cannot use them
        self.to_run = keys
        return [messages.RunOf(key) for key in keys]

    def _come_too_late(self) -> None:
        self.to_run = []

    def work(self) -> None:
        super().work()
        for key in self.__dict__.pop("to_run", ()):
            cell = self.buffer.find(key)
            assert cell is not None
            self.link.execute(key.partition("#")[2], cell.code, {"cellId": key})


@pytest.fixture
def vscode(connect: Connect) -> tuple[FrontEnd, VSCode]:
    page = connect("vscode")
    document = VSCode(page, {uri("a"): "x = 1", uri("b"): "print('x is', x)"}, front_end="VS Code")
    page.documents.append(document)
    page.kernel.between.append(document.work)
    document.attach()
    page.run("a", "x = 1")
    page.run("b", "print('x is', x)")
    return page, document


def test_vs_codes_runs_are_attributed_by_key_and_text(vscode: tuple[FrontEnd, VSCode], agent: Agent) -> None:
    page, document = vscode
    edit = agent.edit(
        AddCell(code="y = x + 1", after=uri("a")),
    )
    assert edit.runs == (edit.op_id,)
    (report,) = agent.finished(edit)
    assert (report.client, [run.status for run in report.cells]) == ("claude", ["ok"])
    cell = page.cells()[edit.added[0]]
    assert (cell.edited_by, cell.last_run_by) == ("claude", "claude")
    agent.finished(agent.change(uri("a"), "x = 5"))
    page.wait_for("b", "x is 5")
    document.type(uri("a"), "x = 6")
    page.run("a", "x = 6")
    assert page.cells()[uri("a")].last_run_by == "notebook"


def test_a_cell_that_vs_code_moves_stays_the_same_cell(vscode: tuple[FrontEnd, VSCode], agent: Agent) -> None:
    page, document = vscode
    before = agent.cells()[uri("b")]
    document.buffer.cells = [TextCell(uri("moved"), "code", "print('x is', x)"), document.buffer.cells[0]]
    document._revision += 1
    cells = [messages.DocumentCell(uri("moved"), "code", "print('x is', x)", was=uri("b"))]
    reply = document.ask(
        messages.Changed(
            client=document.client, revision=1, order=[uri("moved"), uri("a")], cells=cells, focused=True
        )
    )
    assert reply == messages.Noted()
    after = agent.cells()[uri("moved")]
    assert (after.cell_id, after.version, after.ran) == (before.cell_id, before.version, "as_shown")
    assert [one.kind for one in agent.changes(0).changes if one.kind != "ran"] == ["moved"]
    page.run("a", "x = 2")
    assert page.cells()[uri("moved")].cell_id == before.cell_id


def test_a_moved_cell_of_vs_code_runs_again_when_its_output_went_to_its_former_place(
    vscode: tuple[FrontEnd, VSCode], agent: Agent
) -> None:
    page, document = vscode
    document.buffer.cells.reverse()
    document.buffer.cells[0].key = uri("moved")
    moved = messages.DocumentCell(uri("moved"), "code", "print('x is', x)", was=uri("b"))
    document._revision += 1
    document.ask(
        messages.Changed(client=document.client, revision=1, order=[uri("moved"), uri("a")], cells=[moved])
    )
    page.run("a", "x = 2")
    page.wait_quiet()
    assert page.kernel.run_until(lambda: "moved" in page.page.cells and page.text("moved") == "x is 2")
    assert agent.cells()[uri("moved")].by == "notebook"


def test_vs_code_that_was_loaded_again_sees_outputs_below(
    vscode: tuple[FrontEnd, VSCode], connect: Connect
) -> None:
    """Its extension cannot show what comes for requests of another window."""
    _, document = vscode
    document.close()
    again = connect("vscode")
    other = VSCode(again, {uri("a"): "x = 1", uri("b"): "print('x is', x)"}, front_end="VS Code")
    other.attach()
    again.run("a", "x = 3")
    again.wait_quiet()
    assert "x is 3" in again.text("a")


def test_vs_code_runs_no_cells_for_an_order_that_another_window_had_to_carry_out(
    vscode: tuple[FrontEnd, VSCode], agent: Agent, impatient: KernelInMemory
) -> None:
    page, document = vscode
    document.type(uri("b"), "print('now', x)")
    document.answers = False
    assert agent.sync().outcome == "refused"
    document.answers = True
    document.work()
    page.wait_quiet()
    assert page.cells()[uri("b")].code == "print('x is', x)"
    page.run("b", "print('now', x)")  # the person does
    assert page.cells()[uri("b")].last_run_by == "notebook"
    assert impatient.kernel.documents.shared.open


def test_what_vs_code_runs_because_of_a_proposal_is_known(
    vscode: tuple[FrontEnd, VSCode], agent: Agent
) -> None:
    page, document = vscode
    edit = agent.propose(AddCell(code="y = 1"))
    assert edit.op_id is not None
    document.work()
    document.accept(edit.op_id)
    document.work()
    page.wait_quiet()
    assert agent.proposal(edit.op_id).runs == (edit.op_id,)
    assert [run.status for run in agent.report(edit.op_id).cells] == ["ok"]


def test_a_subshell_leaves_documents_to_the_control_thread(page: FrontEnd, agent: Agent) -> None:
    document = page.open({"a": "x = 1"})
    kernel, front_end = agent.front_end.kernel, agent.front_end
    request = wire.EditDocument(changes=[AddCell(code="z = 1")], client=agent.name)
    message = front_end.session.msg(wire.REQUEST, wire.encode_request(request))
    received = ReceivedMessage({**message, "content": message["content"]})
    reply = kernel.kernel.bridge_requests.reply(kernel.stream, [front_end.ident], received)
    in_subshell = threading.Thread(target=asyncio.run, args=(reply,))
    in_subshell.start()
    in_subshell.join(BOUND)
    content = front_end.replies.pop(message["header"]["msg_id"])["content"]
    assert (content["status"], content["code"]) == ("error", "bad_request")
    assert "control channel" in content["evalue"]
    document.work()
    assert document.applied == []
