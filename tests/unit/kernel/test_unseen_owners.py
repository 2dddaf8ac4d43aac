"""Objects that others hold as well, in ways that no text shows: no change is lost, and each page is right or marked.

Each notebook has its cells, and what the cell before the last becomes. It is edited, the last cell and then the edited one
run again, and the edit is undone and the last cell runs again: after each step every unmarked cell shows what a fresh run shows.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.kernel.notebook_in_memory import FrontEnd
from tests.unit.kernel.random_histories import History, Step, counterexample, laboratory

Notebook = tuple[tuple[str, ...], str]

_DEFINES = "class A:\n    n = 0\n    def f(self): return self.n\na = A()"

HELD: dict[str, Notebook] = {
    "an image behind its pixels": (
        (
            "from PIL import Image\nim = Image.new('L', (2, 1))",
            "px = im.load()",
            "px[0, 0] = 9",
            "print(list(im.tobytes()))",
        ),
        "px[1, 0] = 9",
    ),
    "a function that keeps its results": (
        (
            "import functools\n@functools.lru_cache\ndef get(k): return []",
            "a = get(1)",
            "a.append(1)",
            "print(get(1))",
        ),
        "a.append(2)",
    ),
    "a function that keeps all results": (
        (
            "import functools\n@functools.cache\ndef get(k): return {}",
            "a = get(1)",
            "a['x'] = 1",
            "print(get(1))",
        ),
        "a['y'] = 2",
    ),
    "a weak reference": ((f"import weakref\n{_DEFINES}", "r = weakref.ref(a)", "a.n = 1", "print(r().n)"), "a.n = 2"),
    "an object of which there is a weak reference": (
        (f"import weakref\n{_DEFINES}", "r = weakref.ref(a)", "r().n = 1", "print(a.n)"),
        "r().n = 2",
    ),
    "a dictionary of weak references": (
        (f"import weakref\n{_DEFINES}", "w = weakref.WeakValueDictionary(k=a)", "w['k'].n = 1", "print(a.n)"),
        "w['k'].n = 2",
    ),
    "a weak proxy": ((f"import weakref\n{_DEFINES}", "p = weakref.proxy(a)", "p.n = 1", "print(a.n)"), "p.n = 2"),
    "a generator that waits": (
        ("a = []\ndef gives():\n    yield a", "it = gives()\nb = next(it)", "b.append(1)", "print(a)"),
        "b.append(2)",
    ),
    "a context manager": (
        (
            "import contextlib\na = []\n@contextlib.contextmanager\ndef held():\n    yield a",
            "with held() as b: pass",
            "b.append(1)",
            "print(a)",
        ),
        "b.append(2)",
    ),
    "the namespace": (("a = []", "b = globals()['a']", "b.append(1)", "print(a)"), "b.append(2)"),
    "the attributes of an object": (
        (_DEFINES, "d = a.__dict__", "d['n'] = 1", "print(a.n)"),
        "d['n'] = 2",
    ),
    "rows of an array in a list": (
        ("import numpy as np\na = np.zeros((2, 2))", "rows = [r for r in a]", "rows[0][:] = 7", "print(a)"),
        "rows[1][:] = 7",
    ),
    "rows of an array that are unpacked": (
        ("import numpy as np\na = np.zeros((2, 2))", "x, y = a", "x += 7", "print(a)"),
        "y += 7",
    ),
    "a field of an array": (
        ("import numpy as np\na = np.zeros(2, dtype=[('x', int)])", "x = a['x']", "x[0] = 9", "print(a)"),
        "x[1] = 8",
    ),
    "an array of the memory of bytes": (
        ("import numpy as np\nb = bytearray(4)", "v = np.frombuffer(b, dtype='u1')", "v[0] = 9", "print(b)"),
        "v[1] = 8",
    ),
    "the memory of a buffer": (
        ("import io\nb = io.BytesIO(b'abc')", "v = b.getbuffer()", "v[0] = 120", "print(b.getvalue())"),
        "v[1] = 120",
    ),
    "what a frame is said to have": (
        ("import pandas as pd\ndf = pd.DataFrame({'a': [1]})", "at = df.attrs", "at['u'] = 'm'", "print(df.attrs)"),
        "at['u'] = 's'",
    ),
    "an array in a series": (
        ("import numpy as np, pandas as pd\nv = np.arange(3)", "s = pd.Series(v, copy=False)", "v[0] = 9", "print(s.tolist())"),
        "v[1] = 8",
    ),
    "the array of a series": (
        ("import pandas as pd\ns = pd.Series([1, 2, 3])", "v = s.array", "v[0] = 9", "print(s.tolist())"),
        "v[1] = 8",
    ),
    "the labels of a frame": (
        ("import pandas as pd\ndf = pd.DataFrame({'a': [1, 2]})", "i = df.index", "i.name = 'n'", "print(df.index.name)"),
        "i.name = 'm'",
    ),
    "a stack of callbacks": (
        ("import contextlib\nrows, stack = [], contextlib.ExitStack()", "stack.callback(rows.append, 1);", "stack.close()", "print(rows)"),
        "1",
    ),
    "a tree whose parts copy themselves": (
        (
            (
                "class Part:\n    def __init__(self, whole=None): self.whole, self.parts, self.n = whole, [], 0\n"
                "    def __deepcopy__(self, _):\n        new = Part()\n        new.n = self.n\n"
                "        new.parts = [Part(new) for _ in self.parts]\n        return new\n"
                "tree = Part()\ntree.parts = [Part(tree)]"
            ),
            "part = tree.parts[0]",
            "part.n = 1",
            "print(tree.parts[0].n)",
        ),
        "part.n = 2",
    ),
    "objects whose copies have less in common": (
        (
            (
                "import copy\nclass Variable:\n    def __init__(self, data): self.data, self.unit = data, ''\n"
                "class Named:\n    def __init__(self, variable): self.variable, self.cache = variable, [[] for _ in range(9)]\n"
                "    def __deepcopy__(self, memo):\n        new = Named(Variable(copy.deepcopy(self.variable.data, memo)))\n"
                "        new.variable.unit, new.cache = self.variable.unit, []\n        return new\n"
                "every = Named(Variable([0]))"
            ),
            "one = Named(every.variable)",
            "one.variable.unit = 'K'\none.variable.data[0] = 9",
            "print(every.variable.unit, every.variable.data)",
        ),
        "one.variable.unit = 'C'\none.variable.data.append(8)",
    ),
    "a picture and who draws on it": (
        (
            "from PIL import Image, ImageDraw\nim = Image.new('L', (2, 1))",
            "dr = ImageDraw.Draw(im)",
            "dr.point((0, 0), fill=9)",
            "print(im.getpixel((0, 0)), im.getpixel((1, 0)))",
        ),
        "dr.point((1, 0), fill=9)",
    ),
}  # fmt: skip

_ENDS = "import weakref\nlog = []\nclass A: pass\na = A()"

ENDED: dict[str, Notebook] = {
    "what is called when an object ends": (
        (_ENDS, "weakref.finalize(a, log.append, 'gone');", "del a", "print(log)"),
        "1",
    ),
    "what is called when the last name is bound again": (
        (_ENDS, "weakref.finalize(a, log.append, 'gone');", "a = None", "print(log)"),
        "1",
    ),
    "a callback of a weak reference": (
        (_ENDS, "r = weakref.ref(a, lambda _: log.append('gone'))", "del a", "print(log, r() is None)"),
        "1",
    ),
    "weak references": ((_ENDS, "w = weakref.WeakSet([a])", "del a", "print(len(w))"), "1"),
    "an object that says that it ends": (
        ("log = []\nclass A:\n    def __del__(self): log.append('gone')", "a = A()", "del a", "print(log)"),
        "1",
    ),
}

WIDGETS = (
    "import traitlets\nclass W(traitlets.HasTraits):\n    value = traitlets.Int(0)\na, b, seen = W(), W(), []"
)

CHANGED: dict[str, Notebook] = {
    "a generator in a dictionary": (
        ("d = {'g': (n for n in range(20))}", "x = next(d['g'])", "print(x, next(d['g']))"),
        "x = [next(d['g']), next(d['g'])]",
    ),
    "a counter in a list": (
        ("import itertools\nids = [itertools.count()]", "x = next(ids[0])", "print(x, next(ids[0]))"),
        "x = [next(ids[0]), next(ids[0])]",
    ),
    "a random generator that a function is given": (
        (
            "import numpy as np\nr = np.random.default_rng(0)\ndef draw(r, n): return r.integers(0, 99, n).tolist()",
            "x = draw(r, 1)",
            "print(x, draw(r, 1))",
        ),
        "x = draw(r, 2)",
    ),
    "a random generator in an object": (
        (
            ("import random\nclass Dice:\n    def __init__(self): self.r = random.Random(1)\n"
            "    def roll(self): return self.r.random()\nd = Dice()"),
            "x = d.roll()",
            "print(x, d.roll())",
        ),
        "x = [d.roll(), d.roll()]",
    ),
    "a row of an array with fields": (
        ("import numpy as np\na = np.zeros(2, dtype=[('x', int), ('y', int)])", "r = a[0]", "r['x'] = 5", "print(a)"),
        "r['y'] = 5",
    ),
    "lists in a frame": (
        ("import pandas as pd\ndf = pd.DataFrame({'a': [[1], [2]]})", "df['a'].iloc[0].append(5)", "print(df['a'].tolist())"),
        "df['a'].iloc[1].append(5)",
    ),
    "groups of a frame": (
        (
            "import pandas as pd\ndf = pd.DataFrame({'k': ['a'], 'v': [1]})\ng = df.groupby('k')",
            "df['v'] = df['v'] * 10",
            "print(g['v'].sum().to_dict())",
        ),
        "df['v'] = df['v'] * 100",
    ),
    "an indexer of a frame": (
        ("import pandas as pd\ndf = pd.DataFrame({'v': [1, 2]})\nloc = df.loc", "loc[0, 'v'] = 9", "print(df.v.tolist())"),
        "loc[1, 'v'] = 9",
    ),
    "axes in a dictionary": (
        (
            "import matplotlib.pyplot as plt\nfig, axs = plt.subplots(1, 2)\nd = {'l': axs[0], 'r': axs[1]}",
            "d['l'].plot([1])",
            "d['r'].plot([1]); d['r'].plot([1])",
            "print([len(ax.lines) for ax in axs])",
        ),
        "d['l'].plot([1])",
    ),
    "a link of widgets": (
        (WIDGETS, "link = traitlets.link((a, 'value'), (b, 'value'))", "a.value = 3", "print(b.value)"),
        "a.value = 5",
    ),
    "a callback of a widget": (
        (WIDGETS, "a.observe(lambda change: seen.append(change['new']), 'value')", "a.value = 3", "print(seen)"),
        "a.value = 5",
    ),
    "an observer in the class of a widget": (
        (
            (f"{WIDGETS}\nclass V(W):\n    log = traitlets.List()\n    @traitlets.observe('value')\n"
            "    def _on(self, change): self.log = [*self.log, change['new']]\nw = V()"),
            "w.value = 3",
            "print(w.log)",
        ),
        "w.value = 5",
    ),
    "an accessor of frames": (
        (
            "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2]})\nregister = pd.api.extensions.register_dataframe_accessor",
            "@register('mkb1')\nclass A:\n    def __init__(self, df): self.df = df\n    def n(self): return 1",
            "print(df.mkb1.n())",
        ),
        "@register('mkb1')\nclass A:\n    def __init__(self, df): self.df = df\n    def n(self): return 2",
    ),
    "a function of SQL": (
        (
            "import sqlite3\nc = sqlite3.connect(':memory:')",
            "c.create_function('mkb1', 1, lambda x: x + 1)",
            "print(c.execute('select mkb1(1)').fetchall())",
        ),
        "c.create_function('mkb1', 1, lambda x: x + 2)",
    ),
    "a module that is an object": (
        (
            "import sys, types",
            "sys.modules['mkb_config'] = types.SimpleNamespace(rate=2)",
            "import mkb_config\nprint(mkb_config.rate)",
        ),
        "sys.modules['mkb_config'] = types.SimpleNamespace(rate=3)",
    ),
    "a frame that SQL reads by its name": (
        (
            "import duckdb, pandas as pd\ndf = pd.DataFrame({'a': [1, 2]})",
            "df['a'] = df['a'] * 2",
            "print(duckdb.sql('select sum(a) from df').fetchall())",
        ),
        "df['a'] = df['a'] * 3",
    ),
    "the working directory": (
        (
            ("import os, pathlib\npathlib.Path('sub').mkdir(exist_ok=True)\npathlib.Path('sub/a.txt').write_text('a')\n"
            "pathlib.Path('a.txt').write_text('b')"),
            "os.chdir('sub')",
            "print(open('a.txt').read())",
            "os.chdir('..')",
        ),
        "1",
    ),
    "the order of an ordered dictionary": (
        ("from collections import OrderedDict\no = OrderedDict(a=1, b=2)", "p = [o]", "p[0].move_to_end('a')", "print(o)"),
        "p[0].popitem();",
    ),
    "a class, whose instance is used": ((_DEFINES, "A.f = lambda self: 2", "print(a.f())"), "A.f = lambda self: 3"),
    "the classes that their metaclass keeps": (
        (
            (
                "class M(type):\n    made = []\n    def __new__(*parts):\n        made = type.__new__(*parts)\n"
                "        M.made.append((made.__name__, getattr(made, 'n', 0)))\n        return made\nclass Base(metaclass=M): pass"
            ),
            "class X(Base): n = 1",
            "print(M.made)",
        ),
        "class X(Base): n = 2",
    ),
    "the classes that a class above their own keeps": (
        (
            "class Base:\n    made = []\n    def __init_subclass__(cls): Base.made.append(cls.__name__)",
            "class Mid(Base): pass",
            "class Leaf(Mid): pass",
            "print(Base.made)",
        ),
        "class Other(Mid): pass",
    ),
    "the classes that their base lists": (
        ("class Base: pass", "class A(Base): n = 1", "print(sorted((c.__name__, c.n) for c in Base.__subclasses__()))"),
        "class A(Base): n = 2",
    ),
    "a class that a method of its base finds": (
        (
            "class Base:\n    @classmethod\n    def find(cls, key): return [c.n for c in cls.__subclasses__() if c.key == key]",
            "class A(Base): key, n = 'a', 1",
            "print(Base.find('a'))",
        ),
        "class A(Base): key, n = 'a', 2",
    ),
    "which function of a library is in a dictionary": (
        (
            "import numpy as np\nhow = {'f': np.sum, 'c': dict}\nv = np.arange(4)",
            "exec(\"how['f'] = np.max\")",
            "print(how['f'](v), how['c']())",
        ),
        "exec(\"how['c'] = list\")",
    ),
    "an object in a string that is evaluated": (("a = []", "exec('a.append(1)')", "print(a)"), "exec('a.append(2)')"),
    "a name in a string that is evaluated": (("x = 1", "exec('x = 2')", "print(x)"), "exec('x = 3')"),
    "a name that only a string binds": (("x = 1", "exec('made = 2')", "print(made)"), "exec('made = 3')"),
    "the namespace": (("x = 1", "globals().update(x=2)", "print(x)"), "globals().update(x=3)"),
    "what an expression in a string reads": (("x = 0", "low, high = 1, 5", "print(eval('low + high'))"), "low, high = 2, 5"),
    "what a query of a frame reads": (
        ("import pandas as pd\ndf = pd.DataFrame({'a': [1, 5]})", "limit = 2", "print(df.query('a > @limit'))"),
        "limit = 0",
    ),
    "what a format of all names reads": (("x = 0", "who = 'Ida'", "print('%(who)s' % vars())"), "who = 'Bo'"),
    "a function of a module": (
        ("import json", "json.mkb_dumps = lambda v: 'one'", "print(json.mkb_dumps(1))"),
        "json.mkb_dumps = lambda v: 'two'",
    ),
    "the environment of a command": (
        (
            "import os, subprocess",
            "os.environ['MKB_TOWN'] = 'Oslo'",
            "print(subprocess.run('echo $MKB_TOWN', shell=True, capture_output=True, text=True).stdout)",
        ),
        "os.environ['MKB_TOWN'] = 'Rome'",
    ),
}  # fmt: skip

COMPUTED = "class L:\n    def __getattr__(self, n):\n        self.__dict__[n] = n\n        return n\na = L()"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[FrontEnd]:
    with laboratory(tmp_path) as lab:
        yield lab


def problems(lab: FrontEnd, notebooks: dict[str, Notebook]) -> dict[str, str]:
    found = {}
    for name, (cells, edit) in notebooks.items():
        codes = {f"c{number}": code for number, code in enumerate(cells)}
        edited, last = list(codes)[-2:]
        again = [Step(edited, edit), Step(last), Step(edited), Step(last), Step(edited, codes[edited])]
        if (
            problem := counterexample(lab, History(codes, (*again, *map(Step, reversed(codes)))))
        ) is not None:
            found[name] = problem
    return found


def test_changes_of_what_an_unseen_owner_holds_are_not_lost(lab: FrontEnd) -> None:
    assert problems(lab, HELD) == {}


def test_an_object_ends_as_in_jupyter_and_is_made_again_for_who_needs_it(lab: FrontEnd) -> None:
    assert problems(lab, ENDED) == {}


@pytest.mark.parametrize("looks", ["weakref.ref(a)", "weakref.WeakKeyDictionary({a: 1})"])
def test_who_only_looks_at_an_object_weakly_lets_cells_above_run_alone(lab: FrontEnd, looks: str) -> None:
    lab.run("kind", "import time, weakref\nclass A: n = 0")
    lab.run("made", "a = A()\nprint(time.perf_counter_ns())")
    lab.run("shown", "print(a.n)")
    lab.run("looks", f"w = {looks}")
    made = lab.text("made")
    assert lab.run("shown", "print(a.n)").ok
    assert lab.text("made") == made


def test_a_method_is_that_of_its_class_once_the_cell_that_replaced_it_is_gone(lab: FrontEnd) -> None:
    replaces = "def loud(self): return 'HI'\nA.f = loud"
    cells = {"c0": _DEFINES, "c1": replaces, "c2": "print(a.f())", "c3": "print(A().f())"}
    edit = Step("c1", replaces.replace("HI", "HO"))
    tried = History(cells, (edit, Step("c2"), Step("c1"), Step("c1", kind="delete")))
    assert counterexample(lab, tried) is None


AXES = "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nim = ax.imshow([[0, 1]])\nax.plot([1, 2])\nplt.close()"


@pytest.mark.parametrize(
    ("cells", "steps"),
    [
        (("im.set_clim(0, 9)", "print(im.get_clim())"), (Step("c1", kind="delete"),)),
        (
            ("ax.set_title('a');", "print([ax.get_title()])", "ax.clear()"),
            (Step("c2"), Step("c1"), Step("c2")),
        ),
    ],
    ids=["set", "cleared"],
)
def test_a_reader_of_a_drawing_shows_what_the_cells_above_it_have_drawn(
    lab: FrontEnd, cells: tuple[str, ...], steps: tuple[Step, ...]
) -> None:
    codes = {f"c{number}": code for number, code in enumerate((AXES, *cells))}
    assert counterexample(lab, History(codes, steps)) is None


def test_changes_that_no_name_shows_are_followed(lab: FrontEnd) -> None:
    assert problems(lab, CHANGED) == {}


def test_who_calls_a_function_that_a_string_binds_follows_what_is_in_the_string(lab: FrontEnd) -> None:
    codes = {"c0": "n = 2", "c1": "exec(f'def times(v): return v * {n}')", "c2": "print(times(3))"}
    assert counterexample(lab, History(codes, (Step("c0", "n = 3"), Step("c2")))) is None


def test_who_changes_a_class_that_a_string_defines_finds_it_as_it_was_defined(lab: FrontEnd) -> None:
    codes = {
        "c0": "text = 'class A: v = {}'",
        "c1": "exec(text.format(1))",
        "c2": "print(A.v)",
        "c3": "A.v += 5\nprint(A.v)",
    }
    tried = History(codes, (Step("c3"), Step("c1", "exec(text.format(2))"), Step("c3"), Step("c2")))
    assert counterexample(lab, tried) is None


def test_an_object_that_computes_its_attributes_is_asked_for_none(lab: FrontEnd) -> None:
    assert problems(lab, {"": ((COMPUTED, "a.x;", "print(sorted(vars(a)))"), "a.y;")}) == {}
