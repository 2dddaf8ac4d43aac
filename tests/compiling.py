"""Tests compiled once for all workers of a run.

pytest rewrites the assertions of each test module that it imports, and keeps the result beside it. All workers import all
modules at the same time and in the same order, so where nothing is kept each would rewrite all: 18 CPU seconds. Here each
begins at another place of the list and passes over what another worker has kept by then.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from _pytest.assertion.rewrite import (
    PYC_TAIL,
    _read_pyc,
    _rewrite_test,
    _write_pyc,
    assertstate_key,
    get_cache_dir,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest


def compile_share(files: Sequence[Path], config: pytest.Config) -> list[Path]:
    """Compile the files that no worker has compiled, beginning with this worker's share. Return those compiled here."""
    if sys.dont_write_bytecode:
        return []
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = len(files) * worker // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    compiled = []
    for file in (*files[first:], *files[:first]):
        kept = get_cache_dir(file) / f"{file.stem}{PYC_TAIL}"
        if _read_pyc(file, kept) is None:
            with suppress(SyntaxError):  # the import tells of it
                source_hash, code = _rewrite_test(file, config)
                kept.parent.mkdir(exist_ok=True)
                _write_pyc(config.stash[assertstate_key], code, source_hash, kept)
                compiled.append(file)
    return compiled
