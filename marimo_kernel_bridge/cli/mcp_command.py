"""The command `mcp`: serve agents, or configure an MCP client."""

from __future__ import annotations

import gc
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click
from click.core import ParameterSource

from marimo_kernel_bridge.cli.ceilings import ceiling_options
from marimo_kernel_bridge.cli.group import examples
from marimo_kernel_bridge.cli.plugins import loaded, named, plugin_option
from marimo_kernel_bridge.cli.terminal import echo
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.hosts.names import CLIENTS, LINKED
from marimo_kernel_bridge.protocol.permissions import TIERS

if TYPE_CHECKING:
    from marimo_kernel_bridge.cli.ceilings import CeilingOptions
    from marimo_kernel_bridge.mcp_server.hosts.names import Client, Linked
    from marimo_kernel_bridge.mcp_server.sessions.ceilings import Ceilings
    from marimo_kernel_bridge.mcp_server.tool import Tier

_SERVE: Final = ("marimo-kernel-bridge", "mcp", "--http")
_NO_SOCKETS: Final = "Clients connect by Unix sockets, which this system lacks"
_TIER: Final = click.Choice(TIERS)
_MCP_CLIENT: Final = click.Choice(CLIENTS)


@click.command(
    epilog=examples(
        "marimo-kernel-bridge mcp --install claude-code",
        "marimo-kernel-bridge mcp --print-config cursor",
        "marimo-kernel-bridge mcp --http",
        "marimo-kernel-bridge mcp --http --print-config vscode",
    )
)
@click.option(
    "--http",
    is_flag=True,
    help="Serve many clients, until you end it: by --connect, or over streamable HTTP.",
)
@click.option(
    "--connect", is_flag=True, help="Join stdin and stdout to your running server; what --http configures."
)
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="The port; 0 for any free one.  [default: one of your own]"
)
@click.option("--allow-remote", is_flag=True, help="Accept a --host that other machines can reach.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="Use the token in this file, and keep it; made if missing.  [default: a new token at each start]",
)
@click.option(
    "--allow",
    type=_TIER,
    default="run",
    show_default=True,
    help="What agents may do. Each value includes those before it: read; propose changes; edit cells, which run only "
    "when you run them; run code outside of the notebook's cells; run cells; start and stop kernels, and install packages "
    "without asking you.",
)
@click.option(
    "--notebooks",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The folder of notebooks that agents create, unless they name one.  [default: the working directory]",
)
@plugin_option
@ceiling_options
@click.option("--print-config", type=_MCP_CLIENT, help="Print the configuration for this client and exit.")
@click.option(
    "--print-link",
    type=click.Choice(LINKED),
    help="Print the link that adds the server, and exit.",
)
@click.option(
    "--install",
    "install_in",
    type=_MCP_CLIENT,
    help="Add the server to this client and exit; to Claude Code with the skill that teaches the reactive rules.",
)
@click.option(
    "--uninstall", "uninstall_from", type=_MCP_CLIENT, help="Take the server away from this client and exit."
)
def mcp(
    *,
    http: bool,
    connect: bool,
    host: str | None,
    port: int | None,
    allow_remote: bool,
    token_file: Path | None,
    allow: Tier,
    notebooks: Path | None,
    plugins: tuple[str, ...],
    ceilings: CeilingOptions,
    print_config: Client | None,
    print_link: Linked | None,
    install_in: Client | None,
    uninstall_from: Client | None,
) -> None:
    """Serve agents over MCP, on stdin and stdout or over HTTP.

    An MCP host (Claude Code, Codex, Cursor, VS Code, ...) starts this. The agent then finds your running
    kernels and joins the one you name.
    """
    if not http and (host is not None or allow_remote or token_file is not None):
        raise click.UsageError("--host, --allow-remote and --token-file need --http.")
    _require_sense(port, http=http, connect=connect, bounded=bool(ceilings.arguments()))
    configured = [option for option in (print_config, print_link, install_in, uninstall_from) if option]
    if len(configured) > 1 or (http and connect):
        raise click.UsageError(
            "Give one of --print-config, --print-link, --install and --uninstall, and one of --http and --connect."
        )
    arguments = (*_permission(allow), *_folder(notebooks), *ceilings.arguments(), *named(plugins))
    if configured and not uninstall_from and (http or connect):
        _require_usable(host, port)
        arguments = ("--connect", *_on_port(port))
    if configured:
        from marimo_kernel_bridge.cli.mcp_hosts import configure  # noqa: PLC0415  # only for these options

        configure(arguments, print_config, print_link, install_in, uninstall_from)
        if print_config and http:
            others = [
                *_on_port(port),
                *_permission(allow),
                *_folder(notebooks),
                *named(plugins),
                *ceilings.arguments(),
                *(["--allow-remote"] if allow_remote else []),
            ]
            others += [] if token_file is None else ["--token-file", str(token_file)]
            started = shlex.join([*_SERVE, *([] if host is None else ["--host", host]), *others])
            echo(f"Clients do not start this server. Start it first, and let it run: {started}", err=True)
    elif connect:
        _connect(port)
    elif http:
        bounds = ceilings.ceilings(notebooks)
        _serve_http(host, port, allow, bounds, plugins, allow_remote=allow_remote, token_file=token_file)
    else:
        gc.disable()  # during imports, which create no garbage: collections would take a tenth of the start-up time
        from marimo_kernel_bridge.mcp_tools import run_stdio  # noqa: PLC0415  # only for this command

        run_stdio(allow, ceilings.ceilings(notebooks), loaded(plugins))


