"""The command `call`: one tool of the MCP server from a shell, or several from a file, with the server's permissions and audit log."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from marimo_kernel_bridge.cli.call_answers import as_json, exit_code, show
from marimo_kernel_bridge.cli.call_batches import calls_in, made, text_of, text_of_stdin
from marimo_kernel_bridge.cli.call_server import CallOptions, CallServer
from marimo_kernel_bridge.cli.ceilings import ceiling_options
from marimo_kernel_bridge.cli.group import examples
from marimo_kernel_bridge.cli.terminal import echo
from marimo_kernel_bridge.errors import BridgeError, WrongUsageError
from marimo_kernel_bridge.protocol.permissions import TIERS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from marimo_kernel_bridge.cli.ceilings import CeilingOptions
    from marimo_kernel_bridge.mcp_server.tool import Tier

_CLIENT: Final = "shell"


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    epilog=examples(
        "marimo-kernel-bridge call --list",
        "marimo-kernel-bridge call read_cell --help",
        "marimo-kernel-bridge call list_cells --kernel penguins.ipynb",
        "marimo-kernel-bridge call execute_code --kernel penguins.ipynb --scratch --code 'df.shape' --json",
        "marimo-kernel-bridge call edit_cells --input edits.json",
        "marimo-kernel-bridge call --batch calls.jsonl",
    ),
)
@click.argument("tool", required=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[--ARGUMENT VALUE]...")
@click.option("--list", "lists", is_flag=True, help="List the tools, each with the permission that it needs.")
@click.option("--json", "json_wanted", is_flag=True, help="Print the answer as JSON, a refusal too.")
@click.option(
    "--input",
    "source",
    type=click.Path(allow_dash=True, path_type=Path),
    help="A file with the arguments as a JSON object; - for stdin.",
)
@click.option(
    "--batch",
    type=click.Path(allow_dash=True, path_type=Path),
    help='A file with a call in each line, {"tool": ..., "arguments": {...}}; one server makes all.',
)
@click.option("--keep-going", is_flag=True, help="With --batch: go on after a call that is refused or fails.")
@click.option(
    "--pictures",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder for the pictures of answers.",
)
@click.option(
    "--client", default=_CLIENT, show_default=True, help="The name that the person sees for what is done."
)
@click.option(
    "--allow",
    type=click.Choice(TIERS),
    default="run",
    show_default=True,
    help="What the calls may do, as for mcp.",
)
@click.option(
    "--notebooks",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The folder of new notebooks.  [default: the working directory]",
)
@ceiling_options
@click.option(
    "-h", "--help", "helps", is_flag=True, help="Show this message, or after a tool's name what it takes."
)
@click.pass_context
def call(
    ctx: click.Context,
    *,
    tool: str | None,
    words: tuple[str, ...],
    lists: bool,
    json_wanted: bool,
    source: Path | None,
    batch: Path | None,
    keep_going: bool,
    pictures: Path | None,
    client: str,
    allow: Tier,
    notebooks: Path | None,
    ceilings: CeilingOptions,
    helps: bool,
) -> None:
    """Call a tool of the MCP server, for scripts.

    The tools, permissions, pauses and the audit log are those of `mcp`. Arguments of TOOL are options with their names;
    `-` as a value stands for stdin. Exit codes: 0 done, 1 refused, 2 wrong usage, 4 code that was run failed, 5 the
    run goes on (read_run waits for it).
    """
    if helps and tool is None:
        echo(ctx.get_help())
        return
    if (tool is not None) + lists + (batch is not None) != 1:
        raise click.UsageError("Give a TOOL, --list or --batch.")
    if source is not None and tool is None:
        raise click.UsageError("--input needs a TOOL.")
    options = CallOptions(
        allow,
        client,
        ceilings.ceilings(notebooks),
        as_json=json_wanted,
        pictures=pictures,
        keep_going=keep_going,
    )
    if lists:
        _list_tools(as_json=json_wanted)
    elif batch is not None:
        ctx.exit(_run(made(calls_in(batch), options)))
    else:
        assert tool is not None
        ctx.exit(_run(_one(tool, words, source, options, helps=helps)))


def _run(work: Coroutine[Any, Any, int]) -> int:
    """Do the work, and raise a refusal as it is: the SDK's task groups wrap what is raised inside of them."""
    from marimo_kernel_bridge.cli.demo_agent import single_errors  # noqa: PLC0415  # only for this command

    try:
        return asyncio.run(work)
    except BaseExceptionGroup as group:
        errors = list(single_errors(group))
        if len(errors) == 1 and isinstance(errors[0], BridgeError):
            raise errors[0] from None
        raise


def _list_tools(*, as_json: bool) -> None:
    from marimo_kernel_bridge.mcp_tools import TOOLS  # noqa: PLC0415  # only for this command

    listed = [
        (one.name, "by its arguments" if callable(one.needs) else one.needs, one.title)
        for one in TOOLS
        if one.app != "only"
    ]
    if as_json:
        echo(
            json.dumps(
                [{"tool": name, "needs": needs, "title": title} for name, needs, title in listed], indent=2
            )
        )
        return
    width = max(len(name) for name, *_ in listed)
    for name, needs, title in listed:
        echo(f"{name:<{width}}  {needs:<16}  {title}")


async def _one(
    tool: str, words: Sequence[str], source: Path | None, options: CallOptions, *, helps: bool
) -> int:
    from marimo_kernel_bridge.cli.tool_words import arguments_of, help_of  # noqa: PLC0415  # only for this command

    async with CallServer(options) as server:
        described = server.tool(tool)
        if helps:
            echo(help_of(tool, described.title or tool, described.description or "", described.input_schema))
            return 0
        if tool == "start_kernel":
            raise BridgeError(
                "bad_request",
                "A kernel that start_kernel starts ends with the command that started it.",
                "create_notebook starts one that stays; with --batch, one server makes several calls.",
            )
        read = _Once(text_of_stdin)
        arguments = _object(source, read) | arguments_of(tool, described.input_schema, words, read)
        result = await server.call(tool, arguments)
        if options.as_json:
            echo(
                json.dumps(
                    as_json(server.objects(tool, result), result, options.pictures),
                    indent=2,
                    ensure_ascii=False,
                )
            )
        else:
            show(result, options.pictures)
        return exit_code(result)


class _Once:
    """Standard input, which can be read once."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read: Callable[[], str] | None = read

    def __call__(self) -> str:
        if self._read is None:
            raise WrongUsageError("Standard input stands for two arguments.", "Give `-` once.")
        read, self._read = self._read, None
        return read()


def _object(source: Path | None, stdin: Callable[[], str]) -> dict[str, Any]:
    if source is None:
        return {}
    text = stdin() if str(source) == "-" else text_of(source)
    try:
        arguments = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WrongUsageError(f"The arguments are no JSON: {error}.") from None
    if not isinstance(arguments, dict):
        raise WrongUsageError("The arguments are no JSON object.", 'For example {"cell_id": "c3"}.')
    return arguments
