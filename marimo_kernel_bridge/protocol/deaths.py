"""How a kernel died, found in what it left behind, and said in sentences. Pure.

Not certain where only circumstances tell: then the sentence says "probably". `black_box` reads the files.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from marimo_kernel_bridge.protocol.black_box import ABANDONED, NO_EXIT
from marimo_kernel_bridge.protocol.notebook import Death

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marimo_kernel_bridge.protocol.black_box import BlackBox
    from marimo_kernel_bridge.protocol.notebook import RecordedName

MOST_TOLD: Final = 50
"""Names that an answer has."""
_MOST_IN_SENTENCE: Final = 12
_MOST_FRAMES: Final = 30
_PAGES: Final = 1 << 20
_NEARLY: Final = 0.9
"""Of a limit of memory: who was killed with more was probably killed for it."""

_SIGNALS: Final = {
    "Segmentation fault": ("SIGSEGV", "a segmentation fault"),
    "Aborted": ("SIGABRT", "it aborted itself"),
    "Bus error": ("SIGBUS", "a bus error"),
    "Floating-point exception": ("SIGFPE", "a floating-point exception"),
    "Floating point exception": ("SIGFPE", "a floating-point exception"),
    "Illegal instruction": ("SIGILL", "an illegal instruction"),
}
CPU_IS_USED_UP: Final = b"limit_exceeded: cpu_seconds\n"
"""What a kernel notes in `crash.txt` when it has used the CPU time that it has."""
_OVERDUE: Final = re.compile(r"^Timeout \(", re.MULTILINE)
"""The process was ended by a timer, as faulthandler notes it."""
_CPU: Final = re.compile(r"^(?:limit_exceeded: cpu_seconds|Stack \(most recent call first\):)$", re.MULTILINE)
"""The CPU time was used up, as Python noted it, or, in C code, a handler of faulthandler's."""
_FATAL: Final = re.compile(r"^Fatal Python error: ([^\n]{1,200})$", re.MULTILINE)
_CURRENT: Final = re.compile(r"^Current thread [^\n]{0,100}:$", re.MULTILINE)
_ANY_THREAD: Final = re.compile(r"^Thread [^\n]{0,100}:$", re.MULTILINE)
_FRAME: Final = re.compile(r'^ {2}File "([^"\n]{0,600})", line (\d{1,7}) in ([^\n]{0,600})$', re.MULTILINE)
_NO_FRAME: Final = re.compile(r"^(?! {2})", re.MULTILINE)


def sentence(death: Death, where: str = "") -> str:
    """Return in one line how a kernel died, and what is lost. `where` names the cell, in place of its id."""
    parts = [f"The kernel died{_at(death.at)}: {death.what}{_place(death, where)}."]
    if death.lost:
        parts.append(f"Lost: {_names(death.lost, death.total_lost)}.")
    if death.covered:
        parts.append(death.covered)
    return " ".join(parts)


def _place(death: Death, where: str) -> str:
    if not death.ran:
        return " while no cell ran"
    line = f", line {death.line}" if death.line else ""
    if not death.cell_id:
        return f" in code outside of the cells, `{death.code}`{line}"
    return f" in {where or f'cell {death.cell_id} `{death.code}`'}{line}"


def death_of(box: BlackBox, oom_kills: int = 0) -> Death:
    """Return how the kernel of a black box died. `oom_kills` is what its memory controller counts now."""
    frames = _frames(box.crash)
    names = sorted(box.names, key=lambda name: (name.type == "module", -(name.seconds or 0.0)))
    death = Death(
        "killed",
        "it was killed from outside",
        box.heard,
        ran=box.runs != "nothing",
        cell_id=box.cell_id if box.runs == "cell" else None,
        code=box.line if box.runs != "nothing" else "",
        used=box.used,
        limit=box.limit,
        lost=tuple(names[:MOST_TOLD]),
        total_lost=len(names),
    )
    memory = f" ({gigabytes(box.used)} of {gigabytes(box.limit)} in use)" if box.limit and box.used else ""
    nearly = bool(box.limit) and box.used >= _NEARLY * box.limit
    if fatal := _FATAL.search(box.crash):
        signal, what = _SIGNALS.get(fatal[1], ("SIGABRT", fatal[1]))
        perhaps = f", perhaps out of memory{memory}" if signal == "SIGABRT" and nearly else ""
        return replace(
            death,
            cause="signal",
            what=f"{what} ({signal}{perhaps})",
            signal=signal,
            line=next((line for file, line, _ in frames if box.file and file == box.file), None),
            traceback=_traceback(frames, box),
        )
    if (by_limit := _by_limit(death, box)) is not None:
        return by_limit
    if box.killed or box.exit_code == ABANDONED:
        return replace(
            death,
            cause="restarted" if box.killed else "abandoned",
            what="it was restarted by force"
            if box.killed
            else "it ended with the program that had started it",
        )
    if box.exit_code >= 0:
        what = f"its process ended itself with exit code {box.exit_code}"
        return replace(death, cause="exit", what=what, exit_code=box.exit_code)
    return _out_of_memory(death, box, memory, certain=oom_kills > box.born.oom_kills, nearly=nearly)


