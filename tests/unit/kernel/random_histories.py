"""Random notebooks and what is done to them, run on a kernel in this process and compared with fresh runs.

`make fuzz` runs 10,000 histories, goes on where it was stopped, and prints each counterexample with its seed, shrunken:

    python -m tests.unit.kernel.random_histories [HISTORIES] [FIRST_SEED]
"""

from __future__ import annotations

import ast
import contextlib
import io
import itertools
import os
import random
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from marimo_kernel_bridge.kernel.versions.library_state import STATES
from tests.isolation import Homes, begin, remove
from tests.unit.kernel.notebook_in_memory import FrontEnd, KernelInMemory
from tests.unit.kernel.random_cells import OBJECTS, SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import CodeType

mpl.use("agg")
_AT_START: Final = [
    (state, state.now()) for state in STATES if (np, pd) and state.now() is not None and not state.is_local
]
_QUIET_WITHIN: Final = 60.0  # seconds; cells that make each other stale run for ever
_WORDS: Final = re.compile(r"\w+")
_SEED: Final = "seed(0)"
_INTERRUPTED: Final = "raise KeyboardInterrupt"


@dataclass(frozen=True)
class Step:
    """What a person does: run a cell, with new code or as it is; delete it; interrupt it, and `interrupt`: run it again."""

    cell: str
    code: str | None = None
    kind: str = "run"


