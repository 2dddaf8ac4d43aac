"""Random notebooks of redefinitions and mutations: converted, they show the same, and go on showing it."""

import random

import pytest
from reactive import assert_shows_the_same_again_and_again

from tests.inputs import inputs

NAMES = ["a", "b", "i", "x"]
LISTS = ["p", "q"]


def statement(rng: random.Random) -> str:
    name, other = rng.choice(NAMES), rng.choice(NAMES)
    rows, more = rng.sample(LISTS, 2)
    number = rng.randint(1, 9)
    return rng.choice(
        [
            f"{name} = {number}",
            f"{name} = {other} + {number}",
            f"{name} = {name} + {number}",
            f"{name} += {number}",
            f"{name} += {other}",
            f"for {name} in range({number}):\n    print({name})",
            f"for i in range(2):\n    {name} = {name} + i",
            f"if {other} > {number}:\n    {name} = {number}",
            f"if {other} > {number}:\n    {name} = 1\nelse:\n    {name} = 2",
            f"{name}, {other} = {number}, {number + 1}",
            f"{rows} = [{number}, {name}]",
            f"{rows} = {more}",
            f"{rows} = {more} + [{number}]",
            f"{rows}.append({number})",
            f"{rows}[0] = {name}",
            f"{rows} += [{number}]",
            f"{rows}.sort()",
            f"del {rows}[1:]",
            f"def f(y={number}):\n    return {name} + y",
            f"def g(rows):\n    rows.append({number})",
            f"def h():\n    return f(1) + {name}",
            f"g({rows})",
            f"{name} = f({number})",
            f"print(f(), {name})",
            "print(h())",
            f"print([{name} for {name} in {rows}], f'{{{other}}} {{{name}=}}')",
            f"{name} = sum({rows})",
            f"while {name} < {number}:\n    {name} += 1",
            f"try:\n    {name} = {rows}[7]\nexcept IndexError:\n    {name} = {number}",
        ]
    )


def notebook(seed: int) -> list[str]:
    rng = random.Random(seed)
    start = "a, b, i, x = 1, 2, 3, 4\np, q = [5], [6, 7]\ndef f(y=0):\n    return y\ndef g(rows):\n    rows.append(0)\ndef h():\n    return 0"
    cells = [start]
    for _ in range(rng.randint(2, 8)):
        lines = [statement(rng) for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.6:
            lines.append(rng.choice([*NAMES, *LISTS, "f(2)", "(a, p)"]))
        cells.append("\n".join(lines))
    return cells


@pytest.mark.parametrize("seed", range(inputs(80, 3000)))
def test_a_converted_notebook_shows_the_same_and_each_cell_can_run_again(seed):
    assert_shows_the_same_again_and_again(notebook(seed))
