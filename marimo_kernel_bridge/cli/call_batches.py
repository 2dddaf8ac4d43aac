"""Batches of `call`: a call in each line of a file, made one after another by one server."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from marimo_kernel_bridge.cli.call_answers import as_json, exit_code
from marimo_kernel_bridge.cli.call_server import CallServer
from marimo_kernel_bridge.cli.group import WRONG_USAGE
from marimo_kernel_bridge.cli.terminal import echo
from marimo_kernel_bridge.errors import WrongUsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from marimo_kernel_bridge.cli.call_server import CallOptions


@dataclass(frozen=True)
class Call:
    """A line of a batch; `problem` says why it is no call."""

    tool: str
    arguments: dict[str, Any]
    problem: WrongUsageError | None = None


async def made(calls: Sequence[Call], options: CallOptions) -> int:
    """Make one call after another, and print the answer of each as a line of JSON; return the first code that is not 0.

    All are looked at first: a batch is not left half done because of a line that is no call.
    """
    code = 0
    async with CallServer(options) as server:
        calls = [_checked(server, call) for call in calls]
        problem = next((call.problem for call in calls if call.problem is not None), None)
        if problem is not None and not options.keep_going:
            raise problem
        for call in calls:
            tool = call.tool
            if call.problem is not None:
                error = {"code": call.problem.code, "message": str(call.problem)}
                echo(json.dumps({"tool": tool, "ok": False, "error": error}, ensure_ascii=False))
                code = code or WRONG_USAGE
                continue
            result = await server.call(tool, call.arguments)
            refused = bool(result.is_error)
            line = {"tool": tool, "ok": not refused} | (
                {} if refused else {"answer": as_json(server.objects(tool, result), result, options.pictures)}
            )
            echo(json.dumps(line | (as_json(None, result, None) if refused else {}), ensure_ascii=False))
            code = code or exit_code(result)
            if code and not options.keep_going:
                break
    return code


def calls_in(batch: Path) -> list[Call]:
    """Return the lines of a batch."""
    return list(_lines(batch))


def _lines(batch: Path) -> Iterator[Call]:
    text = text_of_stdin() if str(batch) == "-" else text_of(batch)
    for number, line in enumerate(text.split("\n"), 1):
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
        yield Call(tool, arguments, problem)


def _checked(server: CallServer, call: Call) -> Call:
    """Return a call with what is wrong with its tool, if anything is."""
    if call.problem is None:
        try:
            server.tool(call.tool)
        except WrongUsageError as problem:
            return replace(call, problem=problem)
    return call


def text_of(path: Path) -> str:
    """Return the text of a file. Raises `WrongUsageError`."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise WrongUsageError(f"{path} cannot be read: {error}.") from None


def text_of_stdin() -> str:
    """Return the text of standard input. Raises `WrongUsageError`."""
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise WrongUsageError(f"Standard input is no text in {error.encoding}: {error.reason}.") from None
