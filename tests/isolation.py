"""Homes for what tests start, and the proof that nothing stays behind or changes elsewhere.

Owns the folder of a run and the variables that point programs into it: home, Jupyter's runtime folder, folder of
temporary files. IPython, Jupyter and marimo find all of theirs below the home. Shared by all tests are three caches
that are expensive to make: matplotlib's list of fonts, and the downloads of pip and uv. Knows nothing of pytest.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]  # it has no types

from tests import probes

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = "BRIDGE_TESTS_FOLDER"
"""The variable that names the folder of a run; pytest's workers inherit it."""

_PERSONAL = re.compile(r"^(JUPYTER|JPY_|IPYTHON|MARIMO|XDG_|MPL|PYTHONSTARTUP|UV_CACHE_DIR$|COLUMNS$|LINES$)")
_ENDING = 30.0
"""Seconds that a process has to end after it was told to, on a machine that computes."""


@dataclass(frozen=True)
class Home:
    """A folder that programs take for a person's home."""

    folder: Path

    @property
    def runtime(self) -> Path:
        """Jupyter's runtime folder. Its path is short: sockets have 107 characters."""
        return self.folder / "run"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def variables(self) -> dict[str, str]:
        home = str(self.folder)
        windows = {name: home for name in ("USERPROFILE", "APPDATA", "LOCALAPPDATA") if os.name == "nt"}
        return (
            windows
            | probes.variables()
            | {
                "HOME": home,
                "JUPYTER_RUNTIME_DIR": str(self.runtime),
                "TMPDIR": str(self.temporary),
            }
        )

    def temporary_files(self) -> list[str]:
        """Return what lies in the folder of temporary files."""
        return sorted(str(path.relative_to(self.temporary)) for path in self.temporary.rglob("*"))

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment for a program that lives here, as if no test had started it."""
        # ipykernel does not capture file descriptors where it finds pytest's variable.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        return inherited | self.variables | more

    @contextmanager
    def lived_in(self) -> Iterator[None]:
        """Make it the home of this process and of what it starts."""
        before, temporary = {name: os.environ.get(name) for name in self.variables}, tempfile.tempdir
        os.environ.update(self.variables)
        tempfile.tempdir = str(self.temporary)
        try:
            yield
        finally:
            tempfile.tempdir = temporary
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


class Homes:
    """All homes of one process of pytest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = itertools.count()

    def new(self, kind: str) -> Home:
        """Make a home; a short `kind` tells whose it is."""
        home = Home(self.folder / f"{kind}{next(self._numbers)}")
        for folder in (home.folder, home.runtime, home.temporary):
            folder.mkdir(mode=0o700, parents=True)
        return home


def begin() -> Path:
    """Make the folder of a run, unless this is a worker of one, and forget what is personal in the environment."""
    if FOLDER in os.environ:
        return Path(os.environ[FOLDER])
    # The real path: programs print that, and on macOS the temporary folder is a link.
    folder = Path(tempfile.mkdtemp(prefix="mkb-")).resolve()
    shared = _shared(folder)
    for name in [name for name in os.environ if _PERSONAL.match(name)]:
        del os.environ[name]
    os.environ.update(shared | {FOLDER: str(folder)})
    return folder


def _shared(folder: Path) -> dict[str, str]:
    """Return the variables of the caches and settings that all tests share, with a copy of the list of fonts."""
    fonts = folder / "matplotlib"
    fonts.mkdir()
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    configured = Path(os.environ.get("XDG_CONFIG_HOME", "~/.config")).expanduser()
    for path in (cache / "matplotlib").glob("fontlist-*.json"):
        shutil.copy(path, fonts)
    shared = {
        "MPLCONFIGDIR": str(fonts),
        "PIP_CACHE_DIR": str(cache / "pip"),
        "UV_CACHE_DIR": str(cache / "uv"),
    }
    for name, path in (
        ("PIP_CONFIG_FILE", configured / "pip/pip.conf"),
        ("UV_CONFIG_FILE", configured / "uv/uv.toml"),
    ):
        if path.exists():  # where packages are found, perhaps
            shared[name] = str(path)
    return shared | {
        name: os.environ[name] for name in shared if name in os.environ and name != "MPLCONFIGDIR"
    }


# What is left


def running(folder: Path) -> list[str]:
    """Wait until no process lives below `folder`; kill and return those that do not end, as pid and command."""
    deadline = time.monotonic() + _ENDING
    while (processes := _living_below(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)  # no event tells of the end of another's child
    described = []
    for process in processes:
        with suppress(psutil.Error):
            described.append(f"{process.pid}: {' '.join(process.cmdline())}")
            process.kill()
    return described


def _living_below(folder: Path) -> list[psutil.Process]:
    living = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                values = process.environ().values()
                if any(_is_below(value, folder) for value in values) and not _is_pythons(process):
                    living.append(process)
    return living


def _is_below(value: str, folder: Path) -> bool:
    return value == str(folder) or value.startswith(f"{folder}{os.sep}")


def _is_pythons(process: psutil.Process) -> bool:
    """Whether it serves multiprocessing in this process, and ends with it."""
    return "multiprocessing.resource_tracker" in " ".join(process.cmdline())


# What is outside


_USES_THEM = re.compile(r"jupyter|ipython|ipykernel|marimo|pytest|chrom|\buv\b")
_WATCHED = (
    *(
        ".ipython",
        ".jupyter",
        ".marimo.toml",
        ".local/share/jupyter",
        ".local/share/marimo",
        ".local/state/marimo",
    ),
    *(".config/jupyter", ".config/marimo", ".config/matplotlib", ".config/Claude", ".config/chromium"),
    *(".cache/marimo", ".cache/matplotlib", ".cache/jedi", "Library/Jupyter"),
)


class Outside:
    """The person's own files that kernels and servers use when nobody tells them otherwise, as they are now."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._before = self._files()
        self._others = _others()

    def changed(self) -> list[str]:
        """Return the files that are new, changed or gone since."""
        now = self._files()
        return sorted(
            name for name in self._before.keys() | now.keys() if self._before.get(name) != now.get(name)
        )

    def other_programs(self) -> list[str]:
        """Return the programs, then and now, that may change these files and were not started by a test."""
        return sorted({*self._others, *_others()})

    def _files(self) -> dict[str, tuple[int, int]]:
        files = {}
        for name in _WATCHED:
            for path in (self._home / name, *(self._home / name).rglob("*")):
                with suppress(OSError):
                    status = path.stat()
                    if not stat.S_ISDIR(status.st_mode):
                        files[str(path)] = (status.st_mtime_ns, status.st_size)
        return files


def _others() -> list[str]:
    """Return the programs of this user that use such files: notebooks, kernels, browsers, other runs of tests."""
    this = psutil.Process()
    family = {this.pid, *(parent.pid for parent in this.parents())}
    others = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            command = " ".join(process.cmdline())
            if process.pid not in family and _USES_THEM.search(command) and FOLDER not in process.environ():
                others.append(f"{process.pid}: {command[:100]}")
    return others


def remove(folder: Path) -> None:
    """Remove the folder of a run."""
    shutil.rmtree(folder, ignore_errors=sys.platform == "win32")
