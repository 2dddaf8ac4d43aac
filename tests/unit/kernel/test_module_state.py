"""What modules hold: a cell that uses it runs again after an edit of the cell that changes it."""

import mimetypes
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from marimo_kernel_bridge.kernel.versions.module_functions import is_used_in
from tests.unit.kernel.notebook_in_memory import FrontEnd

Notebook = tuple[tuple[str, ...], str, str]

CHANGED: dict[str, Notebook] = {
    "the environment": (
        ("import os", "os.environ['MKB_CITY'] = 'Oslo'", "print(os.environ['MKB_CITY'])"),
        "1: os.environ['MKB_CITY'] = 'Rome'",
        "Rome",
    ),
    "the environment, by a function": (
        ("import os", "os.environ.update(MKB_CITY='Oslo')", "print(os.getenv('MKB_CITY'))"),
        "1: os.environ.update(MKB_CITY='Rome')",
        "Rome",
    ),
    "the environment, by the text of a program": (
        (
            "import os, subprocess, sys",
            "os.environ['MKB_CITY'] = 'Oslo'",
            "print(subprocess.check_output([sys.executable, '-SEc', 'import os; print(os.environ[\"MKB_CITY\"])'], text=True))",
        ),
        "1: os.environ['MKB_CITY'] = 'Rome'",
        "Rome",
    ),
    "a number": (("import beside", "beside.rate = 2", "print(3 * beside.rate)"), "1: beside.rate = 4", "12"),
    "a number that a function uses": (
        ("import beside", "beside.rate = 2", "print(beside.price(3))"),
        "1: beside.rate = 4",
        "12",
    ),
    "a number that is imported": (
        ("import beside", "beside.rate = 2", "from beside import rate\nprint(3 * rate)"),
        "1: beside.rate = 4",
        "12",
    ),
    "a number that is imported with all others": (
        ("import beside", "setattr(beside, 'rate', 2)", "from beside import *\nprint(3 * rate)"),
        "1: setattr(beside, 'rate', 4)",
        "12",
    ),
    "a number that an imported function uses": (
        ("import beside", "vars(beside)['rate'] = 2", "from beside import price\nprint(price(3))"),
        "1: vars(beside)['rate'] = 4",
        "12",
    ),
    "a function that a mock replaces": (
        (
            "import beside\nfrom unittest import mock",
            "mock.patch.object(beside, 'price', lambda n: n).start();",
            "print(beside.price(2))",
        ),
        "1: mock.patch('beside.price', lambda n: 1).start();",
        "1",
    ),
    "a dict behind two functions": (
        ("from beside import put, names", "put('a')", "print(names())"),
        "1: put('b')",
        "['b']",
    ),
    "a module in a package": (
        ("import xml.sax.handler", "xml.sax.handler.mkb = [1]", "print(xml.sax.handler.mkb)"),
        "1: xml.sax.handler.mkb = [2]",
        "[2]",
    ),
    "the search path": (
        ("import sys", "sys.path.append('mkb1')", "print([path for path in sys.path if 'mkb' in path])"),
        "1: sys.path.append('mkb2')",
        "['mkb2']",
    ),
}


@pytest.fixture(autouse=True)
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put a module of the notebook's own beside it, and leave the process as it was."""
    module = "rate, _all = 1, {}\ndef price(n): return n * rate\ndef put(k): _keep(k)\ndef _keep(k): _all[k] = 1\ndef names(): return list(_all)\n"
    module += "class M(type):\n    def __delattr__(cls, n): raise NotImplementedError\nclass Mapped(metaclass=M): pass\n"
    (tmp_path / "beside.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MKB_CITY", "")
    monkeypatch.setattr(tempfile, "tempdir", tempfile.gettempdir())
    yield
    sys.path[:] = [path for path in sys.path if not path.startswith("mkb")]
    sys.modules.pop("beside", None)


