"""What the tests in a browser take from npm (`packages/package.json`): fetched once for each lock, for all test processes."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

from extensions.build import hash_of, run, with_node

LISTED = Path(__file__).parent / "packages"
NAMES = ("package.json", "package-lock.json", ".npmrc")
FOLDER = Path(__file__).parents[2] / ".build/browser-packages"


def npm_packages() -> Path:
    """Return the folder of packages, `node_modules`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    installed, wanted = FOLDER / "installed", hash_of(LISTED / "package-lock.json")
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # held until the file is closed
        if not installed.exists() or installed.read_text() != wanted:
            for name in NAMES:
                shutil.copy(LISTED / name, FOLDER)
            run(("npm", "ci", "--ignore-scripts"), FOLDER, with_node())
            installed.write_text(wanted)
    return FOLDER / "node_modules"
