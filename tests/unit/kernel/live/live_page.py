"""A page that shows marimo's own elements, without a browser: what the loader says and hears."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any

from marimo_kernel_bridge.kernel.live.messages import LOADER
from marimo_kernel_bridge.protocol.names import LIVE_TARGET

if TYPE_CHECKING:
    from tests.unit.kernel.notebook_in_memory import FrontEnd

_numbers = itertools.count(1)
Heard = dict[str, Any]


class LivePage:
    """The loader on the page of a front end. It comes with the kernel's widget, or opens a comm of its own."""

    def __init__(self, front_end: FrontEnd, comm_id: str = "") -> None:
        self.front_end = front_end
        self.name = f"page {next(_numbers)}"
        self.of_widget = bool(comm_id)
        self.comm_id = comm_id or f"comm of {self.name}"
        self._from = len(front_end.seen)
        if self.of_widget:
            self.say(type="hello", loader=LOADER)
        else:
            hello = {"type": "hello", "page": self.name, "loader": LOADER}
            self._send("comm_open", {"target_name": LIVE_TARGET, "data": hello})
        [welcome] = self.heard("welcome")
        self.key: str = welcome["key"]
        self.assets: str = welcome["assets"]

    @classmethod
    def of(cls, front_end: FrontEnd) -> LivePage:
        """Return the page with the widget that the kernel has opened."""
        opened = widgets(front_end)
        assert opened, [message["content"] for message in front_end.seen if message["msg_type"] != "status"]
        return cls(front_end, opened[-1])

    # -- saying ----------------------------------------------------------------------------------------------------

    def _send(self, msg_type: str, content: dict[str, Any], *, wait: bool = True) -> None:
        message = self.front_end.session.msg(msg_type, {"comm_id": self.comm_id, **content})
        self.front_end.kernel.send(self.front_end.session.serialize(message, self.front_end.ident))
        if wait:
            self.front_end.wait_idle(message["header"]["msg_id"])

    def close(self) -> None:
        """Close the page's comm."""
        self._send("comm_close", {"data": {}})

    def say(self, *, wait: bool = True, **message: Any) -> None:
        """Send a message."""
        data = {"page": self.name, **message}
        content = {"method": "custom", "content": data} if self.of_widget else data
        self._send("comm_msg", {"data": content}, wait=wait)

    def ask(self, **message: Any) -> Heard:
        """Send a message, and return the next that the kernel sends."""
        before = len(self.heard())
        self.say(**message)
        assert self.front_end.kernel.run_until(lambda: len(self.heard()) > before, 10), "no answer"
        return self.heard()[before]

    def get(self, cell: str, output: int = 0) -> Heard:
        """Ask for what stands behind the placeholder in a cell's output."""
        out = self.out(cell, output)
        return self.ask(type="get", req=f"{self.name}/{next(_numbers)}", out=out)

    def set(self, values: dict[str, Any]) -> None:
        """Set elements, and wait until their readers have run."""
        self.say(type="set", values=list(values.items()))
        self.settle()

    def call(self, namespace: str, name: str, args: dict[str, Any], call: str = "") -> Heard:
        """Call a function of an element, and return marimo's notification of the result."""
        call = call or f"{self.name}/{next(_numbers)}"
        self.say(type="call", call=call, namespace=namespace, name=name, args=args)

        def results() -> list[Heard]:
            found = [data for op, data, _ in self.notifications() if op == "function-call-result"]
            return [data for data in found if data["function_call_id"] == call]

        assert self.front_end.kernel.run_until(lambda: bool(results()), 10), "no result"
        return results()[-1]

    def settle(self) -> None:
        """Wait until the kernel has run what it runs by itself."""
        self.front_end.sync()
        kernel = self.front_end.kernel
        assert kernel.run_until(lambda: not kernel.kernel.scheduler.due)
        self.front_end.sync()

    # -- hearing ---------------------------------------------------------------------------------------------------

    def heard(self, kind: str = "") -> list[Heard]:
        """Return what the kernel has sent to the page, all or one kind; with the `buffers` of its message."""
        found = []
        for message in self.front_end.seen[self._from :]:
            if message["msg_type"] == "comm_msg" and message["content"]["comm_id"] == self.comm_id:
                data = message["content"]["data"]
                if not self.of_widget or data["method"] == "custom":
                    found.append(
                        (data["content"] if self.of_widget else data) | {"buffers": message["buffers"]}
                    )
        return [data for data in found if kind in {"", data["type"]}]

    def notifications(self) -> list[tuple[str, Heard, str]]:
        """Return marimo's notifications that the kernel has sent: type, content, and the page that is left out."""
        heard = self.heard("notification")
        return [(one["op"], json.loads(one["data"]), one["except"]) for one in heard]

    def updates(self) -> list[tuple[str, Any, str]]:
        """Return the values that the page is to show: id, value, and the page that is left out."""
        return [
            (data["ui_element"], data["message"]["value"], but)
            for op, data, but in self.notifications()
            if op == "send-ui-element-message"
        ]

    def forget(self) -> None:
        """Hear only what comes from now on."""
        self._from = len(self.front_end.seen)

    # -- looking ---------------------------------------------------------------------------------------------------

    def html(self, cell: str, output: int = 0) -> str:
        """Return the HTML of a cell's output."""
        shown: str = self.front_end.outputs(cell)[output]["data"]["text/html"]
        return shown

    def out(self, cell: str, output: int = 0) -> str:
        """Return the id in the placeholder of a cell's output."""
        found = re.match(
            r'<div class="mkb-live" data-mkb-kernel="([^"]+)" data-mkb-out="([^"]+)"', self.html(cell, output)
        )
        assert found is not None, self.html(cell, output)
        assert found[1] == self.key
        return found[2]

    def ids(self, cell: str, output: int = 0) -> list[str]:
        """Return the kernel's ids of the elements in a cell's output, in their order."""
        found = re.findall(rf"object-id=\S{{1,6}}{self.key}~([\w-]+)", self.get(cell, output)["html"])
        return list(dict.fromkeys(found))


def widgets(front_end: FrontEnd) -> list[str]:
    """Return the ids of the comms of the widgets with a module that the kernel has opened."""
    opened = [message["content"] for message in front_end.seen if message["msg_type"] == "comm_open"]
    return [content["comm_id"] for content in opened if "_esm" in content["data"].get("state", {})]
