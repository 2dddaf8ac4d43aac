"""The command that shows a file as a view, for people: `view`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from marimo_kernel_bridge.cli.group import examples
from marimo_kernel_bridge.cli.terminal import echo
from marimo_kernel_bridge.protocol.regular_files import is_there

if TYPE_CHECKING:
    from marimo_kernel_bridge.launch.viewer.client import Viewer
    from marimo_kernel_bridge.protocol.views import OpenedView


@click.command(
    epilog=examples(
        "marimo-kernel-bridge view sales.parquet",
        "marimo-kernel-bridge view shop.sqlite --table orders",
        "marimo-kernel-bridge view --list",
        "marimo-kernel-bridge view --stop",
    )
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--table", default="", help="The table of a database, or the sheet of a workbook.")
@click.option("--no-browser", is_flag=True, help="Print the address and open no browser.")
@click.option("--list", "lists", is_flag=True, help="List the files that are open, also those of agents.")
@click.option("--stop", is_flag=True, help="Close all of them, and end the process that shows them.")
def view(*, file: Path | None, table: str, no_browser: bool, lists: bool, stop: bool) -> None:
    """Show a table in a file in a tab of your browser.

    The page sorts, filters and searches the rows, and shows statistics of the columns. FILE is CSV, TSV, JSON, JSON
    Lines, Parquet, Arrow, Feather, Excel or SQLite. One process shows all files, and ends half an hour after the last
    tab is closed. A table in a notebook's memory is shown by `%marimo view NAME` there.
    """
    if (file is not None) + lists + stop != 1:
        raise click.UsageError("Give a FILE, --list or --stop.")
    from marimo_kernel_bridge.launch.viewer.client import Viewer  # noqa: PLC0415  # only for this command

    if file is not None:
        _open(file, table, browser=not no_browser)
        return
    viewer = Viewer.running()
    if lists:
        _list(viewer)
    elif viewer is None:
        echo("No file is open.")
    else:
        viewer.stop()
        echo("Closed all files.")


def _open(file: Path, table: str, *, browser: bool) -> None:
    from marimo_kernel_bridge.errors import BridgeError  # noqa: PLC0415  # only for this command
    from marimo_kernel_bridge.launch.viewer.client import Viewer  # noqa: PLC0415
    from marimo_kernel_bridge.protocol import own_browser  # noqa: PLC0415
    from marimo_kernel_bridge.viewing.views import PERSON  # noqa: PLC0415

    if not is_there(file):
        raise BridgeError("data_gone", f"There is no file {file}.")
    opened = Viewer.started().open_view(file, PERSON, table)
    if opened.opened_in == "tab already open":
        echo(f"{_described(opened)}\nA tab of your browser shows it already.")
        return
    echo(_described(opened))
    if browser and own_browser.show(opened.url):
        echo("It is open in your browser.")
        return
    echo(f"{opened.url}\nThe address works once, and for ten minutes.")
    if opened.advice:
        echo(opened.advice)


def _list(viewer: Viewer | None) -> None:
    from marimo_kernel_bridge.viewing.views import PERSON  # noqa: PLC0415  # only for this command

    views = [] if viewer is None else viewer.list_views(PERSON)
    for one in views:
        echo(f"{one.title}: {one.ended or one.shape}")
    if not views:
        echo("No file is open.")


def _described(opened: OpenedView) -> str:
    return f"{opened.description.title}: {opened.description.shape}"
