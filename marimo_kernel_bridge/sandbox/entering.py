"""A kernel enters its sandbox: the engine is chosen, its sockets are opened, and what is left of the process is confined."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marimo_kernel_bridge.checkpoints.store import folder_of_sandbox
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.sandbox import environment, files, handed_sockets, light, own_places
from marimo_kernel_bridge.sandbox.engines import engine_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marimo_kernel_bridge.protocol.bounds import Limits, Sandbox


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
    engine_for(sandbox)
    if not forked:
        _without_secrets(sandbox)
    folder = os.getcwd()  # noqa: PTH109
    path = os.path.abspath(connection_file)  # noqa: PTH100
    try:
        connection = handed_sockets.connection_in(path)
        checkpoints = folder_of_sandbox(sandbox.key, folder)
        own = own_places.make(path, checkpoints)
        access = files.access(sandbox, folder, own)
        isolated = sandbox.network != "all"
        handed = handed_sockets.listening(connection, isolated=isolated)
    except OSError as error:
        raise BridgeError(
            "sandbox_unavailable", f"The kernel cannot listen: {error}; nothing was started."
        ) from error
    temporary = None if limits is None else limits.temporary
    light.enter(
        sandbox,
        own,
        access,
        folder,
        temporary,
        connects=handed.accept_only,
        outside=_nothing_outside,
    )
    return Entered(handed.sockets, holds=frozenset({"temporary"}))


def _without_secrets(sandbox: Sandbox) -> None:
    """Execute this program anew if its environment has more than goes into the sandbox: the rest stays in its memory."""
    kept = environment.cleaned(os.environ, sandbox.environment)
    if kept != dict(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], kept)  # noqa: S606  # this program


def _nothing_outside() -> Callable[[], None]:
    return lambda: None
