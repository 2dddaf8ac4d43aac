"""A front end that waits where it is called: `page` says what JupyterLab, VS Code, nbclient or a terminal sends and shows.

One kernel process may have several.
"""

import time
from queue import Empty
from typing import Any

from jupyter_client import BlockingKernelClient

from marimo_kernel_bridge.client.page import Page, execute_content, execute_metadata
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.names import Dialect
from marimo_kernel_bridge.protocol.notebook import KernelDescription
from tests.front_end_reply import Reply

BOUND = 60.0  # seconds for any single wait


class FrontEnd:
    """A client on a connection file that shows cells."""

    def __init__(self, connection_file: str, dialect: Dialect = "lab") -> None:
        self.dialect = dialect
        self.client = BlockingKernelClient(connection_file=connection_file)
        self.client.load_connection_file()
        self.client.start_channels()
        self._replies: dict[
            str, dict[str, Any]
        ] = {}  # those that nobody has asked for yet, by the id of their request
        self._await_kernel()
        self.page = Page()
        self.counts: dict[str, int | None] = {}
        self.seen: list[dict[str, Any]] = []
        self._idle: set[str] = set()

    def _await_kernel(self) -> None:
        """Wait until the kernel answers and its iopub messages arrive, however busy the machine is."""
        deadline = time.monotonic() + BOUND
        while time.monotonic() < deadline:
            msg_id = self.client.kernel_info()
            try:
                self._reply(msg_id, self.client.shell_channel, timeout=5)
                while self.client.get_iopub_msg(timeout=0.5)["parent_header"].get("msg_id") != msg_id:
                    pass
            except Empty:
                continue  # sent to a kernel that has ended, or subscribed too late for this one
            return
        raise AssertionError("the kernel's iopub messages do not arrive")

    def close(self) -> None:
        self.client.stop_channels()

    # -- sending --------------------------------------------------------------------------------------------

    def send(
        self,
        cell: str | None,
        code: str,
        *,
        metadata: dict[str, Any] | None = None,
        subshell: str | None = None,
        **content: Any,
    ) -> str:
        """Send an execute_request as the dialect does and return its message id."""
        message = self.client.session.msg(
            "execute_request",
            execute_content(code, self.dialect) | content,
            metadata=execute_metadata(cell, self.dialect) | (metadata or {}),
        )
        if subshell is not None:
            message["header"]["subshell_id"] = subshell
        msg_id = message["header"]["msg_id"]
        if cell is not None:
            self.page.sent(cell, msg_id)
        self.client.shell_channel.send(message)
        return msg_id

    def ask(self, request: wire.Request, channel: str = "control") -> dict[str, Any]:
        """Send a bridge request and return the content of its reply."""
        message = self.client.session.msg(wire.REQUEST, wire.encode_request(request))
        return self.answer(message, channel)

    def control(self, msg_type: str, **content: Any) -> dict[str, Any]:
        """Send a request on control and return the content of its reply."""
        return self.answer(self.client.session.msg(msg_type, content), "control")

    def answer(self, message: dict[str, Any], channel: str = "control") -> dict[str, Any]:
        """Send a message made by hand and return the content of its reply; on shell, once it is idle."""
        socket = getattr(self.client, f"{channel}_channel")
        socket.send(message)
        msg_id = message["header"]["msg_id"]
        reply = self._reply(msg_id, socket)
        if channel == "shell":
            self.wait_idle(msg_id)
        return reply["content"]

    # -- running ---------------------------------------------------------------------------------------------

    def run(self, cell: str | None, code: str, **options: Any) -> Reply:
        """Run a cell and wait for its reply and idle."""
        return self.finish(self.send(cell, code, **options))

    def finish(self, msg_id: str) -> Reply:
        start = len(self.seen)
        content = self._reply(msg_id, self.client.shell_channel)["content"]
        self.wait_idle(msg_id)
        cell = next((name for name, shown in self.page.cells.items() if shown.request_id == msg_id), None)
        if cell is not None:
            self.counts[cell] = content.get("execution_count")
        return Reply(msg_id, content, self.seen[start:])

    def _reply(self, msg_id: str, channel: Any, timeout: float = BOUND) -> dict[str, Any]:
        deadline = time.monotonic() + BOUND
        while msg_id not in self._replies:
            assert time.monotonic() < deadline, "no reply"
            reply = channel.get_msg(timeout=timeout)
            self._replies[reply["parent_header"].get("msg_id")] = reply
        return self._replies.pop(msg_id)

    def wait_idle(self, msg_id: str) -> None:
        while msg_id not in self._idle:
            self._take(BOUND)

    def wait_for(self, cell: str, text: str) -> None:
        """Wait until a cell shows `text`."""
        deadline = time.monotonic() + BOUND
        while text not in self.text(cell):
            left = deadline - time.monotonic()
            assert left > 0, f"{cell} shows {self.text(cell)!r}, not {text!r}"
            try:
                self._take(left)
            except Empty:
                raise AssertionError(f"{cell} shows {self.text(cell)!r}, not {text!r}") from None

    def _take(self, timeout: float) -> dict[str, Any]:
        message = self.client.get_iopub_msg(timeout=timeout)
        self.seen.append(message)
        parent = message["parent_header"].get("msg_id")
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            self._idle.add(parent)
        self.page.show(message)
        return message

    def wait_quiet(self) -> None:
        """Wait until the kernel has run what it runs after VS Code's pause: it is over when nothing is stale."""
        deadline = time.monotonic() + BOUND
        while wire.decode_reply(self.ask(wire.Describe()), KernelDescription).settling:
            assert time.monotonic() < deadline, "dependents never ran"
            time.sleep(0.02)  # nothing tells of it
        self.sync()

    # -- looking ------------------------------------------------------------------------------------------------

    def text(self, cell: str) -> str:
        return self.page.cells[cell].text.strip()

    def outputs(self, cell: str) -> tuple[dict[str, Any], ...]:
        return self.page.cells[cell].log.outputs()

    def sync(self) -> None:
        """See everything that the kernel has sent so far."""
        self.run(None, "", silent=True, store_history=False)
