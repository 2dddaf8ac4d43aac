"""Every request gets a reply: also one that is malformed, of a type nobody knows, or whose handler fails.

ipykernel logs those and says nothing, so that a client waits for ever. Here a handler that ends without having sent
its reply is followed by an error reply. Owns what a request must hold to be handled at all; knows nothing of sockets
and of what handlers do.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from logging import Logger

    Handler = Callable[[Any, Any, dict[str, Any]], Awaitable[None] | None]

_FIELDS: Final[dict[str, dict[str, type]]] = {
    "execute_request": {"code": str},
    "complete_request": {"code": str, "cursor_pos": int},
    "inspect_request": {"code": str, "cursor_pos": int},
    "is_complete_request": {"code": str},
    "shutdown_request": {"restart": bool},
    "delete_subshell_request": {"subshell_id": str},
}
"""Fields of a request's content without which it cannot be handled. What others lack, their handlers notice."""

_OPTIONAL: Final[dict[str, dict[str, type]]] = {"execute_request": {"user_expressions": dict}}


class Replies(Protocol):
    """Sends replies, and keeps `unanswered`: the message ids of the requests that wait for one."""

    unanswered: set[str]

    def send(self, stream: Any, msg_or_type: str, content: Any, parent: Any, ident: Any) -> Any: ...


class AnsweringHandlers(dict[str, "Handler"]):
    """ipykernel's table of handlers of one channel, each of which answers."""

    def __init__(self, handlers: dict[str, Handler], replies: Replies, log: Logger) -> None:
        super().__init__(handlers)
        self._replies = replies
        self._log = log

    def get(self, msg_type: str, default: Any = None) -> Any:  # ipykernel looks handlers up by this
        """Return a handler that sends an error reply where the one of this type sends none."""
        handler = super().get(msg_type, default)
        if handler is None and not msg_type.endswith("_request"):
            return None

        async def answered(stream: Any, ident: Any, parent: dict[str, Any]) -> None:
            await self._answer(handler, stream, ident, parent)

        return answered

    async def _answer(self, handler: Handler | None, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        msg_type, msg_id = parent["header"]["msg_type"], parent["header"]["msg_id"]
        self._replies.unanswered.add(msg_id)
        try:
            why = problem(parent) if handler is not None else "its type is unknown"
            if handler is not None and why is None:
                result = handler(stream, ident, parent)
                if inspect.isawaitable(result):
                    await result
        except KeyboardInterrupt:
            why = "it was interrupted"
        except Exception as error:  # noqa: BLE001  # the dispatch loop of requests; a bug is logged once
            self._log.exception("A handler of %s failed", msg_type)
            why = f"its handler failed with {type(error).__name__}"
        finally:
            unanswered = msg_id in self._replies.unanswered
            self._replies.unanswered.discard(msg_id)
        if unanswered and msg_type.endswith("_request"):
            evalue = f"The kernel cannot answer this {msg_type}: {why or 'it is not supported'}."
            content = {"status": "error", "ename": "RequestError", "evalue": evalue, "traceback": []}
            self._replies.send(stream, msg_type.removesuffix("request") + "reply", content, parent, ident)


def problem(request: dict[str, Any]) -> str | None:
    """Say what keeps a request from being handled, None if nothing does."""
    content, metadata = request["content"], request["metadata"]
    if not isinstance(content, dict):
        return "its content is not an object"
    if not isinstance(metadata, dict):
        return "its metadata is not an object"
    msg_type = request["header"].get("msg_type")
    for name, kind in _FIELDS.get(msg_type, {}).items():
        if not isinstance(content.get(name), kind):
            return f"`{name}` is missing or not a {kind.__name__}"
    for name, kind in _OPTIONAL.get(msg_type, {}).items():
        if not isinstance(content.get(name) or kind(), kind):
            return f"`{name}` is not a {kind.__name__}"
    return _metadata_problem(metadata) if msg_type == "execute_request" else None


def _metadata_problem(metadata: dict[str, Any]) -> str | None:
    if not isinstance(metadata.get("cellId"), str | None):
        return "`cellId` is not a string"
    deleted = metadata.get("deletedCells") or []
    if not isinstance(deleted, list) or not all(isinstance(cell_id, str) for cell_id in deleted):
        return "`deletedCells` is not a list of strings"
    return None
