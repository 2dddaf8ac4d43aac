"""What the tools that only look answer, and how many questions to the kernel that takes."""

import base64
import io
from typing import Any

import pytest
from PIL import Image

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol.environment import MissingImport
from marimo_kernel_bridge.protocol.inspection import Column, UiElement, Variable, VariableContent
from marimo_kernel_bridge.protocol.notebook import CellError
from tests.agent_jobs import ORDERS, compact
from tests.tokens import tokens
from tests.unit.mcp_server.agent import Agent
from tests.unit.mcp_server.fake_kernel import FakeKernel, result, stream

pytestmark = pytest.mark.anyio


@pytest.fixture
def chain(kernel: FakeKernel) -> FakeKernel:
    """Three cells, each using the one above."""
    kernel.add("aaaa", "x = 1", defines=("x",), downstream=("bbbb",))
    kernel.add(
        "bbbb", "y = x + 1\ny", result("2"), uses=("x",), defines=("y",), upstream=("aaaa",), downstream=("cccc",)
    )  # fmt: skip
    kernel.add("cccc", "print('y is', y)", stream("y is 2\n"), uses=("y",), upstream=("bbbb",))
    return kernel


# Cells


async def test_names_of_objects_that_are_not_watched_are_told(connected: Agent, kernel: FakeKernel) -> None:
    kernel.add("aaaa", "fit(big)", not_watched=("big",))
    listed = await connected("list_cells")
    read = await connected("read_cell", cell_id="aaaa")
    assert [listed.data["cells"][0]["not_watched"], read.data["not_watched"]] == [["big"], ["big"]]
    assert "not watched: big" in listed.text
    assert "not watched: big" in read.text


async def test_the_outline_tells_names_and_what_is_not_so_for_most_cells(
    connected: Agent, chain: FakeKernel
) -> None:
    chain.add("dddd", "# standard library\nimport json\nimport math", defines=("json", "math"))
    chain.add(
        "eeee", "z = math.sqrt(y)", uses=("math", "y"), defines=("z",), last_run_by="ann", duration=3.25
    )
    failed = CellError("ValueError", "xxx")
    chain.add("ffff", "boom()", status="error", error=failed, edited_by="ben", stale=True)
    answer = await connected("list_cells")
    cells = {cell["cell_id"]: cell for cell in answer.data["cells"]}
    assert cells["bbbb"] == {
        "cell_id": "bbbb", "version": 1, "code": "y = x + 1", "lines": 2, "defines": ["y"], "uses": ["x"]
    }  # fmt: skip
    assert (cells["eeee"]["uses"], cells["eeee"]["run_by"], cells["eeee"]["seconds"]) == (["y"], "ann", 3.2)
    assert (cells["ffff"]["edited_by"], cells["ffff"]["error"]) == ("ben", "ValueError: xxx")
    lines = answer.text.splitlines()
    assert "bbbb v1 · y = x + 1 (+1) => y <- x" in lines
    assert "eeee v1 · z = math.sqrt(y) => z <- y · run by ann · 3.2 s" in lines
    assert lines[-1] == "ffff v1 · error · stale · boom() · edited by ben · ValueError: xxx"


async def test_a_cell_of_an_outline_costs_an_agent_thirty_tokens_at_most(
    connected: Agent, kernel: FakeKernel
) -> None:
    for number, (kind, code) in enumerate(ORDERS):
        defines = (code.split(" ")[0],) if kind == "code" and " = " in code.split("\n")[0] else ()
        kernel.add(f"c{number:03}", code, defines=defines, uses=("orders", "by_region"))
    answer = await connected("list_cells")
    assert tokens(answer.text) <= 30 * len(ORDERS)
    assert tokens(compact(answer.data)) <= 45 * len(ORDERS)


