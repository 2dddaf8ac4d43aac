"""Which kernel a call means, by whatever name, and joining it: a client need not connect first.

A kernel is called by its handle, its id, its connection file, its notebook (a path, the end of one, a `file:` URI), its session's
id, or the address of its notebook's page. Without a name it is the one that the client is attached to, else the only one that runs
here. Where several are meant, none is taken: the refusal names them.

Rule 1: joining a kernel so needs what `connect_to_kernel` needs for it.
Rule 2: what ends a kernel, or deletes what is its own, joins only what it names.
Rule 3: a request without a session (`callers`) gets no kernel because of an earlier request, unless no other one could be meant.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.launch.sessions.called import sessions_called
from marimo_kernel_bridge.launch.sessions.entries import is_id
from marimo_kernel_bridge.mcp_server.named_endpoints import endpoint_of, needed_for, notebook_of
from marimo_kernel_bridge.mcp_server.unknown_kernels import none_called, not_said

if TYPE_CHECKING:
    from collections.abc import Callable

    from marimo_kernel_bridge.client.endpoint import Endpoint
    from marimo_kernel_bridge.launch.sessions.entries import Session
    from marimo_kernel_bridge.mcp_server.attached import Attached
    from marimo_kernel_bridge.mcp_server.attachments import Kernels
    from marimo_kernel_bridge.mcp_server.callers import Caller
    from marimo_kernel_bridge.mcp_server.tool import Tier

    Require = Callable[[Tier], None]
    """A function that raises `BridgeError` not_allowed unless the person grants a permission."""

_LONGEST: Final = 4096
_NOTEBOOKS: Final = frozenset({".ipynb", ".py", ".md"})
_LEFT_OUT: Final = frozenset({"", "null", "None", "none"})
"""What models send for an argument that they leave out."""


async def handle_of(
    kernels: Kernels, named: str | None, caller: Caller, require: Require, *, joins: bool = True
) -> str | None:
    """Return the handle of the kernel that a call means, joined if need be.

    None if the call names none and the client is attached to some, or nothing runs: then `Kernels.get` decides. `joins`: whether
    a call without a name joins the only kernel. Raises `BridgeError`: not_connected, not_allowed, and as `connect_to_kernel` does.
    """
    if named is None or named.strip() in _LEFT_OUT:
        return await _only(kernels, caller, require, joins=joins)
    if kernels.attached_as(named, caller.name) is not None:
        return named
    known = await _known(kernels, named, caller)
    if known is not None:
        return known.handle
    if is_id(named):  # the refusal says how to open it
        return named
    endpoint = await _endpoint_called(kernels, named, caller, require)
    return (await joined(kernels, endpoint, caller)).handle


async def _known(kernels: Kernels, named: str, caller: Caller) -> Attached | None:
    """Return the kernel of a session, or one that the client, or an earlier session of it, is or was attached to."""
    sessions = await asyncio.to_thread(_sessions_named, kernels, named)
    active = [session for session in sessions if session.state == "active"]
    if is_id(named) and active:
        return await _join(kernels, active[0], caller)
    if not kernels.of(caller.name) and (before := kernels.handed_on(named, caller.program)) is not None:
        attached = await kernels.connect(before.endpoint, caller.name, named)
        attached.shared = not caller.in_session
        if attached.client.info.session != before.process:  # which the caller does not know
            attached.restarts_told = -1
        return attached
    if (own := _attached_as(kernels, named, caller)) is not None:
        return own
    return await _join(kernels, active[0], caller) if len(active) == 1 else None


async def _endpoint_called(kernels: Kernels, named: str, caller: Caller, require: Require) -> Endpoint:
    """Return the running kernel that a name means. Raises `BridgeError`: not_connected, not_allowed, ..."""
    arguments = _arguments_for(named)
    if arguments is None:
        raise await none_called(kernels, named, caller)
    require(needed_for(arguments))
    try:
        return await endpoint_of(**arguments)
    except BridgeError as refusal:
        if refusal.code not in {"no_such_notebook", "connection_file_missing"}:
            raise
        raise await none_called(kernels, named, caller) from refusal


async def joined(
    kernels: Kernels, endpoint: Endpoint, caller: Caller, *, look_again: bool = False
) -> Attached:
    """Attach a client to a kernel; to that of a session under the session's id.

    `look_again`: for its notebook, which may have another name by now. Raises `BridgeError` as `Kernels.connect` does.
    """
    from marimo_kernel_bridge.client.endpoint import needs_no_secret  # noqa: PLC0415  # a server starts without it

    if (session := await asyncio.to_thread(_session_at, kernels, endpoint.where)) is not None:
        return await _join(kernels, session, caller)
    before = kernels.at(endpoint.where, caller.name)
    hidden = not caller.in_session and not needs_no_secret(endpoint)
    attached = await kernels.connect(endpoint, caller.name, hidden=hidden)
    attached.shared = not caller.in_session
    if attached is not before or look_again:
        attached.notebook = await notebook_of(endpoint)
    return attached


async def only_one(kernels: Kernels, caller: Caller) -> Endpoint:
    """Return the only kernel that runs here. Raises `BridgeError` not_connected."""
    running = await _running(kernels, caller)
    if len(running) == 1:
        return next(iter(running.values()))
    raise await not_said(len(running))


async def _only(kernels: Kernels, caller: Caller, require: Require, *, joins: bool) -> str | None:
    own = kernels.of(caller.name)
    if caller.in_session and own:
        return None
    if not joins:
        if caller.in_session:
            return None
        raise await not_said(len(own))
    running = await _running(kernels, caller)
    if len(running) > 1:
        raise await not_said(len(running))
    if not running:  # one that has ended says so itself
        return own[0].handle if len(own) == 1 and not own[0].hidden else None
    (endpoint,) = running.values()
    if (attached := kernels.at(endpoint.where, caller.name)) is not None:
        return attached.handle
    require(needed_for({"connection_file": endpoint.where} if os.path.isabs(endpoint.where) else {}))  # noqa: PTH117  # else an address
    attached = await joined(kernels, endpoint, caller)
    attached.joined = (
        f"Joined {attached.notebook or endpoint.name}, the only kernel here, as {attached.handle}."
    )
    return attached.handle


async def _running(kernels: Kernels, caller: Caller) -> dict[str, Endpoint]:
    """Return the kernels that a call without a name could mean, by where they are."""
    from marimo_kernel_bridge.client.discovery import running_connections  # noqa: PLC0415  # urllib is slow to import
    from marimo_kernel_bridge.client.marimo_editor.host import running_notebooks  # noqa: PLC0415  # likewise

    files, in_marimo = await asyncio.gather(running_connections(), running_notebooks())
    endpoints: list[Endpoint] = [*files, *in_marimo]
    found = {endpoint.where: endpoint for endpoint in endpoints}
    for attached in kernels.of(caller.name):
        if attached.client.end is None and not attached.hidden:
            found.setdefault(attached.client.connection.where, attached.client.connection)
    return found


def _attached_as(kernels: Kernels, named: str, caller: Caller) -> Attached | None:
    """Return the kernel that a client is attached to and calls by its id, its file or its notebook, if it is exactly one.

    Without a session by a whole path only: the end of one may mean another notebook as well.
    """
    from marimo_kernel_bridge.client.notebook_names import is_called, path_in  # noqa: PLC0415  # a server starts without it

    text = path_in(named)
    if not text or not (caller.in_session or os.path.isabs(text)):  # noqa: PTH117  # it may be too long for a path
        return None
    found = [
        attached
        for attached in kernels.of(caller.name)
        if attached.client.end is None
        and (
            text in _names_of(attached.client.connection)
            or (attached.notebook is not None and is_called(attached.notebook, text))
        )
    ]
    return found[0] if len(found) == 1 and not found[0].hidden else None


def _names_of(endpoint: Endpoint) -> set[str]:
    from marimo_kernel_bridge.client.marimo_editor.host import MarimoNotebook  # noqa: PLC0415  # urllib is slow to import

    own = endpoint.notebook_id if isinstance(endpoint, MarimoNotebook) else endpoint.kernel_id
    return {endpoint.where, endpoint.name, own}


def _arguments_for(named: str) -> dict[str, str] | None:
    """Return the arguments of `connect_to_kernel` that a name stands for; None for what names nothing."""
    from marimo_kernel_bridge.client.connection import runtime_dir  # noqa: PLC0415  # a server starts without it
    from marimo_kernel_bridge.client.marimo_editor.host import NOTEBOOK_ID  # noqa: PLC0415  # urllib is slow to import
    from marimo_kernel_bridge.client.notebook_names import path_in  # noqa: PLC0415  # likewise

    text = path_in(named)
    if not text or "\0" in text or len(text) > _LONGEST:
        return None
    if text.startswith(("http://", "https://")):
        return {"server_url": text}
    if Path(text).suffix in _NOTEBOOKS:
        return {"notebook": text}
    if text.endswith(".json") or NOTEBOOK_ID.match(text):
        return {"connection_file": text}
    if Path(text).name == text:
        names = (f"kernel-{text}.json", f"{text}.json")
        if any(os.path.exists(runtime_dir() / name) for name in names):  # noqa: PTH110  # Path.exists raises for long names
            return {"connection_file": text}
    return {"notebook": text}


def _session_at(kernels: Kernels, where: str) -> Session | None:
    return next(
        (
            session
            for session in kernels.sessions.registry.all()
            if session.kernel is not None
            and os.path.realpath(session.kernel.connection_file) == where
            and session.state == "active"
        ),
        None,
    )


def _sessions_named(kernels: Kernels, named: str) -> list[Session]:
    """Return the sessions that an id or a name means. Paths and their ends may mean other kernels' notebooks as well."""
    name = named.strip()
    found = sessions_called(kernels.sessions.registry, name)
    return [session for session in found if name in {session.id, session.name}]


async def _join(kernels: Kernels, session: Session, caller: Caller) -> Attached:
    attached = await kernels.join(session, caller.name)
    attached.shared = not caller.in_session
    return attached
