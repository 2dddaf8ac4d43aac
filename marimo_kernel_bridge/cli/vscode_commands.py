"""The commands for VS Code: `vscode`, which installs the extension, and `document-relay`, which the extension runs."""

from __future__ import annotations

import logging
import os
import sys

import click

from marimo_kernel_bridge.cli.group import examples
from marimo_kernel_bridge.cli.terminal import echo


@click.command(
    epilog=examples(
        "marimo-kernel-bridge vscode",
        "marimo-kernel-bridge vscode --install",
        "marimo-kernel-bridge vscode --install --editor code-insiders",
    )
)
@click.option(
    "--install",
    "install",
    is_flag=True,
    help="Install the extension, or the version of this package over another.",
)
@click.option("--uninstall", is_flag=True, help="Remove it.")
@click.option(
    "--editor",
    metavar="PROGRAM",
    help="The editor's command: code, code-insiders, codium, code-server or a path.  [default: the first that is found]",
)
def vscode(*, install: bool, uninstall: bool, editor: str | None) -> None:
    """Install the extension for VS Code that is in this package.

    With it, what agents change appears in the notebook that you have open, and you can accept or reject what they
    propose. Without an option, says which editors have the extension. In a window of VS Code on another machine
    (SSH, WSL, a container), run this in its terminal.
    """
    from marimo_kernel_bridge.cli import vscode as extension  # noqa: PLC0415  # only for this command

    if install and uninstall:
        raise click.UsageError("Give one of --install and --uninstall.")
    if install:
        extension.install(editor, echo)
    elif uninstall:
        extension.uninstall(editor, echo)
    else:
        states = extension.states()
        for state in states:
            echo(f"{state.detail}." + (f" {state.hint}" if state.hint else ""))
        if not states:
            echo("No editor was found.")
        echo(f"The extension is {extension.package()}")


@click.command("document-relay", hidden=True)
def document_relay() -> None:
    r"""Pass messages between VS Code's extension, on stdin and stdout, and the kernels of its notebooks.

    \b
    Examples:
      marimo-kernel-bridge document-relay    # as the extension runs it
    """
    import asyncio  # noqa: PLC0415  # only for this command

    from marimo_kernel_bridge.client.document_relay import Relay  # noqa: PLC0415  # only for this command
    from marimo_kernel_bridge.client.relay_lines import Writer, lines_of_stdin  # noqa: PLC0415

    async def run(writer: Writer) -> None:
        async with Relay(writer.say) as relay:
            async for line in lines_of_stdin():
                relay.take(line)

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    lines = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no line
    asyncio.run(run(Writer(lines)))
