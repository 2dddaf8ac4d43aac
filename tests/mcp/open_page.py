"""A page with the extension, on a real kernel: the reference front end behind a connection of its own, in a thread."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from jupyter_client.blocking.client import BlockingKernelClient

from marimo_kernel_bridge.client.page import Page, execute_content, execute_metadata
from marimo_kernel_bridge.protocol.document import DOCUMENT, DOCUMENT_REQUEST
from tests.front_end_document import FrontEndDocument

if TYPE_CHECKING:
    from collections.abc import Callable

BOUND = 60.0  # seconds for any single wait
_LOOK_EVERY = 0.02

_T = TypeVar("_T")


class OpenPage(threading.Thread):
    """A notebook that is open in JupyterLab: `page.do(lambda: page.document.type("aaaa", "x = 2"))`."""

    def __init__(self, connection_file: str, cells: dict[str, str], path: str = "n.ipynb") -> None:
        super().__init__(daemon=True)
        self._client = BlockingKernelClient(connection_file=connection_file)
        self._client.load_connection_file()
        self._page = Page()
        self._wanted: queue.Queue[Callable[[], None]] = queue.Queue()
        self._open = True
        self.document = FrontEndDocument(self, cells, path=path)

    def run(self) -> None:
        self._client.start_channels(hb=False, stdin=False)
        self._client.wait_for_ready(timeout=BOUND)
        self.document.attach()
        while self._open:
            while not self._wanted.empty():
                self._wanted.get()()
            try:
                message = self._client.get_iopub_msg(timeout=_LOOK_EVERY)
            except queue.Empty:
                continue
            if message["msg_type"] == DOCUMENT:
                self.document.orders.append(message["content"])
                self.document.work()
            else:
                self._page.show(message)
        self._client.stop_channels()

    def do(self, act: Callable[[], _T]) -> _T:
        """Have something done in the page's thread, and return its result."""
        done: Future[_T] = Future()

        def acted() -> None:
            try:
                done.set_result(act())
            except BaseException as error:  # whatever it is, the test is told
                done.set_exception(error)

        self._wanted.put(acted)
        return done.result(BOUND)

    def shown(self, key: str) -> str:
        """What is under a cell, as text."""
        cell = self._page.cells.get(key)
        return "" if cell is None else cell.text.strip()

    def close(self) -> None:
        self._open = False
        self.join(BOUND)

    # front_end_document.Link

    def request(self, content: dict[str, Any]) -> dict[str, Any]:
        message = self._client.session.msg(DOCUMENT_REQUEST, content)
        self._client.control_channel.send(message)
        while True:
            reply = self._client.control_channel.get_msg(timeout=BOUND)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                answered: dict[str, Any] = reply["content"]
                return answered

    def execute(self, key: str, code: str, metadata: dict[str, Any]) -> str:
        message = self._client.session.msg(
            "execute_request", execute_content(code), metadata=execute_metadata(key) | metadata
        )
        msg_id: str = message["header"]["msg_id"]
        self._page.sent(key, msg_id)
        self._client.shell_channel.send(message)
        return msg_id

    def adopt(self, parents: dict[str, str]) -> None:
        for key, msg_id in parents.items():
            self._page.adopt(key, msg_id)
