"""What the importer's own Python needs is imported before it is needed, and is nobody else's name."""

import pytest
from reactive import Reactive, prepared


def runs(*codes):
    """Import cells and run the result by its dependencies; return all that it shows."""
    result = prepared(codes)
    reactive = Reactive([cell.code for cell in result.cells])
    assert reactive.problems() == [], reactive.codes
    return "".join(reactive.run().values()), reactive.codes


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CITY", "")


@pytest.mark.parametrize(
    ("codes", "shown"),
    [
        (["%%capture\nfrom IPython.utils.capture import capture_output\nx = 1", "print(x)"], "1\n"),
        (["%env CITY=Oslo", "import os\nprint(os.environ['CITY'])"], "env: CITY=Oslo\nOslo\n"),
        (["!echo a\nimport subprocess\nprint('b')"], "a\nb\n"),
        (["display(1)\nprint('x')", "from IPython.display import display\nprint('y')"], "x\n1\ny\n"),
        (["def f(x): display(x)\nf(1)", "from IPython.display import display\nprint('y')"], "1\ny\n"),
        (["print(__doc__, __builtins__.len('ab'))"], "Automatically created module for IPython interactive environment 2\n"),
        (["builtins = 3", "def f(): return __builtins__.abs(-3)", "print(f(), builtins)"], "3 3\n"),
        (["p = %pwd", "import os\nprint(os.getcwd() == p)"], "True\n"),
        (["%env CITY=B", "import os.path\nprint(os.path.exists('.'))"], "env: CITY=B\nTrue\n"),
        (["%env CITY=B", "if True:\n    import os\nprint(os.environ['CITY'])"], "env: CITY=B\nB\n"),
        (["def f():\n    !echo a\nf()", "import subprocess\nprint('b')"], "a\nb\n"),
        (["x = !echo a", "from IPython.utils.text import SList\nprint(type(x) is SList)"], "True\n"),
        (["%%capture out\nprint(1)", "from IPython.utils.capture import capture_output\nprint(out.stdout)"], "1\n\n"),
        (["rows = [[0]]", "rows[0][0] = 1\nprint(rows)", "import copy\nprint(copy.copy(rows))"], "[[1]]\n[[1]]\n"),
    ],
)  # fmt: skip
def test_an_import_below_the_first_use_does_not_come_too_late(codes, shown):
    assert runs(*codes)[0] == shown


@pytest.mark.parametrize(
    ("codes", "shown"),
    [
        (["from time import time\nprint(time() > 1)", "%time y = 3", "print(y)"], "True\n3\n"),
        (["time = 5", "%%time\ny = time", "print(time, y)"], "5 5\n"),
        (["for os in range(2): pass", "%cd -q .", "print(os)"], "1\n"),
        (["import time\ntime.sleep(0)\ndel time", "%time z = 1", "print(z)"], "1\n"),
        (["rows = [[0]]", "rows[0][0] = 1", "from copy import copy\nprint(copy(rows))", "rows[0][0] = 2\nprint(rows)"], "[[1]]\n[[2]]\n"),
        (["copy = [1]\nrows = [[0]]", "rows[0][0] = 5\ncopy.append(3)\nprint(rows, copy)"], "[[5]] [1, 3]\n"),
        (["def copy(x): return 'mine'\nrows = [[0]]", "rows[0][0] = 5\nprint(rows, copy(1))"], "[[5]] mine\n"),
        (["display(1)", "class display:\n    def __init__(self, x): print('own', x)\ndisplay(2)\nNone"], "1\nown 2\n"),
    ],
)  # fmt: skip
def test_a_name_that_the_notebook_has_otherwise_is_left_to_it(codes, shown):
    text, written = runs(*codes)
    assert [line for line in text.splitlines() if not line.startswith("Wall time")] == shown.splitlines(), (
        written
    )


def test_an_import_above_serves_the_importer_too():
    _, codes = runs("import os", "%env CITY=Rome", "print(os.environ['CITY'])")
    assert sum("import os" in code for code in codes) == 1
    assert codes[0] == "import os"
