"""The commands about kernels: run one, install its kernelspec, list pools and running kernels."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from marimo_kernel_bridge.cli.group import examples

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.discovery import FoundKernel


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    epilog=examples("marimo-kernel-bridge kernel -f connection.json"),
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-f CONNECTION_FILE]")
def kernel(arguments: tuple[str, ...]) -> None:
    """Run the kernel. Jupyter calls this; you rarely do.

    Without -f, or if there is no such file, it writes one and says how to connect to it.

    Takes what ipykernel takes: options of the form --Class.trait=value, --debug for more log.
    """
    from marimo_kernel_bridge.zmq_kernel import main as kernel_main  # noqa: PLC0415  # only for this command

    kernel_main(list(arguments))


@click.command(
    epilog=examples(
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
    from marimo_kernel_bridge.launch.install import install_kernelspec, seen_by_jupyter  # noqa: PLC0415  # only for this command
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


@click.command(epilog=examples("marimo-kernel-bridge pool", "marimo-kernel-bridge pool --stop"))
@click.option("--stop", is_flag=True, help="Let them fork no more kernels; each ends when its kernels have.")
def pool(*, stop: bool) -> None:
    """List the warm pools of kernels that run.

    A pool starts with the first kernel that is asked of it, and ends when it has had none for some minutes.
    """
    from marimo_kernel_bridge.launch.pool.status import running_pools, stop_pools  # noqa: PLC0415  # only for this command

    states = stop_pools() if stop else running_pools()
    for state in states:
        click.echo(
            f"{state.python}, process {state.pid}: {len(state.kernels)} kernels run, {state.forked} forked"
            + (f", with {', '.join(state.preload)}" if state.preload else "")
            + (f"\n  makes no kernels, which start without it: {state.trouble}" if state.trouble else "")
        )
    if not states:
        click.echo("No pool runs.")


@click.command(epilog=examples("marimo-kernel-bridge kernels", "marimo-kernel-bridge kernels --json"))
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def kernels(*, as_json: bool) -> None:
    """List the running kernels and their notebooks.

    Looks into Jupyter's runtime directory, as an agent's list_kernels does.
    """
    import asyncio  # noqa: PLC0415  # only for this command

    from marimo_kernel_bridge.client.discovery import find_kernels  # noqa: PLC0415  # only for this command

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
