"""One of marimo's two sites on the kernel: its editor, or its app view, with the sessions of its pages.

Runs in the loop of the server's thread. The sessions have no kernel of their own: what their pages ask for goes to the host, and they
are told what changes. Nothing here ends the kernel, and closing a page ends nothing.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import socket
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from marimo import _loggers
from marimo._ast.compiler import extract_markdown
from marimo._config.manager import get_default_config_manager
from marimo._messaging.notebook.changes import DeleteCell as DeleteFromDocument
from marimo._messaging.notebook.changes import SetCode, Transaction
from marimo._messaging.notification import (
    CompletedRunNotification,
    NotebookDocumentTransactionNotification,
    UIElementMessageNotification,
)
from marimo._messaging.serde import serialize_kernel_message
from marimo._runtime.commands import UpdateUIElementCommand
from marimo._server.app_defaults import AppDefaults
from marimo._server.config import StarletteServerStateInit
from marimo._server.lsp import NoopLspServer
from marimo._server.main import create_starlette_app
from marimo._server.models.home import MarimoFile
from marimo._server.tokens import AuthToken
from marimo._server.workspace import SingleFileWorkspace
from marimo._session.model import SessionMode
from marimo._session.session import SessionImpl
from marimo._session.state.session_view import SessionView
from marimo._types.ids import CellId_t, UIElementId

from marimo_kernel_bridge.protocol.changes import GraphProblem
from marimo_kernel_bridge.protocol.notebook import EditorLink
from marimo_kernel_bridge.runtime.editor import answers
from marimo_kernel_bridge.runtime.editor.commands import command_of, commands_of
from marimo_kernel_bridge.runtime.editor.guard import CODE, Guard
from marimo_kernel_bridge.runtime.editor.interface import ChangeMarkdown, Configure, RunCells
from marimo_kernel_bridge.runtime.editor.news import News, code_of
from marimo_kernel_bridge.runtime.editor.sessions import Requests, RunningKernel, Sessions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from marimo._messaging.notification import NotificationMessage
    from marimo._messaging.types import KernelMessage
    from marimo._runtime.commands import CommandMessage
    from marimo._session.types import Session
    from marimo._types.ids import ConsumerId
    from starlette.applications import Starlette

    from marimo_kernel_bridge.runtime.editor.interface import Command, EditorCell, EditorHost

UNSENT: Final = Path(__file__).with_name("unsent.js").read_text("utf-8")
"""What runs on the editor's page before marimo's own scripts, and keeps what is being typed there."""

_EMPTY_FILE: Final = "import marimo\n\napp = marimo.App()\n"
_NEVER: Final = 10**9  # seconds
_MARKDOWN: Final = GraphProblem(
    "syntax",
    "This is Markdown of the notebook, which has text alone: values in it, and other code, belong into a cell with code.",
    (),
)
_OBJECT_ID: Final = re.compile(r"""object-id=(['"])(.*?)\1""")
_SETTINGS: Final[dict[str, Any]] = {
    "runtime": {"auto_instantiate": False, "on_cell_change": "autorun"},
    "save": {"autosave": "off", "format_on_save": False},
    "completion": {"copilot": False},
    "language_servers": {},
}
"""What differs from the person's configuration of marimo: cells run and files are saved as the notebook's owner does it."""


def _quiet_marimo() -> None:
    """Have marimo log errors alone: what a thread writes to stderr appears in the cell that started it.

    The person's own handlers get what they got before.
    """
    loggers = list(
        _loggers._LOGGERS.values()
    )  # marimo sets all handlers of its loggers, whoever has added them
    levels = [(logger, logger.level) for logger in loggers]
    others = [
        (handler, handler.level)
        for logger in loggers
        for handler in logger.handlers
        if handler.formatter is not _loggers._LOG_FORMATTER
    ]
    _loggers.set_level("ERROR")
    for logger, level in levels:
        logger.setLevel(level)
    for handler, level in others:
        handler.setLevel(level)


class _Workspace(SingleFileWorkspace):
    """The folder of the notebook's empty file: pages show the file's name, and not where it is."""

    @property
    def directory(self) -> str:
        return str(Path(self._file.path).parent)


class _Server(uvicorn.Server):
    """A server in a thread: signals belong to the main thread."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # a generator there
        return contextlib.nullcontext()


class Site:
    """marimo's editor, or its app view."""

    def __init__(self, host: EditorHost, title: str, *, app: bool) -> None:
        """`title` is the notebook's, for the page."""
        _quiet_marimo()
        self._host = host
        self._app = app
        self._folder = tempfile.TemporaryDirectory(prefix="marimo-open-")
        path = Path(self._folder.name) / f"{title}.py"
        path.write_text(_EMPTY_FILE, encoding="utf-8")
        self._config = get_default_config_manager(current_path=str(path)).with_overrides(_SETTINGS)  # type: ignore[arg-type]  # a part of it
        workspace = _Workspace(MarimoFile(name=path.name, path=str(path)))
        self._key = str(workspace.get_unique_file_key())
        self._token = secrets.token_urlsafe(32)
        self.sessions = Sessions(
            self,
            workspace=workspace,
            mode=SessionMode.RUN if app else SessionMode.EDIT,
            quiet=True,
            include_code=not app,
            lsp_server=NoopLspServer(),
            config_manager=self._config,
            cli_args={},
            argv=None,
            auth_token=AuthToken(self._token),
            redirect_console_to_browser=True,
            ttl_seconds=None,
        )
        self._file = workspace.load(self._key, AppDefaults.from_config_manager(self._config))
        self._document = self._file.app.cell_manager.document
        self._document.apply(Transaction(tuple(map(DeleteFromDocument, self._document.cell_ids)), "kernel"))
        self._view = SessionView()
        self._news = News(host.html)
        self._busy = False
        if not app:
            self.sessions.add_editor()
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._port: int = self._socket.getsockname()[1]
        self.application = self._make_application()
        self.guard = Guard(self.application, self._token, self._port, edits=not app)
        self._server = _Server(
            uvicorn.Config(
                self.guard,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )

    def _make_application(self) -> Starlette:
        application = create_starlette_app(base_url="", host="127.0.0.1", enable_auth=True)
        StarletteServerStateInit(
            port=self._port,
            host="127.0.0.1",
            base_url="",
            asset_url=None,
            headless=True,
            quiet=True,
            session_manager=self.sessions,
            config_manager=self._config,
            remote_url=None,
            mcp_server_enabled=False,
            skew_protection=True,
            enable_auth=True,
        ).apply(application.state)
        application.state.server = None
        if not self._app:
            application.state.html_head = f"<script>\n{UNSENT}</script>"
        return application

    async def serve(self) -> None:
        """Serve until `stop`."""
        await self._server.serve(sockets=[self._socket])

    def close(self) -> None:
        """Let `serve` return, and remove what is on disk."""
        self._server.should_exit = True
        self._socket.close()
        self._folder.cleanup()

    def link(self) -> EditorLink:
        """Return an address that opens the page, once."""
        return EditorLink(f"http://127.0.0.1:{self._port}/?{CODE}={self.guard.new_code()}", self._port)

    def new_session(self) -> Session:
        """Return a session, which shows the state of the site."""
        return SessionImpl(
            initialization_id=self._key,
            session_consumer=None,
            session_view=self._view,
            kernel_manager=RunningKernel(self._host),  # type: ignore[arg-type]  # it has no connection to read
            app_file_manager=self._file,
            config_manager=self._config,
            ttl_seconds=60 if self._app else _NEVER,
            extensions=[Requests(self)],
        )

    @property
    def watched(self) -> bool:
        """Whether any page is connected."""
        return any(session.room.size for session in self.sessions.sessions.values())

    # -- from the pages -------------------------------------------------------------------------------------------

    def take_request(self, request: CommandMessage, sender: ConsumerId | None) -> None:
        """Pass on a request of a page."""
        if isinstance(request, UpdateUIElementCommand):
            for object_id, value in request.ids_and_values:
                self.set_value(object_id, value, besides=sender)
        command = command_of(request, self._document)
        if command is not None:
            self._pass_on(command)

    def take_transaction(self, transaction: Transaction) -> None:
        """Pass on what a person has changed in the editor's document, which has it already.

        Markdown counts as it is typed: the editor runs it at each key, but not while the text before is still under way.
        """
        for change in transaction.changes:
            if isinstance(change, SetCode) and change.cell_id in self._news.markdown:
                text = extract_markdown(change.code)
                if text is not None:
                    self._give_markdown(change.cell_id, change.code, text)
        for command in commands_of(transaction, self._document):
            self._pass_on(command)

    def _pass_on(self, command: Command) -> None:
        """Have the host carry out a command. Cells with Markdown do not run, but get another text."""
        markdown = self._news.markdown
        match command:
            case RunCells(cells=cells) if any(cell_id in markdown for cell_id, _ in cells):
                for cell_id, code in cells:
                    if cell_id in markdown:
                        self._change_markdown(cell_id, code)
                self._pass_on(replace(command, cells=tuple(one for one in cells if one[0] not in markdown)))
                return
            case RunCells(cells=cells):
                for cell_id, code in cells:
                    self._news.gives(self._document, cell_id, code, code)
            case Configure(disabled=disabled) if any(cell_id in markdown for cell_id, _ in disabled):
                command = Configure(tuple(one for one in disabled if one[0] not in markdown))
            case _:
                pass
        self._host.act(command)

    def _change_markdown(self, cell_id: str, code: str) -> None:
        text = extract_markdown(code)
        if text is None:
            for notification in answers.refusal(cell_id, [_MARKDOWN]):
                self.send(notification)
            return
        self._news.forget(cell_id)  # told again, so that it does not seem to wait
        self._give_markdown(cell_id, code, text)

    def _give_markdown(self, cell_id: str, code: str, text: str) -> None:
        if self._news.asks_for(cell_id, code):
            seen = self._news.gives_markdown(self._document, cell_id, code, text)
            self._host.act(ChangeMarkdown(cell_id, text, seen))

    # -- to the pages ---------------------------------------------------------------------------------------------

    def send(self, notification: NotificationMessage, besides: ConsumerId | None = None) -> None:
        """Tell all pages, and those that connect later."""
        self.send_encoded(serialize_kernel_message(notification), besides)

    def send_encoded(self, message: KernelMessage, besides: ConsumerId | None = None) -> None:
        """Tell all pages, by a message of marimo's as it is."""
        self._view.add_raw_notification(message)
        self._view.ui_element_messages.clear()  # values are in `ui_values`; marimo keeps each message
        for session in list(self.sessions.sessions.values()):
            session.notify(message, besides)

    def refresh(self) -> None:
        """Tell the pages what is new of the cells."""
        cells = [one for one in self._host.cells() if not (self._app and one.is_command)]
        changes = self._news.of_document(self._document, cells)
        if changes:
            applied = self._document.apply(Transaction(tuple(changes), "kernel"))
            self.send(NotebookDocumentTransactionNotification(applied))
        for notification in self._news.of_cells(cells):
            self._note_values(notification.output)
            self.send(notification)
        self._note_run_codes(cells)
        variables = self._news.of_variables(cells)
        if variables is not None:
            self.send(variables)
        busy = any(one.cell.status == "running" for one in cells)
        if self._busy and not busy:
            self.send(CompletedRunNotification())
        self._busy = busy

    def _note_run_codes(self, cells: Sequence[EditorCell]) -> None:
        self._view.last_executed_code = {
            CellId_t(one.cell.cell_id): code_of(one)
            for one in cells
            if one.cell.last_run_at is not None or one.is_markdown
        }

    def _note_values(self, output: Any) -> None:
        """Note the values of the elements in an output, for pages that connect later."""
        data = None if output is None else output.data
        if isinstance(data, str) and "object-id" in data:
            self._view.ui_values.update(self._host.values({found[2] for found in _OBJECT_ID.finditer(data)}))

    def set_value(self, object_id: str, value: Any, besides: ConsumerId | None = None) -> None:
        """Show the value of an element on all pages but the one that set it."""
        self._view.ui_values[object_id] = value
        message = {"type": "marimo-ui-value-update", "value": value}
        self.send(UIElementMessageNotification(UIElementId(object_id), message), besides)

    def forget_elements(self, cell_id: str, message: NotificationMessage) -> None:
        """Forget the values of a cell's elements, and tell the pages."""
        values = self._view.ui_values
        for object_id in [object_id for object_id in values if object_id.startswith(f"{cell_id}-")]:
            del values[object_id]
        self.send(message)

    def show_instead(self, cell_id: str, notifications: Iterable[NotificationMessage]) -> None:
        """Show something in a cell that the kernel does not have there, until it has something new."""
        self.refresh()  # what is new by now is not that
        self._news.kept(cell_id)
        for notification in notifications:
            self.send(notification)
