"""What an execute_request says of itself: for a cell or hidden, from which front end, by whom. Pure."""

from __future__ import annotations

from typing import Any

from marimo_kernel_bridge.kernel.cells import Address
from marimo_kernel_bridge.kernel.front_ends import dialect_of
from marimo_kernel_bridge.protocol.names import METADATA_KEY


def is_for_a_cell(content: dict[str, Any]) -> bool:
    """Tell an execute_request that runs a cell from a hidden one, which never touches the graph."""
    silent = content.get("silent", False)
    return not silent and bool(content.get("store_history", True)) and isinstance(content.get("code"), str)


def client_of(parent: dict[str, Any]) -> str | None:
    """Return the name that a client gives itself."""
    ours = (parent.get("metadata") or {}).get(METADATA_KEY)
    client = ours.get("client") if isinstance(ours, dict) else None
    return client if isinstance(client, str) and client else None


def wants_outcome(parent: dict[str, Any]) -> bool:
    """Tell whether the kernel is to say unasked what became of a request."""
    ours = (parent.get("metadata") or {}).get(METADATA_KEY)
    return isinstance(ours, dict) and ours.get("outcome") is True


def address_of(parent: dict[str, Any]) -> Address:
    """Return where the outputs of the cell of an execute_request go."""
    metadata, content = parent.get("metadata") or {}, parent["content"]
    dialect = dialect_of(metadata, allow_stdin=content.get("allow_stdin", True), client=client_of(parent))
    return Address(dialect, parent["header"], parent["header"].get("session", ""))


def agent_address(parent: dict[str, Any]) -> Address:
    """Return where the outputs of an agent's own cells go: to its request."""
    return Address("agent", parent["header"], parent["header"].get("session", ""))
