"""Links that add this server to a host when they are opened, for pages and messages."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from marimo_kernel_bridge.mcp_server.hosts.servers import NAME

if TYPE_CHECKING:
    from marimo_kernel_bridge.mcp_server.hosts.names import Linked
    from marimo_kernel_bridge.mcp_server.hosts.servers import Stdio


def link_for(client: Linked, server: Stdio) -> str:
    """Return the link. Cursor takes the entry of its `mcp.json` in base64, VS Code the entry with its name as JSON."""
    entry = {"command": server.command[0], "args": list(server.command[1:])}
    if client == "cursor":
        written = base64.b64encode(json.dumps(entry, separators=(",", ":")).encode()).decode()
        return (
            f"cursor://anysphere.cursor-deeplink/mcp/install?{urlencode({'name': NAME, 'config': written})}"
        )
    named = {"name": NAME, "type": "stdio", **entry}
    return f"vscode:mcp/install?{quote(json.dumps(named, separators=(',', ':')), safe='')}"