IN_PACKAGES: dict[str, Notebook] = {
    "how objects are pickled": (
        (
            "import copyreg, pickle\nclass A: pass",
            "copyreg.pickle(A, lambda a: (int, (1,)))",
            "print(pickle.loads(pickle.dumps(A())) if A in copyreg.dispatch_table else 0)",
        ),
        "1: copyreg.pickle(A, lambda a: (int, (2,)))",
        "2",
    ),
    "how objects are copied, now no other way": (
        (
            "import copyreg, copy\nclass A: n = 0\na = A()",
            "class B(A): n = 1\ncopyreg.pickle(A, lambda a: (B, ()))",
            "print(copy.copy(a).n)",
        ),
        "1: 1",
        "0",
    ),
    "a prefix of XML": (
        (
            "import xml.etree.ElementTree as ET",
            "ET.register_namespace('mkb', 'http://mkb')",
            "print(ET.tostring(ET.Element('{http://mkb}a')).decode())",
        ),
        "1: ET.register_namespace('other', 'http://mkb')",
        '<other:a xmlns:other="http://mkb" />',
    ),
    "a method of a class": (
        ("from fractions import Fraction", "Fraction.mkb = lambda self: 1", "print(Fraction(1).mkb())"),
        "1: Fraction.mkb = lambda self: 2",
        "2",
    ),
    "a number that functions of a package use": (
        ("import tempfile", "tempfile.tempdir = '/mkb1'", "print(tempfile.gettempdir())"),
        "1: tempfile.tempdir = '/mkb2'",
        "/mkb2",
    ),
    "items that functions of a package use": (
        (
            "import linecache",
            "linecache.cache['mkb'] = 1, None, ['1'], 'mkb'",
            "print(linecache.getline('mkb', 1))",
        ),
        "1: linecache.cache['mkb'] = 1, None, ['2'], 'mkb'",
        "2",
    ),
    "a method that a package calls": (
        (
            "import json\nclass A: pass",
            "json.JSONEncoder.default = lambda self, o: 1",
            "print(json.dumps(A()))",
        ),
        "1: json.JSONEncoder.default = lambda self, o: 2",
        "2",
    ),
}

AGAIN: dict[str, Notebook] = {
    "a module that a cell makes": (
        (
            "import sys, types",
            "m = types.ModuleType('mkb_made')\nm.rate = 2\nsys.modules['mkb_made'] = m",
            "import mkb_made",
            "print(mkb_made.rate)",
        ),
        "1: m = types.ModuleType('mkb_made')\nm.rate = 3\nsys.modules['mkb_made'] = m",
        "3",
    ),
    "a name of such a module": (
        (
            "import sys, types",
            "m = types.ModuleType('mkb_made2')\nm.rate = 2\nsys.modules['mkb_made2'] = m",
            "from mkb_made2 import rate",
            "print(rate)",
        ),
        "1: m = types.ModuleType('mkb_made2')\nm.rate = 3\nsys.modules['mkb_made2'] = m",
        "3",
    ),
    "a reload below a change": (
        (
            "import beside",
            "beside.rate = 5",
            "import importlib\nimportlib.reload(beside);",
            "print(beside.rate)",
        ),
        "1: beside.rate = 6",
        "1",
    ),
    "a function that a module calls": (
        (
            "import warnings\nseen = []",
            "warnings.showwarning = lambda *a: seen.append(1)",
            "warnings.warn(str(len(seen)))",
            "print(seen)",
        ),
        "1: warnings.showwarning = lambda *a: seen.append(2)",
        "[2]",
    ),
    "a list that a module has, by another name": (
        ("import sys\nrows = [1]", "sys.mkb_rows = rows", "rows.append(2)", "print(sys.mkb_rows)"),
        "2: rows.append(3)",
        "[1, 3]",
    ),
    "a variable of a context": (
        (
            "import contextvars\nv = contextvars.ContextVar('v', default=0)",
            "v.set(1);",
            "1",
            "print(v.get())",
        ),
        "1: v.set(2);",
        "2",
    ),
}

LAZY = """
def __getattr__(name):
    globals()[name] = {"make": lambda: 1, "rate": 2}[name]
    return globals()[name]
"""


def test_what_a_module_loads_at_its_first_use_is_no_work_of_the_cell_that_uses_it(
    lab: FrontEnd, tmp_path: Path
) -> None:
    (tmp_path / "lazily.py").write_text(LAZY)
    lab.run("import", "import lazily")
    lab.run("first", "one = lazily.make() + lazily.rate")
    lab.run("second", "lazily.rate = 5")
    lab.sync()
    defined = {name: cell.defines for name, cell in lab.cells().items()}
    assert defined == {"import": ("lazily",), "first": ("one",), "second": ("lazily.rate",)}
    sys.modules.pop("lazily")


