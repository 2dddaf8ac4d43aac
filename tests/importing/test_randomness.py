"""Random numbers of a shared generator: the same in a first run, and the same when any one cell runs again."""

import random

import pytest
from reactive import assert_shows_the_same_again_and_again

from marimo_kernel_bridge.importing.randomness import repeated

IMPORTS = "import random\nfrom random import randint\nimport numpy as np\nfrom numpy.random import randn\nimport numpy.random as npr"


def repeats(*codes):
    """Which cells are made to repeat their draws, by number from 1."""
    return [
        number for number, cell in enumerate(repeated([IMPORTS, *codes])) if cell.code.startswith("repeat_")
    ]


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (["np.random.seed(1)", "np.random.rand()"], [2]),
        (["npr.seed(1)", "randn()", "x = 1"], [2]),
        (["random.seed(1)", "randint(1, 9)", "np.random.rand()"], [2]),
        (["np.random.seed(1)", "random.random()"], []),
        (["np.random.seed(1)\nnp.random.rand()"], []),
        (["np.random.rand()", "np.random.seed(1)"], []),
        (["np.random.rand()", "np.random.rand()"], []),
        (["np.random.seed(1)", "rng = np.random.default_rng(2)", "rng.normal()"], []),
        (["np.random.seed(1)", "def f():\n    return np.random.rand()", "f()"], [3]),
        (["np.random.seed(1)", "def f():\n    return randn()\ndef g():\n    return f()", "[g() for _ in 'ab']"], [3]),
        (["np.random.seed(1)", "def f(g):\n    return g.sample(2)", "groups.apply(f)"], [3]),
        (["np.random.seed(1)", "df.sample(3)"], [2]),
        (["np.random.seed(1)", "df.sample(3, random_state=1)"], []),
        (["random.seed(1)", "random.shuffle(rows)"], [2]),
        (["np.random.seed(1)", "state = np.random.get_state()", "np.random.rand()"], []),
        (["if x:\n    np.random.seed(1)", "np.random.rand()"], []),
        (["np.random.seed(1)", "f = lambda: 1\nnp.random.rand()"], [2]),
        (["x = repeat_numpy_draws\nnp.random.seed(1)", "np.random.rand()"], []),
    ],
)  # fmt: skip
def test_cells_that_draw_below_a_cell_that_seeds_repeat_their_draws(codes, expected):
    assert repeats(*codes) == expected


def test_where_no_module_is_named_the_function_imports_it():
    seeds, _ = repeated(["from numpy.random import seed, rand\nseed(1)", "rand()"])
    compile(seeds.code, "cell", "exec")
    assert "    import numpy.random\n    numpy.random.set_state(" in seeds.code


def notebook(seed):
    rng = random.Random(seed)
    cells = [
        "import random\nimport numpy as np\nx = 0\nnp.random.seed(0)\nrandom.seed(0)\ndef f():\n    return random.random()"
    ]
    for _ in range(rng.randint(2, 7)):
        lines = [
            rng.choice(
                [
                    f"np.random.seed({rng.randint(0, 9)})",
                    f"random.seed({rng.randint(0, 9)})",
                    "x = random.randint(1, 99)",
                    "x += np.random.rand()",
                    "print(np.random.randn(2))",
                    "def f():\n    return np.random.rand()",
                    "print(f())",
                    "rows = list(range(9))\nrandom.shuffle(rows)",
                    "print(x)",
                ]
            )
            for _ in range(rng.randint(1, 3))
        ]
        cells.append("\n".join(lines))
    return cells


@pytest.mark.parametrize("seed", range(60))
def test_a_converted_notebook_draws_the_same_and_each_cell_can_run_again(seed):
    assert_shows_the_same_again_and_again(notebook(seed))