async def test_several_cells_are_read_at_once_and_share_the_budget(
    connected: Agent, chain: FakeKernel
) -> None:
    chain.add("dddd", "print('x' * 5000)", stream("x" * 5000))
    answer = await connected("read_cell", cell_ids=["aaaa", "dddd", "nb-bbbb"], max_chars=2000)
    first, long, last = answer.data["cells"]
    assert (first["code"], last["cell_id"], last["outputs"]) == ("x = 1", "bbbb", "2")
    assert 500 < len(long["outputs"]) < 1600
    assert 'read_cell(cell_id="dddd", offset=' in long["outputs"]
    assert "cell bbbb · version 1 · ok" in answer.text
    assert (await connected("read_cell", cell_ids=["nosuch", "nope"])).refused("no_such_cell")
    for wrong in ({}, {"cell_id": "aaaa", "cell_ids": ["bbbb"]}, {"cell_ids": ["aaaa"], "offset": 5}):
        assert (await connected("read_cell", **wrong)).refused("bad_request")


async def test_a_cell_that_cannot_be_read_costs_none_of_the_others(
    connected: Agent, chain: FakeKernel
) -> None:
    chain.add("odd", "1", {"output_type": "display_data", "data": 5, "metadata": {}})
    answer = await connected("read_cell", cell_ids=["nope", "aaaa", "odd", "nb-bbbb"])
    assert [read["cell_id"] for read in answer.data["cells"]] == ["aaaa", "bbbb"]
    missing, odd = answer.data["not_read"]
    assert missing.startswith("[no_such_cell] The kernel has no cell 'nope'.")
    assert odd.startswith("[unsupported_version] ")
    assert (missing in answer.text, odd in answer.text, "x = 1" in answer.text) == (True, True, True)


async def test_a_picture_that_several_cells_show_is_sent_once(connected: Agent, kernel: FakeKernel) -> None:
    written = io.BytesIO()
    Image.new("RGB", (4, 4)).save(written, "PNG")
    figure = {"output_type": "display_data", "metadata": {}, "data": {"image/png": base64.b64encode(written.getvalue()).decode()}}  # fmt: skip
    kernel.add("aaaa", "figure", figure, figure)
    kernel.add("bbbb", "figure", figure)
    one = await connected("read_cell", cell_id="aaaa")
    assert (len(one.images), one.data["images"]) == (1, 1)
    assert "[image 1 again]" in one.text
    both = await connected("read_cell", cell_ids=["aaaa", "bbbb"])
    assert (len(both.images), both.data["cells"][1].get("images", 0)) == (1, 0)
    assert "1 images are above" in both.data["cells"][1]["outputs"]


