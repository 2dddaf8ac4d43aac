"""Changes that the text of a cell does not show: the page is right after each edit, and no change is lost.

Each notebook: its cells, then what is run again (`number: code`, or `number` alone for the same code), then what the
last cell shows, as in a fresh run from top to bottom. All but the last step are by hand; the rest follows by itself.
"""

import pytest

from tests.unit.kernel.notebook_in_memory import FrontEnd

Notebook = tuple[tuple[str, ...], tuple[str, ...], str]

SHARED: dict[str, Notebook] = {
    "an item of a dict": (
        ("groups = {}", "team = groups.setdefault('red', [])", "team.append('Ida')", "print(groups)"),
        ("2: team.append('Bo')",),
        "{'red': ['Bo']}",
    ),
    "two names bound at once": (("a = b = []", "a.append(1)", "print(b)"), ("1: a.append(2)",), "[2]"),
    "a default": (("a = [0]", "b = a or []", "b.append(1)", "print(a)"), ("2: b.append(2)",), "[0, 2]"),
    "records picked by a comprehension": (
        (
            "rows = [{'n': 1}, {'n': 9}]",
            "big = [r for r in rows if r['n'] > 5]",
            "big[0]['n'] = 50",
            "print(rows)",
        ),
        ("2: big[0]['n'] = 60",),
        "[{'n': 1}, {'n': 60}]",
    ),
    "the first match": (
        (
            "rows = [{'n': 1}, {'n': 2}]",
            "r = next(r for r in rows if r['n'] == 2)",
            "r['n'] = 5",
            "print(rows)",
        ),
        ("2: r['n'] = 6",),
        "[{'n': 1}, {'n': 6}]",
    ),
    "the argument of a constructor": (
        (
            "class Basket:\n    def __init__(self, items): self.items = items",
            "items = ['a']",
            "basket = Basket(items=items)",
            "basket.items.append('b')",
            "print(items)",
        ),
        ("3: basket.items.append('c')",),
        "['a', 'c']",
    ),
    "the result of a function": (
        ("def same(x):\n    return x", "a = []", "b = same(a)", "b.append(1)", "print(a)"),
        ("3: b.append(2)",),
        "[2]",
    ),
    "a namespace": (
        ("from types import SimpleNamespace as S", "xs = []", "s = S(xs=xs)", "s.xs.append(1)", "print(xs)"),
        ("3: s.xs.append(2)",),
        "[2]",
    ),
    "a dict of lists": (
        ("a = []", "d = dict(zip(['k'], [a]))", "d['k'].append(1)", "print(a)"),
        ("2: d['k'].append(2)",),
        "[2]",
    ),
    "a shallow copy": (
        ("import copy\nn = [[1]]", "m = copy.copy(n)", "m[0].append(2)", "print(n)"),
        ("2: m[0].append(3)",),
        "[[1, 3]]",
    ),
    "lists joined": (
        ("p = [[1]]\nq = [[2]]", "r = p + q", "r[0].append(9)", "print(p)"),
        ("2: r[0].append(8)",),
        "[[1, 8]]",
    ),
    "layers of dicts": (
        ("from collections import ChainMap\nd = {'a': 1}", "c = ChainMap(d)", "c['a'] = 2", "print(d)"),
        ("2: c['a'] = 3",),
        "{'a': 3}",
    ),
    "a view of bytes": (
        ("b = bytearray(b'abc')", "m = memoryview(b)", "m[0] = 120", "print(b)"),
        ("2: m[1] = 120",),
        "bytearray(b'axc')",
    ),
    "a method that returns its object": (
        (
            "class B:\n    def __init__(self): self.xs = []\n    def add(self, x):\n        self.xs.append(x)\n        return self",
            "b = B()",
            "f = b.add(1)",
            "f.add(2);",
            "print(b.xs)",
        ),
        ("3: f.add(3);",),
        "[1, 3]",
    ),
}

