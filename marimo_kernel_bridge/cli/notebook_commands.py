"""The commands about notebook files: `import` and `export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click

from marimo_kernel_bridge.cli.group import examples, refusal_reported
from marimo_kernel_bridge.notebooks.export_formats import EXPORT_FORMATS

if TYPE_CHECKING:
    from marimo_kernel_bridge.notebooks.export_formats import ExportFormat


_IMPORTS = click.option(
    "--imports/--no-imports",
    default=None,
    help="To find the names that `from module import *` binds: import modules of the notebook's folder, too, or none at "
    "all.  [default: installed modules only]",
)


def _imported(option: bool | None) -> Literal["none", "installed", "all"]:  # noqa: FBT001  # of click
    return "installed" if option is None else "all" if option else "none"


@click.command(
    "import",
    epilog=examples(
        "marimo-kernel-bridge import analysis.ipynb",
        "marimo-kernel-bridge import analysis.ipynb -o app.py --force",
        "marimo-kernel-bridge import notebooks/ -o imported/ --outputs keep",
        "marimo-kernel-bridge import analysis.ipynb --check --json > report.json",
        "marimo-kernel-bridge import analysis.ipynb --verify",
        "marimo-kernel-bridge import analysis.ipynb --target bridge",
        "marimo-kernel-bridge import notes.md --target bridge",
    ),
)
@click.argument("notebooks", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file to write, or a folder for several.  [default: next to each notebook, with its name]",
)
@click.option(
    "--target",
    type=click.Choice(["marimo", "bridge"]),
    default="marimo",
    show_default=True,
    help="marimo: a .py file for marimo. bridge: an .ipynb for this package's kernel, with IPython syntax.",
)
@click.option(
    "--outputs",
    type=click.Choice(["drop", "keep"]),
    default="drop",
    show_default=True,
    help="keep: show the saved outputs when the notebook is opened.",
)
@_IMPORTS
@click.option("--check", is_flag=True, help="Only report; write nothing.")
@click.option(
    "--verify",
    is_flag=True,
    help="Run the notebook and the result, several times, in its folder: compare outputs, also of cells that run again, "
    "or in which a value is edited. Cells that write files or use other programs are run, but not edited.",
)
@click.option(
    "--trace",
    is_flag=True,
    help="Run the notebook once first, and convert by what its cells were seen to change and share.",
)
@click.option(
    "--within",
    "seconds",
    type=click.FloatRange(min=0),
    default=600,
    show_default=True,
    metavar="SECONDS",
    help="The time for --trace, and for what --verify tries after the first run.",
)
@click.option("--force", is_flag=True, help="Overwrite files.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--debug", is_flag=True, help="Print the traceback of a bug.")
def import_(
    notebooks: tuple[Path, ...],
    *,
    output: Path | None,
    target: Literal["marimo", "bridge"],
    outputs: str,
    imports: bool | None,
    check: bool,
    verify: bool,
    trace: bool,
    seconds: float,
    force: bool,
    as_json: bool,
    debug: bool,
) -> None:
    """Convert Jupyter notebooks to reactive notebooks.

    Accepts notebooks (.ipynb, or written as Markdown, as Python with `# %%`, or as JSON) and folders, and prints how each cell was converted. Exits with 3 if a file was written but some
    cell could not be converted: each is named on stderr, and the file contains its source.
    """
    from marimo_kernel_bridge.cli.import_command import ImportOptions, import_notebooks  # noqa: PLC0415  # only for this command

    options = ImportOptions(
        target=target,
        keep_outputs=outputs == "keep",
        imports=_imported(imports),
        check=check,
        verify=verify,
        trace=trace,
        seconds=seconds,
        force=force,
        as_json=as_json,
        debug=debug,
    )
    with refusal_reported(as_json=as_json):
        code = import_notebooks(notebooks, output, options)
    if code:
        sys.exit(code)


_FORMATS_HELP: Final = "\b\nFormats:\n" + "".join(
    f"  {name:<7} {properties.description}\n" for name, properties in EXPORT_FORMATS.items()
)


@click.command(
    epilog=_FORMATS_HELP
    + "\n"
    + examples(
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
    help="The format.  [default: from the name given with -o]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file to write, - for stdout.  [default: next to the notebook, with its name]",
)
@click.option(
    "--live",
    is_flag=True,
    help="Export a running kernel: SOURCE is the path of its notebook, its connection file or id.",
)
@click.option("--run", "run_it", is_flag=True, help="Run the notebook first, for fresh outputs.")
@click.option("--no-outputs", is_flag=True, help="Leave the outputs of cells out.")
@click.option(
    "--original",
    type=click.Path(path_type=Path),
    help="The .ipynb that a marimo file was imported from, if the copy that the import saved is lost.",
)
@_IMPORTS
@click.option(
    "--no-sandbox", is_flag=True, help="For --to pdf as root, in containers: trust the notebook's outputs."
)
@click.option(
    "--scripts",
    is_flag=True,
    help="For --to html: let the page run the outputs' scripts, which may load and send anything.",
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
    no_outputs: bool,
    original: Path | None,
    imports: bool | None,
    no_sandbox: bool,
    scripts: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Export a notebook to another format.

    SOURCE is a marimo .py file, an .ipynb or, with --live, a running kernel.

    Exits with 4 if --run was given and a cell failed.
    """
    from marimo_kernel_bridge.cli.export_command import ExportOptions, export_notebook  # noqa: PLC0415  # only for this command

    if no_outputs and run_it:
        raise click.UsageError("--run is for fresh outputs: omit --no-outputs.")
    if as_json and output == Path("-"):
        raise click.UsageError("--json prints a report to stdout: -o must name a file.")
    options = ExportOptions(
        to=to,
        output=output,
        live=live,
        run=run_it,
        original=original,
        imports=_imported(imports),
        sandbox=not no_sandbox,
        scripts=scripts,
        outputs=not no_outputs,
        force=force,
        as_json=as_json,
    )
    with refusal_reported(as_json=as_json):
        code = export_notebook(source, options)
    if code:
        sys.exit(code)
