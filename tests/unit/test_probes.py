"""Probes find the lines and branches that coverage's trace function finds."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage

from marimo_kernel_bridge import errors
from tests.probe_files import ROOT, prepare, reached
from tests.probe_writer import found, probed
from tests.probes import PACKAGE, VARIABLE

SOURCE = '''
"""A module."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import NamedTuple


@dataclasses.dataclass(
    frozen=True,
)
class Point:
    """A class."""

    x: int
    y: int = 0

    @property
    def sum(self) -> int:
        """Return the sum."""
        return (
            self.x
            + self.y
        )


class Pair(NamedTuple):
    a: int
    b: int = 2


def branches(n):
    if n > 1:
        found = "many"
    elif n:
        found = "one"
    else:
        found = "none"
    if n == 3:
        return "three"
    if n > 100: found = "more"
    return found


def loops(n):
    for i in range(n):
        if i == 2:
            continue
        if i == 5:
            break
    else:
        n += 1
    while n > 0:
        n -= 1
    while True:
        n += 1
        if n > 2:
            break
    for _ in ():
        n = 0
    for i in range(3):
        with contextlib.suppress(KeyError):
            if i:
                raise KeyError


def cases(value):
    match value:
        case int() | float() if value:
            return "number"
        case Point(x=0):
            found = "origin"
        case [first, *_]:
            found = first
        case (
            "a"
            | "b"
        ):
            pass
        case _:
            found = "other"
    match value:
        case "a":
            return "a"
        case Point(x=1):
            found = "one"
    return locals().get("found")


def errors(what):
    try:
        if what:
            raise what
    except (KeyError, IndexError):
        return "lookup"
    except ValueError as error:
        del error
    except TypeError:
        raise RuntimeError from None
    else:
        what = 1
    finally:
        what = what or 2
    return what


async def later(n):
    async def each():
        for i in range(n):
            yield i
    total = 0
    async for i in each():
        total += i
        if total > 3:
            return total
    async with contextlib.AsyncExitStack() as stack:
        if not n:
            return stack
    return total


def nothing():
    """Only text."""


def never():
    if SOME:
        print("never")
'''

USES = """
import asyncio
used = [
    *({0}(n) for n in range({1})),
    loops(0), loops(2), Point(1).sum, nothing(), asyncio.run(later(2)),
]
for value in {2}:
    used.append(cases(value))
for error in {3}:
    try:
        used.append(errors(error))
    except (RuntimeError, OSError):
        pass
"""


@pytest.mark.parametrize(
    "uses",
    [
        ("branches", 5, "[1, 0, Point(0), 'a']", "[None, KeyError(), TypeError()]"),
        ("branches", 1, "[Point(1), [3]]", "[ValueError()]"),
        ("loops", 8, "['b', None]", "[IndexError()]"),
    ],
)
def test_lines_and_branches_are_those_that_the_trace_function_finds(
    tmp_path: Path, uses: tuple[Any, ...]
) -> None:
    path = tmp_path / "module.py"
    path.write_text(SOURCE)
    use = compile(USES.format(*uses), "uses", "exec")
    by_trace = Coverage(data_file=None, branch=True, include=[str(path)], config_file=False)
    namespace: dict[str, Any] = {"__name__": __name__}
    with by_trace.collect():
        exec(compile(SOURCE, str(path), "exec", dont_inherit=True), namespace)
        exec(use, namespace)

    code, means = probed(str(path), SOURCE)
    reached = [0] * len(means)
    namespace = {"__name__": __name__, "_probes": reached}
    exec(code, namespace)
    exec(use, namespace)
    by_probes = Coverage(data_file=None, branch=True, include=[str(path)], config_file=False)
    by_probes.get_data().add_arcs({str(path): found(reached, means)})

    lines = [set(of.analysis2(str(path))[3]) for of in (by_probes, by_trace)]
    branches = [of.branch_stats(str(path)) for of in (by_probes, by_trace)]
    assert lines[0] == lines[1]
    assert branches[0] == branches[1]


MAKES = "errors.BridgeError('bad_request', 'a reason')"
ENDS = {
    "as it should": MAKES,
    "killed": f"{MAKES}; os.kill(os.getpid(), 9)",
    "at once": f"{MAKES}; os._exit(3)",
    "in a forked process": f"child = os.fork(); os.waitpid(child, 0) if child else {MAKES}",
}


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is forked there")
@pytest.mark.parametrize("how", ENDS)
def test_what_a_process_has_reached_is_known_however_it_ends(tmp_path: Path, how: str) -> None:
    source = ROOT / PACKAGE / "errors.py"
    prepare(tmp_path, [source])
    environment = os.environ | {VARIABLE: str(tmp_path)}
    for code, made in ((f"import {PACKAGE}.errors", False), (ENDS[how], True)):
        run = f"import os; from {PACKAGE} import errors; {code}"
        subprocess.run([sys.executable, "-c", run], env=environment, check=False)
        lines = {line for arc in reached(tmp_path)[str(source)] for line in arc if line > 0}
        assert (errors.BridgeError.__init__.__code__.co_firstlineno + 2 in lines) == made
