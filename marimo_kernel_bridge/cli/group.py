"""What all commands share: their group, examples in help texts, and how a refused request is printed.

A refused request (`BridgeError`) is one line on stderr and exit code 1, or 2 for wrong usage.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from marimo_kernel_bridge.cli.terminal import echo
from marimo_kernel_bridge.errors import BridgeError, WrongUsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

REFUSED: Final = 1
WRONG_USAGE: Final = 2


class CommandGroup(click.Group):
    """A group that lists its commands in the order in which they were added and prints a refused request as one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:  # click's signature
        try:
            return super().invoke(ctx)
        except BridgeError as error:
            echo(f"marimo-kernel-bridge: {error}", err=True)
            ctx.exit(WRONG_USAGE if isinstance(error, WrongUsageError) else REFUSED)


@contextmanager
def refusal_reported(*, as_json: bool) -> Iterator[None]:
    """Also print a refused request as JSON if the command reports in JSON."""
    try:
        yield
    except BridgeError as error:
        if as_json:
            echo(json.dumps({"refused": error.message, "code": error.code, "hint": error.hint}, indent=2))
        raise


def examples(*lines: str) -> str:
    """Return an epilog of examples that click does not rewrap."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
