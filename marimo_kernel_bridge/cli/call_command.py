"""The command `call`: one tool of the MCP server from a shell, or several from a file, with the server's permissions and audit log."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import click

from marimo_kernel_bridge.cli.ceilings import ceiling_options
from marimo_kernel_bridge.cli.group import REFUSED, WRONG_USAGE, examples
from marimo_kernel_bridge.cli.plugins import loaded
from marimo_kernel_bridge.errors import CODES, BridgeError, WrongUsageError
from marimo_kernel_bridge.mcp_server.answers.tables import as_objects
from marimo_kernel_bridge.protocol.permissions import TIERS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from types import TracebackType

    from mcp import Client
    from mcp.client.session import ElicitationFnT
    from mcp.types import CallToolResult, ElicitResult, Tool

    from marimo_kernel_bridge.cli.ceilings import CeilingOptions
    from marimo_kernel_bridge.mcp_server.sessions.ceilings import Ceilings
    from marimo_kernel_bridge.mcp_server.tool import Tier

FAILED: Final = 4
"""The exit code if code that the call ran failed."""
GOES_ON: Final = 5
"""The exit code if the run has not ended when the call does."""
_FAILED: Final = frozenset({"error", "interrupted", "aborted", "cancelled", "lost", "refused"})
_GOES_ON: Final = frozenset({"running", "queued"})
_CLIENT: Final = "shell"


@dataclass(frozen=True)
class CallOptions:
    """How calls are made, and shown."""

    allow: Tier
    client: str
    ceilings: Ceilings
    as_json: bool = False
    pictures: Path | None = None
    keep_going: bool = False


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
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON, a refusal too.")
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
    as_json: bool,
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
        click.echo(ctx.get_help())
        return
    if (tool is not None) + lists + (batch is not None) != 1:
        raise click.UsageError("Give a TOOL, --list or --batch.")
    if source is not None and tool is None:
        raise click.UsageError("--input needs a TOOL.")
    options = CallOptions(
        allow, client, ceilings.ceilings(notebooks), as_json=as_json, pictures=pictures, keep_going=keep_going
    )
    if lists:
        _list_tools(as_json=as_json)
    elif batch is not None:
        ctx.exit(_run(_batch(_calls(batch), options)))
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
        click.echo(
            json.dumps(
                [{"tool": name, "needs": needs, "title": title} for name, needs, title in listed], indent=2
            )
        )
        return
    width = max(len(name) for name, *_ in listed)
    for name, needs, title in listed:
        click.echo(f"{name:<{width}}  {needs:<16}  {title}")


async def _one(
    tool: str, words: Sequence[str], source: Path | None, options: CallOptions, *, helps: bool
) -> int:
    from marimo_kernel_bridge.cli.tool_words import arguments_of, help_of  # noqa: PLC0415  # only for this command

    async with _Server(options) as server:
        described = server.tool(tool)
        if helps:
            click.echo(
                help_of(tool, described.title or tool, described.description or "", described.input_schema)
            )
            return 0
        if tool == "start_kernel":
            raise BridgeError(
                "bad_request",
                "A kernel that start_kernel starts ends with the command that started it.",
                "create_notebook starts one that stays; with --batch, one server makes several calls.",
            )
        read = _Once(sys.stdin.read)
        arguments = _object(source, read) | arguments_of(tool, described.input_schema, words, read)
        result = await server.call(tool, arguments)
        if options.as_json:
            click.echo(json.dumps(_as_json(result, options.pictures), indent=2, ensure_ascii=False))
        else:
            _show(result, options.pictures)
        return _exit_code(result)


@dataclass(frozen=True)
class _Call:
    """A line of a batch; `problem` says why it is no call."""

    tool: str
    arguments: dict[str, Any]
    problem: WrongUsageError | None = None


async def _batch(calls: Sequence[_Call], options: CallOptions) -> int:
    """Make one call after another, and print the answer of each as a line of JSON; return the first code that is not 0.

    All are looked at first: a batch is not left half done because of a line that is no call.
    """
    code = 0
    async with _Server(options) as server:
        calls = [server.checked(call) for call in calls]
        problem = next((call.problem for call in calls if call.problem is not None), None)
        if problem is not None and not options.keep_going:
            raise problem
        for call in calls:
            tool = call.tool
            if call.problem is not None:
                error = {"code": call.problem.code, "message": str(call.problem)}
                click.echo(json.dumps({"tool": tool, "ok": False, "error": error}, ensure_ascii=False))
                code = code or WRONG_USAGE
                continue
            result = await server.call(tool, call.arguments)
            refused = bool(result.is_error)
            line = {"tool": tool, "ok": not refused} | (
                {} if refused else {"answer": _as_json(result, options.pictures)}
            )
            click.echo(json.dumps(line | (_as_json(result, None) if refused else {}), ensure_ascii=False))
            code = code or _exit_code(result)
            if code and not options.keep_going:
                break
    return code


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
    text = stdin() if str(source) == "-" else _text(source)
    try:
        arguments = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WrongUsageError(f"The arguments are no JSON: {error}.") from None
    if not isinstance(arguments, dict):
        raise WrongUsageError("The arguments are no JSON object.", 'For example {"cell_id": "c3"}.')
    return arguments


def _calls(batch: Path) -> list[_Call]:
    """Return the lines of a batch."""
    return list(_lines(batch))


def _lines(batch: Path) -> Iterator[_Call]:
    text = sys.stdin if str(batch) == "-" else _text(batch).split("\n")
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        try:
            one = json.loads(line)
            tool, arguments = one["tool"], one.get("arguments", {})
            fits = isinstance(tool, str) and isinstance(arguments, dict)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            tool, arguments, fits = "", {}, False
        problem = None
        if not fits:
            problem = WrongUsageError(
                f"Line {number} is no call.",
                'Each line is {"tool": "read_cell", "arguments": {"cell_id": "c3"}}.',
            )
        yield _Call(tool, arguments, problem)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise WrongUsageError(f"{path} cannot be read: {error}.") from None


class _Server:
    """A server of this process, and a client of it. A context manager."""

    def __init__(self, options: CallOptions) -> None:
        self._options = options
        self._tools: dict[str, Tool] = {}

    async def __aenter__(self) -> Self:
        from mcp import Client  # noqa: PLC0415  # only for this command
        from mcp.types import Implementation  # noqa: PLC0415

        from marimo_kernel_bridge import __version__  # noqa: PLC0415
        from marimo_kernel_bridge.mcp_tools import build_server  # noqa: PLC0415

        server = build_server(self._options.allow, ceilings=self._options.ceilings, plugins=loaded())
        self._client: Client = Client(
            server,
            client_info=Implementation(name=self._options.client, version=__version__),
            elicitation_callback=_asked_here() if sys.stdin.isatty() else None,
        )
        await self._client.__aenter__()
        listed = (await self._client.list_tools()).tools
        self._tools = {tool.name: tool for tool in (*_all_tools(), *listed)}
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, traceback)

    def tool(self, name: str) -> Tool:
        """Return a tool. Raises `WrongUsageError`."""
        if name in self._tools:
            return self._tools[name]
        import difflib  # noqa: PLC0415  # only then

        near = difflib.get_close_matches(name, self._tools, n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise WrongUsageError(f"There is no tool {name[:80]!r}.", f"{meant}--list shows them.")

    def checked(self, call: _Call) -> _Call:
        """Return a call with what is wrong with its tool, if anything is."""
        if call.problem is None:
            try:
                self.tool(call.tool)
            except WrongUsageError as problem:
                return replace(call, problem=problem)
        return call

    async def call(self, tool: str, arguments: dict[str, Any]) -> CallToolResult:
        from mcp.types import CallToolResult  # noqa: PLC0415  # only for this command

        result = await self._client.call_tool(tool, arguments)
        assert isinstance(result, CallToolResult)
        return result


def _all_tools() -> Iterator[Tool]:
    """Yield the tools, also those that the permission does not allow: a call of one is refused with the reason."""
    from mcp.types import Tool  # noqa: PLC0415  # only for this command

    from marimo_kernel_bridge.mcp_server.sdk.strict_tools import StrictTool  # noqa: PLC0415
    from marimo_kernel_bridge.mcp_tools import TOOLS  # noqa: PLC0415

    for declaration in TOOLS:
        made = StrictTool.of(declaration, declaration.function)
        yield Tool(
            name=made.name, title=made.title, description=made.description, input_schema=made.parameters
        )


def _asked_here() -> ElicitationFnT:
    """Return what asks the person at the terminal, as a host would."""

    async def ask(context: Any, params: Any) -> ElicitResult:
        from mcp.types import ElicitResult  # noqa: PLC0415  # only then

        del context

        fields = list(getattr(params, "requested_schema", {}).get("properties", {}))
        agreed = await asyncio.to_thread(click.confirm, params.message, default=False, err=True)
        return ElicitResult(
            action="accept" if agreed else "decline", content=dict.fromkeys(fields, True) if agreed else None
        )

    return ask


def _as_json(result: CallToolResult, pictures: Path | None) -> dict[str, Any]:
    """Return an answer: what the tool says as data, or its refusal; and the files of pictures that were saved."""
    text = "\n".join(block.text for block in result.content if block.type == "text")
    if result.is_error:
        return {"error": _refusal(text)}
    answer: dict[str, Any] = (
        as_objects(result.structured_content) if result.structured_content is not None else {"text": text}
    )
    saved = [str(path) for path in _saved(result, pictures)]
    return answer | ({"pictures": saved} if saved else {})


def _refusal(text: str) -> dict[str, str]:
    code, closed, message = text.removeprefix("[").partition("] ")
    # What is told to agents of the server's options is told here to the person who gives them.
    message = message.replace("marimo-kernel-bridge mcp --allow", "marimo-kernel-bridge call --allow")
    message = message.replace(" Do not work around it.", "")
    if text.startswith("[") and closed and code in CODES:
        return {"code": code, "message": message}
    return {"code": "bad_request", "message": text}


def _show(result: CallToolResult, pictures: Path | None) -> None:
    """Print an answer's text, and where its pictures are; a refusal goes to stderr."""
    for block in result.content:
        if block.type == "text":
            text = block.text
            if result.is_error:
                refusal = _refusal(text)
                text = f"marimo-kernel-bridge: [{refusal['code']}] {refusal['message']}"
            click.echo(text, err=bool(result.is_error))
        elif block.type == "image" and pictures is None:
            click.echo(f"(a picture, {block.mime_type}: --pictures FOLDER saves it)")
    for path in _saved(result, pictures):
        click.echo(f"picture: {path}")


def _saved(result: CallToolResult, folder: Path | None) -> list[Path]:
    """Write the pictures of an answer into a folder, under names that are not taken."""
    images = [block for block in result.content if block.type == "image"]
    if folder is None or not images:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for image in images:
        suffix = image.mime_type.rpartition("/")[2].replace("svg+xml", "svg")
        suffix = suffix if suffix.isalnum() else "bin"
        number = 1
        while (path := folder / f"picture-{number}.{suffix}").exists():
            number += 1
        path.write_bytes(base64.b64decode(image.data))
        paths.append(path)
    return paths


def _exit_code(result: CallToolResult) -> int:
    if result.is_error:
        return REFUSED
    status = (result.structured_content or {}).get("status")
    if status in _GOES_ON:
        return GOES_ON
    return FAILED if status in _FAILED else 0
