"""Kills processes in the middle of saving a checkpoint, and looks each time at what is left: python -m ... FOLDER TIMES"""

import faulthandler
import itertools
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from marimo_kernel_bridge.checkpoints.own_files import PARTIAL
from marimo_kernel_bridge.checkpoints.store import Store
from tests.unit.checkpoints.saved import contents, save

_BOUND = 300.0
"""Seconds of one round."""


def main(folder: str, times: str) -> None:
    store = Store(Path(folder))
    _save(store, 0)
    longest = 0.02  # seconds until a kill; becomes some saves, however fast the disk is
    seen, killed_in_the_middle = 0, 0
    for _ in range(int(times)):
        faulthandler.dump_traceback_later(
            _BOUND, exit=True
        )  # of this round; its children have no such thread
        child = os.fork()
        if not child:
            _save_for_ever(store, seen)
        time.sleep(random.uniform(0, longest))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        killed_in_the_middle += any(store.folder.glob(f"**/{PARTIAL}*"))
        version = _version_of(store, at_least=seen)
        longest *= 0.9 if version > seen else 1.3
        seen = version
        store.collect()
        assert not any(store.folder.glob(f"**/{PARTIAL}*"))
        _version_of(store, at_least=seen)
    faulthandler.cancel_dump_traceback_later()
    sys.stdout.write(f"{killed_in_the_middle} {seen}\n")


def _save_for_ever(store: Store, version: int) -> NoReturn:
    for following in itertools.count(version + 1):
        _save(store, following)
    os._exit(1)


def _save(store: Store, version: int) -> None:
    mark = version.to_bytes(4)
    save(store, "state", small=mark, large=mark * 10_000, buffers=(mark * 300_000, mark * 20_000))


def _version_of(store: Store, at_least: int) -> int:
    """Return the version of the checkpoint, which must be whole."""
    with store.open("nb-0123456789abcdef", "state", verify_buffers=True):
        pass
    parts = contents(store, "state")
    versions = {int.from_bytes(part[:4]) for group in parts.values() for part in group}
    assert versions == {max(versions)}
    assert max(versions) >= at_least
    return max(versions)


if __name__ == "__main__":
    main(*sys.argv[1:])
