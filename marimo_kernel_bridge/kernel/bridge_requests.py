"""The receipt of this project's own requests, from agents and about documents: threads, cancellation, sending the reply.

`bridge_handler` and `documents` compute the replies. They are imported with the first request, because most notebooks have
neither an agent nor a front end with the extension.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol

from ipykernel.jsonutil import json_clean

from marimo_kernel_bridge.kernel.messaging.requests import Cause
from marimo_kernel_bridge.kernel.messaging.sigint import on_main_thread
from marimo_kernel_bridge.protocol.names import REPLY

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from marimo_kernel_bridge.kernel.bridge_handler import BridgeHandler
    from marimo_kernel_bridge.kernel.documents import shared_documents
    from marimo_kernel_bridge.kernel.documents.document_requests import DocumentRequests
    from marimo_kernel_bridge.kernel.messaging.jupyter_session import JupyterSession
    from marimo_kernel_bridge.kernel.messaging.requests import ReceivedMessage
    from marimo_kernel_bridge.kernel.messaging.shell_queue import ShellQueue
    from marimo_kernel_bridge.kernel.messaging.sigint import Interrupts
    from marimo_kernel_bridge.kernel.stale_scheduler import StaleScheduler
    from marimo_kernel_bridge.protocol.document import Order


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

    @property
    def use_of(self) -> Callable[[ReceivedMessage], AbstractContextManager[object]]:
        """Returns the context of a request, which keeps the kernel from ending itself."""
        ...


class BridgeRequests:
    """The receiver of the bridge protocol's requests on shell and on control, which replies to each."""

    def __init__(self, host: Host, make_handler: Callable[[], BridgeHandler]) -> None:
        self._host = host
        self._make_handler = make_handler

    async def reply(self, stream: Any, ident: Any, message: ReceivedMessage) -> None:
        """Reply to a request on shell, in any case. A subshell answers what control does, but for documents."""
        host = self._host
        beside = not on_main_thread()
        if not beside:
            host.scheduler.caused_by(Cause(ident, message))
        if not beside and host.queue.is_cancelled(message["header"]["msg_id"]):
            content: dict[str, Any] | None = {"status": "aborted"}
        else:
            with nullcontext() if beside else host.interrupts.deferred():
                content = await self._handler.reply_to(message, on_control=beside)
        assert content is not None, "on shell there is no later"
        self._send(stream, ident, message, content)

    async def reply_on_control(self, stream: Any, ident: Any, message: ReceivedMessage) -> None:
        """Reply to a request, in any case: now, or when the front end has answered that an agent's request is about."""
        later = partial(self._send, stream, ident, message)
        with self._host.use_of(message):
            content = await self._handler.reply_to(message, on_control=True, later=later)
            if content is not None:
                self._send(stream, ident, message, content)
            else:
                self._host.session.unanswered.discard(message["header"]["msg_id"])

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


class DocumentHost(Protocol):
    """The parts of the kernel that messages about documents use."""

    iopub_socket: Any
    control_stream: Any

    @property
    def session(self) -> JupyterSession: ...


class DocumentMessages:
    """The receiver of front ends' requests about documents, on control, and the sender of the kernel's orders to them."""

    def __init__(self, host: DocumentHost, kernel: shared_documents.Host) -> None:
        self._host = host
        self._kernel = kernel
        self._making = threading.Lock()
        self._requests: DocumentRequests | None = None

    @property
    def requests(self) -> DocumentRequests:
        """What answers the requests about documents, of front ends and of agents. Any thread."""
        with self._making:
            if self._requests is None:
                from marimo_kernel_bridge.kernel.documents.document_requests import DocumentRequests  # noqa: PLC0415  # needed by agents, and by front ends with the extension

                self._requests = DocumentRequests(self._kernel, self._host.control_stream.io_loop, self._send)
            return self._requests

    def in_jupyterlab(self) -> bool:
        """Return whether a JupyterLab with the extension has the notebook open. Any thread."""
        requests = self._requests
        return requests is not None and any(
            document.front_end != "vscode" for document in requests.shared.open.all()
        )

    async def reply(self, stream: Any, ident: Any, message: ReceivedMessage) -> None:
        """Reply to a front end."""
        from marimo_kernel_bridge.protocol.document import DOCUMENT_REPLY  # noqa: PLC0415  # not used before

        content = self.requests.front_ends.reply_to(message["content"])
        self._host.session.send(stream, DOCUMENT_REPLY, content, message, ident=ident)

    def _send(self, order: Order) -> None:
        from marimo_kernel_bridge.protocol.document import DOCUMENT, encode_order  # noqa: PLC0415  # not used before

        host, topic = self._host, DOCUMENT.encode()
        host.session.send(host.iopub_socket, DOCUMENT, encode_order(order), {}, ident=topic)
