"""Random notebooks of small integer cells for `test_consistency.py`, and what a fresh run of one gives.

The model at the end is plain Python: it knows nothing of the kernel, and orders cells by their names alone.
"""

import ast
import contextlib
import io
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter

from hypothesis import strategies as st

NAMES = ("a", "b", "c", "d")
CELLS = ("c0", "c1", "c2", "c3", "c4")


@dataclass(frozen=True)
class Code:
    """A cell's source but for its `tick`, by which a test interrupts any run of any cell, and its global names."""

    source: str
    defines: frozenset[str]
    uses: frozenset[str]

    def of(self, cell: str) -> str:
        return f"tick({cell!r})\n{self.source}"


@st.composite
def codes(draw: st.DrawFn) -> Code:
    target, x, y = draw(st.permutations(NAMES))[:3]
    n = draw(st.integers(0, 3))
    template, defines, uses = draw(
        st.sampled_from(
            [
                ("{t} = {n}", "t", ""),
                ("{t} = {n}", "t", ""),
                ("{t} = {x} + {n}", "t", "x"),
                ("{t} = {x} * {y}", "t", "xy"),
                ("{t} = 12 // {x}", "t", "x"),  # fails for 0
                ("assert {x} < 3\n{t} = {x}", "t", "x"),
                ("if {x} > {n}:\n    {t} = 1", "t", "x"),  # may leave it undefined
                ("_private = {x} + 1\n{t} = _private * 2", "t", "x"),
                ("{t} = {n}\n{y} = {t} + {x}", "ty", "x"),
                ("await __import__('asyncio').sleep(0)\n{t} = {x} - {n}", "t", "x"),
                ("{t} = {x}\nprint('is', {t})\n{t} + 1", "t", "x"),
                ("print({x}, {y})", "", "xy"),
                ("{x} + {y}", "", "xy"),
                ("_private = {n}\nprint({x} - _private)", "", "x"),
            ]
        )
    )
    names: dict[str, str] = {"t": target, "x": x, "y": y}

    def pick(letters: str) -> frozenset[str]:
        return frozenset(names[letter] for letter in letters)

    return Code(template.format(**names, n=n), pick(defines), pick(uses))


@dataclass(frozen=True)
class Run:
    """The front end runs a cell, after deleting others; `hold` is interrupted when its turn comes in that."""

    cell: str
    code: Code | None  # None: as it is
    deleted: tuple[str, ...] = ()
    hold: str | None = None


@dataclass(frozen=True)
class RunAll:
    """The front end sends all cells at once, in the order of the document."""

    stop_on_error: bool
    hold: str | None = None


@dataclass(frozen=True)
class Edit:
    """An agent changes a cell's code."""

    cell: str
    code: Code
    run: bool


@dataclass(frozen=True)
class RunKnown:
    """An agent runs cells as they are."""

    cells: tuple[str, ...]


Operation = Run | RunAll | Edit | RunKnown

_cell = st.sampled_from(CELLS)
_hold = st.none() | _cell
_some = st.lists(_cell, max_size=2, unique=True).map(tuple)

operations = st.one_of(
    st.builds(Run, _cell, codes()),
    st.builds(Run, _cell, codes() | st.none(), _some, _hold),
    st.builds(RunAll, st.booleans(), _hold),
    st.builds(Edit, _cell, codes(), st.booleans()),
    st.builds(RunKnown, _some),
)

notebooks = st.lists(st.tuples(_cell, codes()), min_size=2, max_size=6).map(
    lambda cells: [Run(cell, code) for cell, code in cells]
)


# -- the model ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fresh:
    """What a cell gives in a fresh run: `values` of the names it defines and `lines` of its outputs if it ends well,
    `failed` with the error's name if not. `below` a cell that failed it does not run by itself; this is what it gives
    if somebody runs it all the same. `refused`, or below such a cell, it depends on the notebook's history, so
    nothing is said of it."""

    values: dict[str, int]
    lines: tuple[str, ...] = ()
    failed: str | None = None
    below: bool = False
    refused: bool = False


def fresh_run(notebook: dict[str, Code]) -> dict[str, Fresh]:
    """Run a notebook once, each cell after those that define what it uses."""
    definers: dict[str, list[str]] = {}
    for cell, code in notebook.items():
        for name in code.defines:
            definers.setdefault(name, []).append(cell)
    above = {
        cell: {definer for name in code.uses for definer in definers.get(name, ())}
        for cell, code in notebook.items()
    }
    refused = {cell for cells in definers.values() if len(cells) > 1 for cell in cells}
    results: dict[str, Fresh] = {}
    space: dict[str, int] = {}
    for cell in _ordered(above, refused):
        code = notebook[cell]
        if cell in refused or any(results[other].refused for other in above[cell]):
            results[cell] = Fresh({}, refused=True)
        else:
            below = any(results[other].failed or results[other].below for other in above[cell])
            results[cell] = replace(_run(code, space), below=below)
    return results


def _ordered(above: dict[str, set[str]], refused: set[str]) -> list[str]:
    """Sort cells, and add those in a cycle to the refused ones."""
    above = dict(above)
    while True:
        try:
            return list(TopologicalSorter(above).static_order())
        except CycleError as cycle:
            refused.update(cycle.args[1])
            for cell in cycle.args[1]:
                above[cell] = set()


def _run(code: Code, space: dict[str, int]) -> Fresh:
    tree = ast.parse(code.source.replace("await __import__('asyncio').sleep(0)", "pass"))
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(tree, "<cell>", "exec"), {}, space)
            value = None if last is None else eval(ast.unparse(last), {}, space)
    except (NameError, ZeroDivisionError, AssertionError) as error:
        return Fresh({}, failed=type(error).__name__)
    values = {name: space[name] for name in code.defines if name in space}
    return Fresh(values, (*printed.getvalue().splitlines(), *([] if value is None else [str(value)])))
