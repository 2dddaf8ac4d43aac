"""What a front end in tests gets for a request, whichever way its messages come."""

from dataclasses import dataclass, field
from typing import Any

from marimo_kernel_bridge.protocol.output_log import OUTPUT_TYPES, OutputLog
from marimo_kernel_bridge.protocol.output_text import shown_text


@dataclass
class Reply:
    """The answer to a request, once it is idle, and the iopub messages until then, oldest first."""

    msg_id: str
    content: dict[str, Any]
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return bool(self.content["status"] == "ok")

    @property
    def text(self) -> str:
        """What a person sees that is addressed to this very request."""
        log = OutputLog()
        for message in self.messages:
            if message["parent_header"].get("msg_id") == self.msg_id and message["msg_type"] in OUTPUT_TYPES:
                log.apply(message["msg_type"], message["content"])
        return as_text(log)


def as_text(log: OutputLog) -> str:
    """Outputs as one text: streams, plain text of displays and results, `Name: value` of errors."""
    return shown_text(log.outputs()).strip()
