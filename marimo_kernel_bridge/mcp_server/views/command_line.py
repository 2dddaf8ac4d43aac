"""A subprocess that runs the package's command line: how it is run, limited and ended, and the report that it prints.

Cancelling the caller ends the process.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TypeVar

import msgspec

from marimo_kernel_bridge.errors import CODES, BridgeError, ErrorCode
from marimo_kernel_bridge.mcp_server.answers.files import (
    CellDifference,  # noqa: TC001  # msgspec looks at it
    ImportedCell,  # noqa: TC001  # msgspec looks at it
)
from marimo_kernel_bridge.protocol.lines import split_lines
from marimo_kernel_bridge.protocol.own_python import module_command, python_environment


class ExportReport(msgspec.Struct, frozen=True):
    """The report of `export --json`."""

    cells: int
    with_outputs: int
    notes: tuple[str, ...]


class MarimoCheck(msgspec.Struct, frozen=True):
    """The verdict of `marimo check` on an imported notebook."""

    passes: bool
    findings: tuple[str, ...]


class Verified(msgspec.Struct, frozen=True):
    """The comparison of both notebooks' outputs."""

    same: bool
    differences: tuple[CellDifference, ...]


class ImportReport(msgspec.Struct, frozen=True):
    """The report of `import --json`. `verified` is set if verification was requested."""

    notebook: str
    output: str
    written: bool
    complete: bool
    cells: tuple[ImportedCell, ...]
    added: tuple[str, ...]
    marimo_check: MarimoCheck
    verified: Verified | None = None


class _Refusal(msgspec.Struct, frozen=True):
    refused: str
    code: str
    hint: str = ""


_Report = TypeVar("_Report", ExportReport, ImportReport)


async def run_command(kind: type[_Report], *arguments: str, bound: float) -> _Report:
    """Run the command line and return its report. Raises the `BridgeError` with which it refused."""
    if "\0" in "".join(arguments):
        raise BridgeError("bad_request", "A path has a null byte in it; nothing was done.")
    process = await asyncio.create_subprocess_exec(
        *module_command(*arguments, "--json"),
        env=python_environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(bound):
            out, err = await process.communicate()
    except TimeoutError:
        raise BridgeError("bad_request", f"The {arguments[0]} took longer than {bound:g} s.") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    try:
        return parse_report(kind, out)
    except msgspec.DecodeError:
        lines = split_lines(err.decode(errors="replace").strip())
        raise BridgeError(
            "bad_notebook", f"The {arguments[0]} failed: {lines[-1] if lines else 'it printed nothing'}."
        ) from None


def parse_report(kind: type[_Report], printed: bytes) -> _Report:
    """Parse the printed report. Raises the `BridgeError` with which it refused, or `msgspec.DecodeError`."""
    report = msgspec.json.decode(printed)
    if isinstance(report, dict) and "refused" in report:
        refusal = msgspec.convert(report, _Refusal)
        code: ErrorCode = refusal.code if refusal.code in CODES else "bad_request"  # type: ignore[assignment]  # narrowed by the test against CODES
        raise BridgeError(code, refusal.refused, refusal.hint)
    return msgspec.convert(report, kind)
