"""Progress of long work on stderr: a bar with what is done now on a terminal, else a line for each part of the work."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from marimo_kernel_bridge.cli.terminal import echo, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def told_progress(label: str, length: int) -> Iterator[Callable[[int, str], object]]:
    """Yield a function to report the number of further steps done and the current one, `part: detail`."""
    if not sys.stderr.isatty():
        echo(f"{label}: {length} steps", err=True)
        yield _Parts()
        return
    with click.progressbar(
        length=length,
        label=label,
        file=sys.stderr,
        item_show_func=_visible,
        show_eta=False,
        show_pos=True,
    ) as bar:
        yield bar.update
        bar.update(length - bar.pos)  # what turned out not to be needed


def _visible(now: str | None) -> str | None:
    return None if now is None else visible(now)


class _Parts:
    """Tells each part of the work once."""

    def __init__(self) -> None:
        self._part = ""

    def __call__(self, _steps: int, now: str) -> None:
        part, _, _ = now.partition(": ")
        if part != self._part:
            self._part = part
            echo(f"  {part}", err=True)