MUTATED: dict[str, Notebook] = {
    "what the class of an object holds": (
        (
            "from operator import methodcaller\nclass Shop:\n    stock = {}\n    def put(self, k): self.stock[k] = 1",
            "shop = Shop()",
            "methodcaller('put', 'tea')(shop)",
            "print(shop.stock)",
        ),
        ("2: methodcaller('put', 'rice')(shop)",),
        "{'rice': 1}",
    ),
    "a decorator that registers": (
        (
            "REG = []\ndef register(f):\n    REG.append(f.__name__)\n    return f",
            "@register\ndef one(): pass",
            "print(REG)",
        ),
        ("1: @register\ndef two(): pass",),
        "['two']",
    ),
    "a lambda": (
        ("seen = []", "note = lambda v: seen.append(v)", "note(1)", "print(seen)"),
        ("2: note(2)",),
        "[2]",
    ),
    "a bound method": (("seen = []", "put = seen.append", "put(1)", "print(seen)"), ("2: put(2)",), "[2]"),
    "a partial function": (
        (
            "import functools\nseen = []\ndef note(v, w): seen.append((v, w))",
            "f = functools.partial(note, 1)",
            "f(2)",
            "print(seen)",
        ),
        ("2: f(3)",),
        "[(1, 3)]",
    ),
    "a function given to map": (
        ("a = []", "list(map(a.append, [1, 2]));", "print(a)"),
        ("1: list(map(a.append, [3]));",),
        "[3]",
    ),
    "a function that mutates its argument": (
        ("def extend(rows):\n    rows += [9]", "rows = [1]", "extend(rows)", "print(rows)"),
        ("0: def extend(rows):\n    rows += [8]",),
        "[1, 8]",
    ),
    "a function of a library": (
        ("import operator\na = [1]", "operator.iadd(a, [2]);", "print(a)"),
        ("1: operator.iadd(a, [3]);",),
        "[1, 3]",
    ),
    "a subclass that registers itself": (
        (
            "REG = []\nclass Base:\n    def __init_subclass__(cls): REG.append(cls.__name__)",
            "class A(Base): pass",
            "print(REG)",
        ),
        ("1: class B(Base): pass",),
        "['B']",
    ),
    "a closure that counts": (
        (
            "def counter():\n    n = 0\n    def step():\n        nonlocal n\n        n += 1\n        return n\n    return step",
            "step = counter()",
            "print(step())",
        ),
        ("2",),
        "1",
    ),
    "an attribute of a class": (
        ("class C:\n    n = 0\n    def up(self):\n        type(self).n += 1", "C().up()", "print(C.n)"),
        ("1",),
        "1",
    ),
    "an attribute of a function": (
        ("def f(): pass\nf.n = 0", "f.n += 1", "print(f.n)"),
        ("1: f.n += 2", "1"),
        "2",
    ),
    "the dict of an object": (
        ("class P: pass\np = P()", "vars(p)['a'] = 1", "print(p.a)"),
        ("1: vars(p)['a'] = 2",),
        "2",
    ),
    "a default that reading fills in": (
        ("from collections import defaultdict\nd = defaultdict(list)", "d['a'];", "print(dict(d))"),
        ("1: d['b'];",),
        "{'b': []}",
    ),
    "a buffer": (
        ("import struct\nb = bytearray(2)", "struct.pack_into('B', b, 0, 7)", "print(list(b))"),
        ("1: struct.pack_into('B', b, 1, 7)",),
        "[0, 7]",
    ),
    "a function of NumPy": (
        ("import numpy as np\na = np.arange(3)", "np.put(a, [0], 9)", "print(a)"),
        ("1: np.put(a, [1], 9)",),
        "[0 9 2]",
    ),
    "a ufunc in place": (
        ("import numpy as np\na = np.zeros(2)", "np.add.at(a, [0], 1)", "print(a)"),
        ("1",),
        "[1. 0.]",
    ),
    "the handler of a log": (
        (
            (
                "import logging\nseen = []\nclass H(logging.Handler):\n    def emit(self, record): seen.append(record.msg)\n"
                "logging.getLogger('mkb1').handlers[:] = [H()]"
            ),
            "logging.getLogger('mkb1.a').warning('x')",
            "print(seen)",
        ),
        ("1: logging.getLogger('mkb1.a').warning('y')", "1"),
        "['y']",
    ),
    "the stream of a log": (
        (
            "import logging, io\nout = io.StringIO()\nlogging.getLogger('mkb2').handlers[:] = [logging.StreamHandler(out)]",
            "def note(text): logging.getLogger('mkb2.a').warning(text)",
            "note('x')",
            "print(out.getvalue().split())",
        ),
        ("2: note('y')", "2"),
        "['y']",
    ),
    "a frame in a function": (
        (
            "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2]})",
            "def add(d):\n    d['b'] = 1",
            "add(df)",
            "print(list(df.columns))",
        ),
        ("1: def add(d):\n    d['c'] = 1",),
        "['a', 'c']",
    ),
    "an optimizer": (
        (
            "class Model:\n    def __init__(self): self.w = [1.0]\n    def parameters(self): return [self.w]",
            "class Optimizer:\n    def __init__(self, w): self.w = w\n    def step(self):\n        self.w[0][0] += 1",
            "model = Model()",
            "optimizer = Optimizer(model.parameters())",
            "for _ in range(3): optimizer.step()",
            "print(model.w)",
        ),
        ("4: for _ in range(1): optimizer.step()",),
        "[2.0]",
    ),
    "parts that a method returns": (
        (
            "class Weight:\n    def __init__(self): self.value = 1.0",
            "class Net:\n    def __init__(self): self.weights = [Weight()]\n    def parts(self): return self.weights",
            "net = Net()",
            "for w in net.parts(): w.value -= 0.5",
            "print(net.weights[0].value)",
        ),
        ("3: for w in net.parts(): w.value -= 0.25",),
        "0.75",
    ),
}

