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

CHANGED: dict[str, Notebook] = {
    "the order of an ordered dictionary": (
        ("from collections import OrderedDict\no = OrderedDict(a=1, b=2)", "p = [o]", "p[0].move_to_end('a')", "print(o)"),
        "p[0].popitem();",
    ),
    "a class, whose instance is used": ((_DEFINES, "A.f = lambda self: 2", "print(a.f())"), "A.f = lambda self: 3"),
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


def test_changes_that_no_name_shows_are_followed(lab: FrontEnd) -> None:
    assert problems(lab, CHANGED) == {}


def test_an_object_that_computes_its_attributes_is_asked_for_none(lab: FrontEnd) -> None:
    assert problems(lab, {"": ((COMPUTED, "a.x;", "print(sorted(vars(a)))"), "a.y;")}) == {}
