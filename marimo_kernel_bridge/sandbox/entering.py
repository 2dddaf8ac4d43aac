"""A kernel enters its sandbox: the engine is chosen, its sockets are opened, and what is left of the process is confined."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace as replace_struct

from marimo_kernel_bridge import __version__
from marimo_kernel_bridge.checkpoints.places import folder_of_sandbox
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.black_box import this_process
from marimo_kernel_bridge.protocol.own_python import module_command
from marimo_kernel_bridge.sandbox import (
    environment,
    files,
    handed_sockets,
    light,
    own_places,
    placeholders,
)
from marimo_kernel_bridge.sandbox.engines import engine_for
from marimo_kernel_bridge.sandbox.placeholders import Placeholders
from marimo_kernel_bridge.sandbox.prepared import Entered, Found, Prepared
from marimo_kernel_bridge.sandbox.supervising import supervise
from marimo_kernel_bridge.sandbox.variables import cleaned, leave_secrets

if TYPE_CHECKING:
    from typing import NoReturn

    from marimo_kernel_bridge.protocol.bounds import Limits, Sandbox
    from marimo_kernel_bridge.sandbox.engines import Engine
    from marimo_kernel_bridge.sandbox.own_places import OwnPlaces
    from marimo_kernel_bridge.sandbox.proxy import Outside


_TEMPORARY: Final = 1_000_000_000
_HELD: Final = frozenset({"temporary"})
"""The limits that the engines hold: the size of the file systems in memory."""


def enter(sandbox: Sandbox, limits: Limits | None, connection_file: str, *, forked: bool = False) -> Entered:
    """Confine this process, in which no thread has been started: return in what becomes the kernel, or replace it by an engine's program.

    `forked`: it is the child of a pool, which cannot execute itself again. Raises `BridgeError`: sandbox_unavailable.
    """
    engine = engine_for(sandbox)
    if engine == "light" and not forked:
        leave_secrets(sandbox.environment)
    folder = os.getcwd()  # noqa: PTH109
    path = os.path.abspath(connection_file)  # noqa: PTH100
    held = Placeholders()
    try:
        connection = handed_sockets.connection_in(path)
        own = own_places.make(path, folder_of_sandbox(sandbox.key, folder), packages=sandbox.packages)
        access = files.access(sandbox, folder, own)
        _require_here(sandbox, access)
        if engine != "light":
            _require_no_links(access, engine if isinstance(engine, str) else engine.engine)
        held = placeholders.put(access.names_to_hold())
        access = access.and_kept(held.paths)
        handed = _listening(connection, isolated=sandbox.network != "all")
        return _in_engine(
            engine,
            sandbox,
            limits,
            _Outside(own, access, folder, connection_file, handed, held),
            forked=forked,
        )
    except OSError as error:
        held.give_back()
        raise BridgeError(
            "sandbox_unavailable", f"The sandbox cannot be made here: {error}; nothing was started."
        ) from error
    except BaseException:
        held.give_back()
        raise


def _listening(connection: dict[str, Any], *, isolated: bool) -> handed_sockets.Handed:
    try:
        return handed_sockets.listening(connection, isolated=isolated)
    except OSError as error:
        raise BridgeError(
            "sandbox_unavailable", f"The kernel cannot listen: {error}; nothing was started."
        ) from error


@dataclass(frozen=True)
class _Outside:
    """What a sandbox is made of: places, files, the working directory, the connection file, sockets, and names that are kept."""

    own: OwnPlaces
    access: files.Access
    folder: str
    connection_file: str
    handed: handed_sockets.Handed
    held: Placeholders

    def descriptors(self, proxy: Outside | None) -> list[int]:
        """Return what the kernel gets: its sockets, and the connection to its proxy."""
        return [*self.handed.sockets.values(), *([] if proxy is None else [proxy.connection])]


def _in_engine(
    engine: Engine | Found, sandbox: Sandbox, limits: Limits | None, outside: _Outside, *, forked: bool
) -> Entered:
    """Return in the kernel, in the sandbox. This process never returns."""
    dies_with_parent = not forked and "JPY_PARENT_PID" in os.environ
    if isinstance(engine, Found):
        return _in_container(engine, sandbox, limits, outside, dies_with_parent=dies_with_parent)
    temporary, proxy = _temporary(limits), _proxy(sandbox, outside.own)
    variables = environment.inside(outside.own, home=sandbox.files != "read")
    if engine == "light":
        process = this_process()
        light.enter(
            sandbox,
            outside.own,
            outside.access,
            outside.folder,
            temporary,
            variables=variables,
            connects=outside.handed.accept_only,
            proxy=proxy,
            keeps=None if forked else outside.descriptors(proxy),
            held=outside.held,
            dies_with_parent=dies_with_parent,
        )
        return Entered(outside.handed.sockets, holds=_HELD, process=process)
    from marimo_kernel_bridge.sandbox import bubblewrap  # noqa: PLC0415  # a module is time before the kernel's start

    prepared = _prepared(outside.own, outside, proxy, variables=variables)
    descriptors = outside.descriptors(proxy)
    handed_sockets.set_inherited(descriptors, inherited=True)
    path = os.path.abspath(outside.connection_file)  # noqa: PTH100
    inner = module_command(*_inside(prepared, outside.connection_file, path))
    return supervise(
        bubblewrap.command(sandbox, outside.own, outside.access, outside.folder, inner, temporary=temporary),
        cleaned(os.environ, sandbox.environment),
        leaving=descriptors,
        dies_with_parent=dies_with_parent,
        at_end=outside.held.give_back,
    )


def _in_container(
    engine: Found, sandbox: Sandbox, limits: Limits | None, outside: _Outside, *, dies_with_parent: bool
) -> NoReturn:
    from marimo_kernel_bridge.sandbox import containers  # noqa: PLC0415  # a module is time before the kernel's start

    own = replace(outside.own, home=containers.HOME)
    held = containers.limits_of(engine, limits)
    proxy = _proxy(sandbox, own)
    prepared = replace_struct(
        _prepared(own, outside, proxy, variables=environment.inside(own, home=True)),
        sent=True,
        own_users=engine.maps_users,
        holds=tuple(sorted(_HELD | ({"processes"} & held.keys() if "pids" in engine.counts else set()))),
    )
    path = os.path.realpath(outside.connection_file)  # where it is mounted
    made = partial(
        containers.command,
        engine,
        sandbox,
        own,
        outside.access,
        outside.folder,
        inner=_inside(prepared, outside.connection_file, path),
        temporary=_temporary(limits),
        limits=held,
    )
    containers.run(
        engine,
        made,
        containers.variables_of(os.environ, sandbox.environment),
        outside.descriptors(proxy),
        dies_with_parent=dies_with_parent,
        at_end=outside.held.give_back,
    )


def _prepared(
    own: OwnPlaces, outside: _Outside, proxy: Outside | None, *, variables: dict[str, str | None]
) -> Prepared:
    return Prepared(
        version=__version__,
        home=own.home,
        variables=variables,
        sockets={str(port): descriptor for port, descriptor in outside.handed.sockets.items()},
        connects=outside.handed.accept_only,
        proxy=None if proxy is None else (proxy.connection, proxy.port),
        holds=tuple(sorted(_HELD)),
        places=tuple((place.path, place.device, place.number) for place in outside.access.looked_at),
        packages=own.packages,
        process=this_process(),
    )


def _inside(prepared: Prepared, connection_file: str, path: str) -> list[str]:
    """Return the arguments of this package's command line in the sandbox."""
    text = msgspec.json.encode(prepared).decode()
    return ["sandboxed-kernel", text, *_arguments(connection_file, path)]


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


def _require_no_links(access: files.Access, engine: str) -> None:
    """Raise `BridgeError` if a link leads to what others run: these engines mount what it leads to, and code could replace it."""
    if access.links:
        path, said = access.links[0]
        raise BridgeError(
            "sandbox_unavailable",
            f"{path} is a link to {said}. Other programs run or follow it, and code in a sandbox of {engine} could replace it; nothing was started.",
            "Put in its place what it leads to, or take the engine light, which holds links.",
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
