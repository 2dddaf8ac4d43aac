"""The working directory, which may have been deleted."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def working_directory() -> str:
    """Return the path of the working directory, empty if it was deleted."""
    try:
        return os.getcwd()  # noqa: PTH109  # a string is wanted
    except OSError:
        return ""


@contextmanager
def outside_deleted_directory() -> Iterator[None]:
    """Leave a deleted working directory for this block, in which a library asks for its path."""
    if working_directory():
        yield
        return
    deleted = os.open(".", os.O_RDONLY)
    try:
        os.chdir(os.sep)
        yield
    finally:
        os.fchdir(deleted)
        os.close(deleted)
