"""Plugins of the MCP server on the command line: which are named, and what is said of those that are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from marimo_kernel_bridge.cli.terminal import echo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marimo_kernel_bridge.mcp_server.plugins.loading import Plugins


def plugin_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option `--plugin` to a command, as `plugins`."""
    return click.option(
        "--plugin",
        "plugins",
        multiple=True,
        metavar="DISTRIBUTION",
        help="Also serve the tools of this installed distribution, whose code runs in the server. Repeatable; `[mcp] plugins` in "
        "your configuration names more.",
    )(command)


def named(plugins: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a command line that name plugins."""
    return tuple(word for name in plugins for word in ("--plugin", name))


def loaded(plugins: Sequence[str] = ()) -> Plugins:
    """Load the plugins of the command line and of the user's configuration, and say which are left out. Raises `BridgeError`."""
    from marimo_kernel_bridge.mcp_server.configuration import configuration  # noqa: PLC0415  # only for servers
    from marimo_kernel_bridge.mcp_server.plugins.loading import load  # noqa: PLC0415
    from marimo_kernel_bridge.mcp_tools import NO_PLUGINS, TOOLS  # noqa: PLC0415

    names = (*configuration().mcp.plugins, *plugins)
    if not names:
        return NO_PLUGINS
    found = load(names, TOOLS)
    for left_out in found.left_out:
        echo(f"marimo-kernel-bridge: {left_out}", err=True)
    return found