@dataclass(frozen=True)
class History:
    """A notebook, run from top to bottom, and what is done then."""

    cells: dict[str, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()

    def text(self) -> str:
        cells = (f"[{cell}] {code}" for cell, code in self.cells.items())
        steps = (f"{step.kind} [{step.cell}] {step.code or ''}" for step in self.steps)
        return "\n".join([*cells, "-- then", *steps])


# -- random notebooks --------------------------------------------------------------------------------------------------


def history(seed: int, *, small: bool = False) -> History:
    """Return a random history in which no cell fails. A small one has fewer cells, steps and subjects."""
    rng = random.Random(seed)
    subjects = [OBJECTS, *rng.sample(SUBJECTS, rng.choice([0, 1, 1, 1 if small else 2]))]
    begin = [code for subject in subjects for code in subject.begin]
    statements = [statement for subject in subjects for statement in subject.statements]
    shown = [text for subject in subjects for text in subject.shown]

    def written() -> str:
        parts = [rng.choice(statements).format(n=rng.randrange(10)) for _ in range(rng.randint(1, 2))]
        return "\n".join([*parts, rng.choice(shown)]).strip()

    def acceptable(cell: str) -> str:
        while _fails({**now, cell: (code := written())}):
            pass
        return code

    with _apart():
        now = {f"c{number}": code for number, code in enumerate(begin)}
        for number in range(len(now), len(now) + rng.randint(2, 3 if small else 5)):
            now[f"c{number}"] = acceptable(f"c{number}")
        random_ones = list(now)[len(begin) :]
        cells = dict(now)
        steps: list[Step] = []
        for _ in range(rng.randint(1, 2 if small else 3)):
            used = _beginning(
                begin, [*(cells[cell] for cell in random_ones), *(step.code or "" for step in steps)]
            )
            cell = rng.choice([cell for cell in now if cell in random_ones or cell in used])
            kind = rng.choice(["run", "run", "edit", "edit", "edit", "delete", "interrupt", "stop"])
            if kind == "edit" and cell in random_ones:
                now[cell] = acceptable(cell)
                steps.append(Step(cell, now[cell]))
            elif kind == "delete" and not _fails({k: v for k, v in now.items() if k != cell}):
                del now[cell]
                steps.append(Step(cell, None, "delete"))
            else:
                steps.append(Step(cell, None, kind if kind in {"interrupt", "stop"} else "run"))
    texts = [*(cells[cell] for cell in random_ones), *(step.code or "" for step in steps)]
    return History(_beginning(begin, texts) | {cell: cells[cell] for cell in random_ones}, tuple(steps))


def _beginning(begin: list[str], texts: list[str]) -> dict[str, str]:
    """Return the statements of the first cells that the other texts need, by cell."""
    words = set(_WORDS.findall("\n".join(texts)))
    needed: dict[str, str] = {}
    for number, code in reversed(list(enumerate(begin))):
        kept: list[str] = []
        for statement, names in reversed(_statements(code)):
            if not names.isdisjoint(words):
                kept.insert(0, statement)
                words.update(_WORDS.findall(statement))
        if kept:
            needed[f"c{number}"] = "\n".join(kept)
    return dict(reversed(needed.items()))


@lru_cache(maxsize=1000)
def _statements(code: str) -> list[tuple[str, frozenset[str]]]:
    """Return the statements of a cell, each with the words of which one has to occur in others that need it."""
    found = []
    for node in ast.parse(code).body:
        text = ast.get_source_segment(code, node) or ""
        match node:
            case ast.Expr():  # a seed, a file, a folder
                text = text + ";" * code.rstrip().endswith(text + ";")
                names = set(_WORDS.findall(text)[:1] if "x.txt" not in text else ["txt"])
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names = {name}
                text = "".join(f"@{ast.unparse(each)}\n" for each in node.decorator_list) + text
            case ast.Import(names=aliases):
                names = {alias.asname or alias.name for alias in aliases}
            case _:
                names = {
                    each.id
                    for each in ast.walk(node)
                    if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
                }
        found.append((text, frozenset(names)))
    return found


# -- fresh runs --------------------------------------------------------------------------------------------------------


def fresh(cells: Mapping[str, str], folder: Path | None = None) -> dict[str, str]:
    """Run cells from top to bottom in plain Python, as far as none fails. Return what each prints.

    They run in an empty folder, or in `folder`, with the files that are there.
    """
    with _apart(folder):
        return _printed(cells)


def _fails(cells: Mapping[str, str]) -> bool:
    _empty(Path())
    return len(_printed(cells)) < len(cells)


@contextlib.contextmanager
def _apart(folder: Path | None = None) -> Iterator[None]:
    """Run code in a folder of its own, with libraries as they were loaded, and leave no trace in the process."""
    states = [(state, state.now()) for state, _ in _AT_START]
    try:
        with tempfile.TemporaryDirectory() as new, contextlib.chdir(folder or new):
            yield
    finally:
        for state, value in states:
            state.set(value)
        plt.close("all")


def _printed(cells: Mapping[str, str]) -> dict[str, str]:
    for state, value in _AT_START:
        state.set(value)
    namespace: dict[str, object] = {"__name__": "__main__"}
    printed = {}
    for cell, code in cells.items():
        with contextlib.redirect_stdout(io.StringIO()) as out:
            try:
                exec(_compiled(code), namespace)
            except Exception:  # such a notebook is not tried
                break
        printed[cell] = out.getvalue().strip()
    return printed


@lru_cache(maxsize=1000)
def _compiled(code: str) -> CodeType:
    return compile(code, "<cell>", "exec")


def _empty(folder: Path) -> None:
    """Empty the folder in which histories run; not another, should code have left it as the working directory."""
    assert not (folder / "pyproject.toml").exists(), folder.absolute()
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


# -- the comparison ----------------------------------------------------------------------------------------------------

_numbers = itertools.count()


@contextlib.contextmanager
def laboratory(folder: Path) -> Iterator[FrontEnd]:
    """Return a front end for histories."""
    work = folder / "work"
    work.mkdir()
    with contextlib.chdir(work):
        kernel = KernelInMemory(folder)
        kernel.kernel.shell.InteractiveTB.set_mode("Minimal")  # tracebacks of interrupts are not compared
        yield kernel.connect()
        kernel.close()


def counterexample(lab: FrontEnd, tried: History) -> str | None:
    """Run a history. Return what shows another result than a fresh run, without being marked; None if nothing does."""
    prefix = f"h{next(_numbers)}-"
    after = "the first run"
    try:
        for after, now in _done(lab, prefix, tried):
            problem = _difference(lab, prefix, now)
            if problem is not None:
                return f"after {after}: {problem}"
    except AssertionError as error:
        return f"after {after}: {error}"
    finally:
        everything = [prefix + cell for cell in (*tried.cells, "probe")]
        lab.run("end", "", metadata={"deletedCells": everything})
        _forget(lab.kernel.kernel.shell)
        plt.close("all")
        _empty(Path())
    return None


def _done(lab: FrontEnd, prefix: str, tried: History) -> Iterator[tuple[str, dict[str, str]]]:
    """Do what a history says, and yield after each step what it was, and the notebook as it is then."""
    now = dict(tried.cells)
    deleted: list[str] = []

    def run(cell: str, code: str) -> None:
        lab.run(prefix + cell, code, metadata={"deletedCells": [prefix + gone for gone in deleted]})
        settle()

    def settle() -> None:
        status = lab.kernel.kernel.status
        assert lab.kernel.run_until(lambda: not status.settling, _QUIET_WITHIN), "dependents never ran"

    if len(now) % 2:
        lab.run_all({prefix + cell: code for cell, code in now.items()})
        settle()
    else:
        for cell, code in now.items():
            run(cell, code)
    yield "the first run", now
    for step in tried.steps:
        if step.cell not in now and step.code is None:
            return
        if step.kind == "delete":
            del now[step.cell]
            deleted.append(step.cell)
            run("probe", "")
        else:
            now[step.cell] = step.code or now[step.cell]
            if step.kind in {"interrupt", "stop"}:
                run(step.cell, f"{now[step.cell]}\n{_INTERRUPTED}")
            if step.kind != "stop":
                run(step.cell, now[step.cell])
        yield f"{step.kind} [{step.cell}] {step.code or ''}", now


def _forget(shell: Any) -> None:
    """Delete the names that belong to no cell. `%reset` takes half a second."""
    for name in [name for name in shell.user_ns.keys() - shell.user_ns_hidden.keys() if name[0] != "_"]:
        del shell.user_ns[name]


def _difference(lab: FrontEnd, prefix: str, cells: dict[str, str]) -> str | None:
    known = lab.cells()
    for cell, expected in fresh(cells).items():
        state = known[prefix + cell]
        if state.status == "superseded":  # one cell is a part of another, as after a split
            return None
        if state.stale or state.status in {"cancelled", "interrupted"}:
            continue
        own = "".join(
            output["text"] for output in lab.outputs(prefix + cell) if output.get("name") == "stdout"
        ).strip()
        if state.status != "ok" or own != expected:
            error = "" if state.error is None else f", {state.error.ename}: {state.error.evalue}"
            return f"[{cell}] shows {own!r} ({state.status}{error}), not {expected!r}"
    return None


# -- smaller counterexamples -------------------------------------------------------------------------------------------


def shrunken(lab: FrontEnd, failing: History) -> History:
    """Return a smaller history that fails too."""
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(failing):
            if _is_right(candidate) and counterexample(lab, candidate) is not None:
                failing, smaller = candidate, True
                break
    return failing


def _smaller(failing: History) -> Iterator[History]:
    for number in range(len(failing.steps)):
        yield replace(failing, steps=failing.steps[:number] + failing.steps[number + 1 :])
    for cell in failing.cells:
        if _SEED in failing.cells[cell]:
            continue  # without it, each run draws new numbers
        cells = {name: code for name, code in failing.cells.items() if name != cell}
        yield History(cells, tuple(step for step in failing.steps if step.cell != cell))
    for cell, code in failing.cells.items():
        for less in _less(code):
            yield replace(failing, cells={**failing.cells, cell: less})
    for number, step in enumerate(failing.steps):
        for less in _less(step.code or ""):
            changed = (*failing.steps[:number], replace(step, code=less), *failing.steps[number + 1 :])
            yield replace(failing, steps=changed)


def _less(code: str) -> Iterator[str]:
    lines = code.split("\n")
    for number in range(len(lines) if len(lines) > 1 else 0):
        if _SEED in lines[number]:
            continue
        yield "\n".join(lines[:number] + lines[number + 1 :])


def _is_right(tried: History) -> bool:
    with _apart():
        now = dict(tried.cells)
        if _fails(now):
            return False
        for step in tried.steps:
            if step.kind == "delete":
                now.pop(step.cell, None)
            elif step.code is not None:
                now[step.cell] = step.code
            if _fails(now):
                return False
    return True


def main(histories: int, first: int | None) -> int:
    """Try histories, and print the counterexamples. Goes on after the last seed that was tried."""
    done = Path(".build/fuzz-seed").absolute()
    start = first if first is not None else int(done.read_text()) + 1 if done.exists() else 0
    done.parent.mkdir(exist_ok=True)
    found = 0
    run = begin()  # what kernels write by themselves does not come into the person's home
    with (
        Homes(run).new("f").lived_in(),
        tempfile.TemporaryDirectory() as folder,
        laboratory(Path(folder)) as lab,
    ):
        for count, seed in enumerate(range(start, start + histories), 1):
            tried = history(seed)
            problem = counterexample(lab, tried)
            if problem is not None:
                found += 1
                small = shrunken(lab, tried)
                told = f"== seed {seed}: {problem}\nshrunken: {counterexample(lab, small)}\n{small.text()}\n"
                print(told, flush=True)  # noqa: T201  # the result
            if first is None:
                done.write_text(str(seed))
            if count % 100 == 0:
                print(f"{count} of {histories} histories: {found} counterexamples", flush=True)  # noqa: T201  # progress
    remove(run)
    print(f"{histories} histories from seed {start}: {found} counterexamples")  # noqa: T201  # the result
    return min(found, 1)


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    os._exit(main(arguments[0] if arguments else 10_000, arguments[1] if len(arguments) > 1 else None))
