"""Which lines and branches of the package run, in all processes of the tests, without a trace function, which doubles what Python costs.

Each statement of the package has a probe before it when tests are measured (`probe_writer`): `_probes[7] = 1`. `_probes` is
a part of one file that all processes have mapped into their memory, so what they have reached is there however they end,
killed or in a sandbox from which nothing can be written. Each interpreter that inherits `VARIABLE` reads its modules with
probes: a `.pth` file of the environment runs this file at its start, so it imports nothing that takes time.

A process that cannot write that file (Python that is started within a sandbox) runs without probes.
"""

from __future__ import annotations

import marshal
import mmap
import os
import sys
from importlib.machinery import PathFinder, SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.abc import MetaPathFinder
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any
else:
    MetaPathFinder = object

VARIABLE = "PYTHON_TESTS_PROBES"
"""The variable that names the folder with what `probe_files` has prepared. Variables of Python go into sandboxes, too."""
NAME = "_probes"
"""What the probes of a module are called in it."""
PACKAGE = "marimo_kernel_bridge"
INDEX, REACHED = "index", "reached"
"""The files there: each module's place, and a byte for each probe, 1 where it was reached."""


class _Loader(SourceFileLoader):
    """Loads a module with probes. `place` is the file of its code, and where the bytes of its probes begin and end."""

    place: tuple[str, int, int]
    reached: memoryview

    def exec_module(self, module: ModuleType) -> None:
        file, begins, ends = self.place
        with open(file, "rb") as compiled:  # noqa: PTH123  # pathlib takes a tenth of an interpreter's start
            code = marshal.load(compiled)
        setattr(module, NAME, self.reached[begins:ends])
        exec(code, vars(module))


class _Finder(MetaPathFinder):
    """Finds the modules that have probes."""

    def __init__(self, index: dict[str, tuple[str, int, int]], reached: memoryview) -> None:
        """`index` has the place of each module by the path of its source."""
        self._index = index
        self._reached = reached

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname.partition(".")[0] != PACKAGE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin in self._index:
            spec.loader = loader = _Loader(fullname, spec.origin)
            loader.place, loader.reached = self._index[spec.origin], self._reached
        return spec


def variables() -> dict[str, str]:
    """Return what a process needs in its environment to be measured."""
    return {VARIABLE: os.environ[VARIABLE]} if VARIABLE in os.environ else {}


def begin() -> None:
    """Read the package with probes in this process from now on, if tests are measured."""
    folder = os.environ.get(VARIABLE)
    if folder is None:
        return
    earlier = [finder for finder in sys.meta_path if type(finder).__name__ == _Finder.__name__]
    for finder in earlier:  # of the start of this interpreter, before the files were prepared
        sys.meta_path.remove(finder)
    try:
        with open(os.path.join(folder, INDEX), "rb") as file:  # noqa: PTH118, PTH123
            index = marshal.load(file)
        with open(os.path.join(folder, REACHED), "r+b") as file:  # noqa: PTH118, PTH123
            reached = memoryview(mmap.mmap(file.fileno(), 0))
    except OSError:
        return
    sys.meta_path.insert(0, _Finder(index, reached))


if __name__ == VARIABLE:  # run by the .pth file
    begin()