async def test_a_running_cell_is_not_told_with_the_time_of_its_last_run(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.add("aaaa", "slow()", status="running")
    answer = await connected("read_cell", cell_id="aaaa")
    assert answer.text.splitlines()[0] == "cell aaaa · version 1 · running"


async def test_the_outline_is_read_in_pages(connected: Agent, chain: FakeKernel) -> None:
    answer = await connected("list_cells", offset=1, limit=1)
    assert [cell["cell_id"] for cell in answer.data["cells"]] == ["bbbb"]
    assert "Cells 2 to 2 of 3:" in answer.text
    assert "list_cells(offset=2) gives the next." in answer.text


@pytest.mark.parametrize("character", ["\x0c", "\x1c", "\x85", "\u2028"])
async def test_the_outline_and_errors_count_lines_as_the_cell_has_them(
    connected: Agent, kernel: FakeKernel, character: str
) -> None:
    failed = CellError("ZeroDivisionError", "division by zero", ("Cell In[1], line 2",))
    code = f"text = 'a{character}b'\nmore = 1 / 0\nprint(text)"
    kernel.add("aaaa", code, status="error", error=failed)
    (cell,) = (await connected("list_cells")).data["cells"]
    assert (cell["code"], cell["lines"]) == (f"text = 'a{character}b'", 3)
    (error,) = (await connected("list_errors")).data["errors"]
    assert (error["line"], error["code"]) == (2, "more = 1 / 0")
    kernel.add("bbbb", f"text = 'a{character}b'")
    written = character.encode("unicode_escape").decode()
    for tool, arguments in (("list_cells", {}), ("search_cells", {"query": "text ="})):
        (line, _) = [
            line for line in (await connected(tool, **arguments)).text.splitlines() if "text = " in line
        ]
        assert f"text = 'a{written}b'" in line


async def test_a_cell_is_read_by_the_notebooks_id_too(connected: Agent, chain: FakeKernel) -> None:
    answer = await connected("read_cell", cell_id="nb-cccc")
    assert (answer.data["cell_id"], answer.data["outputs"]) == ("cccc", "y is 2")
    assert answer.links == ()
    assert (await connected("read_cell", cell_id="nosuch")).refused("no_such_cell")


async def test_what_is_cut_off_a_cell_says_where_the_whole_is(connected: Agent, kernel: FakeKernel) -> None:
    kernel.add("aaaa", "print('x' * 9000)", stream("x" * 9000))
    answer = await connected("read_cell", cell_id="aaaa", max_chars=1000)
    assert len(answer.data["outputs"]) < 1300
    assert 'read_cell(cell_id="aaaa", offset=700)' in answer.data["outputs"]
    assert answer.links == (answer.data["full"],) == ("marimo://k1/cells/aaaa",)


async def test_search_finds_lines_whatever_their_case(connected: Agent, chain: FakeKernel) -> None:
    answer = await connected("search_cells", query="Y IS")
    (match,) = answer.data["matches"]
    assert match == {"cell_id": "cccc", "line": 1, "text": match["text"]}, (
        "where is code, unless it says otherwise"
    )
    assert answer.text.startswith("1 line contains 'Y IS'")


# Dataflow


async def test_dataflow_follows_a_cell_up_and_down(connected: Agent, chain: FakeKernel) -> None:
    flow = (await connected("read_dataflow", cell_id="nb-bbbb")).data
    assert [cell["cell_id"] for cell in flow["upstream"]] == ["aaaa"]
    assert [(cell["cell_id"], cell["names"]) for cell in flow["downstream"]] == [("cccc", ["y"])]


async def test_dataflow_follows_a_variable_however_far(connected: Agent, chain: FakeKernel) -> None:
    answer = await connected("read_dataflow", variable="x")
    reached = [(cell["cell_id"], cell["distance"]) for cell in answer.data["downstream"]]
    assert reached == [("bbbb", 1), ("cccc", 2)]
    assert "--- depends on: nothing" in answer.text


async def test_a_variable_reaches_only_cells_that_use_it(connected: Agent, kernel: FakeKernel) -> None:
    kernel.add("aaaa", "x = y = 1", defines=("x", "y"), downstream=("bbbb", "cccc"))
    kernel.add("bbbb", "x", uses=("x",), upstream=("aaaa",))
    kernel.add("cccc", "y", uses=("y",), upstream=("aaaa",))
    flow = (await connected("read_dataflow", variable="y")).data
    assert [cell["cell_id"] for cell in flow["downstream"]] == ["cccc"]


async def test_dataflow_needs_one_thing_that_exists(connected: Agent, chain: FakeKernel) -> None:
    assert (await connected("read_dataflow", variable="nosuch")).refused("no_such_variable")
    assert (await connected("read_dataflow", cell_id="nosuch")).refused("no_such_cell")
    assert (await connected("read_dataflow")).refused("bad_request")
    assert (await connected("read_dataflow", cell_id="aaaa", variable="x")).refused("bad_request")


# Variables and UI elements


async def test_variables_are_listed_with_the_cells_that_define_them(
    connected: Agent, chain: FakeKernel
) -> None:
    chain.variables = [
        Variable("x", "int", "1", defined_by="aaaa"),
        Variable("made_by_hand", "int", "7"),
        Variable("slider", "marimo.ui.slider", "value 0", ui_element=True),
        Variable("pd", "module", "pandas"),
    ]
    answer = await connected("list_variables")
    first, second, third = answer.data["variables"]
    assert (first["cell_id"], "cell_id" in second, third["ui_element"]) == ("aaaa", False, True)
    assert answer.data["modules"] == ["pd"]
    assert "x: int · 1 · cell aaaa" in answer.text


async def test_a_variable_is_sampled_from_an_offset_on(connected: Agent, chain: FakeKernel) -> None:
    columns, rows = (
        (
            Column("a", "int64", 0, 1000, "0", "999"),
            Column("b", "object", 3, 2, top=(("text", 900), ("other", 97))),
        ),
        (("0", "text"), ("1", "text")),
    )
    frame = Variable("x", "pandas.DataFrame", "1000 rows, 2 columns", defined_by="aaaa")
    chain.contents["x"] = VariableContent(frame, columns, 2, rows, 1000)
    first = await connected("read_variable", variable="x", limit=2)
    assert (first.data["rows"], first.data["cell_id"]) == ([["0", "text"], ["1", "text"]], "aaaa")
    assert "2 of 1000 rows; offset=2 gives the next" in first.text
    assert first.data["columns"][0] == {"name": "a", "dtype": "int64", "holds": "0 to 999; 1000 distinct"}
    assert "b object · 3 nulls; text (900), other (97)" in first.text
    last = await connected("read_variable", variable="x", offset=998, limit=5)
    assert "2 of 1000 rows, from 998 on" in last.text
    assert "gives the next" not in last.text
    assert (await connected("read_variable", variable="nosuch")).refused("no_such_variable")


async def test_a_variable_that_could_not_be_sampled_says_when_it_can(
    connected: Agent, chain: FakeKernel
) -> None:
    values = Variable("x", "list", "3 items: [1, 2, 3]")
    chain.contents["x"] = VariableContent(values, sampled=False)
    assert "when it is idle" in (await connected("read_variable", variable="x")).data["note"]


async def test_ui_elements_say_which_values_they_take(connected: Agent, chain: FakeKernel) -> None:
    chain.elements = [
        UiElement("x", "mo.ui.slider", "3", "a number from 0 to 10", "Size", defined_by="aaaa"),
        UiElement("knob", "ipywidgets.IntSlider", "1", "a whole number", runs_readers=False),
    ]
    answer = await connected("list_ui_elements", limit=1)
    (slider,) = answer.data["elements"]
    assert (slider["cell_id"], slider["takes"]) == ("aaaa", "a number from 0 to 10")
    assert "list_ui_elements(offset=1) gives the next." in answer.text
    assert "runs no cells by itself" in (await connected("list_ui_elements", offset=1)).text


# Errors


async def test_errors_are_listed_with_line_hint_and_what_they_block(
    connected: Agent, chain: FakeKernel
) -> None:
    traceback = ("Cell In[1], line 2", "ZeroDivisionError: division by zero")
    failed = CellError("ZeroDivisionError", "division by zero", traceback)
    chain.add("aaaa", "ready = True\nx = 1 / 0", status="error", error=failed, downstream=("bbbb",))
    for cell_id, below in (("bbbb", ("cccc",)), ("cccc", ())):
        chain.add(cell_id, "y", status="cancelled", downstream=below)
    gone = CellError("ModuleNotFoundError", "No module named 'sklearn'")
    chain.add("dddd", "import sklearn", status="error", error=gone)
    missing = MissingImport("sklearn", "scikit-learn", ("dddd",))
    chain.environment = chain.environment.__class__("/env/bin/python", "/env", "venv", "pip", (missing,))
    answer = await connected("list_errors")
    division, module = answer.data["errors"]
    assert (division["line"], division["kind"], division["code"]) == (2, "runtime", "x = 1 / 0")
    assert division["blocks"] == ["bbbb", "cccc"]
    assert module["kind"] == "missing_package"
    assert "install_packages(['scikit-learn'])" in module["hint"]
    assert "2 of 4 cells have problems" in answer.text


@pytest.mark.parametrize(
    ("traceback", "kind"),
    [
        (("  Cell In[3], line 2\n    return x\n    ^\nSyntaxError: 'return' outside function\n",), "syntax"),
        (("Traceback (most recent call last):\n", "Cell In[3], line 2\n    ast.parse('(')\n"), "runtime"),
    ],
    ids=("of the cell", "raised by the cell"),
)
async def test_a_syntax_error_of_a_cell_is_told_from_one_that_it_raises(
    connected: Agent, kernel: FakeKernel, traceback: tuple[str, ...], kind: str
) -> None:
    error = CellError("SyntaxError", "'return' outside function (7.py, line 2)", traceback)
    kernel.add("aaaa", "x = 1\nreturn x", status="error", error=error)
    (told,) = (await connected("list_errors")).data["errors"]
    assert (told["kind"], told["line"], told["code"]) == (kind, 2, "return x")


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (CellError("NameError", "name 'nosuch' is not defined"), "No cell that the kernel knows defines"),
        (CellError("NameError", "name 'x' is not defined"), "Cell aaaa defines `x`, but is ok"),
        (CellError("StdinNotImplementedError", "raw_input"), "No one can enter input here"),
    ],
)
async def test_the_hint_of_an_error_says_what_to_do(
    connected: Agent, chain: FakeKernel, error: CellError, hint: str
) -> None:
    chain.add("dddd", "nosuch", status="error", error=error)
    (told,) = (await connected("list_errors")).data["errors"]
    assert hint in told["hint"]


