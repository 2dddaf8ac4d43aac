"""Functions that something keeps, or that nobody keeps, read the names that are in force when they are called."""

import pytest
from reactive import assert_shows_the_same_again_and_again, prepared


@pytest.mark.parametrize(
    "codes",
    [
        ["k = 2\nfs = [lambda x, i=i: x * i * k for i in range(3)]", "[f(1) for f in fs]", "k = 10\n[f(1) for f in fs]"],
        ["k = 2\nops = {}\nops['mul'] = lambda x: x * k", "ops['mul'](3)", "k = 10\nops['mul'](3)"],
        ["k = 2\nops = {}", "ops['mul'] = lambda x: x * k", "ops['mul'](3)", "k = 10\nops['mul'](3)"],
        ["k = 2\nfs = []\nfor i in range(2):\n    fs.append(lambda x, i=i: x * k + i)", "fs[0](3)", "k = 10\nprint(fs[1](3))"],
        ["k = 2\nf: object = lambda x: x * k", "f(3)", "k = 10\nf(3)"],
        ["class Button:\n    pass\nk = 2\nb = Button()\nb.clicked = lambda: k", "b.clicked()", "k = 10\nb.clicked()"],
        ["k = 2\nops = {}\ndef mul(x):\n    return x * k\nops['mul'] = mul", "ops['mul'](3)", "k = 10\nops['mul'](3)"],
        ["k = 2\nfs = []\ndef mul(x):\n    return x * k\nfs.append(mul)", "fs[0](3)", "k = 10\nfs[0](3)"],
        ["k = 2\nclass Button:\n    def __init__(self):\n        self.calls = []\n    def on_click(self, f):\n        self.calls.append(f)\nb = Button()\nb.on_click(lambda: k)", "b.calls[0]()", "k = 10\nb.calls[0]()"],
    ],
)  # fmt: skip
def test_a_function_that_is_put_into_an_object_reads_what_is_in_force_when_it_is_called(codes):
    assert_shows_the_same_again_and_again(codes)


@pytest.mark.parametrize(
    "codes",
    [
        ["import pandas as pd\ndf = pd.DataFrame({'a': [1, 2]})\nrate = 2\nd = df.apply(lambda r: r * rate)", "rate = 10\nd.a.sum() + rate"],
        ["import pandas as pd\ndf = pd.DataFrame({'a': [1, 2]})\nrate = 2\nd = df.agg({'a': lambda r: r.sum() * rate})", "rate = 10\nd.a + rate"],
        ["order = {'x': 2, 'y': 1}\nnames = ['x', 'y']\nnames.sort(key=lambda n: order[n])", "order = {'z': 1}\nprint(names, order)"],
        ["import numpy as np\nk = 1\nnp.testing.assert_raises(TypeError, lambda: None + k)", "k = 2\nprint(np.ones(1), k)"],
        ["rate = 2\nout = list(map(lambda x: x * rate, [1, 2]))", "rate = 10\nprint(out, rate)"],
        ["order = {'x': 2, 'y': 1}\nnames = sorted(order, key=lambda n: order[n])", "order = {'z': 1}\nprint(names, order)"],
        ["rate = 2\nout = [(lambda x: x * rate)(i) for i in range(3)]", "rate = 10\nprint(out, rate)"],
    ],
)  # fmt: skip
def test_cells_are_not_joined_for_a_lambda_that_is_called_at_once(codes):
    assert_shows_the_same_again_and_again(codes)
    assert all(len(cell.positions) == 1 for cell in prepared(codes).cells)
