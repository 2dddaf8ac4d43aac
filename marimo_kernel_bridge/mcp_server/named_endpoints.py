"""The endpoint that the arguments of `connect_to_kernel` name, what permission joining it needs, and which notebook it has."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from marimo_kernel_bridge.client.jupyter_server import JupyterServer, ServerKernel
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.sessions.called import the_session_called
from marimo_kernel_bridge.launch.sessions.registry import Registry
from marimo_kernel_bridge.mcp_server.views.own_places import is_within

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.endpoint import Endpoint
    from marimo_kernel_bridge.mcp_server.tool import Arguments, Tier


async def endpoint_of(
    connection_file: str | None = None,
    notebook: str | None = None,
    server_url: str | None = None,
    token: str | None = None,
) -> Endpoint:
    """Return the endpoint that arguments name. Raises `BridgeError`."""
    from marimo_kernel_bridge.client.connection import read_connection  # noqa: PLC0415  # a server starts without it
    from marimo_kernel_bridge.client.marimo_editor.host import NOTEBOOK_ID, notebook_called  # noqa: PLC0415  # likewise

    if connection_file is not None and notebook is not None:
        raise BridgeError(
            "bad_request", "Give one of connection_file and notebook.", "list_kernels has both."
        )
    in_marimo = server_url or (connection_file or "" if NOTEBOOK_ID.match(connection_file or "") else "")
    if in_marimo and (found := await notebook_called(in_marimo)) is not None:
        return found
    if server_url is not None:
        server = JupyterServer.at(server_url, token)
        if notebook is None and connection_file is None:
            notebook = server.notebook
        if notebook is not None:
            kernel_id, path = await server.kernel_of_notebook(notebook)
            return ServerKernel(server, kernel_id, path)
        return ServerKernel(server, connection_file or await server.only_kernel())
    if token is not None:
        raise BridgeError("bad_request", "A token is for a server: server_url is missing.", "")
    if notebook is not None:
        return await _of_notebook(notebook)
    if connection_file is None:
        raise BridgeError(
            "bad_request", "Which kernel? Give connection_file or notebook.", "list_kernels shows them."
        )
    return read_connection(connection_file)


def needed_for(arguments: Arguments) -> Tier:
    """Return read for kernels and servers that the person has on this machine or configured, run for any other address.

    And run for connection files elsewhere than Jupyter and the server are, which are not looked at: whether there is one,
    and what is in it, is not for who may only read.
    """
    from marimo_kernel_bridge.client.connection import candidates, locate, read_connection, runtime_dir  # noqa: PLC0415  # a server starts without it
    from marimo_kernel_bridge.client.discovery import runs_here  # noqa: PLC0415  # urllib is slow to import

    url, file = arguments.get("server_url"), arguments.get("connection_file")
    try:
        if url is not None:
            server = JupyterServer.at(url, arguments.get("token"))
            return "read" if server.configured or runs_here(server) else "run"
        if file is None:
            return "read"
        known = [runtime_dir(), Path.cwd()]
        places = candidates(file) if "/" in file or os.sep in file else [locate(file)]
        if not all(is_within(Path(os.path.realpath(place)), known) for place in places):
            return "run"
        return "read" if read_connection(file).expected else "run"
    except BridgeError:  # the call itself says why
        return "read"


async def _of_notebook(notebook: str) -> Endpoint:
    """Return the kernel of a notebook, in Jupyter or in marimo's own editor. Raises `BridgeError`."""
    from marimo_kernel_bridge.client.connection import read_connection  # noqa: PLC0415  # a server starts without it
    from marimo_kernel_bridge.client.discovery import connection_file_of  # noqa: PLC0415  # urllib is slow to import
    from marimo_kernel_bridge.client.marimo_editor.host import how_to_join, notebook_called  # noqa: PLC0415  # likewise

    try:
        return read_connection(await connection_file_of(notebook))
    except BridgeError as refusal:
        if refusal.code != "no_such_notebook":
            raise
        session = await asyncio.to_thread(the_session_called, Registry(), notebook)
        if session is not None and session.kernel is not None and session.state == "active":
            return read_connection(session.kernel.connection_file)
        if (found := await notebook_called(notebook)) is not None:
            return found
        hint = how_to_join(notebook)
        raise BridgeError(refusal.code, refusal.message, f"{refusal.hint} {hint}".strip()) from None


async def notebook_of(endpoint: Endpoint) -> str | None:
    """Return the path of the notebook of a kernel, if it is known."""
    from marimo_kernel_bridge.client.connection import Connection  # noqa: PLC0415  # a server starts without it

    if isinstance(endpoint, ServerKernel):
        return endpoint.notebook
    if not isinstance(endpoint, Connection):
        return endpoint.path
    from marimo_kernel_bridge.client.discovery import notebooks_by_kernel  # noqa: PLC0415  # urllib is slow to import

    return (await notebooks_by_kernel()).get(endpoint.kernel_id)
