"""The commands to try the kernel and to check an installation: `demo`, `lab` and `doctor`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from marimo_kernel_bridge.cli.group import REFUSED, examples
from marimo_kernel_bridge.cli.terminal import echo


@click.command(epilog=examples("marimo-kernel-bridge demo", "marimo-kernel-bridge demo --keep penguins-demo"))
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the notebooks of the demo in this folder, which is new or empty.",
)
def demo(*, keep: Path | None) -> None:
    """Show a person and an agent on one reactive kernel.

    Runs a real notebook as JupyterLab does, lets an agent change a cell over MCP, shows the effect on the person's page,
    and imports the notebook into marimo. Checks every step and fails if a check does. Takes well under a minute.
    """
    from marimo_kernel_bridge.cli.demo import DemoFailedError, run_demo  # noqa: PLC0415  # only for this command

    try:
        run_demo(keep, echo)
    except DemoFailedError as error:
        echo(f"marimo-kernel-bridge: the demo failed: {error}", err=True)
        sys.exit(REFUSED)


@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog=examples(
        "marimo-kernel-bridge lab",
        "marimo-kernel-bridge lab analysis.ipynb",
        "marimo-kernel-bridge lab analysis.ipynb --no-browser --port=8899",
    ),
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[NOTEBOOK] [JUPYTER OPTIONS]...")
def lab(arguments: tuple[str, ...]) -> None:
    """Open JupyterLab with the marimo kernel selected.

    Without NOTEBOOK, opens a copy of the penguins example. A notebook of another kernel is not changed: JupyterLab opens
    a copy next to it. Other options are passed to JupyterLab.
    """
    from marimo_kernel_bridge.cli.lab import open_lab  # noqa: PLC0415  # only for this command

    named = bool(arguments) and not arguments[0].startswith("-")
    notebook = Path(arguments[0]) if named else None
    open_lab(notebook, list(arguments[named:]), echo)


@click.command(epilog=examples("marimo-kernel-bridge doctor", "marimo-kernel-bridge doctor --json"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(*, as_json: bool) -> None:
    """Check that everything works on this machine.

    Checks the kernelspec, a kernel, its reactivity and an agent's connection to it, with a temporary kernel and MCP
    server, and says what is wrong. Exits with 1 if a check fails.
    """
    from marimo_kernel_bridge.cli.doctor import examine  # noqa: PLC0415  # only for this command

    findings = examine(lambda finding: None if as_json else echo(str(finding)))
    if as_json:
        echo(json.dumps([finding.as_json() for finding in findings], indent=2))
    if any(finding.verdict == "FAILED" for finding in findings):
        sys.exit(REFUSED)
