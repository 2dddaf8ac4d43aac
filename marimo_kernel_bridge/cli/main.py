"""The command line: what each command is called, takes and prints. What it does is in the module that it imports.

Commands import inside themselves, so that none pays for another. A refused request (`BridgeError`) is one line on
stderr and exit code 1, or 2 for wrong usage; what `import` ends with is in `importing/command.py`.
"""

from __future__ import annotations

import gc
import json
import shlex
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from marimo_kernel_bridge import __version__
from marimo_kernel_bridge.errors import BridgeError, WrongUsageError
from marimo_kernel_bridge.notebooks.export_formats import EXPORT_FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marimo_kernel_bridge.client.discovery import FoundKernel
    from marimo_kernel_bridge.mcp_server.hosts import Client
    from marimo_kernel_bridge.mcp_server.tool import Tier
    from marimo_kernel_bridge.notebooks.export_formats import ExportFormat

REFUSED: Final = 1
WRONG_USAGE: Final = 2

_TIER: Final = click.Choice(["read", "scratch", "edit", "run", "all"])
_MCP_CLIENT: Final = click.Choice(["claude-code", "claude-desktop", "cursor", "vscode"])


class _Commands(click.Group):
    """Lists commands in the order of this file and turns refusals into one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:  # click's signature
        try:
            return super().invoke(ctx)
        except BridgeError as error:
            click.echo(f"marimo-kernel-bridge: {error}", err=True)
            ctx.exit(WRONG_USAGE if isinstance(error, WrongUsageError) else REFUSED)


@contextmanager
def _refused_as(*, as_json: bool) -> Iterator[None]:
    """Let a refusal be JSON, too, where the report is."""
    try:
        yield
    except BridgeError as error:
        if as_json:
            click.echo(
                json.dumps({"refused": error.message, "code": error.code, "hint": error.hint}, indent=2)
            )
        raise


def _examples(*lines: str) -> str:
    """Format an epilog that click does not rewrap."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_examples(
        "marimo-kernel-bridge demo        # see it work",
        "marimo-kernel-bridge lab         # try it in JupyterLab",
        "marimo-kernel-bridge doctor      # find out what is wrong",
    ),
)
@click.version_option(__version__, prog_name="marimo-kernel-bridge")
def main() -> None:
    """Run marimo's reactive runtime as a Jupyter kernel, and let agents join it over MCP."""


@main.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    epilog=_examples("marimo-kernel-bridge kernel -f connection.json"),
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-f CONNECTION_FILE]")
def kernel(arguments: tuple[str, ...]) -> None:
    """Run the kernel. Jupyter calls this; you rarely do.

    Without -f, or if there is no such file, it writes one and says how to connect to it.

    Takes what ipykernel takes: options of the form --Class.trait=value, --debug for more log.
    """
    from marimo_kernel_bridge.zmq_kernel import main as kernel_main  # noqa: PLC0415  # see the module

    kernel_main(list(arguments))


@main.command(
    epilog=_examples(
        "marimo-kernel-bridge install --user",
        "marimo-kernel-bridge install --user --name marimo-py313 --display-name 'marimo (3.13)'",
        "marimo-kernel-bridge install --prefix /opt/jupyter",
        "marimo-kernel-bridge install --sys-prefix --pool --preload pandas --preload matplotlib.pyplot",
    )
)
@click.option("--user", is_flag=True, help="For this user, in every environment (the default).")
@click.option("--sys-prefix", is_flag=True, help="For this Python environment only.")
@click.option(
    "--prefix", type=click.Path(path_type=Path), help="Below this folder, in share/jupyter/kernels."
)
@click.option("--name", default="marimo", show_default=True, help="What Jupyter calls the kernelspec.")
@click.option("--display-name", help="What people see in the launcher.")
@click.option(
    "--pool", is_flag=True, help="Kernels come from a warm pool: they start in a fraction of the time."
)
@click.option(
    "--preload",
    multiple=True,
    metavar="MODULE",
    help="With --pool: a module that kernels have imported already.",
)
def install(
    *,
    user: bool,
    sys_prefix: bool,
    prefix: Path | None,
    name: str,
    display_name: str | None,
    pool: bool,
    preload: tuple[str, ...],
) -> None:
    """Write the kernelspec where another Jupyter finds it.

    Not needed in the environment where the package is installed: pip put a kernelspec there. Needed to start this
    environment's kernel from a Jupyter that lives elsewhere.
    """
    from marimo_kernel_bridge.launch.install import install_kernelspec, seen_by_jupyter  # noqa: PLC0415  # see the module
    from marimo_kernel_bridge.launch.pool.protocol import PoolOptions  # noqa: PLC0415

    if preload and not pool:
        raise click.UsageError("--preload needs --pool.")
    if sum((user, sys_prefix, prefix is not None)) > 1:
        raise click.UsageError("Give one of --user, --sys-prefix and --prefix.")
    below = Path(sys.prefix) if sys_prefix else prefix
    place = install_kernelspec(
        name=name,
        display_name=display_name,
        user=below is None,
        prefix=below,
        pool=PoolOptions(preload) if pool else None,
    )
    click.echo(f"Installed the kernelspec {name} for {sys.executable}\n  in {place}")
    if not seen_by_jupyter(name, place):
        click.echo(
            "A Jupyter of this environment takes another kernelspec of that name, or does not look there: "
            f"set JUPYTER_PATH={place.parent.parent}"
        )