@pytest.mark.parametrize(("cells", "edit", "expected"), CHANGED.values(), ids=CHANGED)
def test_who_uses_what_a_module_holds_runs_after_who_changes_it(
    lab: FrontEnd, cells: tuple[str, ...], edit: str, expected: str
) -> None:
    lab.run_each(cells, (edit,))
    assert lab.text("2") == expected
    assert not any(cell.stale for cell in lab.cells().values())


@pytest.mark.parametrize(("cells", "edit", "expected"), IN_PACKAGES.values(), ids=IN_PACKAGES)
def test_who_uses_a_package_runs_after_who_puts_something_into_it(
    lab: FrontEnd, monkeypatch: pytest.MonkeyPatch, cells: tuple[str, ...], edit: str, expected: str
) -> None:
    monkeypatch.setattr("linecache.cache", {})  # without the thousands of entries that other tests have left
    lab.run_each(cells, (edit,))
    assert (lab.text("2"), lab.cells()["2"].stale) == (expected, False)
    lab.run("2", cells[2], metadata={"deletedCells": ["1"]})


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("cells", "edit", "expected"), AGAIN.values(), ids=AGAIN)
def test_what_is_put_into_a_module_again_reaches_its_users(
    lab: FrontEnd, cells: tuple[str, ...], edit: str, expected: str
) -> None:
    lab.run_each(cells, (edit,))
    assert (lab.text("3"), lab.cells()["3"].stale) == (expected, False)
    lab.run("3", cells[3], metadata={"deletedCells": ["1"]})


def test_what_a_variable_of_a_context_keeps_of_code_that_is_gone_marks_who_reads_it(lab: FrontEnd) -> None:
    cells = ("import contextvars\nv = contextvars.ContextVar('v', default=0)", "v.set(1);", "print(v.get())")
    lab.run_each(cells, ("1: 1",))
    assert lab.cells()["2"].stale


def test_who_has_an_equal_number_or_calls_a_function_that_a_module_has_is_no_user(lab: FrontEnd) -> None:
    cells = (
        "import sys\nn = 0\ndef f(): return 1",
        "sys.tracebacklimit = 0\nsys.mkb_f = f",
        "print(n)",
        "m = n + f()\nprint(m)",
    )
    lab.run_each(cells)
    above = lab.cells()["0"].cell_id
    assert [lab.cells()[cell].upstream for cell in "23"] == [(above,), (above,)]
    lab.run("1", "del sys.tracebacklimit")


def test_a_call_that_puts_something_into_a_package_is_found_when_the_user_has_run_before(
    lab: FrontEnd,
) -> None:
    cells = (
        "import copyreg, copy\nclass A: n = 0\nclass B(A): n = 1\na = A()",
        "1",
        "print(copy.copy(a).n)",
    )
    lab.run_each(cells, ("1: copyreg.pickle(A, lambda a: (B, ()))",))
    assert (lab.text("2"), lab.cells()["2"].stale) == ("1", False)


def test_who_only_shows_something_of_a_package_puts_nothing_into_it(lab: FrontEnd) -> None:
    lab.run_each(
        ("import mimetypes", "mimetypes.guess_type('a.txt')", "print(mimetypes.guess_type('a.txt'))")
    )
    assert lab.cells()["2"].upstream == (lab.cells()["0"].cell_id,)


def test_what_a_call_has_left_in_a_package_marks_its_users(lab: FrontEnd) -> None:
    look = "print(mimetypes.guess_type('a.mkb')[0])"
    lab.run_each(("import mimetypes", "mimetypes.add_type('x/1', '.mkb')", look))
    assert (lab.text("2"), lab.cells()["2"].stale) == ("x/1", False)
    lab.run("1", "1")
    lab.sync()
    assert lab.cells()["2"].stale or lab.text("2") == "None"
    mimetypes.init()


def test_what_a_class_does_not_let_be_taken_back_marks_its_users(lab: FrontEnd) -> None:
    cells = ("import beside", "beside.Mapped.x = 1", "print(hasattr(beside.Mapped, 'x'))")
    lab.run_each(cells, ("1: beside.Mapped.y = 1",))
    assert lab.text("2") == "False" or lab.cells()["2"].stale


class _Lazy:
    def __getattribute__(self, name: str) -> object:
        raise AssertionError(f"asked for {name}")


def test_a_module_that_is_loaded_when_it_is_first_used_is_not_asked_for_anything() -> None:
    module = types.ModuleType("mkb_lazy")
    exec("def rate(): return N", vars(module))
    module.lazy = _Lazy()  # type: ignore[attr-defined]  # as submodules that are loaded late
    assert is_used_in(module, "N")
    assert not is_used_in(module, "M")


