"""IPython's syntax in Python: what each magic becomes, and that it does the same."""

import os
import sys
from pathlib import Path

import pytest
from reactive import prepared, shown

from marimo_kernel_bridge.importing import to_marimo
from marimo_kernel_bridge.importing.imports import added_cells
from marimo_kernel_bridge.importing.magics import translated
from marimo_kernel_bridge.importing.prepared import Need
from marimo_kernel_bridge.importing.python_text import indented
from marimo_kernel_bridge.importing.shell import requirements
from marimo_kernel_bridge.importing.translation import Notebooks
from marimo_kernel_bridge.notebooks.ipynb import Notebook, NotebookCell

FILES = {"helper.py": "answer = 42\nprint('helper ran')\n"}
AROUND = Notebooks(frozenset({"x", "name", "answer", "captured", "k"}), FILES.get)
PRELUDE = "x = 3\nname = 'world'\n"


def ran(source):
    """Translate a cell and run it; return what it shows and the names that it leaves."""
    result = translated(source, AROUND)
    assert not result.lost
    namespace = {"display": repr}
    exec(PRELUDE, namespace)
    for cell in added_cells([], {Need(name, name): 0 for name in result.needs}):
        exec(cell.code, namespace)
    return shown(result.code, namespace), namespace


@pytest.mark.parametrize(
    "source", ["x = 1", "text = '''\n%s is\n!ls\n''' % 1", "rest = (7\n% 4)", "a = 1  # %time"]
)
def test_python_stays_as_it_is(source):
    result = translated(source, AROUND)
    assert (result.code, result.notes, result.lost) == (source, [], [])


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("!echo one two", "one two\n"),
        ("!echo hello {name} $name", "hello world world\n"),
        ("!echo {x + 1}", "4\n"),
        ("!echo '{x}' | tr 3 4", "4\n"),
        ("!printf 'a b\\n' | awk '{print $2}'", "b\n"),
        ("if x:\n    !echo in a block", "in a block\n"),
        ("for k in range(2):\n    !echo {k}", "0\n1\n"),
        ("lines = !printf 'a\\nb\\n'\nlines.s", "'a b'\n"),
        ("%%bash\nfor i in 1 2; do\n  echo $i\ndone", "1\n2\n"),
        ("%%sh\necho from sh", "from sh\n"),
        ("%env GREETING=hi", "env: GREETING=hi\n"),
        ("%run helper.py\nanswer", None),
        ("%%timeit -n 10 -r 2\nx + 1", "per loop"),
        ("%timeit -n 10 -r 2 x + 1", "per loop"),
        ("%time x + 1", "Wall time"),
        ("%%time\ny = x\ny + 1", "Wall time"),
        ("%%capture captured\nprint('inside')", ""),
        ("%matplotlib inline\nx", "3\n"),
        ("%config InlineBackend.figure_format = 'retina'\nx", "3\n"),
        ("%load_ext autoreload\n%autoreload 2\nx", "3\n"),
        ("x?\nx", "3\n"),
        ("x", "3\n"),
    ],
)
def test_what_runs_shows_the_same(source, output, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "helper.py").write_text(FILES["helper.py"])
    text, _ = ran(source)
    if output is None:
        assert text == "helper ran\n42\n"
    elif output in {"per loop", "Wall time"}:
        assert output in text
    else:
        assert text == output


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    %nosuch a\nexcept Exception:\n    print('no')",
        "if x:\n    %nosuch a\n    %other",
        "if x:\n    %matplotlib inline\nelse:\n    %nosuch",
        "for k in 'ab':\n    # a comment\n    %nosuch {k}\n",
    ],
)
def test_a_block_of_nothing_but_magics_that_are_commented_out_is_still_a_block(source):
    result = translated(source, AROUND)
    assert result.lost
    exec(PRELUDE + result.code, {})


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("%ls", "folder/\nhelper.py\n"),
        ("ls folder", "inner.txt\n"),
        ("%ldir -g --time-style=+TIME", "folder/\n"),
        ("%lf --time-style=+TIME", "helper.py\n"),
    ],
)
def test_files_are_listed_as_by_ipython_s_aliases(source, output, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "helper.py").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/inner.txt").write_text("")
    assert ran(source)[0].rpartition("TIME ")[2] == output


def test_the_value_of_a_timed_cell_is_still_shown():
    assert ran("%%time\ny = x\ny + 1")[0].endswith("4\n")
    assert ran("%time x + 1")[0].endswith("4\n")


@pytest.mark.parametrize("magic", ["%time ", "%%time\n", "%%capture out\n"])
def test_what_is_known_to_return_nothing_is_not_bound_to_be_shown(magic):
    assert "_value" not in translated(f"{magic}print(1)", AROUND).code


def test_names_bound_in_a_timed_or_captured_cell_are_there():
    assert ran("%%time\ny = x")[1]["y"] == 3
    names = ran("%%capture captured\nprint('inside')\nz = 5")[1]
    assert names["captured"].stdout == "inside\n"
    assert names["z"] == 5


