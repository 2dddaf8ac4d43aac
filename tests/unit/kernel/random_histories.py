"""Random notebooks and what is done to them, run on a kernel in this process and compared with fresh runs.

`make fuzz` runs 10,000 histories, goes on where it was stopped, and prints each counterexample with its seed, shrunken:

    python -m tests.unit.kernel.random_histories [HISTORIES] [FIRST_SEED]
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import random
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.unit.kernel.notebook_in_memory import FrontEnd, KernelInMemory

BASE = (
    "import random\nrandom.seed(0)",
    (
        "class Model:\n    def __init__(self): self.y, self.w = 0, [1]\n"
        "    def fit(self, y):\n        self.y = y\n        return self\n"
        "class Steps:\n    def __init__(self, w): self.w = w\n    def step(self): self.w[0] += 1\n"
        "def counter():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n        return n\n    return up\n"
        "def numbers(n):\n    for i in range(n): yield i"
    ),
    "a, b, c, d = [1], [2], [3], {'k': [4]}\nx, y = 1, 2",
    "m, f, g, h = Model(), counter(), numbers(5), lambda: a\no = Steps(m.w)",
    "open('x.txt', 'w').write('0')\nimport io\nout = io.StringIO()",
)
STATEMENTS = (
    "a = [{n}]",
    "b = a",
    "b = [a, {n}]",
    "b = a[:]",
    "a, b = b, a",
    "c = d.setdefault('k', [])",
    "c = [v for v in d.values()]",
    "d['k'] = a",
    "d = {{'k': b, 'n': {n}}}",
    "a.append({n})",
    "b.append({n})",
    "c += [{n}]",
    "a = a + [{n}]",
    "a = sorted(map(str, a))",
    "for i in range({n} % 3): a.append(i)",
    "x = {n}",
    "y = x + {n}",
    "x += y",
    "h = lambda: a",
    "h().append({n})",
    "def put(v): b.append(v)\nput({n})",
    "f = counter()",
    "y = f()",
    "m = Model()\no = Steps(m.w)",
    "_ = m.fit({n})",
    "m.fit(x);",
    "o.step();",
    "g = numbers({n})",
    "y = next(g, -1)",
    "g = iter(a)",
    "open('x.txt', 'w').write('{n}');",
    "y = len(open('x.txt').read())",
    "y = random.random()",
    "random.seed({n})",
    "out = io.StringIO()",
    "out.write('{n}');",
    "class Model2(Model):\n    n = {n}\nm = Model2()\no = Steps(m.w)",
    "setattr(m, 'y', {n})",
    "vars(m)['y'] = [a]",
)
SHOWN = (
    "print(a)",
    "print(b, c)",
    "print(c, d)",
    "print(x, y)",
    "print(m.y, m.w)",
    "print(f())",
    "print(h())",
    "print(next(g, None))",
    "print(open('x.txt').read())",
    "print(out.getvalue())",
    "print(random.random())",
    "print(a is b, a == b)",
    "",
)


@dataclass(frozen=True)
class Step:
    """What a person does: run a cell, with new code or as it is; delete it; run it while it is interrupted."""

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


def history(seed: int) -> History:
    """Return a random history in which no cell fails."""
    rng = random.Random(seed)
    cells = {f"c{number}": code for number, code in enumerate(BASE)}
    for number in range(len(BASE), len(BASE) + rng.randint(3, 6)):
        cells[f"c{number}"] = _acceptable(rng, cells, f"c{number}")
    steps = []
    now = dict(cells)
    for _ in range(rng.randint(2, 4)):
        cell = rng.choice(list(now)[2:])
        kind = rng.choice(["run", "run", "edit", "edit", "edit", "delete", "interrupt"])
        if kind == "edit" and cell not in list(cells)[: len(BASE)]:
            now[cell] = _acceptable(rng, now, cell)
            steps.append(Step(cell, now[cell]))
        elif kind == "delete" and not any(
            fails for _, fails in fresh({k: v for k, v in now.items() if k != cell}).values()
        ):
            del now[cell]
            steps.append(Step(cell, None, "delete"))
        else:
            steps.append(Step(cell, None, "interrupt" if kind == "interrupt" else "run"))
    return History(cells, tuple(steps))


def _acceptable(rng: random.Random, cells: dict[str, str], cell: str) -> str:
    while True:
        parts = [rng.choice(STATEMENTS).format(n=rng.randrange(10)) for _ in range(rng.randint(1, 2))]
        code = "\n".join([*parts, rng.choice(SHOWN)]).strip()
        if not any(fails for _, fails in fresh({**cells, cell: code}).values()):
            return code


def fresh(cells: dict[str, str]) -> dict[str, tuple[str, bool]]:
    """Run cells from top to bottom in plain Python. Return what each prints, and whether it fails."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    shown = {}
    state = random.getstate()
    for cell, code in cells.items():
        printed = io.StringIO()
        fails = False
        with contextlib.redirect_stdout(printed):
            try:
                exec(code, namespace)
            except Exception:  # such a notebook is not tried
                fails = True
        shown[cell] = printed.getvalue().strip(), fails
    random.setstate(state)
    return shown