FITTED = (
    "class Model:\n    def fit(self, y):\n        self.y = y\n        return self",
    "model = Model()",
    "_ = model.fit(1)",
    "print(model.y)",
    "_ = model.fit(2)",
    "print(model.y)",
)


def shown_after(lab: FrontEnd, notebook: Notebook) -> str:
    cells, steps, _ = notebook
    for number, code in enumerate(cells):
        assert lab.run(str(number), code).ok
    codes = {str(number): code for number, code in enumerate(cells)}
    for step in steps:
        cell, _, code = step.partition(": ")
        assert lab.run(cell, code or codes[cell]).ok
        codes[cell] = code or codes[cell]
    lab.sync()
    return lab.text(str(len(cells) - 1))


@pytest.mark.parametrize("notebook", SHARED.values(), ids=SHARED)
def test_a_change_through_a_name_that_shares_the_object_is_not_lost(
    lab: FrontEnd, notebook: Notebook
) -> None:
    assert shown_after(lab, notebook) == notebook[-1]


@pytest.mark.parametrize("notebook", MUTATED.values(), ids=MUTATED)
def test_a_change_that_the_text_does_not_show_is_made_once_and_followed(
    lab: FrontEnd, notebook: Notebook
) -> None:
    assert shown_after(lab, notebook) == notebook[-1]


@pytest.mark.parametrize("again", ["3", "5", "35", "53", "2", "4"])
def test_each_reader_of_a_model_that_is_fitted_twice_shows_the_fit_above_it(
    lab: FrontEnd, again: str
) -> None:
    for number, code in enumerate(FITTED):
        assert lab.run(str(number), code).ok
    for cell in again:
        assert lab.run(cell, FITTED[int(cell)]).ok
    assert (lab.text("3"), lab.text("5")) == ("1", "2")


