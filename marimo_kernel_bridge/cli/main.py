"""The command line: its commands, in the order in which help lists them.

The name, the options and the output of a command are in the module of its subject. Commands import their
dependencies when they run, so that none slows down another.
"""

from __future__ import annotations

import click

from marimo_kernel_bridge import __version__
from marimo_kernel_bridge.cli.call_command import call
from marimo_kernel_bridge.cli.group import CommandGroup, examples
from marimo_kernel_bridge.cli.kernel_commands import install, kernel, kernels, pool
from marimo_kernel_bridge.cli.mcp_command import agents, mcp
from marimo_kernel_bridge.cli.notebook_commands import export, import_
from marimo_kernel_bridge.cli.state_commands import checkpoints, notebooks
from marimo_kernel_bridge.cli.trial_commands import demo, doctor, lab
from marimo_kernel_bridge.cli.view_command import view
from marimo_kernel_bridge.cli.vscode_commands import document_relay, vscode


@click.group(
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "marimo-kernel-bridge demo        # see how it works",
        "marimo-kernel-bridge lab         # try it in JupyterLab",
        "marimo-kernel-bridge doctor      # find problems",
    ),
)
@click.version_option(__version__, prog_name="marimo-kernel-bridge")
def main() -> None:
    """Run marimo's reactive runtime as a Jupyter kernel, and let agents join it over MCP."""


for _command in (
    kernel,
    install,
    pool,
    kernels,
    mcp,
    call,
    agents,
    notebooks,
    checkpoints,
    vscode,
    import_,
    export,
    view,
    demo,
    lab,
    doctor,
    document_relay,
):
    main.add_command(_command)
