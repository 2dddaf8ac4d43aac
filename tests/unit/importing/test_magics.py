"""IPython's magics as Python: each magic of the table has a rule, as a line, as a cell or as both."""

import pytest

from marimo_kernel_bridge.analysis.magics import MAGICS
from marimo_kernel_bridge.importing.magics import translated
from marimo_kernel_bridge.importing.translation import Notebooks, Translated

AROUND = Notebooks(frozenset({"x"}), lambda _: None)
UNKNOWN = {"R", "cmd", "python2"}  # known to the graph only


def python_of(source: str) -> Translated:
    return translated(source, AROUND)


@pytest.mark.parametrize("name", sorted(MAGICS.keys() - UNKNOWN - {"!"}))
def test_each_magic_of_the_table_has_a_rule(name: str) -> None:
    line, cell = python_of(f"%{name} x"), python_of(f"%%{name}\nx")
    assert not line.lost or not cell.lost
    assert line.notes or cell.notes


@pytest.mark.parametrize("name", [*sorted(UNKNOWN), "no_such_magic"])
def test_an_unknown_magic_is_kept_in_comments_and_reported(name: str) -> None:
    assert python_of(f"%{name} x").lost == [f"`%{name} x` is commented out: marimo has no such magic"]
    cell = python_of(f"%%{name}\nx = 1")
    assert cell.lost == [f"`%%{name}` is commented out, with its text: marimo has no such magic"]
    assert cell.code.splitlines()[1:] == [f"# %%{name}", "# x = 1"]


def test_a_magic_inside_of_an_expression_is_replaced_there() -> None:
    assert python_of("files = !ls\ny = %env HOME").code.splitlines()[1] == "y = os.environ['HOME']"


def test_a_cell_magic_translates_the_magics_of_its_body() -> None:
    cell = python_of("%%time\n%matplotlib inline\nx")
    assert "# %matplotlib inline" in cell.code
    assert cell.code.endswith("_value")
    assert cell.needs == {"time"}


def test_a_line_that_installs_is_a_requirement() -> None:
    line = python_of("!pip install numpy")
    assert (line.requirements, line.code) == (["numpy"], "# !pip install numpy")


def test_a_cell_that_is_not_python_fails_as_before() -> None:
    cell = python_of("x = = 1")
    assert not cell.is_python
    assert cell.code.startswith("# x = = 1\nraise SyntaxError(")


@pytest.mark.parametrize(
    "source", ["pwd", "ls -l", "cd ..", "pip install numpy", "time 1 + 1", "matplotlib inline"]
)
def test_one_line_may_be_a_magic_without_its_sign(source: str) -> None:
    assert python_of(source) == python_of(f"%{source}")


@pytest.mark.parametrize("source", ["ls\n1", "time = 5", "ls.sort()", "time == 1", "bash", "x", "ls, 1"])
def test_other_lines_are_no_magic(source: str) -> None:
    assert python_of(source).code == source


def test_a_name_that_the_notebook_binds_is_no_magic() -> None:
    around = Notebooks(frozenset({"ls"}), lambda _: None, bound=frozenset({"ls"}))
    assert translated("ls", around).code == "ls"