def _require_sense(port: int | None, *, http: bool, connect: bool, bounded: bool) -> None:
    """Raise for options that would have no effect."""
    if not (http or connect) and port is not None:
        raise click.UsageError("--port needs --http or --connect.")
    if connect and click.get_current_context().get_parameter_source("allow") is not ParameterSource.DEFAULT:
        raise click.UsageError("--allow is the server's: give it to mcp --http.")
    if connect and click.get_current_context().params["plugins"]:
        raise click.UsageError("--plugin is the server's: give it to mcp --http.")
    if connect and bounded:
        raise click.UsageError("Limits and the sandbox are the server's: give them to mcp --http.")


def _permission(allow: Tier) -> tuple[str, ...]:
    return () if allow == "run" else ("--allow", allow)


def _folder(notebooks: Path | None) -> tuple[str, ...]:
    return () if notebooks is None else ("--notebooks", str(notebooks.absolute()))


def _on_port(port: int | None) -> tuple[str, ...]:
    return () if port is None else ("--port", str(port))


def _require_usable(host: str | None, port: int | None) -> None:
    """Raise for a port to which no client should be sent."""
    from marimo_kernel_bridge.mcp_server.transport.address import DEFAULT_HOST, own_port, require_not_foreign  # noqa: PLC0415  # only for this command
    from marimo_kernel_bridge.mcp_server.transport.run_files import HAVE_SOCKETS  # noqa: PLC0415

    if port == 0:
        raise click.UsageError("A client needs the port that the server listens on, not 0.")
    if not HAVE_SOCKETS:
        raise click.UsageError(f"{_NO_SOCKETS}: omit --http.")
    require_not_foreign(host or DEFAULT_HOST, own_port() if port is None else port)


def _connect(port: int | None) -> None:
    from marimo_kernel_bridge.mcp_server.transport.address import own_port  # noqa: PLC0415  # only for this command
    from marimo_kernel_bridge.mcp_server.transport.joining import join  # noqa: PLC0415
    from marimo_kernel_bridge.mcp_server.transport.run_files import HAVE_SOCKETS, run_files  # noqa: PLC0415

    if not HAVE_SOCKETS:
        raise click.UsageError(f"{_NO_SOCKETS}: use the URL and the token that mcp --http names.")
    join(run_files(own_port() if port is None else port), shlex.join([*_SERVE, *_on_port(port)]))