@pytest.mark.parametrize(
    ("magic", "reader", "end", "note"),
    [
        ("%%capture\n", "", 'plt.close("all")', "its figures are closed without being shown"),
        ("%%capture --no-stderr\n", "", 'plt.close("all")', "its figures are closed without being shown"),
        ("%%capture out\n", "outer = 1", 'plt.close("all")', "its figures are closed without being shown"),
        ("%%capture out --no-stderr\n", "", 'plt.close("all")', "its figures are closed without being shown"),
        ("%%capture out\n", "out.show()", "plt.show()", "it shows its figure"),
        ("%%capture --no-display\n", "", "plt.show()", "it shows its figure"),
        ("", "", "plt.show()", "it shows its figure"),
    ],
)
def test_a_figure_of_a_cell_whose_output_is_captured_for_nobody_is_not_shown(magic, reader, end, note):
    codes = ["import matplotlib.pyplot as plt", f"{magic}plt.plot([1, 2])\ny = 1", reader]
    cells = tuple(
        NotebookCell(number, f"c{number}", "code", code) for number, code in enumerate(codes, start=1)
    )
    converted = to_marimo.convert(Notebook(cells, {}))
    assert any(code.endswith(f"\n{end}") for code in converted.codes)
    assert note in str(converted.cells[1])


def test_the_lines_of_a_command_are_of_the_same_type():
    names = ran("lines = !printf 'a\\nb\\n'")[1]
    assert type(names["lines"]).__name__ == "SList"
    assert names["lines"].l == ["a", "b"]


def test_a_file_is_written_as_the_cell_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran('%%writefile out.txt\none\n  two "quoted" \\n\n')
    ran("%%writefile -a out.txt\nthree")
    assert (tmp_path / "out.txt").read_text() == 'one\n  two "quoted" \\n\nthree\n'


def test_the_working_directory_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    ran("%cd sub")
    assert Path.cwd() == tmp_path / "sub"


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ("pip install pandas", ["pandas"]),
        ("pip3 install -q --upgrade 'numpy>=1.2' scipy==1.0", ["numpy>=1.2", "scipy==1.0"]),
        ("python -m pip install a b[c]", ["a", "b[c]"]),
        ("{sys.executable} -m pip install a", ["a"]),
        ("pip install -r requirements.txt a", ["a"]),
        ("pip install --index-url https://x.org a", ["a"]),
        ("pip install git+https://example.org/me/tool.git", ["tool @ git+https://example.org/me/tool.git"]),
        ("conda install -c conda-forge numpy=1.2", ["numpy==1.2"]),
        ("uv pip install a  # a comment", ["a"]),
        ("ls", None),
        ("pip list", None),
    ],
)
def test_requirements_are_read_from_installations(command, wanted):
    assert requirements(command) == wanted


@pytest.mark.parametrize("source", ["%%cython\nx", "%nosuch a", "%%nosuch\nx = 1", "%%R -o y\ny <- 1"])
def test_what_nobody_knows_is_lost_and_its_text_kept(source):
    result = translated(source, AROUND)
    assert result.lost
    for line in source.splitlines():
        assert f"# {line}" in result.code


@pytest.mark.parametrize(
    ("source", "code", "need"),
    [
        ("%%html\n<b>x</b>", 'HTML("<b>x</b>")', "HTML"),
        ("%%latex\n$x$", 'Latex("$x$")', "Latex"),
        ("%%markdown\n# x", 'Markdown("# x")', "Markdown"),
        ("%%javascript\nalert(1)", 'Javascript("alert(1)")', "Javascript"),
        ("%pwd", "os.getcwd()", "os"),
        ("%%sql\nselect 1", 'mo.sql(\n    f"""\nselect 1\n    """\n)', "mo"),
    ],
)
def test_what_is_displayed_is_a_value(source, code, need):
    result = translated(source, AROUND)
    assert result.code == code
    assert result.needs == {need}


def test_strings_over_several_lines_are_not_indented():
    assert indented("x = '''a\n  b'''\ny = 1") == "    x = '''a\n  b'''\n    y = 1"


@pytest.mark.parametrize(
    ("codes", "command"),
    [
        (["!echo $HOME ${HOME} $$"], '"echo $HOME ${HOME} $$"'),
        (["%env KEY=x", "import os\nos.environ['KEY']", "!echo $KEY"], '"echo $KEY"'),
        (["x = 1", "!echo $x $HOME"], '"echo $x $HOME"'),
        (["x = 1", "!echo $x {x + 1} $$HOME"], 'f"echo {x} {x + 1} $HOME"'),
        (["x = 1", "!echo $$HOME"], '"echo $HOME"'),
        (["for f in 'ab':\n    !echo $f"], 'f"echo {f}"'),
        (["%run settings.py", "!ls $DATA $HOME"], '"ls $DATA $HOME"'),
        (["%run settings.py", "!ls $DATA"], 'f"ls {DATA}"'),
    ],
)
def test_a_command_is_filled_in_as_ipython_does_and_reads_the_variables_of_the_shell(codes, command):
    assert f"subprocess.run({command}, shell=True" in prepared(codes).cells[-1].code