@main.command(epilog=_examples("marimo-kernel-bridge pool", "marimo-kernel-bridge pool --stop"))
@click.option("--stop", is_flag=True, help="Let them fork no more kernels; each ends when its kernels have.")
def pool(*, stop: bool) -> None:
    """List the warm pools of kernels that run.

    A pool starts with the first kernel that is asked of it, and ends when it has had none for some minutes.
    """
    from marimo_kernel_bridge.launch.pool.status import running_pools, stop_pools  # noqa: PLC0415  # see the module

    states = stop_pools() if stop else running_pools()
    for state in states:
        click.echo(
            f"{state.python}, process {state.pid}: {len(state.kernels)} kernels run, {state.forked} forked"
            + (f", with {', '.join(state.preload)}" if state.preload else "")
            + (f"\n  makes no kernels, which start without it: {state.trouble}" if state.trouble else "")
        )
    if not states:
        click.echo("No pool runs.")


@main.command(epilog=_examples("marimo-kernel-bridge kernels", "marimo-kernel-bridge kernels --json"))
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def kernels(*, as_json: bool) -> None:
    """List the running kernels and their notebooks.

    Looks into Jupyter's runtime directory, as an agent's list_kernels does.
    """
    import asyncio  # noqa: PLC0415  # see the module

    from marimo_kernel_bridge.client.discovery import find_kernels  # noqa: PLC0415  # see the module

    found = asyncio.run(find_kernels())
    if as_json:
        click.echo(json.dumps([_kernel_row(kernel) for kernel in found], indent=2))
        return
    running = [_kernel_row(kernel) for kernel in found if kernel.problem is None]
    for row in running:
        click.echo(f"{row['kernel_id']}  {row['kind']}, {row['state']}\n  {row['connection_file']}")
        if row["notebook"]:
            click.echo(f"  {row['notebook']}")
    if not running:
        click.echo("No kernel runs. Open a notebook with the kernel 'marimo (reactive Python)' first.")
    if gone := len(found) - len(running):
        click.echo(f"{gone} connection file(s) without a usable kernel; --json tells why.")


def _kernel_row(kernel: FoundKernel) -> dict[str, str | None]:
    description, problem = kernel.description, kernel.problem
    return {
        "kernel_id": kernel.kernel_id,
        "kind": "unknown" if problem else "reactive" if description else "not reactive",
        "state": problem.code if problem else _state(kernel),
        "notebook": kernel.notebook,
        "connection_file": str(kernel.path),
        "problem": str(problem) if problem else None,
    }


def _state(kernel: FoundKernel) -> str:
    if kernel.description is None:
        return "running"
    cells = f"{kernel.description.cells} cells"
    return f"busy, {cells}" if kernel.description.busy else f"idle, {cells}"


@main.command(
    epilog=_examples(
        "marimo-kernel-bridge mcp --install claude-code",
        "marimo-kernel-bridge mcp --print-config cursor",
        "marimo-kernel-bridge mcp --http",
        "marimo-kernel-bridge mcp --http --print-config vscode",
    )
)
@click.option("--http", is_flag=True, help="Serve many clients over streamable HTTP, with a token.")
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes any free port.  [default: 27180]")
@click.option("--allow-remote", is_flag=True, help="Let --host be an address that other machines reach.")
@click.option(
    "--allow",
    type=_TIER,
    default="run",
    show_default=True,
    help="What agents may do, each with all before it: look; run code beside the notebook; edit cells; run them; "
    "start and stop kernels, and install packages without asking you.",
)
@click.option("--print-config", type=_MCP_CLIENT, help="Print what this client needs, and end.")
@click.option("--install", "install_in", type=_MCP_CLIENT, help="Add the server to this client, and end.")
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
            raise click.UsageError("--install is for stdio. For --http paste what --print-config prints.")
        _install_mcp(install_in, allow)
    elif print_config:
        _print_mcp_config(print_config, allow, http=http, host=host, port=port)
    elif http:
        _serve_http(host, port, allow, allow_remote=allow_remote)
    else:
        gc.disable()  # until all is imported: nothing of that is garbage, and looking for some takes a tenth of the start
        from marimo_kernel_bridge.mcp_tools import run_stdio  # noqa: PLC0415  # see the module

        run_stdio(allow)


