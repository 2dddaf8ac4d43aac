"""A restored notebook and one whose kernel went on have the same values and identities, and run the same cells after a change."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.inputs import inputs
from tests.unit.kernel.checkpoints.lives import Lives

if TYPE_CHECKING:
    from pathlib import Path

CELLS = (
    "a = [{n}]",
    "b = a",
    "b = [a, {n}]",
    "a.append({n})",
    "a = a + [{n}]",
    "b.append({n})",
    "c = {{'k': a, 'n': {n}}}",
    "c['k'].append({n})",
    "x = {n}",
    "y = x + {n}",
    "x += {n}",
    "del y",
    "def f(v):\n    return [v, x]",
    "z = f({n})",
    "h = lambda: a",
    "h().append({n})",
    "class Model:\n    k = {n}\n    def total(self):\n        return self.w + x",
    "m = Model()\nm.w = {n}",
    "m.w += 1",
    "w = m.total()",
    "o = m\no.inner = a",
    "e = c['k']",
    "_p = {n}\ndef g():\n    return _p + x",
    "q = g()",
    "a, b = b, a",
    "for i in range({n}): a.append(i)",
    "s = mo.ui.slider(0, 9, value={n} % 10)",
    "t = s.value + {n}",
    "get, put = mo.state([{n}])",
    "u = get() + [{n}]",
    "import math",
    "v = math.floor(x + {n})",
    "one, *rest = a",
    "rest.append(one)",
    "import random as rnd\nrnd.seed({n})",
    "r = rnd.random()",
    "k = frozenset(range({n}))",
    "l = (a, k)",
    "1 / ({n} - 4)",
)
CHANGED = re.compile(r"\b([a-z]+)(?:\['k'\])?\.(?:append\(|w \+?=|inner =)")
"""The names of `CELLS` whose values a cell changes in place, which `h().` does with `a`."""
CHANGES = ("x = {n}", "a = [{n}, 0]", "s = mo.ui.slider(0, 9, value=3)", "def g():\n    return {n}")


@dataclass(frozen=True)
class State:
    """What a person can see of a notebook: the fresh cells, the values of names as texts, and which objects are the same."""

    fresh: frozenset[str]
    values: dict[str, str]
    same: frozenset[tuple[str, str]]


def notebook(numbers: random.Random) -> dict[str, str]:
    """Return the cells of a random notebook."""
    codes = [numbers.choice(CELLS).format(n=numbers.randint(0, 6)) for _ in range(numbers.randint(6, 14))]
    start = ["import marimo as mo", "a, b, c, x, y = [1], [2], {'k': [3]}, 4, 5"]
    return {f"c{place}": code for place, code in enumerate([*start, *codes])}


def state(lives: Lives) -> State:
    """Return the state of a notebook."""
    cells = lives.cells().values()
    defined = {name for cell in cells if cell.status == "ok" for name in cell.defines}
    # What a stale cell has made or changed is not kept: it waits to be run.
    for cell in cells:
        if cell.stale:
            defined -= {*cell.defines, *CHANGED.findall(cell.code)}
            defined -= {"a"} if "h()." in cell.code else set()
    values = {name: lives.values[name] for name in sorted(defined & lives.values.keys())}
    mutable = {
        name: value
        for name, value in values.items()
        if isinstance(value, (list, dict, tuple)) or "Model" in str(type(value))
    }
    same = frozenset((one, other) for one in mutable for other in mutable if mutable[one] is mutable[other])
    return State(
        frozenset(lives.fresh() - {"settings", "set"}),
        {name: text(value) for name, value in values.items()},
        same,
    )


def differences(one: State, other: State) -> dict[str, object]:
    """Return what is not as it was."""
    names = one.values.keys() | other.values.keys()
    values = {name: (one.values.get(name), other.values.get(name)) for name in names}
    sets = {"fresh": one.fresh ^ other.fresh, "same": one.same ^ other.same}
    return {
        **{name: both for name, both in values.items() if both[0] != both[1]},
        **{name: found for name, found in sets.items() if found},
    }


def text(value: Any) -> str:
    """Return a value as text, without addresses."""
    kind = type(value).__name__
    if kind == "slider":
        return f"slider {value.value}"
    if kind == "State":
        return f"state {value()}"
    if kind == "Model":
        return f"Model {value.k} {sorted(vars(value).items())}"
    if kind == "function":
        return f"function {value.__code__.co_names} {shown(value)}"
    return kind if kind in {"type", "module", "SetFunctor"} else repr(value)


def shown(function: Any) -> str:
    try:
        return repr(function(7) if function.__code__.co_argcount else function())
    except Exception as error:  # what it reads may be gone
        return type(error).__name__


@pytest.mark.parametrize("seed", range(inputs(4, 300)))
def test_a_restored_notebook_is_as_the_one_that_went_on(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    numbers = random.Random(seed)
    cells, strict, lazy = notebook(numbers), numbers.random() < 0.2, numbers.random() < 0.15
    changed = numbers.choice([key for key in cells if key != "c0"])
    change = numbers.choice([*(code.format(n=numbers.randint(7, 9)) for code in CHANGES), cells[changed]])
    lives = Lives(tmp_path, monkeypatch)
    try:
        lives.run(
            {
                "settings": f"%marimo {'strict' if strict else 'relaxed'}\n%marimo {'lazy' if lazy else 'autorun'}"
            }
        )
        lives.run(cells)
        if numbers.random() < 0.5 and "s" in lives.values:
            lives.run({"set": "%marimo set s 6"})
        lives.save()
        before = state(lives)
        ran = lives.ran_by(changed, change)
        after = state(lives)
        lives.die()
        restored = lives.restore()
        assert restored.lost == ()
        assert differences(before, state(lives)) == {}, cells
        assert lives.ran_by(changed, change) == ran, (cells, changed, change)
        assert differences(after, state(lives)) == {}, (cells, changed, change)
    finally:
        lives.close()
