"""Every request gets a reply, whatever becomes of it."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from marimo_kernel_bridge.kernel.messaging.reply_guard import GuardedHandlers
from marimo_kernel_bridge.kernel.messaging.requests import ReceivedMessage
from tests.unit.kernel.shell_messages import received


class Session:
    """Notes what is sent, as `JupyterSession` does."""

    def __init__(self) -> None:
        self.unanswered: set[str] = set()
        self.sent: list[tuple[str, str]] = []

    def send(self, _stream: Any, msg_or_type: str, content: Any, parent: Any, _ident: Any) -> None:
        self.unanswered.discard(parent["header"]["msg_id"])
        self.sent.append((msg_or_type, content.get("evalue", content["status"])))


Handler = Callable[[Session, ReceivedMessage], None]


def handled(msg_type: str, content: Any, handler: Handler | None) -> list[tuple[str, str]]:
    session = Session()

    async def handle(_stream: Any, _ident: Any, parent: ReceivedMessage) -> None:
        assert handler is not None
        handler(session, parent)

    table = {} if handler is None else {msg_type: handle}
    guarded = GuardedHandlers(table, session, logging.getLogger("test"))
    message = received(msg_type, content).message
    assert message is not None
    found = guarded.get(msg_type)
    if found is not None:
        asyncio.run(found(None, [b"client"], message))
    assert session.unanswered == set()
    return session.sent


def reply(session: Session, parent: ReceivedMessage) -> None:
    session.send(None, "history_reply", {"status": "ok"}, parent, None)


def fail(_session: Session, _parent: ReceivedMessage) -> None:
    raise RuntimeError("a bug")


def fail_after_reply(session: Session, parent: ReceivedMessage) -> None:
    reply(session, parent)
    raise RuntimeError("a bug")


def interrupt(_session: Session, _parent: ReceivedMessage) -> None:
    raise KeyboardInterrupt


def forget(_session: Session, _parent: ReceivedMessage) -> None:
    pass


@pytest.mark.parametrize(
    ("handler", "sent"),
    [
        (reply, "ok"),
        (fail_after_reply, "ok"),
        (fail, "The kernel cannot answer this history_request: its handler failed with RuntimeError."),
        (interrupt, "The kernel cannot answer this history_request: it was interrupted."),
        (forget, "The kernel cannot answer this history_request: it is not supported."),
        (None, "The kernel cannot answer this history_request: its type is unknown."),
    ],
)
def test_one_reply_is_sent(handler: Handler | None, sent: str) -> None:
    assert handled("history_request", {}, handler) == [("history_reply", sent)]


def test_a_request_that_lacks_a_field_is_refused_before_its_handler_runs() -> None:
    assert handled("execute_request", {"code": 5}, fail) == [
        (
            "execute_reply",
            "The kernel cannot answer this execute_request: `code` is missing or not a str.",
        )
    ]


def test_a_message_that_is_no_request_is_left_to_ipykernel() -> None:
    assert handled("comm_msg", {}, None) == []
    assert handled("comm_msg", {}, forget) == []