def _serve_http(
    host: str | None,
    port: int | None,
    allow: Tier,
    ceilings: Ceilings,
    plugins: tuple[str, ...],
    *,
    allow_remote: bool,
    token_file: Path | None,
) -> None:
    from marimo_kernel_bridge.mcp_server.transport.address import DEFAULT_HOST, listen, own_port  # noqa: PLC0415  # only for this command
    from marimo_kernel_bridge.mcp_server.transport.http import serve_http  # noqa: PLC0415
    from marimo_kernel_bridge.mcp_server.transport.run_files import run_files  # noqa: PLC0415
    from marimo_kernel_bridge.mcp_server.transport.token import kept_token, new_token  # noqa: PLC0415
    from marimo_kernel_bridge.mcp_tools import answer_beside_threads, build_server  # noqa: PLC0415

    listening = listen(host or DEFAULT_HOST, own_port() if port is None else port, allow_remote=allow_remote)
    files = run_files(listening.port)
    with files.listening() as own:
        token = new_token(files.token) if token_file is None else kept_token(token_file.expanduser())
        if not listening.loopback:
            echo(
                "WARNING: other machines can reach this server. Anyone with the token can run code as you, and the connection "
                "is not encrypted: use a TLS proxy in front of it.",
                err=True,
            )

        def ready() -> None:
            echo(f"Serving MCP at {listening.url} with the token in {token.path}. Press Ctrl-C to stop.")
            if own is None:
                echo("To configure a client, give it this URL, and the token as a bearer token.")
                return
            configured = shlex.join([*_SERVE, *_on_port(None if port is None else listening.port)])
            echo(f"To configure a client: {configured} --print-config CLIENT")

        server = build_server(allow, ceilings=ceilings, plugins=loaded(plugins))
        answer_beside_threads()
        serve_http(server, token, listening, own, ready)


@click.command(
    epilog=examples(
        "marimo-kernel-bridge agents",
        "marimo-kernel-bridge agents pause",
        "marimo-kernel-bridge agents resume penguins.ipynb",
        "marimo-kernel-bridge agents audit",
    )
)
@click.argument("action", type=click.Choice(["list", "pause", "resume", "audit"]), default="list")
@click.argument("notebook", required=False)
def agents(*, action: Literal["list", "pause", "resume", "audit"], notebook: str | None) -> None:
    """Pause agents, or let them go on; check the audit log.

    Without NOTEBOOK the pause is for all notebooks and kernels of yours, and for all tools but those that only read.
    A pause holds until you end it, here or, for one notebook, with `%marimo resume` in it.
    """
    from marimo_kernel_bridge.protocol import pauses  # noqa: PLC0415  # only for this command

    if action == "audit":
        if notebook is not None:
            raise click.UsageError("The audit log is one for all notebooks: omit NOTEBOOK.")
        _check_audit_log()
        return

    listed = pauses.pauses()
    name = pauses.EVERYTHING
    if notebook is not None:
        name = notebook if notebook in listed else pauses.of_notebook(notebook)
    if action == "pause":
        pauses.pause(name)
    elif action == "resume" and not pauses.resume(name):
        echo(f"Agents are not paused: {name}")
    for paused in pauses.pauses():
        echo(f"Agents are paused: {paused}")
    if not pauses.pauses():
        echo("Agents are paused nowhere.")


def _check_audit_log() -> None:
    from marimo_kernel_bridge.mcp_server.safety.audit_log import AuditLog  # noqa: PLC0415  # only for this command

    log = AuditLog()
    try:
        problems = log.problems()
    except OSError as error:
        raise BridgeError(
            "bad_request", f"The audit log {log.path} cannot be read: {error.strerror}.", "Make it readable."
        ) from error
    for problem in problems:
        echo(problem, err=True)
    echo(f"{log.path}: {'lines are missing or changed.' if problems else 'no line is missing or changed.'}")
    if problems:
        raise SystemExit(1)
