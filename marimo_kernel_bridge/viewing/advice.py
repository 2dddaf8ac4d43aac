"""What to tell a person whose browser may be on another machine than the views.

Addresses of views are of the loopback: a browser elsewhere reaches them through a tunnel only.
"""

from __future__ import annotations

import getpass
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_HUB = ("JUPYTERHUB_SERVICE_PREFIX", "JUPYTERHUB_USER")
_REMOTE = (
    "SSH_CONNECTION",
    "VSCODE_IPC_HOOK_CLI",
    "REMOTE_CONTAINERS",
    "CODESPACES",
    "KUBERNETES_SERVICE_HOST",
)


def advice(port: int, environment: Mapping[str, str] = os.environ) -> str:
    """Return how to reach a port of this machine's loopback from elsewhere; empty where nothing says that it is necessary."""
    if any(name in environment for name in _HUB):
        return (
            f"The data is on the hub's machine: forward its port {port} to the same port of yours, with "
            f"`{_tunnel(port)}` if you may log in there. Addresses of jupyter-server-proxy do not work, because the page takes "
            "requests for its own address only."
        )
    if any(name in environment for name in _REMOTE):
        return f"If your browser is on another machine, forward the port to the same port there: `{_tunnel(port)}`."
    return ""


def _tunnel(port: int) -> str:
    return f"ssh -L {port}:127.0.0.1:{port} {_user()}@{socket.gethostname()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without a name, as in containers
        return "USER"
