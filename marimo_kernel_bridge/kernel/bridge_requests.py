"""The receipt of bridge requests: threads, cancellation, and sending the reply.

`bridge_handler` computes the replies. It is imported with the first request, because most notebooks have no agent.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol

from ipykernel.jsonutil import json_clean

from marimo_kernel_bridge.kernel.messaging.requests import Cause
from marimo_kernel_bridge.kernel.messaging.sigint import on_main_thread
from marimo_kernel_bridge.protocol.names import REPLY

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.kernel.bridge_handler import BridgeHandler
    from marimo_kernel_bridge.kernel.messaging.jupyter_session import JupyterSession
    from marimo_kernel_bridge.kernel.messaging.requests import ReceivedMessage
    from marimo_kernel_bridge.kernel.messaging.shell_queue import ShellQueue
    from marimo_kernel_bridge.kernel.messaging.sigint import Interrupts
    from marimo_kernel_bridge.kernel.stale_scheduler import StaleScheduler


class Host(Protocol):
    """The parts of the kernel that bridge requests use."""

    @property
    def session(self) -> JupyterSession: ...

    @property
    def scheduler(self) -> StaleScheduler: ...

    @property
    def queue(self) -> ShellQueue: ...

    @property
    def interrupts(self) -> Interrupts: ...


class BridgeRequests:
    """The receiver of the bridge protocol's requests on shell and on control, which replies to each."""

    def __init__(self, host: Host, make_handler: Callable[[], BridgeHandler]) -> None:
        self._host = host
        self._make_handler = make_handler

    async def reply(self, stream: Any, ident: Any, message: ReceivedMessage) -> None:
        """Reply to a request, in any case: now, or when the front end has answered that an agent's request is about."""
        host = self._host
        on_control = not on_main_thread()  # or in a subshell
        if not on_control:
            host.scheduler.caused_by(Cause(ident, message))
        if not on_control and host.queue.is_cancelled(message["header"]["msg_id"]):
            content: dict[str, Any] | None = {"status": "aborted"}
        else:
            with nullcontext() if on_control else host.interrupts.deferred():
                later = partial(self._send, stream, ident, message)
                content = await self._handler.reply_to(message, on_control=on_control, later=later)
        if content is not None:
            self._send(stream, ident, message, content)
        else:
            host.session.unanswered.discard(message["header"]["msg_id"])

    def _send(self, stream: Any, ident: Any, message: ReceivedMessage, content: dict[str, Any]) -> None:
        self._host.session.send(stream, REPLY, json_clean(content), message, ident=ident)  # type: ignore[no-untyped-call]

    def send_outcome(self, stream: Any, ident: Any, message: ReceivedMessage) -> None:
        """Send the outcome of an execute_request as a second reply, which its sender has requested."""
        with self._host.interrupts.deferred() if on_main_thread() else nullcontext():
            outcome = self._handler.outcome_of(message["header"]["msg_id"])
            self._host.session.send(stream, REPLY, outcome, message, ident=ident)

    @cached_property
    def _handler(self) -> BridgeHandler:
        return self._make_handler()
