"""The files of a measured run of the tests: the modules with probes, what was reached, and what that means.

The modules are kept compiled in `.build/probes` from run to run; what a run reaches goes into its own folder.

    python -m tests.probe_files

compiles those that have changed.
"""

from __future__ import annotations

import marshal
import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import coverage

from tests.probe_writer import Arc, found, probed
from tests.probes import INDEX, PACKAGE, REACHED, VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[1]
_COMPILED = ROOT / ".build/probes"


def prepare(folder: Path, sources: Iterable[Path] = ()) -> None:
    """Write what the processes of a run need into a folder, and into the environment that they are started from.

    `sources` are the modules that have probes; none: all of the package.
    """
    index: dict[str, tuple[str, int, int]] = {}
    end = 0
    for source in sources or _sources():
        code, probes = _compiled(source)
        index[str(source)] = str(code), end, end + probes
        end += probes
    _write(folder / REACHED, bytes(end))
    (folder / REACHED).chmod(0o666)  # some kernels of the tests are another user's
    _write(folder / INDEX, marshal.dumps(index))
    begins = Path(__file__).with_name("probes.py")
    run = (
        f"exec(compile(open({str(begins)!r}).read(), {str(begins)!r}, 'exec'), {{'__name__': {VARIABLE!r}}})"
    )
    line = f"import os; {VARIABLE!r} in os.environ and {run}\n"
    _write(Path(sysconfig.get_path("purelib"), "bridge_tests_probes.pth"), line.encode())


def reached(folder: Path) -> dict[str, set[Arc]]:
    """Return the lines and branches of each source that a run has reached."""
    index: dict[str, tuple[str, int, int]] = marshal.loads((folder / INDEX).read_bytes())
    hits = (folder / REACHED).read_bytes()
    return {
        source: found(hits[begins:ends], _meanings(Path(code))[1])
        for source, (code, begins, ends) in index.items()
    }


def _sources() -> list[Path]:
    return sorted((ROOT / PACKAGE).rglob("*.py"))


def _compiled(source: Path) -> tuple[Path, int]:
    """Return the file with the code of a module with probes, and how many it has."""
    code = _COMPILED / f"{source.relative_to(ROOT).with_suffix('').as_posix().replace('/', '.')}.code"
    of = (source, Path(__file__).with_name("probe_writer.py"))
    key = [str(source), sys.version, coverage.__version__, *(file.stat().st_mtime_ns for file in of)]
    try:
        kept, meanings = _meanings(code)
    except (OSError, EOFError, ValueError, TypeError):
        kept, meanings = None, []
    if kept != key or not code.exists():
        compiled, meanings = probed(str(source), source.read_text())
        _write(code, marshal.dumps(compiled))
        _write(_file_of_meanings(code), marshal.dumps((key, meanings)))
    return code, len(meanings)


def _file_of_meanings(code: Path) -> Path:
    return code.with_suffix(".meanings")


def _meanings(code: Path) -> tuple[list[str | int], list[list[Arc]]]:
    key, meanings = marshal.loads(_file_of_meanings(code).read_bytes())
    return key, meanings


def _write(file: Path, content: bytes) -> None:
    """Write a file anew: one that is only written over may be another checkout's too, by a hard link."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.{os.getpid()}")
    new.write_bytes(content)
    new.replace(file)


if __name__ == "__main__":
    for each in _sources():
        _compiled(each)
