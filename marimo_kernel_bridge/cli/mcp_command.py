"""The command `mcp`: serve agents, or configure an MCP client."""

from __future__ import annotations

import gc
import shlex
from typing import TYPE_CHECKING, Final, Literal

import click

from marimo_kernel_bridge.cli.group import examples

if TYPE_CHECKING:
    from marimo_kernel_bridge.mcp_server.hosts import Client
    from marimo_kernel_bridge.mcp_server.tool import Tier

_TIER: Final = click.Choice(["read", "propose", "edit", "scratch", "run", "all"])
_MCP_CLIENT: Final = click.Choice(["claude-code", "claude-desktop", "cursor", "vscode"])


@click.command(
    epilog=examples(
        "marimo-kernel-bridge mcp --install claude-code",
        "marimo-kernel-bridge mcp --print-config cursor",
        "marimo-kernel-bridge mcp --http",
        "marimo-kernel-bridge mcp --http --print-config vscode",
    )
)
@click.option("--http", is_flag=True, help="Serve many clients over streamable HTTP, with a token.")
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0 for any free one.  [default: 27180]")
@click.option("--allow-remote", is_flag=True, help="Accept a --host that other machines can reach.")
@click.option(
    "--allow",
    type=_TIER,
    default="run",
    show_default=True,
    help="What agents may do. Each value includes those before it: read; propose changes; edit cells, which run only "
    "when you run them; run code outside of the notebook's cells; run cells; start and stop kernels, and install packages "
    "without asking you.",
)
@click.option("--print-config", type=_MCP_CLIENT, help="Print the configuration for this client and exit.")
@click.option("--install", "install_in", type=_MCP_CLIENT, help="Add the server to this client and exit.")
def mcp(
    *,
    http: bool,
    host: str | None,
    port: int | None,
    allow_remote: bool,
    allow: Tier,
    print_config: Client | None,
    install_in: Client | None,
) -> None:
    """Serve agents over MCP, on stdin and stdout or over HTTP.

    An MCP host (Claude Code, Claude Desktop, Cursor, VS Code) starts this. The agent then finds your running
    kernels and joins the one you name.
    """
    if not http and (host is not None or port is not None or allow_remote):
        raise click.UsageError("--host, --port and --allow-remote need --http.")
    if print_config and install_in:
        raise click.UsageError("Give one of --print-config and --install.")
    if install_in:
        if http:
            raise click.UsageError("--install is for stdio. For --http, paste the output of --print-config.")
        _install_mcp(install_in, allow)
    elif print_config:
        _print_mcp_config(print_config, allow, http=http, host=host, port=port)
        if http:
            started = _with_options(
                host, port, *_permission(allow), *(["--allow-remote"] if allow_remote else [])
            )
            click.echo(
                f"Clients do not start this server. Start it first, and let it run: {started}", err=True
            )
    elif http:
        _serve_http(host, port, allow, allow_remote=allow_remote)
    else:
        gc.disable()  # during imports, which create no garbage: collections would take a tenth of the start-up time
        from marimo_kernel_bridge.mcp_tools import run_stdio  # noqa: PLC0415  # only for this command

        run_stdio(allow)


def _permission(allow: Tier) -> tuple[str, ...]:
    return () if allow == "run" else ("--allow", allow)


def _with_options(host: str | None, port: int | None, *others: str) -> str:
    """Return the command line that serves over HTTP at an address."""
    options = [*([] if host is None else ["--host", host]), *([] if port is None else ["--port", str(port)])]
    return shlex.join(["marimo-kernel-bridge", "mcp", "--http", *options, *others])


def _install_mcp(client: Client, allow: Tier) -> None:
    from marimo_kernel_bridge.mcp_server.hosts import install, our_command  # noqa: PLC0415  # only for this command

    click.echo(f"Done: {install(client, our_command(*_permission(allow)))}")


def _print_mcp_config(client: Client, allow: Tier, *, http: bool, host: str | None, port: int | None) -> None:
    from marimo_kernel_bridge.mcp_server.hosts import Http, Way, config_for, our_command  # noqa: PLC0415  # only for this command

    way: Way = our_command(*_permission(allow))
    if http:
        from marimo_kernel_bridge.mcp_server.transport.address import DEFAULT_HOST, DEFAULT_PORT, url_of  # noqa: PLC0415
        from marimo_kernel_bridge.mcp_server.transport.token import read_or_make_token  # noqa: PLC0415

        if port == 0:
            raise click.UsageError("A client needs the port that the server listens on, not 0.")
        way = Http(url_of(host or DEFAULT_HOST, port or DEFAULT_PORT), read_or_make_token())
    config = config_for(client, way)
    click.echo(config.where, err=True)
    click.echo(config.text)


def _serve_http(host: str | None, port: int | None, allow: Tier, *, allow_remote: bool) -> None:
    from marimo_kernel_bridge.mcp_server.transport.address import DEFAULT_HOST, DEFAULT_PORT, listen  # noqa: PLC0415  # only for this command
    from marimo_kernel_bridge.mcp_server.transport.http import serve_http  # noqa: PLC0415
    from marimo_kernel_bridge.mcp_server.transport.token import read_or_make_token  # noqa: PLC0415
    from marimo_kernel_bridge.mcp_tools import build_server  # noqa: PLC0415

    token = read_or_make_token()
    listening = listen(
        host or DEFAULT_HOST, DEFAULT_PORT if port is None else port, allow_remote=allow_remote
    )
    if not listening.loopback:
        click.echo(
            "WARNING: other machines can reach this server. Anyone with the token can run code as you, and the connection "
            "is not encrypted: use a TLS proxy in front of it.",
            err=True,
        )

    def ready() -> None:
        click.echo(f"Serving MCP at {listening.url} with the token in {token.path}. Press Ctrl-C to stop.")
        configured = _with_options(host, None if port is None else listening.port)
        click.echo(f"To configure a client: {configured} --print-config CLIENT")

    serve_http(build_server(allow), token, listening, ready)


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
    """Pause agents, let them go on, list the pauses, or look for gaps in the audit log.

    Without NOTEBOOK the pause is for all notebooks and kernels of yours, and for all tools but those that only read.
    A pause holds until you end it, here or, for one notebook, with `%marimo resume` in it.
    """
    from marimo_kernel_bridge.protocol import pauses  # noqa: PLC0415  # only for this command

    if action == "audit":
        _check_audit_log()
        return

    listed = pauses.pauses()
    name = pauses.EVERYTHING
    if notebook is not None:
        name = notebook if notebook in listed else pauses.of_notebook(notebook)
    if action == "pause":
        pauses.pause(name)
    elif action == "resume" and not pauses.resume(name):
        click.echo(f"Agents are not paused: {name}")
    for paused in pauses.pauses():
        click.echo(f"Agents are paused: {paused}")
    if not pauses.pauses():
        click.echo("Agents are paused nowhere.")


def _check_audit_log() -> None:
    from marimo_kernel_bridge.mcp_server.safety.audit_log import AuditLog  # noqa: PLC0415  # only for this command

    log = AuditLog()
    problems = log.problems()
    for problem in problems:
        click.echo(problem, err=True)
    click.echo(f"{log.path}: {'has gaps.' if problems else 'no line is missing or changed.'}")
    if problems:
        raise SystemExit(1)
