"""Whatever a person does to a notebook, each cell that is not marked shows what a fresh run would show.

What `make fuzz` has found is here.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.kernel.notebook_in_memory import FrontEnd
from tests.unit.kernel.random_histories import History, Step, counterexample, history, laboratory

STEPS = """class Step:
    def set(self, k):
        self.k = k
        return self
class Steps:
    def __init__(self, *steps): self.steps = steps"""

FOUND = {
    "two cells that use up what they read, each with a reader of the other's maker": History(
        {
            "c0": "class Model:\n    def fit(self, y):\n        return self\ndef numbers(n):\n    for i in range(n): yield i",
            "c2": "m = Model()\ng, h = numbers(5), lambda: a",
            "c3": "import numpy as np",
            "c4": "v, r = np.arange(4), np.random.default_rng(0)\nw = v[1:]",
            "c6": "r.shuffle(v)",
            "c7": "_ = m.fit(1)\nt = v.T\nt[:1] = 7",
        },
        (Step("c6", "y = next(g, -1)\nprint(r.random())"),),
    ),
    "an object that a cell mutates through another which holds it": History(
        {
            "c0": "z = 1",
            "c1": """class Step:
    seen = ()
    def fit(self, X):
        self.seen = [*self.seen, len(X)]
        return self
class Steps:
    def __init__(self, *steps): self.steps = steps
    def fit(self, X):
        for step in self.steps: step.fit(X)""",
            "c2": "X, e = [1, 2, 4], Step().fit([1])\np = Steps(e)",
            "c3": "z\nprint(e.seen)",
            "c4": "p.fit(X)",
        },
        (Step("c0"), Step("c3")),
    ),
    "a setting of a cell that is deleted": History(
        {
            "c3": "import pandas as pd",
            "c6": "pd.options.display.precision = 3",
            "c7": "print(pd.Series([1 / 3]))",
        },
        (Step("c6", None, "delete"),),
    ),
    "an item that a cell takes out of a dictionary and mutates": History(
        {
            "c0": "def numbers(n):\n    for i in range(n): yield i",
            "c1": "a, b = [1], [2]\nc, d = [3], {'k': [4]}",
            "c2": "g, h = numbers(5), lambda: a",
            "c3": "c = d.setdefault('k', [])\nc += [5]\nprint(h())",
            "c4": "print(b, c)",
        },
        (Step("c0"),),
    ),
    "a writer that runs again before a later writer of the file": History(
        {
            "c2": "a = [1]\nm = lambda: 1",
            "c3": "h = lambda: a",
            "c6": "open('x.txt', 'w').write('5');\nsetattr(m, 'y', 3)",
            "c7": "h = lambda: a",
            "c9": "h().append(1)",
            "c10": "print(open('x.txt').read())",
        },
        (Step("c7", "a = sorted(map(str, a))\nopen('x.txt', 'w').write('7');"),),
    ),
    "a cell between one that is made anew and one that needs it": History(
        {
            "c1": "def counter():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n        return n\n    return up",
            "c2": "class Model: pass\na = [1]",
            "c3": "m, f = Model(), counter()",
            "c5": "vars(m)['y'] = [a]",
            "c7": "a.append(2)\nprint(f())",
        },
        (Step("c5", None, "interrupt"),),
    ),
    "an object that is mutated by a cell which gives it another name": History(
        {
            "c2": "a, b = [1], [2]",
            "c3": "h = lambda: a",
            "c6": "a, b = b, a\nh().append(5)",
            "c8": "print(b)",
        },
        (Step("c6", "def put(v): b.append(v)\nput(3)\na = sorted(map(str, a))"),),
    ),
    "a list that `+=` mutates and that a copy of a dictionary holds": History(
        {
            "c0": "import random\nrandom.seed(0)",
            "c1": "c, d = [3], {'k': [4]}",
            "c3": "c = d.setdefault('k', [])\nprint(random.random())",
            "c4": "c += [4]",
            "c6": "print(c, d)",
        },
        (Step("c0"), Step("c4"), Step("c3")),
    ),
    "a function that is assigned together with another value": History(
        {"c1": "a = [1]", "c2": "m, h = None, lambda: a", "c8": "x = 1", "c9": "print(h())"},
        (Step("c8", "a = [2]"),),
    ),
    "axes on which a function of the notebook draws": History(
        {
            "c3": "import matplotlib.pyplot as plt\nx = 1\nfig, ax = plt.subplots()",
            "c6": "y = x\nprint(len(ax.lines))",
            "c7": "def draw(axes): axes.plot([2])\ndraw(ax)",
        },
        (Step("c6"),),
    ),
    "an object that is mutated again after it was made anew": History(
        {
            "c1": "class Model: pass\na, c, d = [1], [3], {}",
            "c3": "m = Model()",
            "c4": "import io\nout = io.StringIO()",
            "c6": "d['k'] = a",
            "c8": "vars(m)['y'] = [a]\nout.write('6');",
        },
        (Step("c6"), Step("c6", "c += [1]\nprint(out.getvalue())")),
    ),
    "a folder that is listed above the cell that makes a file in it": History(
        {
            "c0": "import os\nos.mkdir('out')",
            "c1": "print(os.listdir('out'))",
            "c2": "open('out/a.txt', 'w').close()",
        },
        (Step("c1"),),
    ),
    "a file that is read between two cells which write it": History(
        {
            "c0": "open('x.txt', 'w').write('1');",
            "c1": "x = 1",
            "c2": "print(open('x.txt').read(), x)",
            "c3": "open('x.txt', 'w').write('2');",
            "c4": "print(open('x.txt').read(), x)",
        },
        (Step("c2"), Step("c1"), Step("c3"), Step("c2"), Step("c0"), Step("c1", "x = 2")),
    ),
    "an object that is mutated by a call which returns it, and that a dictionary holds": History(
        {
            "c0": (
                "class Estimator:\n    def __init__(self, k): self.k = k\n"
                "    def set_params(self, k):\n        self.k = k\n        return self"
            ),
            "c1": "e = Estimator(1)\nmodels = {'e': e}",
            "c2": "x = 1",
            "c3": "print(models['e'].k)",
        },
        (Step("c2", "e = e.set_params(5)"), Step("c3"), Step("c1"), Step("c2", "e = e.set_params(6)")),
    ),
    "a default argument that a call mutates": History(
        {
            "c1": "a = [1]",
            "c2": "def remember(v, kept=a):\n    kept.append(v)\n    return list(kept)",
            "c3": "print(remember(1))",
            "c4": "print(a)",
        },
        (Step("c3"), Step("c3", "print(remember(2))"), Step("c2"), Step("c4")),
    ),
    "a cell that stands in the notebook although another has its lines, too": History(
        {"c0": "x = 1", "c1": "f = 2", "c2": "f = 2\nprint(f)", "c3": "1"},
        (Step("c1"), Step("c0")),
    ),
    "an object that a cell mutated which is deleted": History(
        {
            "c0": "def counter():\n    n = [0]\n    def up():\n        n[0] += 1\n        return n[0]\n    return up",
            "c1": "f = counter()",
            "c2": "print(f())",
            "c3": "x = 1",
        },
        (Step("c2", kind="delete"), Step("c3", "print(f())")),
    ),
    "an object that a name held which is bound again, mutated through another name": History(
        {
            "c1": "a = [1]",
            "c2": "d = {'k': a}",
            "c3": "print(d)",
            "c4": "d = {}",
            "c5": "a.append(2)",
            "c6": "d = {'n': [a]}",
            "c7": "print(d)",
            "c8": "d = None",
            "c9": "setattr(a, 'n', 3) if a == 1 else a.insert(0, 0)",
        },
        (Step("c3"), Step("c7"), Step("c3")),
    ),
    "an object that two names share after a third is bound again": History(
        {"c1": "a = [1]\nb = a\nc = [a]", "c2": "print(b)", "c3": "a = []", "c4": "c[0].append(2)"},
        (Step("c2"),),
    ),
    "a file of a cell that writes another one now": History(
        {
            "c0": "open('x.txt', 'w').write('1');",
            "c1": "open('x.txt', 'w').write('2');",
            "c2": "print(open('x.txt').read())",
        },
        (Step("c1", "open('y.txt', 'w').write('2');"),),
    ),
    "a figure that a cell draws on before it binds the name to another": History(
        {
            "c1": "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()",
            "c2": "x = 1",
            "c3": "x\nprint(ax.get_title())",
            "c4": "fig.axes[0].set_title('late')\nfig, ax = plt.subplots()",
        },
        (Step("c2"), Step("c3")),
    ),
    "what a function reads and a cell that is gone has mutated": History(
        {
            "c1": "a = [1]",
            "c2": "h = lambda: a",
            "c3": "f = lambda: h()",
            "c4": "print(f())",
            "c5": "h().append(1)",
        },
        (Step("c5", None, "delete"), Step("c2"), Step("c4")),
    ),
    "an object that a cell is expected to mutate, and hands on": History(
        {
            "c0": STEPS,
            "c1": "e = Step().set(1)\np = Steps(e)\nsteps = {'e': e}",
            "c2": "e = Step().set(2)",
            "c3": "for each in steps.values(): each.set(3)",
            "c4": "e = e.set(4)",
            "c5": "print([step.k for step in p.steps])",
        },
        (Step("c3", "p = Steps(e, Step().set(5))"),),
    ),
    "an object with one maker that a cell is expected to mutate, and hands on": History(
        {
            "c0": STEPS,
            "c1": "e = Step().set(1)",
            "c2": "print(e.k)",
            "c3": "e.set(3);",
            "c4": "x = 1",
            "c5": "print(e.k)",
        },
        (Step("c3", "p = [e]"), Step("c4", "p[0].set(7);")),
    ),
    "an object that a cell hands on, and another that it mutates as expected": History(
        {
            "c0": STEPS,
            "c1": "a, b = Step().set(1), Step().set(2)",
            "c2": "print(a.k, b.k)",
            "c3": "a.set(3); b.set(4);",
            "c4": "x = 1",
            "c5": "print(a.k, b.k)",
        },
        (Step("c3", "a.set(3)\np = Steps(b)"), Step("c4", "p.steps[0].set(9);"), Step("c2"), Step("c5")),
    ),
    "an object that a cell mutates in place of the one that it was expected to mutate": History(
        {
            "c0": STEPS,
            "c1": "e, f = Step().set(1), Step().set(2)\nsteps = {'e': e}\nothers = {'f': f}",
            "c2": "print(e.k, f.k)",
            "c3": "for each in steps.values(): each.set(3)",
        },
        (Step("c3", "p = Steps(e)\nfor each in others.values(): each.set(4)"),),
    ),
}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[FrontEnd]:
    with laboratory(tmp_path) as lab:
        yield lab


@pytest.mark.parametrize("found", FOUND.values(), ids=FOUND)
def test_what_was_found_stays_right(lab: FrontEnd, found: History) -> None:
    assert counterexample(lab, found) is None


def test_an_object_that_was_copied_for_the_cells_above_ends_when_its_name_is_bound_anew(
    lab: FrontEnd,
) -> None:
    lab.run("x", "import numpy as np, weakref\nv = np.zeros(1000)")
    lab.run("w", "print(v.sum())")
    lab.run("y", "v[0] = 1\nbefore = weakref.ref(v)\nv = v + 1")
    assert lab.kernel.kernel.shell.user_ns["before"]() is None


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # of pandas, about what notebooks still use
@pytest.mark.parametrize("first", range(0, 200, 20))
def test_random_histories_end_in_right_pages(lab: FrontEnd, first: int) -> None:
    found = {seed: counterexample(lab, history(seed, small=True)) for seed in range(first, first + 20)}
    assert {seed: problem for seed, problem in found.items() if problem is not None} == {}


def test_a_wrong_page_is_found(lab: FrontEnd) -> None:
    followed = History({"c0": "x = 1", "c1": "print(x)"}, (Step("c0", "x = 2"),))
    assert counterexample(lab, followed) is None
    unseen = History(
        {
            "c0": "__import__('mimetypes').add_type('x/1', '.kept')",
            "c1": "print(__import__('mimetypes').guess_type('a.kept')[0])",
        },
        (Step("c0", "__import__('mimetypes').add_type('x/2', '.kept')"),),
    )
    assert "shows 'x/1' (ok), not 'x/2'" in str(counterexample(lab, unseen))
