"""An import that repeats one of the notebook's takes nothing over; what binds the name to something else does."""

import sys
from types import ModuleType

import pytest

from marimo_kernel_bridge.protocol.notebook import Cell
from tests.front_end_reply import Reply
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd

IMPORTS = (
    "import json as js, textwrap\nfrom string import digits, hexdigits as hx\nimport os.path\nimport xml.dom\n"
    "from importlib import reload\nimport shared_by_all as shared\nfrom shared_by_all import value\nown = 7"
)


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that cells import and change."""
    module = ModuleType("shared_by_all")
    vars(module).update(value=[1], options=ModuleType("options"))
    monkeypatch.setitem(sys.modules, "shared_by_all", module)
    return module


@pytest.fixture
def page(lab: FrontEnd) -> FrontEnd:
    """A person's notebook: a cell of imports, and one that reads them."""
    lab.run("imports", IMPORTS)
    lab.run(
        "reader",
        "print('read', js.__name__, textwrap.__name__, digits, hx, os.sep, xml.dom, shared, value, own)",
    )
    assert lab.text("reader").startswith("read json textwrap")
    return lab


@pytest.fixture
def agent(connect: Connect) -> FrontEnd:
    return connect("agent")


def state(page: FrontEnd) -> list[Cell]:
    """Return the person's cells."""
    cells = page.cells()
    return [cells["imports"], cells["reader"]]


def execute(agent: FrontEnd, code: str) -> tuple[Reply, Cell]:
    known = agent.cells()
    reply = agent.run(None, code)
    (new,) = (cell for name, cell in agent.cells().items() if name not in known)
    return reply, new


@pytest.mark.parametrize("rule", ["relaxed", "strict"])
@pytest.mark.parametrize(
    ("code", "defines"),
    [
        ("import json as js", ()),
        ("import textwrap, json as js", ()),
        ("import textwrap as textwrap", ()),
        ("from string import digits", ()),
        ("from string import hexdigits as hx, digits\nprint(hx)", ()),
        ("from string import digits, octdigits", ("octdigits",)),
        ("import os", ()),
        ("import os.path", ()),
        ("import xml.etree.ElementTree", ()),
        ("import xml.etree.ElementTree as tree", ("tree",)),
        ("import json as js\nagents = js.dumps([1])", ("agents",)),
        ("import shared_by_all as shared\nshared.options.wide = 5\nframe = shared.value", ("frame",)),
        ("import json as js, calendar", ("calendar",)),
        ("try:\n    import json as js\nexcept ImportError:\n    print('no')", ()),
        ("import json as js\ndef f():\n    import textwrap\n    return js.dumps([])", ("f",)),
        ("%time import json as js", ()),
        ("import json as js; js.dumps([1])", ()),
    ],
)
def test_code_with_the_notebooks_own_imports_takes_none_of_them_over(
    page: FrontEnd, agent: FrontEnd, rule: str, code: str, defines: tuple[str, ...]
) -> None:
    page.run("rule", f"%marimo {rule}")
    before = state(page)
    reply, cell = execute(agent, code)
    assert reply.ok
    page.sync()
    now = state(page)
    assert [(c.status, c.execution_count, c.last_run_at, c.defines) for c in now] == [
        (c.status, c.execution_count, c.last_run_at, c.defines) for c in before
    ]
    assert [name for name in cell.defines if "." not in name] == [*defines]  # without a module's data
    page.run("imports", IMPORTS.replace("7", "8"))
    assert page.text("reader").endswith("8"), "the imports are still the notebook's"


@pytest.mark.parametrize(
    "code",
    [
        "import pickle as js",
        "from string import ascii_letters as digits",
        "import json as js\njs = None",
        "import json as js\nfor js in [1]:\n    pass",
        "import json as js\ndef f():\n    global js\n    js = 1",
        "from string import digits\ndel digits",
        "import csv as textwrap",
        "own = 8",
    ],
)
def test_what_binds_a_name_to_something_else_takes_it_over(
    page: FrontEnd, agent: FrontEnd, code: str
) -> None:
    _, cell = execute(agent, code)
    assert cell.defines != ()
    assert page.cells()["imports"].status == "superseded"


def test_an_import_of_what_a_module_has_anew_takes_the_name_over(
    page: FrontEnd, agent: FrontEnd, module: ModuleType
) -> None:
    vars(module)["value"] = [2]
    _, cell = execute(agent, "from shared_by_all import value")
    assert cell.defines == ("value",)
    assert page.cells()["imports"].status == "superseded"
    assert "[2]" in page.text("reader")


def test_readers_run_again_where_a_shared_import_binds_another_object_after_all(
    page: FrontEnd, agent: FrontEnd
) -> None:
    change = "__import__('sys').modules['shared_by_all'].value = [3]"
    _, cell = execute(agent, f"{change}\nfrom shared_by_all import value")
    page.sync()
    # It changes what the module holds, and takes over nothing.
    assert (cell.defines, page.cells()["imports"].status) == (("shared_by_all.value",), "ok")
    assert "[3]" in page.text("reader")


def test_code_that_shares_an_import_runs_again_with_it_and_leaves_with_another(
    page: FrontEnd, agent: FrontEnd
) -> None:
    _, cell = execute(agent, "import json as js\nname = js.__name__")
    assert page.cells()[cell.cell_id].upstream == (page.cells()["imports"].cell_id,)
    page.run("imports", IMPORTS.replace("json", "pickle"))
    assert page.cells()[cell.cell_id].status == "superseded"
    assert page.text("reader").startswith("read pickle")
    again = agent.run(None, "print(js.__name__)")
    assert again.text == "pickle"


def test_a_terminal_may_repeat_an_import_without_running_its_readers(connect: Connect) -> None:
    terminal = connect("terminal")
    terminal.run(None, "import json as js")
    terminal.run(None, "text = js.dumps([1])")
    before = terminal.cells()
    terminal.run(None, "import json as js")
    after = terminal.cells()
    assert {name: after[name].last_run_at for name in before} == {
        name: cell.last_run_at for name, cell in before.items()
    }