def _permission(allow: Tier) -> tuple[str, ...]:
    return () if allow == "run" else ("--allow", allow)


def _install_mcp(client: Client, allow: Tier) -> None:
    from marimo_kernel_bridge.mcp_server.hosts import install, our_command  # noqa: PLC0415  # see the module

    click.echo(f"Done: {install(client, our_command(*_permission(allow)))}")


def _print_mcp_config(client: Client, allow: Tier, *, http: bool, host: str | None, port: int | None) -> None:
    from marimo_kernel_bridge.mcp_server.hosts import Http, Way, config_for, our_command  # noqa: PLC0415  # see the module

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
    from marimo_kernel_bridge.mcp_server.transport.address import DEFAULT_HOST, DEFAULT_PORT, listen  # noqa: PLC0415  # see the module
    from marimo_kernel_bridge.mcp_server.transport.http import serve_http  # noqa: PLC0415
    from marimo_kernel_bridge.mcp_server.transport.token import read_or_make_token  # noqa: PLC0415
    from marimo_kernel_bridge.mcp_tools import build_server  # noqa: PLC0415

    token = read_or_make_token()
    listening = listen(
        host or DEFAULT_HOST, DEFAULT_PORT if port is None else port, allow_remote=allow_remote
    )
    if not listening.loopback:
        click.echo(
            "WARNING: other machines can reach this server. Whoever has the token runs code as you, and nothing is "
            "encrypted: put a TLS proxy in front of it.",
            err=True,
        )
    options = ([] if host is None else ["--host", host]) + (
        [] if port is None else ["--port", str(listening.port)]
    )

    def ready() -> None:
        click.echo(f"Serving MCP at {listening.url} until Ctrl-C. The token is in {token.path}.")
        click.echo(
            f"For clients: marimo-kernel-bridge mcp {shlex.join(['--http', *options])} --print-config CLIENT"
        )

    serve_http(build_server(allow), token, listening, ready)


