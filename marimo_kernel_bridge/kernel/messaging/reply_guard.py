"""A reply to every request: also to one that is malformed, of an unknown type, or whose handler fails.

ipykernel logs those and sends nothing, so that a client waits without end. Here a handler that ends without having sent
its reply is followed by an error reply. Knows nothing of sockets and of what handlers do.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from logging import Logger

    from marimo_kernel_bridge.kernel.messaging.requests import ReceivedMessage

    Handler = Callable[[Any, Any, ReceivedMessage], Awaitable[None] | None]


class Replies(Protocol):
    """What sends replies, and keeps `unanswered`: the message ids of the requests that wait for one."""

    unanswered: set[str]

    def send(self, stream: Any, msg_or_type: str, content: Any, parent: Any, ident: Any) -> Any: ...


class GuardedHandlers(dict[str, "Handler"]):
    """ipykernel's table of the handlers of one channel, each of which replies."""

    def __init__(self, handlers: Mapping[str, Handler], replies: Replies, log: Logger) -> None:
        super().__init__(handlers)
        self._replies = replies
        self._log = log

    def get(self, msg_type: str, default: Any = None) -> Any:  # ipykernel looks handlers up by this
        """Return a handler that sends an error reply where the one of this type sends none."""
        handler = super().get(msg_type, default)
        if handler is None and not msg_type.endswith("_request"):
            return None

        async def guarded(stream: Any, ident: Any, parent: ReceivedMessage) -> None:
            await self._handle(handler, stream, ident, parent)

        return guarded

    async def _handle(
        self, handler: Handler | None, stream: Any, ident: Any, parent: ReceivedMessage
    ) -> None:
        msg_type, msg_id = parent["header"]["msg_type"], parent["header"]["msg_id"]
        self._replies.unanswered.add(msg_id)
        try:
            reason = parent.refusal if handler is not None else "its type is unknown"
            if handler is not None and reason is None:
                result = handler(stream, ident, parent)
                if inspect.isawaitable(result):
                    await result
        except KeyboardInterrupt:
            reason = "it was interrupted"
        except Exception as error:  # noqa: BLE001  # the dispatch loop of requests; a bug is logged once
            self._log.exception("A handler of %s failed", msg_type)
            reason = f"its handler failed with {type(error).__name__}"
        finally:
            unanswered = msg_id in self._replies.unanswered
            self._replies.unanswered.discard(msg_id)
        if unanswered and msg_type.endswith("_request"):
            evalue = f"The kernel cannot answer this {msg_type}: {reason or 'it is not supported'}."
            content = {"status": "error", "ename": "RequestError", "evalue": evalue, "traceback": []}
            self._replies.send(stream, msg_type.removesuffix("request") + "reply", content, parent, ident)
