"""Forked processes: what a function returns in a child that shares all that is loaded and computed so far.

A child works in a copy of the folder, so that the files that it writes are nobody else's.
"""

import ctypes
import os
import pickle
import random
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

LARGEST = 20_000_000  # bytes of a file beside a notebook that is copied
_DEATH_SIGNAL = 1
_T = TypeVar("_T")


class ForkError(Exception):
    """A child did not return: it took too long, died or raised."""


def forked(function: Callable[[], _T], bound: float, *, fresh: bool = False) -> _T:
    """Return what a function returns in a child that has `bound` seconds. `fresh`: it draws its own random numbers.

    Raises `ForkError`.
    """
    reading, writing = os.pipe()
    drawn = random.getstate()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        os.close(reading)
        os.setsid()
        _end_with_parent()
        if fresh:
            _reseed()
        else:
            random.setstate(drawn)  # Python has reseeded it
        _answer(function, writing)
    os.close(writing)
    try:
        data = _read(reading, time.monotonic() + bound)
    finally:
        os.close(reading)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if not data:
        raise ForkError("died")
    answer = pickle.loads(data)
    if isinstance(answer, ForkError):
        raise answer
    return answer


def _answer(function: Callable[[], object], writing: int) -> None:
    """Send what a function returns, in the child. Ends it."""
    status = 1
    try:
        try:
            answer = function()
        except BaseException as error:
            answer = ForkError(f"{type(error).__name__}: {error}\n{traceback.format_exc()[-1500:]}")
        with os.fdopen(writing, "wb") as file:
            file.write(pickle.dumps(answer))
        status = 0
    finally:
        os._exit(status)


def _end_with_parent() -> None:
    with suppress(OSError, AttributeError):  # Linux alone has it
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _read(reading: int, deadline: float) -> bytes:
    pieces = []
    while True:
        ready, _, _ = select.select([reading], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise ForkError("took too long")
        piece = os.read(reading, 1 << 20)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def _reseed() -> None:
    """Draw other random numbers than the parent; Python's own generator has reseeded itself."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


@contextmanager
def copied(folder: Path) -> Iterator[Path]:
    """Work in a copy of a folder."""
    before = Path.cwd()
    copy = Path(tempfile.mkdtemp(prefix="corpus-")).resolve()
    try:
        for path in folder.rglob("*"):
            if path.is_file() and path.stat().st_size < LARGEST:
                target = copy / path.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
        os.chdir(copy)
        yield copy
    finally:
        os.chdir(before)
        shutil.rmtree(copy, ignore_errors=True)
