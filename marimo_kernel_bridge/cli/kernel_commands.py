"""The commands about kernels: run one, install a kernelspec, list pools and running kernels."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from marimo_kernel_bridge.cli.group import examples
from marimo_kernel_bridge.cli.terminal import echo

if TYPE_CHECKING:
    from marimo_kernel_bridge.client.discovery import FoundKernel
    from marimo_kernel_bridge.client.marimo_editor.host import MarimoNotebook


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    epilog=examples("marimo-kernel-bridge kernel -f connection.json"),
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-f CONNECTION_FILE]")
def kernel(arguments: tuple[str, ...]) -> None:
    """Run the kernel. Jupyter calls this command; you rarely need to.

    Without -f, or if the file does not exist, the kernel writes one and prints how to connect.

    With --ttl=SECONDS it ends itself when nobody has sent a request for so long.

    With --limits=LIMITS and --sandbox=SANDBOX it is held to them, or does not start: memory=2GB,cell_seconds=30s or JSON.

    Accepts ipykernel's options: --Class.trait=value, and --debug for a detailed log.
    """
    from marimo_kernel_bridge.zmq_kernel import main as kernel_main  # noqa: PLC0415  # only for this command

    kernel_main(list(arguments))


@click.command(
    epilog=examples(
        "marimo-kernel-bridge install --user",
        "marimo-kernel-bridge install --user --name marimo-py313 --display-name 'marimo (3.13)'",
        "marimo-kernel-bridge install --prefix /opt/jupyter",
        "marimo-kernel-bridge install --sys-prefix --pool --preload pandas --preload matplotlib.pyplot",
        "marimo-kernel-bridge install --user --name marimo-small --limits memory=2GB,cell_seconds=30s",
    )
)
@click.option("--user", is_flag=True, help="For the current user, in all environments (the default).")
@click.option("--sys-prefix", is_flag=True, help="For this Python environment only.")
@click.option("--prefix", type=click.Path(path_type=Path), help="In share/jupyter/kernels of this folder.")
@click.option("--name", default="marimo", show_default=True, help="The name of the kernelspec.")
@click.option("--display-name", help="The name in the launcher.")
@click.option(
    "--pool", is_flag=True, help="Fork kernels from a warm pool: they start in a fraction of the time."
)
@click.option(
    "--preload",
    multiple=True,
    metavar="MODULE",
    help="With --pool: a module to import before kernels are forked.",
)
@click.option(
    "--limits", metavar="LIMITS", help="What each kernel may use: memory=2GB,cell_seconds=30s or JSON."
)
@click.option(
    "--sandbox",
    metavar="[SANDBOX]",
    is_flag=False,
    flag_value="strict",
    help="Run each kernel in a sandbox: strict, network=all,files=read or JSON.",
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
    limits: str | None,
    sandbox: str | None,
) -> None:
    """Install the kernelspec for a Jupyter in another environment.

    Not needed for a Jupyter in the environment of this package: pip has installed a kernelspec there.
    """
    from marimo_kernel_bridge.launch.install import found_by_jupyter, install_kernelspec  # noqa: PLC0415  # only for this command
    from marimo_kernel_bridge.launch.pool.protocol import PoolOptions  # noqa: PLC0415
    from marimo_kernel_bridge.protocol.written_bounds import bounds_of  # noqa: PLC0415

    if preload and not pool:
        raise click.UsageError("--preload needs --pool.")
    if sum((user, sys_prefix, prefix is not None)) > 1:
        raise click.UsageError("Give one of --user, --sys-prefix and --prefix.")
    root = Path(sys.prefix) if sys_prefix else prefix
    folder = install_kernelspec(
        name=name,
        display_name=display_name,
        user=root is None,
        prefix=root,
        pool=PoolOptions(preload) if pool else None,
        bounds=(bounds := bounds_of(limits, sandbox)),
    )
    echo(f"Installed the kernelspec {name} for {sys.executable}\n  in {folder}")
    if bounds:
        echo(f"  with {bounds.told()}")
    found = found_by_jupyter(name)
    if found is None:
        echo(
            f"Jupyter in this environment does not search this folder unless JUPYTER_PATH={folder.parent.parent} is set."
        )
    elif found != folder.resolve():
        echo(f"Jupyter in this environment keeps using {found}; --name avoids the conflict.")


@click.command(epilog=examples("marimo-kernel-bridge pool", "marimo-kernel-bridge pool --stop"))
@click.option("--stop", is_flag=True, help="Stop forking kernels. Each pool ends after its last kernel.")
def pool(*, stop: bool) -> None:
    """List the running warm pools.

    A pool starts when the first kernel is requested from it, and ends after some minutes without kernels.
    """
    from marimo_kernel_bridge.launch.pool.status import running_pools, stop_pools  # noqa: PLC0415  # only for this command

    states = stop_pools() if stop else running_pools()
    for state in states:
        echo(
            f"{state.python}, process {state.pid}: {len(state.kernels)} kernels running, {state.forked} forked"
            + (f", with {', '.join(state.preload)}" if state.preload else "")
            + (f"\n  not in use, kernels start without it: {state.trouble}" if state.trouble else "")
        )
    if not states:
        echo("No pool is running.")


@click.command(epilog=examples("marimo-kernel-bridge kernels", "marimo-kernel-bridge kernels --json"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def kernels(*, as_json: bool) -> None:
    """List the running kernels and their notebooks.

    Reads Jupyter's runtime directory and the list of marimo's servers with its host API, as the tool list_kernels does.
    """
    import asyncio  # noqa: PLC0415  # only for this command

    from marimo_kernel_bridge.client.discovery import find_kernels  # noqa: PLC0415  # only for this command
    from marimo_kernel_bridge.client.marimo_editor.host import running_notebooks  # noqa: PLC0415  # the same

    kernels = asyncio.run(find_kernels())
    of_marimo = [_marimo_row(notebook) for notebook in asyncio.run(running_notebooks())]
    if as_json:
        echo(json.dumps([*map(_kernel_row, kernels), *of_marimo], indent=2))
        return
    running = [_kernel_row(kernel) for kernel in kernels if kernel.problem is None]
    for row in (*running, *of_marimo):
        where = row["connection_file"] or row["server"]  # of marimo
        echo(f"{row['kernel_id']}  {row['kind']}, {row['state']}\n  {where}")
        if row["notebook"]:
            echo(f"  {row['notebook']}")
        if row.get("limits"):
            echo(f"  {row['limits']}")
    if not running and not of_marimo:
        echo("No kernel is running. Open a notebook with the kernel 'marimo (reactive Python)' first.")
    if unusable := len(kernels) - len(running):
        echo(f"{unusable} connection file(s) without a usable kernel; --json shows why.")


def _kernel_row(kernel: FoundKernel) -> dict[str, str | None]:
    problem = kernel.problem
    return {
        "kernel_id": kernel.kernel_id,
        "kind": "unknown" if kernel.info is None else "reactive" if kernel.info.reactive else "not reactive",
        "state": problem.code if problem else _state(kernel),
        "notebook": kernel.notebook,
        "connection_file": str(kernel.path),
        "problem": str(problem) if problem else None,
        **_limits(kernel),
    }


def _limits(kernel: FoundKernel) -> dict[str, str]:
    """Return in words the limits and the sandbox that a kernel says it is held to."""
    from marimo_kernel_bridge.protocol.written_bounds import told_of  # noqa: PLC0415  # only for this command

    said = kernel.description
    told = "" if said is None else told_of(said.limits, said.sandbox)
    return {"limits": told} if told else {}


def _marimo_row(notebook: MarimoNotebook) -> dict[str, str | None]:
    return {
        "kernel_id": notebook.notebook_id,
        "kind": "reactive",
        "state": "in marimo's editor",
        "notebook": notebook.path,
        "connection_file": None,
        "server": notebook.host.url,
        "problem": None,
    }


def _state(kernel: FoundKernel) -> str:
    if kernel.description is None:
        return "running"
    cells = f"{kernel.description.cells} cells"
    return f"busy, {cells}" if kernel.description.busy else f"idle, {cells}"