def test_an_edited_fit_is_followed_by_its_own_readers_alone(lab: FrontEnd) -> None:
    for number, code in enumerate(FITTED):
        assert lab.run(str(number), code).ok
    lab.run("2", "_ = model.fit(7)")
    assert (lab.text("3"), lab.text("5")) == ("7", "2")


def test_what_a_cell_mutates_only_the_first_time_is_followed_each_time(lab: FrontEnd) -> None:
    cells = (
        "cache = {}",
        "def get(n):\n    if n not in cache: cache[n] = []\n    return cache[n]",
        "get(1);",
        "print(sorted(cache))",
    )
    for _ in range(2):
        assert shown_after(lab, (cells, ("2", "2"), "")) == "[1]"
    lab.run("2", "get(2);")
    assert lab.text("3") == "[2]"


def test_what_a_module_holds_is_changed_itself(lab: FrontEnd) -> None:
    cells = (
        "import os",
        "env = os.environ",
        "env['BRIDGE_TEST'] = 'Oslo'",
        "print(os.environ['BRIDGE_TEST'])",
    )
    notebook = (cells, ("2: env['BRIDGE_TEST'] = 'Bergen'", "3"), "Bergen")
    assert shown_after(lab, notebook) == "Bergen"


def test_a_reader_that_runs_again_leaves_what_was_written(lab: FrontEnd) -> None:
    cells = (
        "import io, csv\nbuffer = io.StringIO()\nwriter = csv.writer(buffer)",
        "writer.writerow(['a', 1]);",
        "print(buffer.getvalue().strip())",
    )
    assert shown_after(lab, (cells, ("2", "2"), "")) == "a,1"


def test_a_file_on_disk_is_not_emptied_when_the_cell_that_closes_it_runs_again(lab: FrontEnd) -> None:
    cells = (
        "import csv, tempfile, pathlib",
        "path = pathlib.Path(tempfile.mkdtemp()) / 'out.csv'\nf = open(path, 'w')\nwriter = csv.writer(f)",
        "writer.writerow(['a', 1]);",
        "f.close()",
        "print(path.read_text().strip())\npath.unlink()\npath.parent.rmdir()",
    )
    for number, code in enumerate(cells[:-1]):
        assert lab.run(str(number), code).ok
    assert lab.run("3", cells[3]).ok
    assert lab.run("4", cells[4]).text == "a,1"


def test_a_run_of_all_runs_each_cell_once_whatever_it_shows(lab: FrontEnd) -> None:
    lab.run("count", "runs = []")
    notebook = MUTATED["an optimizer"][0]
    cells = {str(number): f"{code}\nruns.append({number})" for number, code in enumerate(notebook)}
    lab.run_all(cells)
    lab.sync()
    assert lab.run(None, "sorted(runs)", store_history=False).text == str(list(range(len(notebook))))


def test_the_status_says_what_a_run_has_shown_that_the_code_does_not(lab: FrontEnd) -> None:
    cells = (
        "from operator import methodcaller\nrows, more = [2, 1], [1]",
        "methodcaller('sort')(rows)\nmore.append(2)",
    )
    lab.run_each(cells)
    told = lab.run("status", "%marimo status").text
    assert " ran, not in its code: it changes rows\n" in f"{told}\n"
    lab.run("1", "rows.sort()\nmore.append(2)")
    assert "not in its code" not in lab.run("status", "%marimo status").text


def test_the_status_says_what_is_too_large_to_be_watched(lab: FrontEnd) -> None:
    for cell, code in {
        "0": "big = [[n] for n in range(20_000)]\nsmall = [1]",
        "1": "print(len(big), small)",
    }.items():
        assert lab.run(cell, code).ok
    told = lab.run("status", "%marimo status").text
    assert "not watched in" in told
    assert "print(len(big), small)" in told
    assert ": big; what the code does not show" in told
    assert {name: cell.not_watched for name, cell in lab.cells().items() if cell.not_watched} == {
        "1": ("big",)
    }
    lab.run("0", "big = small = [1]")
    assert "not watched" not in lab.run("status", "%marimo status").text
