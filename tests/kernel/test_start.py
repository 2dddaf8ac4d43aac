"""What a kernel has imported, and when: each module is time before the first answer, and memory."""

import pkgutil
import subprocess
import sys

import pytest
from front_end import BOUND, FrontEnd

from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.view_requests import OpenView

FOR_AGENTS = (
    "marimo_kernel_bridge.protocol.messages",
    "marimo_kernel_bridge.kernel.bridge_handler",
    "marimo_kernel_bridge.kernel.bridge_reads",
    "marimo_kernel_bridge.protocol.inspection",
)
IN_USE = "import sys; print(*sorted(sys.modules))"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a file for each module that Python and the installed packages have, and a package like ours.

    Each writes its name to a file when it runs.
    """
    folder = tmp_path_factory.mktemp("folder")
    trap = f"open({str(folder / 'ran')!r}, 'a').write(__name__ + ' ')\n"
    modules = {*sys.stdlib_module_names, *(module.name for module in pkgutil.iter_modules())}
    for name in modules - {"marimo_kernel_bridge"}:
        (folder / f"{name}.py").write_text(trap)
    (folder / "marimo_kernel_bridge").mkdir()
    for name in ("__init__", "__main__", "zmq_kernel"):
        (folder / "marimo_kernel_bridge" / f"{name}.py").write_text(trap)
    (folder / "of_the_notebook.py").write_text("x = 1")
    return folder


def ran(folder) -> set[str]:
    file = folder / "ran"
    return set(file.read_text().split()) if file.exists() else set()


@pytest.fixture(scope="module")
def _begun(spawned):
    """A front end on a kernel in a new interpreter, since a pool has imported more than a kernel needs, and its modules after the first cell."""
    front_end = FrontEnd(spawned.connection_file)
    front_end.run("first", "x = 1")
    yield front_end, modules(front_end)
    front_end.close()


@pytest.fixture(scope="module")
def new(_begun):
    """A front end on a kernel in a new interpreter, which has run one cell."""
    return _begun[0]


@pytest.fixture(scope="module")
def after_the_first_cell(_begun):
    """The modules that are imported after the first cell."""
    return _begun[1]


def modules(lab) -> set[str]:
    return set(lab.run(None, IN_USE, store_history=False).text.split())


def of(names: set[str], *packages: str) -> set[str]:
    return {name for name in names if name.partition(".")[0] in packages}


def debug(lab, command: str, **arguments) -> dict:
    return lab.control("debug_request", type="request", seq=1, command=command, arguments=arguments)


def test_jupyterlabs_first_question_about_the_debugger_is_answered_as_by_ipykernel(lab):
    early = debug(lab, "debugInfo")
    assert not of(modules(lab), "debugpy")
    assert "x" in {
        variable["name"]
        for variable in (lab.run("first", "x = 1"), debug(lab, "inspectVariables"))[1]["body"]["variables"]
    }
    assert of(modules(lab), "debugpy")
    assert debug(lab, "debugInfo") == early
    assert early["body"]["isStarted"] is False


def test_loading_the_debugger_shows_nothing_in_any_cell(lab):
    lab.run("first", "x = 1")
    debug(lab, "inspectVariables")
    lab.run("second", "import os; print(os.environ.get('PYDEVD_DISABLE_FILE_VALIDATION'))")
    assert lab.text("second") == "None"
    shown = [message["content"]["text"] for message in lab.seen if message["msg_type"] == "stream"]
    assert [text for text in shown if "ebug" in text] == []


@pytest.mark.parametrize("code", ["breakpoint()", "runfile('{path}')", "execfile('{path}')"])
def test_what_debugpy_puts_into_python_works_from_the_start(lab, tmp_path, code):
    script = tmp_path / "script.py"
    script.write_text("print('ran')")
    assert lab.run("first", code.format(path=script)).ok
    assert lab.text("first") in {"", "ran"}
    assert of(modules(lab), "debugpy")


def test_a_hook_of_user_code_stays_when_the_debugger_is_loaded(lab):
    lab.run("first", "import sys\nsys.breakpointhook = lambda: print('mine')")
    debug(lab, "inspectVariables")
    lab.run("second", "breakpoint()")
    assert lab.text("second") == "mine"


def test_garbage_is_looked_for_as_in_any_process_once_the_first_cell_has_run(new, after_the_first_cell):
    state = "gc.isenabled(), gc.get_freeze_count(), gc.get_threshold()"
    new.run("garbage", f"import gc; {state}")
    other = subprocess.check_output([sys.executable, "-c", f"import gc; print(({state}))"], text=True)
    assert new.text("garbage") == other.strip()
    new.run("second", "found = object()\nany(one is globals() for one in gc.get_referrers(found))")
    assert new.text("second") == "True"


def test_a_kernel_starts_without_the_modules_of_its_folder(after_the_first_cell, folder):
    assert after_the_first_cell
    assert not ran(folder)


def test_who_looks_at_a_kernel_runs_no_module_of_its_folder(new, after_the_first_cell, folder):
    new.run("rows", "rows = [{'a': 1, 'b': 'x'}]")
    for request in (
        *(
            wire.Describe(),
            wire.ListCells(),
            wire.ListVariables(),
            wire.ListUiElements(),
            wire.ReadEnvironment(),
        ),
        *(wire.ListCheckpoints(), wire.ListCheckpoints(verify=True), wire.InspectVariable(name="rows")),
        *(wire.CompleteCode(code="import nar", limit=9), wire.CompleteCode(code="cloudpickle.", limit=9)),
        *(wire.InspectCode(code="narwhals.from_native"), OpenView(data="rows", session="s", client="ann")),
    ):
        assert new.ask(request)["status"] == "ok", request
    assert not ran(folder)


def test_cells_import_the_modules_of_their_folder_from_the_place_where_ipython_has_it(new, folder):
    new.run("mine", "import of_the_notebook; of_the_notebook.x")
    assert new.text("mine") == "1"
    new.run("path", "import sys, os; os.path.basename(sys.path[sys.path.index('') + 1])")
    assert new.text("path") == "'site-packages'"


BEFORE_ANY_ANSWER = """
import sys
from marimo_kernel_bridge.zmq_kernel import MarimoKernelApp
app = MarimoKernelApp.instance()
app.initialize(["-f", sys.argv[1], "--transport=ipc"])
app.kernel.kernel_info
print(*sys.modules, file=sys.__stdout__, flush=True)
import os
os._exit(0)
"""


def packages(names):
    """Return the packages among our modules: they are empty, and cost next to nothing."""
    return {name for name in names if any(other.startswith(f"{name}.") for other in names)}


def test_few_modules_are_imported_before_kernel_info_is_answered(tmp_path):
    """A client waits for it. Each of ours takes half a millisecond, and each dataclass as much."""
    made = [sys.executable, "-c", BEFORE_ANY_ANSWER, str(tmp_path / "connection.json")]
    printed = subprocess.run(made, check=True, stdout=subprocess.PIPE, text=True, timeout=BOUND).stdout
    early = set(printed.splitlines()[-1].split())
    assert "marimo_kernel_bridge.zmq_kernel" in early
    assert not of(early, "marimo", "debugpy", "jedi", "mcp", "click", "pandas", "numpy", "matplotlib")
    assert not {name for name in FOR_AGENTS if name in early}
    ours = of(early, "marimo_kernel_bridge")
    assert len(ours - packages(ours)) <= 46
    assert len(early) <= 580


def test_few_modules_are_imported_for_the_first_cell(after_the_first_cell):
    """None that only the debugger, agents, elements of a page, marimo's server or completion need: they are memory."""
    used = after_the_first_cell
    assert "marimo._runtime.runtime" in used
    assert not of(used, "debugpy", "pydevd", "_pydevd_bundle", "jedi", "mcp", "click", "pandas", "numpy")
    assert not of(used, "starlette", "uvicorn", "docutils", "nbformat")
    assert not {
        name
        for name in (*FOR_AGENTS, "marimo._lint.linter", "marimo._plugins.ui._impl.data_editor")
        if name in used
    }
    assert len(used - packages(of(used, "marimo_kernel_bridge"))) <= 1209


def test_an_object_without_an_element_imports_nothing_that_elements_need(new, after_the_first_cell):
    new.run("object", "import marimo as mo\nmo.hstack([mo.md('# Title'), mo.stat(1)])")
    assert "Title" in str(new.outputs("object"))
    used = modules(new)
    assert not of(used, "anywidget", "ipywidgets", "starlette", "uvicorn")
    ours = {name.removeprefix("marimo_kernel_bridge.") for name in of(used, "marimo_kernel_bridge")}
    assert not {
        name for name in ours if name.startswith(("runtime.live.", "runtime.editor.", "kernel.editor."))
    }


def test_marimos_regular_expression_for_addresses_is_compiled_when_one_is_looked_at(
    new, after_the_first_cell
):
    new.run("url", "import sys; url = sys.modules['marimo._utils.url']; type(url).__name__")
    assert new.text("url") == "'LazyModule'"
    new.run(
        "look",
        "from marimo._utils.url import is_url; is_url('http://a.org'), is_url('a.org'), type(url).__name__",
    )
    assert new.text("look") == "(True, False, 'module')"
