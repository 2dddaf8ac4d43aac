"""The names of the bridge's messages. What is in them is `wire.py`'s, which takes longer to import."""

from __future__ import annotations

from typing import Final

REQUEST: Final = "marimo_bridge_request"
READ_REQUEST: Final = "marimo_bridge_read_request"
"""The same on control, by another name: who watches the kernel's status messages can tell a look from work."""

REPLY: Final = "marimo_bridge_reply"
METADATA_KEY: Final = "marimo_kernel_bridge"
"""Where our fields live in the metadata of Jupyter messages, cells and notebooks."""
