"""`%run` of a script: its arguments, its options, and the names that it gives and takes."""

import contextlib
import io
import sys

import pytest

from marimo_kernel_bridge.importing.cells import prepare
from marimo_kernel_bridge.importing.run_script import read_run
from marimo_kernel_bridge.notebooks.ipynb import Notebook, NotebookCell

FILES = {
    "args.py": "import sys\nprint(sys.argv, __name__)\nvalue = len(sys.argv)",
    "parses.py": "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('-n', type=int, default=5)\nvalue = parser.parse_args().n",
    "reads.py": "def more():\n    return n + 1\nvalue = n + 1\nprint(value, more())",
    "plain.py": "value = 1",
}


def run(folder, monkeypatch, *codes):
    """What the cells of a converted notebook print, and what they are."""
    for name, text in FILES.items():
        (folder / name).write_text(text)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    cells = tuple(
        NotebookCell(number, f"c{number}", "code", code) for number, code in enumerate(codes, start=1)
    )
    prepared = prepare(Notebook(cells, {}), FILES.get, lambda _: None)
    namespace, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        for cell in prepared.cells:
            exec(cell.code, namespace)
    return printed.getvalue(), [cell.code for cell in prepared.cells]


@pytest.mark.parametrize(
    ("codes", "shown"),
    [
        (["%run args.py", "value"], "['args.py'] __main__\n"),
        (["%run args a 'b c'", "value"], "['args.py', 'a', 'b c'] __main__\n"),
        (["n = 3", "%run args.py --n {n} $n"], "['args.py', '--n', '3', '3'] __main__\n"),
        (["%run -n args.py a"], "['args.py', 'a'] args\n"),
        (["%run -t -N3 args.py -x"], "['args.py', '-x'] __main__\n"),
        (["%run parses.py", "print(value)"], "5\n"),
        (["%run parses.py -n 8", "print(value)"], "8\n"),
        (["n = 3", "%run -i reads.py", "print(value)"], "4 4\n4\n"),
        (["name = 'args'", "%run {name}.py"], "['args.py'] __main__\n"),
        (["%run -m args a"], "['args', 'a'] __main__\n"),
    ],
)
def test_a_script_gets_its_arguments(tmp_path, monkeypatch, codes, shown):
    before = list(sys.argv)
    assert run(tmp_path, monkeypatch, *codes)[0] == shown
    assert sys.argv == before


def test_a_script_that_looks_at_no_arguments_is_only_run(tmp_path, monkeypatch):
    _, codes = run(tmp_path, monkeypatch, "%run plain.py", "value")
    assert codes[1] == "_ran = runpy.run_path(\"plain.py\", run_name='__main__')\nvalue = _ran['value']"


def test_a_line_that_is_not_quoted_well_and_an_empty_one_are_read():
    assert read_run("it's").target == "it's"
    assert read_run("").target == ""