def _out_of_memory(death: Death, box: BlackBox, memory: str, *, certain: bool, nearly: bool) -> Death:
    if not (certain or nearly):
        return death
    # A control group counts in pages.
    given = "memory" if box.born.limits.get("memory", 0) // _PAGES == box.limit // _PAGES != 0 else ""
    what = (
        f"{'limit_exceeded: memory: ' if given else ''}{'' if certain else 'probably '}out of memory{memory}"
    )
    return replace(death, cause="out_of_memory", what=what, certain=certain, signal="SIGKILL", exceeded=given)


def _by_limit(death: Death, box: BlackBox) -> Death | None:
    """Return the death of a kernel that was ended for the time it took, None if it was not."""
    if _OVERDUE.search(box.crash):
        return _overdue(death, box)
    if box.killed or box.exit_code != NO_EXIT or not _CPU.search(box.crash):
        return None
    what = f"limit_exceeded: cpu_seconds{_of(box, 'cpu_seconds')}"
    return replace(death, cause="limit_exceeded", what=what, exceeded="cpu_seconds", signal="SIGKILL")


def _overdue(death: Death, box: BlackBox) -> Death:
    """Return the death of a kernel whose code no interrupt had stopped."""
    # All threads stand there, none as the current one.
    blocks = [_frames_behind(box.crash, begins.end()) for begins in _ANY_THREAD.finditer(box.crash)]
    frames = next((block for block in blocks if any(file == box.file for file, _, _ in block)), [])
    return replace(
        death,
        cause="limit_exceeded",
        what=f"limit_exceeded: cell_seconds{_of(box, 'cell_seconds')}; no interrupt had stopped it",
        exceeded="cell_seconds",
        line=next((line for file, line, _ in frames if file == box.file), None),
        traceback=_traceback(frames, box) if frames else (),
    )


def _of(box: BlackBox, limit: str) -> str:
    seconds = box.born.limits.get(limit)
    return "" if seconds is None else f" ({seconds:g} s)"


def still_lost(death: Death, defined: Sequence[str]) -> tuple[str, ...]:
    """Return the lost names that no cell has defined since."""
    there = set(defined)
    return tuple(name.name for name in death.lost if name.name not in there and name.type != "module")


def _frames(crash: str) -> list[tuple[str, int, str]]:
    """Return the frames of the thread that crashed, the innermost first: file, line, function."""
    begins = _CURRENT.search(crash)
    return [] if begins is None else _frames_behind(crash, begins.end())


def _frames_behind(crash: str, place: int) -> list[tuple[str, int, str]]:
    """Return the frames of the thread whose heading ends at a place."""
    block = crash[place + 1 :]
    ends = _NO_FRAME.search(block)
    return [
        (file, int(line), name)
        for file, line, name in _FRAME.findall(block[: ends.start() if ends else None])
    ]


def _traceback(frames: Sequence[tuple[str, int, str]], box: BlackBox) -> tuple[str, ...]:
    """Return the frames from the cell's own on, the innermost last; all, if no cell has any."""
    cells = f"ipykernel_{box.born.pid}/"  # in the names of all files that are cells
    outermost = max((number for number, frame in enumerate(frames) if cells in frame[0]), default=len(frames))
    return tuple(
        f"{'the cell' if file == box.file else 'a cell' if cells in file else file}, line {line}, in {name}"
        for file, line, name in reversed(frames[: outermost + 1][:_MOST_FRAMES])
    )


def _at(when: float) -> str:
    try:
        return f" at {datetime.fromtimestamp(when).astimezone():%H:%M}" if when else ""
    except (OverflowError, OSError, ValueError):
        return ""


def gigabytes(size: int) -> str:
    """Return an amount of memory for a sentence."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"  # noqa: PLR2004  # 0.1 GB


def _names(lost: Sequence[RecordedName], total: int) -> str:
    names = [name for name in lost if name.type != "module"] or list(lost)
    total -= len(lost) - len(names)
    shown = ", ".join(f"`{name.name}`" for name in names[:_MOST_IN_SENTENCE])
    more = total - len(names[:_MOST_IN_SENTENCE])
    return f"{shown} and {more} more" if more > 0 else shown