@main.command(
    "import",
    epilog=_examples(
        "marimo-kernel-bridge import analysis.ipynb",
        "marimo-kernel-bridge import analysis.ipynb -o app.py --force",
        "marimo-kernel-bridge import notebooks/ -o imported/ --outputs keep",
        "marimo-kernel-bridge import analysis.ipynb --check --json > report.json",
        "marimo-kernel-bridge import analysis.ipynb --verify",
        "marimo-kernel-bridge import analysis.ipynb --target bridge",
    ),
)
@click.argument("notebooks", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file to write, or a folder for several; else beside each notebook, under its name.",
)
@click.option(
    "--target",
    type=click.Choice(["marimo", "bridge"]),
    default="marimo",
    show_default=True,
    help="marimo: a .py for marimo itself. bridge: an .ipynb for this package's kernel, IPython syntax kept.",
)
@click.option(
    "--outputs",
    type=click.Choice(["drop", "keep"]),
    default="drop",
    show_default=True,
    help="keep: saved outputs are there when the notebook is opened.",
)
@click.option("--check", is_flag=True, help="Only say what would happen; write nothing.")
@click.option("--verify", is_flag=True, help="Run the notebook and the result, and compare what cells show.")
@click.option("--force", is_flag=True, help="Overwrite files.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def import_(
    notebooks: tuple[Path, ...],
    *,
    output: Path | None,
    target: Literal["marimo", "bridge"],
    outputs: str,
    check: bool,
    verify: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Turn Jupyter notebooks into reactive ones.

    Takes notebooks and folders of them, and prints what became of their cells. Ends with 3 if a file was written,
    but some cell could not be carried over: each is named on stderr, and its text is in the file.
    """
    from marimo_kernel_bridge.cli.import_command import Wanted, run  # noqa: PLC0415  # see the module

    wanted = Wanted(
        target=target,
        keep_outputs=outputs == "keep",
        check=check,
        verify=verify,
        force=force,
        as_json=as_json,
    )
    with _refused_as(as_json=as_json):
        code = run(notebooks, output, wanted)
    if code:
        sys.exit(code)


_FORMATS_HELP: Final = "\b\nFormats:\n" + "".join(
    f"  {name:<7} {properties.description}\n" for name, properties in EXPORT_FORMATS.items()
)


@main.command(
    epilog=_FORMATS_HELP
    + "\n"
    + _examples(
        "marimo-kernel-bridge export analysis.py --to ipynb",
        "marimo-kernel-bridge export analysis.py --to html --run",
        "marimo-kernel-bridge export analysis.ipynb -o report.pdf",
        "marimo-kernel-bridge export --live analysis.ipynb --to html",
        "marimo-kernel-bridge export --live kernel-1a2b.json --to json -o -",
    )
)
@click.argument("source")
@click.option(
    "--to",
    "to",
    type=click.Choice(list(EXPORT_FORMATS)),
    help="The format; else the name given with -o tells.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file to write, - for stdout; else beside the notebook, under its name.",
)
@click.option(
    "--live",
    is_flag=True,
    help="What a running kernel has now: SOURCE is its notebook's path, connection file or id.",
)
@click.option("--run", "run_it", is_flag=True, help="Run the notebook first, for fresh outputs.")
@click.option(
    "--original",
    type=click.Path(path_type=Path),
    help="The .ipynb that a marimo file was imported from, if what the import kept of it is lost.",
)
@click.option(
    "--no-imports",
    is_flag=True,
    help="Of an .ipynb: do not import modules to learn what `from module import *` binds.",
)
@click.option(
    "--no-sandbox", is_flag=True, help="For --to pdf as root, in containers: trust the notebook's outputs."
)
@click.option("--force", is_flag=True, help="Overwrite files.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def export(
    source: str,
    *,
    to: ExportFormat | None,
    output: Path | None,
    live: bool,
    run_it: bool,
    original: Path | None,
    no_imports: bool,
    no_sandbox: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write a notebook in another format: a marimo .py file, an .ipynb, or what a running kernel has.

    Ends with 4 if --run was given and a cell failed.
    """
    from marimo_kernel_bridge.cli.export_command import Asked, run  # noqa: PLC0415  # see the module

    if as_json and output == Path("-"):
        raise click.UsageError("--json prints a report: give -o a file.")
    asked = Asked(
        to=to,
        output=output,
        live=live,
        run=run_it,
        original=original,
        imports=not no_imports,
        sandbox=not no_sandbox,
        force=force,
        as_json=as_json,
    )
    with _refused_as(as_json=as_json):
        code = run(source, asked)
    if code:
        sys.exit(code)


@main.command(epilog=_examples("marimo-kernel-bridge demo", "marimo-kernel-bridge demo --keep penguins-demo"))
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Leave the notebooks that the demo made in this folder.",
)
def demo(*, keep: Path | None) -> None:
    """Show a person and an agent on one reactive kernel.

    Runs a real notebook as JupyterLab does, lets an agent change a cell over MCP, shows what that changes for the
    person, and imports the notebook into marimo. Checks every step and fails if one did not really happen. Takes well under a minute.
    """
    from marimo_kernel_bridge.cli.demo import DemoFailedError, run_demo  # noqa: PLC0415  # see the module

    try:
        run_demo(keep, click.echo)
    except DemoFailedError as error:
        click.echo(f"marimo-kernel-bridge: the demo failed: {error}", err=True)
        sys.exit(REFUSED)


@main.command(
    context_settings={"ignore_unknown_options": True},
    epilog=_examples(
        "marimo-kernel-bridge lab",
        "marimo-kernel-bridge lab analysis.ipynb",
        "marimo-kernel-bridge lab analysis.ipynb --no-browser --port=8899",
    ),
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[NOTEBOOK] [JUPYTER OPTIONS]...")
def lab(arguments: tuple[str, ...]) -> None:
    """Open JupyterLab with the marimo kernel selected.

    Without NOTEBOOK, on a copy of the penguins example. A notebook of another kernel is left alone: Lab opens a copy
    beside it. Further options go to JupyterLab.
    """
    from marimo_kernel_bridge.cli.lab import open_lab  # noqa: PLC0415  # see the module

    named = bool(arguments) and not arguments[0].startswith("-")
    notebook = Path(arguments[0]) if named else None
    open_lab(notebook, list(arguments[named:]), click.echo)


@main.command(epilog=_examples("marimo-kernel-bridge doctor", "marimo-kernel-bridge doctor --json"))
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def doctor(*, as_json: bool) -> None:
    """Check that everything works here, or say what is wrong.

    Tries the kernelspec, a kernel, its reactivity and an agent's way to it on this machine, with a kernel and an
    MCP server of its own that it ends again. Exit code 1 if anything is broken.
    """
    from marimo_kernel_bridge.cli.doctor import examine  # noqa: PLC0415  # see the module

    findings = examine(lambda finding: None if as_json else click.echo(str(finding)))
    if as_json:
        click.echo(json.dumps([finding.as_json() for finding in findings], indent=2))
    if any(finding.verdict == "FAILED" for finding in findings):
        sys.exit(REFUSED)
