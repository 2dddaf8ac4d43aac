"""A subprocess that runs the package's command line: how it is run, limited and ended, and the report that it prints.

Cancelling the caller ends the process.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import Final, TypeVar

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


_LOOK_EVERY: Final = 1.0  # seconds
_WAITS: Final = 480.0
"""Seconds by the clock, beyond those of processor time, after which a process is given up that waits for something."""

_Report = TypeVar("_Report", ExportReport, ImportReport)


_OF_TOOLS: Final = (
    (re.compile(r"--target (\w+)"), r"target=\1"),
    (re.compile(r" with -o\b"), " as output"),
    (re.compile(r", or pass --force\b|: pass --force, or"), ", or pass overwrite=true; or"),
    (re.compile(r"`import --check` says how"), "import_notebook(check=true) says how"),
    (
        re.compile(r" For what a running kernel has, name its notebook or connection file and pass --live\."),
        "",
    ),
    (
        re.compile(
            r"^For what a running kernel has, name its notebook or connection file and pass --live\.$"
        ),
        "Without file it is the kernel's.",
    ),
    (re.compile(r": --scripts keeps them\."), "."),
    (re.compile(r"(?<!kernel-bridge )(?<![\w-])--(\w[\w-]*+)(?= )"), r"\1"),
)
"""What the command line says to a person of its options, and what an agent has instead."""


def in_words_of_tools(text: str) -> str:
    """Return a message of the command line as one of the tools."""
    if "marimo-kernel-bridge " in text:  # a command for the person
        return text
    for pattern, instead in _OF_TOOLS:
        text = pattern.sub(instead, text)
    return text.replace("; or.", ".")


async def run_command(kind: type[_Report], *arguments: str, bound: float) -> _Report:
    """Run the command line and return its report. Raises the `BridgeError` with which it refused.

    `bound`: seconds of processor time of its process and those that it starts, so that a busy machine refuses nothing.
    """
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
        out, err = await _output(process, bound)
    except TimeoutError:
        raise BridgeError(
            "bad_request",
            f"The {arguments[0]} took more than {bound:g} s of processor time, or waited for much longer.",
            "Do it in parts, or ask the person: the command line has no limit.",
        ) from None
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


async def _output(process: asyncio.subprocess.Process, bound: float) -> tuple[bytes, bytes]:
    """Wait for a process, and return what it wrote. Raises TimeoutError after so much processor time, and much later in any case."""
    reading = asyncio.ensure_future(process.communicate())
    try:
        async with asyncio.timeout(bound + _WAITS):
            while not (await asyncio.wait({reading}, timeout=_LOOK_EVERY))[0]:
                if await asyncio.to_thread(_used, process.pid) > bound:
                    raise TimeoutError
        return reading.result()
    finally:
        reading.cancel()


def _used(pid: int) -> float:
    """Return the processor time of a process and of its children, in seconds."""
    import psutil  # type: ignore[import-untyped]  # it has no types  # noqa: PLC0415  # a server starts without it

    used = 0.0
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        for one in (parent, *parent.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                used += sum(one.cpu_times()[:2])
        used += sum(parent.cpu_times()[2:4])  # of children that have ended
    return used


def parse_report(kind: type[_Report], printed: bytes) -> _Report:
    """Parse the printed report. Raises the `BridgeError` with which it refused, or `msgspec.DecodeError`."""
    report = msgspec.json.decode(printed)
    if isinstance(report, dict) and "refused" in report:
        refusal = msgspec.convert(report, _Refusal)
        code: ErrorCode = refusal.code if refusal.code in CODES else "bad_request"  # type: ignore[assignment]  # narrowed by the test against CODES
        raise BridgeError(code, in_words_of_tools(refusal.refused), in_words_of_tools(refusal.hint))
    return msgspec.convert(report, kind)
