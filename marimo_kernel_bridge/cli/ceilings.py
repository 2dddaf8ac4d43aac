"""The options of `mcp` by which a person bounds what kernels of agents may have."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from marimo_kernel_bridge.protocol.written_bounds import bounds_of, limits_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from marimo_kernel_bridge.mcp_server.sessions.ceilings import Ceilings
    from marimo_kernel_bridge.protocol.bounds import Bounds

MOST_SESSIONS: Final = 100
"""How many kernels agents have at most whose code is in a sandbox, where the person says nothing: what docs/scale.md has measured on two processors."""
_OPTIONS = (
    click.option(
        "--max-sessions",
        type=click.IntRange(min=1),
        help=f"How many kernels agents may have at one time; with --sandbox {MOST_SESSIONS}, if not given.",
    ),
    click.option("--max-memory", metavar="SIZE", help="How much memory each of these may use, such as 2GB."),
    click.option(
        "--limits", metavar="LIMITS", help="What else each may use: cell_seconds=5m,processes=64 or JSON."
    ),
    click.option(
        "--sandbox",
        metavar="[SANDBOX]",
        is_flag=False,
        flag_value="strict",
        help="Run code of agents only in a sandbox, in kernels that they start: strict, network=all,files=read or JSON.",
    ),
)


@dataclass(frozen=True)
class CeilingOptions:
    """The options as they were given."""

    max_sessions: int | None
    bounds: Bounds

    def arguments(self) -> tuple[str, ...]:
        """Return the options for a command line."""
        sessions = () if self.max_sessions is None else ("--max-sessions", str(self.max_sessions))
        return (*sessions, *self.bounds.arguments())

    def ceilings(self, folder: Path | None) -> Ceilings:
        """Return the ceilings of a server whose notebooks go to a folder."""
        from marimo_kernel_bridge.mcp_server.sessions.ceilings import Ceilings  # noqa: PLC0415  # only for this command

        unsaid = None if self.bounds.sandbox is None else MOST_SESSIONS
        return Ceilings(self.bounds, folder, self.max_sessions or unsaid)


def ceiling_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which gets them as its argument `ceilings`. Raises `BridgeError` bad_request as it runs."""

    @functools.wraps(command)
    def with_ceilings(
        *,
        max_sessions: int | None,
        max_memory: str | None,
        limits: str | None,
        sandbox: str | None,
        **arguments: Any,
    ) -> Any:
        bounds = bounds_of({"memory": max_memory}, sandbox)
        both = type(bounds)(bounds.limits.stricter(limits_of(limits)), bounds.sandbox)
        return command(ceilings=CeilingOptions(max_sessions, both), **arguments)

    for option in reversed(_OPTIONS):
        with_ceilings = option(with_ceilings)
    return with_ceilings
