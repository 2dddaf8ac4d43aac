"""The start of a kernel with bounds: reads them from its arguments, enters the sandbox, and sets the limits.

Runs before the kernel's modules are imported and before there is a second thread. A kernel never starts with less than was
asked: what cannot be held ends the process, with the reason on stderr and, for who started it, beside its black box.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.kernel.limits.resources import hold, hold_outside, most_processes, no_cores
from marimo_kernel_bridge.protocol.bounds import Bounds, Sandbox
from marimo_kernel_bridge.protocol.refused_starts import note_refusal
from marimo_kernel_bridge.protocol.written_bounds import bounds_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.sandbox.prepared import Entered

_OPTIONS: Final = frozenset({"--limits", "--sandbox"})
_CONNECTION_FILE: Final = frozenset(
    {"-f", "--f", "--IPKernelApp.connection_file", "--MarimoKernelApp.connection_file"}
)


def bounded(
    arguments: Sequence[str],
    options: Sequence[str],
    *,
    forked: bool,
    entered: Entered | None = None,
) -> tuple[list[str], Bounds, Entered | None]:
    """Hold this process to the bounds in a kernel's arguments; return the other arguments, the bounds, and the sandbox.

    `options` are the arguments that ask for bounds, or might be meant to. `entered` is the sandbox that the process is in already; `forked`: a pool has forked it. Ends the process if a bound cannot be
    held.
    """
    outside: frozenset[str] = frozenset()
    try:
        require_known(options)
        rest, bounds = taken(arguments)
        if bounds.sandbox is not None and entered is None:
            from marimo_kernel_bridge.sandbox.entering import enter  # noqa: PLC0415  # kernels in a sandbox only

            require_within(bounds.sandbox)
            if bounds.sandbox.engine not in {"podman", "docker"}:  # which count by themselves
                outside = hold_outside(bounds.limits)
            file = connection_file_of(rest)
            if file is None:
                rest += ["-f", file := _new_connection_file()]
            entered = enter(bounds.sandbox, bounds.limits, file, forked=forked)
        if entered is not None:
            no_cores()
            if entered.user_namespace and bounds.limits.processes is None:
                most_processes()
        hold(
            bounds.limits,
            held=outside if entered is None else outside | entered.holds,
            own_users=entered is not None and entered.user_namespace,
            grouped=entered is not None,
        )
    except BridgeError as refusal:
        note_refusal(connection_file_of(arguments), refusal)
        sys.stderr.write(f"The kernel was not started: [{refusal.code}] {refusal}\n")
        raise SystemExit(1) from None
    return rest, bounds, entered


def require_within(sandbox: Sandbox) -> None:
    """Raise `BridgeError` not_allowed if this process is not where its sandbox wants it: who started it saw a path, not what is there now."""
    here = Path(os.getcwd())  # noqa: PTH109  # as the system has it, without links
    outside = [folder for folder in sandbox.within if not here.is_relative_to(os.path.realpath(folder))]
    if outside:
        raise BridgeError("not_allowed", f"{here} is not in {', '.join(outside)}; nothing was started.")


def require_known(options: Sequence[str]) -> None:
    """Raise `BridgeError` bad_request for an option that is mistyped: ipykernel ignores what it does not know."""
    for option in options:
        name = option.partition("=")[0]
        if name not in _OPTIONS:
            raise BridgeError(
                "bad_request", f"The kernel has no option {name[:100]!r}.", "Is --limits or --sandbox meant?"
            )


def taken(arguments: Sequence[str]) -> tuple[list[str], Bounds]:
    """Return the arguments that are no bounds, and the strictest of those that are. Raises `BridgeError`: bad_request."""
    rest: list[str] = []
    bounds = Bounds()
    remaining = iter(arguments)
    for argument in remaining:
        option, has_value, text = argument.partition("=")
        if option not in _OPTIONS:
            rest.append(argument)
            continue
        if not has_value:
            text = next(remaining, "")
        if not text.strip():
            raise BridgeError("bad_request", f"{option} has no value.", "Omit it for a kernel without.")
        bounds = bounds.stricter(bounds_of(**{option.removeprefix("--"): text}))
    return rest, bounds


def connection_file_of(arguments: Sequence[str]) -> str | None:
    """Return the connection file that a kernel's arguments name, None if they name none."""
    found = None
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        option, has_value, text = argument.partition("=")
        if option in _CONNECTION_FILE and (has_value or following):
            found = text if has_value else following
    return found


def _new_connection_file() -> str:
    """Return the path that ipykernel gives a connection file which nobody has named."""
    from jupyter_core.paths import jupyter_runtime_dir  # noqa: PLC0415  # kernels that are started by hand

    return str(Path(jupyter_runtime_dir(), f"kernel-{os.getpid()}.json"))