_numbers = itertools.count()
_INTERRUPTED = "raise KeyboardInterrupt"


def counterexample(lab: FrontEnd, tried: History) -> str | None:
    """Run a history. Return what shows another result than a fresh run, without being marked; None if nothing does."""
    prefix = f"h{next(_numbers)}-"
    now = dict(tried.cells)
    deleted: list[str] = []

    def run(cell: str, code: str) -> None:
        lab.run(prefix + cell, code, metadata={"deletedCells": [prefix + gone for gone in deleted]})
        lab.wait_quiet()

    try:
        if len(now) % 2:
            lab.run_all({prefix + cell: code for cell, code in now.items()})
            lab.wait_quiet()
        else:
            for cell, code in now.items():
                run(cell, code)
        problem = _difference(lab, prefix, now, "the first run")
        for step in tried.steps:
            if problem is not None or (step.cell not in now and step.code is None):
                break
            if step.kind == "delete":
                del now[step.cell]
                deleted.append(step.cell)
                run("probe", "")
            else:
                now[step.cell] = step.code or now[step.cell]
                if step.kind == "interrupt":  # the person interrupts it, and runs it again
                    run(step.cell, f"{now[step.cell]}\n{_INTERRUPTED}")
                run(step.cell, now[step.cell])
            problem = _difference(lab, prefix, now, f"{step.kind} [{step.cell}] {step.code or ''}")
        return problem
    finally:
        everything = [prefix + cell for cell in (*tried.cells, "probe")]
        lab.run("end", "", metadata={"deletedCells": everything})
        lab.run(None, "%reset -f", store_history=False)


def _difference(lab: FrontEnd, prefix: str, cells: dict[str, str], after: str) -> str | None:
    known = lab.cells()
    for cell, (expected, _) in fresh(cells).items():
        state = known[prefix + cell]
        if state.status == "superseded":  # one cell is a part of another, as after a split
            return None
        if state.stale or state.status in {"cancelled", "interrupted"}:
            continue
        own = "".join(
            output["text"] for output in lab.outputs(prefix + cell) if output["output_type"] == "stream"
        ).strip()
        if state.status != "ok" or own != expected:
            return f"after {after}: [{cell}] shows {own!r} ({state.status}), not {expected!r}"
    return None


def shrunken(lab: FrontEnd, failing: History) -> History:
    """Return a smaller history that fails too."""
    smaller = True
    while smaller:
        smaller = False
        candidates = [
            replace(failing, steps=failing.steps[:number] + failing.steps[number + 1 :])
            for number in range(len(failing.steps))
        ]
        for cell in failing.cells:
            cells = {name: code for name, code in failing.cells.items() if name != cell}
            steps = tuple(step for step in failing.steps if step.cell != cell)
            candidates.append(History(cells, steps))
        for cell, code in failing.cells.items():
            lines = code.split("\n")
            if (
                cell not in list(failing.cells)[:2]
                and len(lines) > 1
                and not code.startswith(("class", "def"))
            ):
                for number in range(len(lines)):
                    less = "\n".join(lines[:number] + lines[number + 1 :])
                    candidates.append(replace(failing, cells={**failing.cells, cell: less}))
        for candidate in candidates:
            if _is_right(candidate) and counterexample(lab, candidate) is not None:
                failing, smaller = candidate, True
                break
    return failing


def _is_right(tried: History) -> bool:
    now = dict(tried.cells)
    if any(fails for _, fails in fresh(now).values()):
        return False
    for step in tried.steps:
        if step.kind == "delete":
            now.pop(step.cell, None)
        elif step.code is not None:
            now[step.cell] = step.code
        if any(fails for _, fails in fresh(now).values()):
            return False
    return True


def main(histories: int, first: int | None) -> int:
    """Try histories, and print the counterexamples. Goes on after the last seed that was tried."""
    done = Path(".build/fuzz-seed").absolute()
    start = first if first is not None else int(done.read_text()) + 1 if done.exists() else 0
    done.parent.mkdir(exist_ok=True)
    found = 0
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        lab = KernelInMemory(Path(folder)).connect()
        for seed in range(start, start + histories):
            tried = history(seed)
            problem = counterexample(lab, tried)
            if problem is not None:
                found += 1
                small = shrunken(lab, tried)
                told = f"== seed {seed}: {problem}\nshrunken: {counterexample(lab, small)}\n{small.text()}\n"
                print(told, flush=True)  # noqa: T201  # the result
            if first is None:
                done.write_text(str(seed))
    print(f"{histories} histories from seed {start}: {found} counterexamples")  # noqa: T201  # the result
    return min(found, 1)


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    os._exit(main(arguments[0] if arguments else 10_000, arguments[1] if len(arguments) > 1 else None))
