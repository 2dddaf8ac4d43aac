"""Magics that a notebook registers, or a module beside it, do in the result what they do in IPython."""

import json
import subprocess
import sys

from marimo_kernel_bridge.importing.own_magics import own_magics
from marimo_kernel_bridge.importing.to_marimo import convert
from marimo_kernel_bridge.notebooks.ipynb import Notebook, NotebookCell

FUNCTIONS = """\
from IPython.core.magic import register_cell_magic, register_line_magic

@register_line_magic
def greet(line):
    print("hello", line)

@register_cell_magic("loud")
def upper(line, cell):
    print(line, cell.upper())"""
CLASS = """\
from IPython.core.magic import Magics, cell_magic, magics_class

@magics_class
class Own(Magics):
    @cell_magic
    def again(self, line, cell):
        exec(cell, self.shell.user_ns)

get_ipython().register_magics(Own)"""
MODULE = """\
from IPython import get_ipython
from IPython.core.magic import register_cell_magic

@register_cell_magic
def fails_with(line, cell):
    try:
        exec(cell, get_ipython().user_ns)
    except Exception as error:
        print("as expected:", type(error).__name__)
"""
EXTENSION = """\
def load_ipython_extension(shell):
    shell.register_magic_function(shout)

def shout(line):
    print(line.upper())
"""


RUN = """\
import runpy, sys
from IPython.core.interactiveshell import InteractiveShell

sys.path.insert(0, "")
for file in sys.argv[1:]:
    InteractiveShell.clear_instance()
    runpy.run_path(file, run_name="__main__")
    print("==")
"""
NOTEBOOKS = [
    ([FUNCTIONS, "name = 'Ada'", "%greet $name", "%%loud 1\nsome words"], "hello Ada\n1 SOME WORDS\n\n"),
    ([CLASS, "k = 4", "%%again\nprint(k)"], "4\n"),
    (
        ["import module_of_own", "total = 1", "%%fails_with TypeError\ntotal + '1'"],
        "as expected: TypeError\n",
    ),
    (["%load_ext extension_of_own", "%shout abc"], "ABC\n"),
]


def test_a_magic_of_the_notebook_runs(tmp_path):
    """The imported files run in a process of their own, as IPython's shell is one."""
    (tmp_path / "module_of_own.py").write_text(MODULE)
    (tmp_path / "extension_of_own.py").write_text(EXTENSION)
    files = [f"{number}.py" for number in range(len(NOTEBOOKS))]
    for file, (codes, _) in zip(files, NOTEBOOKS, strict=True):
        cells = tuple(NotebookCell(at, f"c{at}", "code", code) for at, code in enumerate(codes, start=1))
        conversion = convert(Notebook(cells, {}, tmp_path / "n.ipynb"))
        assert conversion.complete
        (tmp_path / file).write_text(conversion.text)
    done = subprocess.run(
        [sys.executable, "-c", RUN, *files], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("==\n")[:-1] == [shown for _, shown in NOTEBOOKS]


def test_magics_are_found_with_the_functions_that_they_are():
    files = {"module_of_own.py": MODULE, "extension_of_own.py": EXTENSION}
    sources = [FUNCTIONS, CLASS, "import module_of_own\n%load_ext extension_of_own"]
    assert json.dumps(own_magics(sources, files.get)) == json.dumps(
        {"greet": "greet", "loud": "upper", "again": "", "fails_with": "", "shout": ""}
    )
