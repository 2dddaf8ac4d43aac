"""The sessions of marimo's server on the running kernel: none has a kernel of its own, and none can end it.

What their pages ask for goes to the site. A session of the editor stays when its pages close, and the next page resumes it.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from marimo._messaging.notification import NotebookDocumentTransactionNotification
from marimo._messaging.serde import try_deserialize_kernel_notification_name
from marimo._server.session_manager import SessionManager
from marimo._session.extensions.types import EventAwareExtension
from marimo._session.model import SessionMode
from marimo._types.ids import SessionId

if TYPE_CHECKING:
    import asyncio

    from marimo._messaging.notebook.changes import Transaction
    from marimo._messaging.types import KernelMessage
    from marimo._runtime.commands import CommandMessage
    from marimo._session.types import Session
    from marimo._types.ids import ConsumerId

    from marimo_kernel_bridge.runtime.editor.interface import EditorHost


class Site(Protocol):
    """The site whose sessions these are."""

    def refresh(self) -> None:
        """Bring the site up to date."""
        ...

    def new_session(self) -> Session:
        """Return a session, which shows the state of the site."""
        ...

    def take_request(self, request: CommandMessage, sender: ConsumerId | None) -> None:
        """Pass on a request of a page."""
        ...

    def take_transaction(self, transaction: Transaction) -> None:
        """Pass on what a person has changed in the editor's document, which has it already."""
        ...


class RunningKernel:
    """The kernel of all sessions, as marimo's `KernelManager`: it lives, and no session starts or ends it."""

    mode = SessionMode.EDIT
    profile_path = None

    def __init__(self, host: EditorHost) -> None:
        self._host = host
        self.kernel_task = threading.main_thread()
        self.pid = os.getpid()

    async def start_kernel(self) -> None:
        """Do nothing: it runs."""

    def is_alive(self) -> bool:
        return True

    def interrupt_kernel(self) -> None:
        self._host.interrupt()

    def close_kernel(self, *, graceful: bool = False) -> None:
        """Do nothing: a page that is closed never ends the kernel."""


class Requests(EventAwareExtension):
    """Passes on what the pages of a session ask for."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self._site = site

    def on_received_command(
        self,
        session: Session,  # noqa: ARG002  # marimo's signature
        request: CommandMessage,
        from_consumer_id: ConsumerId | None,
    ) -> None:
        self._site.take_request(request, from_consumer_id)

    def on_notification_sent(self, session: Session, notification: KernelMessage) -> None:  # noqa: ARG002  # the same
        if (
            try_deserialize_kernel_notification_name(notification)
            == NotebookDocumentTransactionNotification.name
        ):
            decoded = msgspec.json.decode(notification, type=NotebookDocumentTransactionNotification)
            if decoded.transaction.source == "frontend":
                self._site.take_transaction(decoded.transaction)


class Sessions(SessionManager):
    """The sessions of one site, each on the running kernel."""

    def __init__(self, site: Site, **settings: Any) -> None:
        super().__init__(**settings)
        self._site = site

    def connection_lock(self, session_id: SessionId, file_key: str) -> asyncio.Lock:
        """Bring the site up to date, because a page is about to connect."""
        self._site.refresh()
        return super().connection_lock(session_id, file_key)

    def maybe_resume_session(self, new_session_id: SessionId, file_key: str) -> Session | None:
        """Return a session that is there already, as all are: the editor's one, or one for each page of the app view."""
        if self.mode is SessionMode.EDIT:
            return super().maybe_resume_session(new_session_id, file_key)
        self._repository.add_sync(new_session_id, self._site.new_session())
        return self._repository.get_sync(new_session_id)

    def add_editor(self) -> None:
        """Create the editor's session, which waits for its first page."""
        self._repository.add_sync(SessionId("s_kernel"), self._site.new_session())

    def close_session(self, session_id: SessionId) -> bool:
        """Close a session of the app view whose page is gone. The editor's stays."""
        return self.mode is SessionMode.RUN and super().close_session(session_id)
