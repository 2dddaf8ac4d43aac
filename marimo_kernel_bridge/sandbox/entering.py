"""A kernel enters its sandbox: the engine is chosen, its sockets are opened, and what is left of the process is confined."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.checkpoints.places import folder_of_sandbox
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.own_python import module_command
from marimo_kernel_bridge.sandbox import bubblewrap, environment, files, handed_sockets, light, own_places
from marimo_kernel_bridge.sandbox.engines import engine_for
from marimo_kernel_bridge.sandbox.supervising import supervise
from marimo_kernel_bridge.sandbox.variables import cleaned, leave_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marimo_kernel_bridge.protocol.bounds import Limits, Sandbox
    from marimo_kernel_bridge.sandbox.own_places import OwnPlaces
    from marimo_kernel_bridge.sandbox.proxy import Outside


_TEMPORARY: Final = 1_000_000_000
_HELD: Final = frozenset({"temporary"})
"""The limits that the engines hold: the size of the file systems in memory."""


@dataclass(frozen=True)
class Entered:
    """What a confined process goes on with. `sockets`: the descriptors that listen, by their ports."""

    sockets: Mapping[int, int] = field(default_factory=dict)
    user_namespace: bool = True
    """Whether the processes of this kernel are counted apart from the user's others."""
    holds: frozenset[str] = frozenset()
    """Names of the limits that the engine holds."""


def enter(sandbox: Sandbox, limits: Limits | None, connection_file: str, *, forked: bool = False) -> Entered:
    """Confine this process, in which no thread has been started; or replace it by an engine's program.

    `forked`: it is the child of a pool, which cannot execute itself anew. Raises `BridgeError`: sandbox_unavailable.
    """
    engine = engine_for(sandbox)
    if engine == "light" and not forked:
        leave_secrets(sandbox.environment)
    folder = os.getcwd()  # noqa: PTH109
    path = os.path.abspath(connection_file)  # noqa: PTH100
    try:
        connection = handed_sockets.connection_in(path)
        own = own_places.make(path, folder_of_sandbox(sandbox.key, folder))
        access = files.access(sandbox, folder, own)
        _require_here(sandbox, access)
        handed = handed_sockets.listening(connection, isolated=sandbox.network != "all")
    except OSError as error:
        raise BridgeError(
            "sandbox_unavailable", f"The kernel cannot listen: {error}; nothing was started."
        ) from error
    temporary = _temporary(limits)
    connects = handed.accept_only
    proxy = _proxy(sandbox, own)
    if engine == "light":
        light.enter(sandbox, own, access, folder, temporary, connects=connects, proxy=proxy)
        return Entered(handed.sockets, holds=_HELD)
    prepared = {
        "home": own.home,
        "variables": environment.inside(own, home=sandbox.files != "read") | {"JPY_PARENT_PID": None},
        "sockets": {str(port): descriptor for port, descriptor in handed.sockets.items()},
        "connects": connects,
        "proxy": None if proxy is None else [proxy.connection, proxy.port],
        "holds": sorted(_HELD),
        "places": [(place.path, place.device, place.number) for place in access.looked_at],
    }
    handed_sockets.set_inherited(handed.sockets.values(), inherited=True)
    if proxy is not None:
        handed_sockets.set_inherited([proxy.connection], inherited=True)
    inner = module_command("sandboxed-kernel", json.dumps(prepared), *_arguments(connection_file, path))
    return supervise(
        bubblewrap.command(sandbox, own, access, folder, inner, temporary=temporary),
        cleaned(os.environ, sandbox.environment),
        leaving=[*handed.sockets.values(), *([] if proxy is None else [proxy.connection])],
        dies_with_parent="JPY_PARENT_PID" in os.environ,
    )


def _proxy(sandbox: Sandbox, own: OwnPlaces) -> Outside | None:
    """Start what connects to the hosts of a list, outside. Raises `BridgeError`: sandbox_unavailable."""
    if isinstance(sandbox.network, str) or not sandbox.network:
        return None
    from marimo_kernel_bridge.sandbox.proxy import start  # noqa: PLC0415  # lists of hosts only

    try:
        return start(sandbox.network, Path(own.data, "marimo_kernel_bridge", "network.jsonl"))
    except OSError as error:
        raise BridgeError(
            "sandbox_unavailable", f"The proxy to its hosts cannot be started: {error}; nothing was started."
        ) from error


def _require_here(sandbox: Sandbox, access: files.Access) -> None:
    """Check that the folder that was looked at is the one that this process works in. Raises `BridgeError`."""
    here = os.stat(".")  # noqa: PTH116  # not by its path
    if sandbox.files != "none" and (here.st_dev, here.st_ino) != (
        access.looked_at[0].device,
        access.looked_at[0].number,
    ):
        raise BridgeError(
            "sandbox_unavailable", "The notebook's folder was replaced meanwhile; nothing was started."
        )


def _temporary(limits: Limits | None) -> int:
    """Return how much memory files may take: as much as is given, else half of the limit of memory, or a gigabyte."""
    if limits is not None and limits.temporary is not None:
        return limits.temporary
    return _TEMPORARY if limits is None or limits.memory is None else limits.memory // 2


def _arguments(connection_file: str, path: str) -> list[str]:
    """Return the arguments of this kernel, with the whole path of its connection file."""
    given = sys.argv[2:]
    if not any(argument.endswith(connection_file) for argument in given):
        return [*given, "-f", path]
    return [
        argument.removesuffix(connection_file) + path if argument.endswith(connection_file) else argument
        for argument in given
    ]
