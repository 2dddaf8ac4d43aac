"""Random numbers of a shared generator: the same in a first run, and the same when any one cell runs again."""

import random
import re
import sys
from types import ModuleType

import pytest
from reactive import Reactive, assert_shows_the_same_again_and_again, in_order, prepared

from marimo_kernel_bridge.importing.randomness import repeated
from tests.inputs import inputs

IMPORTS = "import random\nfrom random import randint\nimport numpy as np\nfrom numpy.random import randn\nimport numpy.random as npr"


def repeats(*codes):
    """Which cells are made to repeat their draws, by number from 1."""
    cells = repeated([IMPORTS, *codes])
    return [
        number
        for number, cell in enumerate(cells)
        if re.match(r"repeat_\w+(?: = repeat_\w+)?\(\)\n", cell.code)
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
        (["np.random.seed(1)", "np.random.seed(2)\nnp.random.rand()", "x = 1"], []),
        (["np.random.seed(1)", "x = 1\nnp.random.seed(2)\nnp.random.rand()", "np.random.rand()"], [3]),
        (["np.random.seed(1)", "np.random.rand()\nnp.random.seed(2)", "np.random.rand()"], [2, 3]),
        (["np.random.seed(1)", "np.random.seed(np.random.randint(9))", "np.random.rand()"], [3]),
        (["def everything(n):\n    random.seed(n)\n    np.random.seed(n)\neverything(1)", "randn()", "randint(1, 9)"], [2, 3]),
        (["def everything(n):\n    np.random.seed(n)", "everything(1)", "randn()", "everything(2)\nrandn()"], [3]),
        (["from transformers import set_seed\nset_seed(1)", "randn()", "random.random()"], [2, 3]),
        (["np.random.seed(1)", "from sklearn.cluster import KMeans\nkm = KMeans(3)", "km.fit(X)", "1"], [2, 3]),
        (["np.random.seed(1)", "from sklearn.tree import DecisionTreeClassifier as T\nT(random_state=1).fit(X)"], []),
        (["np.random.seed(1)", "from sklearn.linear_model import LinearRegression\nm = LinearRegression()", "m.fit(X)"], []),
        (["np.random.seed(1)", "import sklearn.datasets as d\nd.make_blobs(9)", "d.make_blobs(9, random_state=2)"], [2]),
        (["np.random.seed(1)", "from sklearn.pipeline import make_pipeline\nmake_pipeline(a)"], []),
        (["import repeated_draws\nnp.random.seed(1)", "np.random.rand()"], []),
        (["np.random.seed(1)", "df.resample('D').mean()", "import scipy.signal\nscipy.signal.resample(x, 3)"], []),
        (["np.random.seed(1)", "from sklearn.utils import resample\nresample(x)", "import sklearn.utils\nsklearn.utils.resample(x)"], [2, 3]),
    ],
)  # fmt: skip
def test_cells_that_draw_below_a_cell_that_seeds_repeat_their_draws(codes, expected):
    assert repeats(*codes) == expected


def test_where_no_module_is_named_the_cell_imports_it_for_itself():
    assert_shows_the_same_again_and_again(["from numpy.random import seed, rand\nseed(1)", "rand()"])
    seeds, _ = repeated(["from numpy.random import seed, rand\nseed(1)", "rand()"])
    assert "import numpy.random as _numpy_random\n" in seeds.code


def test_one_function_at_the_top_serves_all_generators():
    cells = prepared(
        [
            "import numpy as np, random\nnp.random.seed(1)\nrandom.seed(2)",
            "np.random.rand()",
            "random.random()",
        ]
    ).cells
    assert cells[0].code.startswith("def repeated_draws(get_state, set_state):\n")
    assert cells[1].code == (
        "import numpy as np, random\n"
        "repeat_numpy_draws = repeated_draws(np.random.get_state, np.random.set_state)\n"
        "np.random.seed(1)\n"
        "repeat_draws = repeated_draws(random.getstate, random.setstate)\n"
        "random.seed(2)"
    )
    assert [cell.code for cell in cells[2:]] == [
        "repeat_numpy_draws()\nnp.random.rand()",
        "repeat_draws()\nrandom.random()",
    ]


@pytest.mark.parametrize(
    ("codes", "line", "edited"),
    [
        (["np.random.seed(0)", "n = 5\nnp.random.rand(n)", "np.random.rand(2)", "np.random.rand(2)"], "n = 5", "n = 6"),
        (["random.seed(0)", "rows = list(range(9))\nrandom.shuffle(rows)", "hand = random.sample(rows, 2)\nhand"], "9", "12"),
        (["np.random.seed(0)", "def f(k):\n    return [np.random.rand() for _ in range(k)]", "f(2)", "f(3)", "f(1)"], "f(3)", "f(4)"),
        (["np.random.seed(0)", "np.random.rand(2)", "np.random.rand()\nnp.random.seed(1)", "np.random.rand(2)"], "rand(2)", "rand(7)"),
        (["np.random.seed(0)", "x = 1", "np.random.rand(2)", "x = 2\nnp.random.rand(x)", "np.random.rand()"], "x = 2", "x = 3"),
    ],
)  # fmt: skip
def test_cells_that_draw_follow_an_edit_of_how_much_a_cell_above_them_draws(codes, line, edited):
    codes = [IMPORTS, *codes]
    place = next(number for number, code in enumerate(codes) if line in code)
    expected = in_order(
        [code.replace(line, edited) if at == place else code for at, code in enumerate(codes)]
    )
    cells = prepared(codes).cells
    reactive = Reactive([cell.code for cell in cells])
    reactive.run()
    changed = next(number for number, cell in enumerate(cells) if cell.positions == (place + 1,))
    reactive.private[changed] = reactive.private[changed].replace(line, edited)
    ran = reactive.run(reactive.downstream(changed))
    places = {number: cell.positions[0] - 1 for number, cell in enumerate(cells) if cell.positions}
    before = in_order(codes)
    for number, at in places.items():
        assert ran.get(number, before[at]) == expected[at], cells[number].code


