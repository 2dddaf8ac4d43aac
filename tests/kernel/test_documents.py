"""An open document on a real kernel: what the control thread and the sockets have to do with it."""

from typing import Any

from front_end import FrontEnd

from marimo_kernel_bridge.protocol import document as messages
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import ChangeCell
from marimo_kernel_bridge.protocol.document_edits import DocumentContent, DocumentEdit
from tests.front_end_document import FrontEndDocument


class Page:
    """The page of a document, which takes what the kernel publishes."""

    def __init__(self, front_end: FrontEnd) -> None:
        self.front_end = front_end
        self.document = FrontEndDocument(self, {"a": "x = 1", "b": "print('x is', x)"})

    def request(self, content: dict[str, Any]) -> dict[str, Any]:
        return self.front_end.answer(self.front_end.client.session.msg(messages.DOCUMENT_REQUEST, content))

    def execute(self, key: str, code: str, metadata: dict[str, Any]) -> str:
        return self.front_end.send(key, code, metadata=metadata)

    def adopt(self, parents: dict[str, str]) -> None:
        """Nothing: it was not loaded again."""

    def work_until(self, kind: str) -> None:
        """Take messages until an order of a kind is carried out."""
        while True:
            message = self.front_end._take(60)
            if message["msg_type"] == messages.DOCUMENT:
                self.document.orders.append(message["content"])
                self.document.work()
                if message["content"]["kind"] == kind:
                    return


def test_a_document_is_read_and_changed_while_a_cell_runs(connect):
    lab, agent = connect("lab"), connect("lab")
    page = Page(lab)
    page.document.attach()
    for key, code in page.document.codes.items():
        lab.run(key, code)
    control = agent.client.control_channel

    def ask(request: wire.Request, kind: type, order: str) -> Any:
        """Send a request that the kernel answers when the front end has carried out an order."""
        message = agent.client.session.msg(wire.REQUEST, wire.encode_request(request))
        control.send(message)
        page.work_until(order)
        return wire.decode_reply(agent._reply(message["header"]["msg_id"], control)["content"], kind)

    waiting = lab.send("c", "input()")
    lab.client.get_stdin_msg(timeout=60)  # the cell runs until it gets its answer
    cell = ask(wire.ReadDocument(), DocumentContent, "who").cells[0]
    change = ChangeCell(cell_id=cell.key, version=cell.version, code="x = 42")
    edit = ask(wire.EditDocument(changes=[change], client="claude"), DocumentEdit, "apply")
    assert (edit.outcome, page.document.codes["a"], len(edit.runs)) == ("applied", "x = 42", 1)
    lab.client.input("go on")
    assert lab.finish(waiting).ok
    lab.wait_for("b", "x is 42")
