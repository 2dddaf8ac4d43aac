"""The options of `mcp` that configure a host instead of serving it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.cli.terminal import echo
from marimo_kernel_bridge.mcp_server.hosts.installing import config_for, install, uninstall
from marimo_kernel_bridge.mcp_server.hosts.links import link_for
from marimo_kernel_bridge.mcp_server.hosts.servers import our_command
from marimo_kernel_bridge.mcp_server.hosts.skill import install_skill, uninstall_skill

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.mcp_server.hosts.names import Client, Linked

_WITH_SKILL = "claude-code"


def configure(
    arguments: Sequence[str],
    print_config: Client | None = None,
    print_link: Linked | None = None,
    install_in: Client | None = None,
    uninstall_from: Client | None = None,
) -> None:
    """Do what one of the options says. `arguments` are those with which the host starts `mcp`. Raises `BridgeError`."""
    server = our_command(*arguments)
    if uninstall_from:
        echo(uninstall(uninstall_from))
        if uninstall_from == _WITH_SKILL:
            echo(uninstall_skill())
    elif install_in:
        echo(install(install_in, server))
        if install_in == _WITH_SKILL:
            echo(install_skill())
    elif print_link:
        echo(link_for(print_link, server))
    elif print_config:
        config = config_for(print_config, server)
        echo(config.where, err=True)
        echo(config.text)