def test_cells_that_seed_before_they_draw_depend_on_no_other():
    reactive = Reactive(
        [
            cell.code
            for cell in prepared(
                ["import numpy as np", *(f"np.random.seed({n})\nnp.random.rand()" for n in "123")]
            ).cells
        ]
    )
    assert [reactive.upstream(number) for number in range(4)] == [set(), {0}, {0}, {0}]


@pytest.fixture
def torch(monkeypatch):
    """A module with the part of torch's interface that a notebook of random numbers uses."""
    module, nn, data = ModuleType("torch"), ModuleType("torch.nn"), ModuleType("torch.utils.data")
    generator = random.Random(0)
    module.manual_seed = generator.seed
    module.get_rng_state, module.set_rng_state = generator.getstate, generator.setstate
    module.rand = generator.random
    module.nn, module.utils = nn, ModuleType("torch.utils")
    module.utils.data = data
    nn.Linear = nn.Dropout = generator.random
    nn.Module = object
    data.DataLoader = lambda rows, **_: _Loader(rows, generator)
    for name, each in {
        "torch": module,
        "torch.nn": nn,
        "torch.utils": module.utils,
        "torch.utils.data": data,
    }.items():
        monkeypatch.setitem(sys.modules, name, each)


class _Loader:
    def __init__(self, rows, generator):
        self.rows, self.generator = rows, generator

    def __iter__(self):
        return iter(self.generator.sample(self.rows, len(self.rows)))


@pytest.mark.parametrize(
    "codes",
    [
        ["import torch\ntorch.manual_seed(7)", "noise = torch.rand()\nnoise", "more = torch.rand()\nmore"],
        ["from torch import manual_seed, rand\nmanual_seed(7)", "rand()", "rand()"],
        ["import torch\nfrom torch import nn\ntorch.manual_seed(1)", "layer = nn.Linear()\nprint(layer)", "print(torch.rand())"],
        [
            "import torch\nfrom torch import nn\ntorch.manual_seed(1)",
            "class Net(nn.Module):\n    def __init__(self):\n        self.w = nn.Linear()",
            "net = Net()\nprint(net.w)",
            "print(Net().w)",
        ],
        [
            "import torch\nfrom torch.utils.data import DataLoader\ntorch.manual_seed(1)",
            "loader = DataLoader(range(9), shuffle=True)",
            "for row in loader:\n    print(row)",
            "print(next(iter(loader)))",
        ],
        ["import torch\ntorch.manual_seed(7)\ntorch.rand()", "torch.manual_seed(8)\ntorch.rand()", "torch.rand()"],
    ],
)  # fmt: skip
def test_cells_that_draw_from_torch_repeat_their_draws(torch, codes):
    assert_shows_the_same_again_and_again(codes)


def test_an_edit_of_torch_s_seed_reaches_the_cells_that_draw(torch):
    cells = prepared(["import torch", "torch.manual_seed(7)", "x = 1", "torch.rand()"]).cells
    reactive = Reactive([cell.code for cell in cells])
    assert reactive.downstream(2) == {2, 4}


def test_what_torch_draws_on_a_gpu_is_told():
    notes = prepared(["import torch\ntorch.manual_seed(7)", "torch.rand(2, device='cuda')"]).notes
    assert notes[2][-1] == "what it draws on a GPU is not repeated when it runs again"


def test_tensorflow_s_draws_follow_its_seed_and_are_told():
    result = prepared(["import tensorflow as tf", "tf.random.set_seed(7)", "tf.random.normal([1])", "1"])
    assert [cell.code for cell in result.cells] == [
        "import tensorflow as tf",
        "tensorflow_seed = 7\ntf.random.set_seed(7)",
        "tensorflow_seed  # what it draws depends on it\ntf.random.normal([1])",
        "1",
    ]
    assert "TensorFlow's generator cannot be set back" in result.notes[3][0]


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


@pytest.mark.parametrize("seed", range(inputs(15, 600)))
def test_a_converted_notebook_draws_the_same_and_each_cell_can_run_again(seed):
    assert_shows_the_same_again_and_again(notebook(seed))


@pytest.mark.parametrize(
    "codes",
    [
        ["import random\nrandom.seed(3)\nroll = lambda: random.randint(1, 6)", "roll()", "[roll() for _ in range(3)]"],
        ["import numpy as np\nnp.random.seed(3)\nrand = np.random.rand", "rand(2)", "rand(3)"],
        ["import numpy as np\nrng = np.random.default_rng(0)\ndef draw(k, rng):\n    return rng.integers(0, 10, k)", "draw(3, rng)", "draw(2, rng=rng)"],
        ["import numpy as np, pandas as pd\nrng = np.random.default_rng(0)\ndf = pd.DataFrame({'a': range(5)})", "df.sample(2, random_state=rng)", "df.sample(2, random_state=rng)"],
    ],
)  # fmt: skip
def test_draws_by_another_name_and_by_what_is_given_a_generator_are_repeated(codes):
    assert_shows_the_same_again_and_again(codes)