def test_who_uses_something_else_of_the_module_does_not_run(lab: FrontEnd) -> None:
    lab.run_each(("import os", "os.environ['MKB_CITY'] = 'Oslo'", "print(os.path.join('a', 'b'), os.sep)"))
    changing = lab.cells()["1"]
    assert changing.defines == ("os.environ",)
    assert lab.cells()["2"].upstream == (lab.cells()["0"].cell_id,)


def test_a_module_that_nobody_changes_makes_no_names(lab: FrontEnd) -> None:
    lab.run_each(("import os, math", "print(os.environ['MKB_CITY'], math.pi, os.sep)"))
    assert lab.cells()["1"].uses == ("math", "os")


@pytest.mark.parametrize("value", ["{0}", "lambda: {0}"])
def test_who_uses_what_a_cell_has_put_into_builtins_runs_after_it(lab: FrontEnd, value: str) -> None:
    put, call = f"builtins.mkb_{len(value)} = {value}", "()" * ("lambda" in value)
    cells = ("import builtins", put.format(1), f"print(mkb_{len(value)}{call})")
    lab.run_each(cells, (f"1: {put.format(2)}",))
    assert (lab.text("2"), lab.cells()["2"].stale) == ("2", False)


TAKEN_BACK: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "a variable, now another": (
        ("import os", "os.environ['MKB_CITY'] = 'Oslo'", "print(os.environ['MKB_CITY'])"),
        ("1: os.environ['MKB_TOWN'] = 'Rome'",),
        "",
    ),
    "a number, now none": (
        ("import beside", "beside.rate = 2", "print(3 * beside.rate)"),
        ("1: print(beside.rate)",),
        "3",
    ),
    "a name, now none": (
        (
            "import xml.sax.handler",
            "xml.sax.handler.other_mkb = [1]",
            "print(xml.sax.handler.other_mkb if 'other_mkb' in dir(xml.sax.handler) else 0)",
        ),
        ("1: xml.sax.handler.version",),
        "0",
    ),
    "a path, run again": (
        ("import sys", "sys.path.append('mkb1')", "print([path for path in sys.path if 'mkb' in path])"),
        ("1",),
        "['mkb1']",
    ),
    "a path, now none": (
        ("import sys", "sys.path.append('mkb1')", "print([path for path in sys.path if 'mkb' in path])"),
        ("1: 1",),
        "[]",
    ),
    "what else is changed than a class that takes nothing back": (
        (
            "import beside",
            "beside.rate = 2\nbeside.Mapped.x = 1\nbeside._all['a'] = 1",
            "print(beside.price(1), beside.names())",
        ),
        ("1: 1",),
        "1 []",
    ),
    "paths of two cells": (
        (
            "import sys",
            "sys.path.insert(0, 'mkb1')",
            "print([path for path in sys.path if 'mkb' in path])",
            "sys.path.insert(0, 'mkb3')",
            "print([path for path in sys.path if 'mkb' in path])",
        ),
        ("1: sys.path.insert(0, 'mkb2')", "2"),
        "['mkb3', 'mkb2']",
    ),
}


@pytest.mark.parametrize(("cells", "edits", "expected"), TAKEN_BACK.values(), ids=TAKEN_BACK)
def test_what_a_cell_has_put_into_a_module_is_taken_back_before_it_runs_again(
    lab: FrontEnd, cells: tuple[str, ...], edits: tuple[str, ...], expected: str
) -> None:
    lab.run_each(cells, edits)
    last = str(len(cells) - 1)
    assert (lab.text(last), lab.cells()[last].stale) == (expected, False)


def test_what_a_deleted_cell_has_put_into_a_module_is_taken_back(lab: FrontEnd) -> None:
    lab.run_each(("import beside", "beside.rate = 2", "print(3 * beside.rate)"))
    lab.run("2", "print(3 * beside.rate)", metadata={"deletedCells": ["1"]})
    assert lab.text("2") == "3"


def test_what_something_else_has_changed_since_is_not_taken_back(lab: FrontEnd) -> None:
    lab.run_each(("import beside", "beside.rate = 2"))
    sys.modules["beside"].rate = 5  # type: ignore[attr-defined]  # as a callback might
    lab.run("1", "print(beside.rate)")
    assert lab.text("1") == "5"
