"""Messages as they arrive on the shell channel, signed, without sockets."""

from typing import Any

import zmq

from marimo_kernel_bridge.kernel.messaging.jupyter_session import JupyterSession
from marimo_kernel_bridge.kernel.messaging.requests import ReceivedFrames

KEY = b"a key"


def frames_of(msg_type: str, content: Any, metadata: Any = None, **header: Any) -> list[zmq.Frame]:
    """Return the frames of a message that a client with the kernel's key sends."""
    client = JupyterSession(key=KEY)
    message = client.msg(msg_type)
    message["header"] |= header
    message["content"], message["metadata"] = client.pack(content), metadata or {}
    return [zmq.Frame(bytes(part)) for part in client.serialize(message, ident=b"client")]


def received(msg_type: str, content: Any, metadata: Any = None, **header: Any) -> ReceivedFrames:
    """Return a message as the kernel has read it."""
    return JupyterSession(key=KEY).receive(frames_of(msg_type, content, metadata, **header))


def lab_cell(number: int, **header: Any) -> ReceivedFrames:
    """Return JupyterLab's request for a cell."""
    content = {"code": f"x{number} = 1", "silent": False, "store_history": True, "allow_stdin": True}
    return received("execute_request", content, {"cellId": f"c{number}", "deletedCells": []}, **header)