# Budgets and costs


async def test_each_list_keeps_to_a_budget_and_says_what_it_left_out(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.variables = [Variable(f"name_{number}", "int", str(number)) for number in range(302)]
    whole = await connected("list_variables", limit=500, max_chars=100_000)
    assert len(whole.data["variables"]) == 302
    cut = await connected("list_variables", limit=500, max_chars=2000)
    shown = len(cut.data["variables"])
    assert len(cut.text) < 2500
    assert f"{302 - shown} of 302 variables left out" in cut.data["note"]
    assert f"list_variables(offset={shown})" in cut.text


NEEDED: list[tuple[str, dict[str, Any], list[str]]] = [
    ("list_cells", {}, ["read_document", "read_outline"]),
    ("read_cell", {"cell_id": "aaaa"}, ["read_cell", "read_document"]),
    ("search_cells", {"query": "x"}, ["read_document", "search_cells"]),
    ("read_dataflow", {"variable": "x"}, ["list_cells"]),
    ("list_variables", {}, ["list_variables"]),
    ("list_errors", {}, ["describe", "list_cells", "read_environment"]),
]


@pytest.mark.parametrize(("tool", "arguments", "questions"), NEEDED)
async def test_a_look_takes_no_more_questions_than_it_needs(
    connected: Agent, chain: FakeKernel, tool: str, arguments: dict[str, Any], questions: list[str]
) -> None:
    assert not (await connected(tool, **arguments)).failed
    assert sorted(chain.asked) == questions


# A kernel's state


async def test_an_idle_kernel_says_what_it_is(connected: Agent, chain: FakeKernel) -> None:
    chain.add("aaaa", "x = 1", stale=True)
    answer = await connected("kernel_status")
    assert (answer.data["state"], answer.data["stale"]) == ("idle", ["aaaa"])
    assert "3 cells, autorun; stale: aaaa" in answer.text


async def test_a_busy_kernel_says_with_whose_request(connected: Agent, kernel: FakeKernel) -> None:
    end = kernel.somebody_else_runs("train()")
    status = await connected("kernel_status")
    assert status.data["state"] == "busy"
    (work,) = status.data["working_on"]
    assert (work["client"], work["code"]) == ("the person", "train()")
    end()
    assert (await connected("kernel_status")).data["state"] == "idle"


async def test_a_suspended_kernel_is_silent_and_not_dead(connected: Agent, kernel: FakeKernel) -> None:
    kernel.beats = False
    answer = await connected("kernel_status")
    assert (answer.data["state"], answer.failed) == ("silent", False)


async def test_a_killed_kernel_is_dead_which_is_an_answer_to_its_status_alone(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.die()
    status = await connected("kernel_status")
    assert (status.data["state"], status.failed) == ("dead", False)
    assert (await connected("list_cells")).refused("kernel_dead")


async def test_a_restart_is_told_once(connected: Agent, kernel: FakeKernel) -> None:
    await kernel.restart()
    assert "restarted" in (await connected("kernel_status")).data["message"]
    assert "message" not in (await connected("kernel_status")).data


async def test_a_refusal_of_the_kernel_is_passed_on(
    connected: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise BridgeError("kernel_busy", "Not now.", "Try again.")

    monkeypatch.setattr(kernel, "_found", refuse)
    answer = await connected("list_variables")
    assert answer.refused("kernel_busy")
    assert "Try again." in answer.text
