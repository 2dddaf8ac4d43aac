"""`ast_node_interactivity`: an imported notebook shows the values that Jupyter shows."""

import atexit

import pytest
from IPython.core.interactiveshell import InteractiveShell
from reactive import prepared, shown

from marimo_kernel_bridge.importing.python_text import hides_its_value

ALL = "InteractiveShell.ast_node_interactivity = 'all'"


@pytest.fixture
def _no_shell_is_left():
    """Take IPython's shell, of which there is one in a process, away again: an imported notebook may make it."""
    yield
    if InteractiveShell.initialized():
        atexit.unregister(InteractiveShell.instance().atexit_operations)
        InteractiveShell.clear_instance()


@pytest.mark.usefixtures("_no_shell_is_left")
@pytest.mark.parametrize(
    ("setting", "code", "values"),
    [
        (ALL, "a = 1\na\na + 1, \\\n 3\n'end'", ["1", "(2, 3)", "'end'"]),
        (
            ALL,
            "for i in range(2):\n    i\n[].append(1)\nif i: [].pop\n7  # last",
            ["0", "1", "<built-in", "7"],
        ),
        (ALL, "def f():\n    5\nf()\n4; 5", ["4", "5"]),
        (ALL, "1\n2;", []),
        ("get_ipython().ast_node_interactivity = 'last_expr_or_assign'", "1\nx = y = 5", ["5"]),
        ("%config InteractiveShell.ast_node_interactivity = 'none'", "1\nNone", []),
        ("%config InteractiveShell.ast_node_interactivity = 'none'", "1\n(2,\n 'é')  # note\n# end", []),
        (f"{ALL}\nInteractiveShell.ast_node_interactivity = 'last_expr'", "1\n2", ["2"]),
        (f"# {ALL}", "1\n2", ["2"]),
    ],
)
def test_a_cell_shows_the_values_that_the_setting_above_asks_for(setting, code, values):
    *above, cell = prepared([setting, code]).cells
    namespace = {}
    for added in above:
        if not added.positions:
            exec(added.code.replace("from IPython.display import display", ""), namespace)
    written = "" if hides_its_value(cell.code) else shown(cell.code, namespace)
    assert [line.split(" method")[0] for line in written.splitlines()] == values
