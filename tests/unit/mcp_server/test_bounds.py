"""However long the texts of a kernel are, an answer stays near `max_chars`, and errors can be read whole, in pages."""

import json
import re
from typing import Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.answers.bounds import MOST_ITEMS, bounded, bounded_text, first_items
from marimo_kernel_bridge.mcp_server.answers.cells import CellLine, CellList
from marimo_kernel_bridge.mcp_server.answers.origin import KERNEL
from marimo_kernel_bridge.protocol.changes import EditReport, GraphProblem
from marimo_kernel_bridge.protocol.environment import MissingImport
from marimo_kernel_bridge.protocol.inspection import UiElement, Variable, VariableContent
from marimo_kernel_bridge.protocol.notebook import CellError
from tests.unit.mcp_server.agent import Agent, Answer
from tests.unit.mcp_server.fake_kernel import Execution, FakeKernel, Json, cell_run

pytestmark = pytest.mark.anyio

MESSAGE = "row: " + "".join(f"{number:06d}" for number in range(50_000)) + " :end"
FEW = 9000
"""Characters of an answer with max_chars=500: its structured content and its text have the same."""

LONG = "n" * 400_000


def error_output(message: str = MESSAGE) -> Json:
    traceback = ["Traceback (most recent call last)", "Cell In[1], line 1", f"ValueError: {message}"]
    return {"output_type": "error", "ename": "ValueError", "evalue": message, "traceback": traceback}


FAILED = CellError("ValueError", MESSAGE, tuple(error_output()["traceback"]))


def size(answer: Answer) -> int:
    assert not answer.failed
    return len(answer.text) + len(json.dumps(answer.data))


@pytest.fixture
def failing(kernel: FakeKernel) -> FakeKernel:
    """A cell that fails with a long message, and one that depends on it."""
    kernel.add("aaaa", "raise ValueError(row)", error_output(), status="error", error=FAILED)
    kernel.add("bbbb", "again(row)", error_output(), status="error", error=FAILED)
    ran = (cell_run("aaaa", "error", FAILED), cell_run("bbbb", "error", FAILED))
    run = Execution((error_output(),), error=FAILED, requested=("aaaa",), ran=ran)
    kernel.executions |= {"raise ValueError(row)": run, "run_cells": run, "set_ui_value": run}
    kernel.executions["edit_cells"] = Execution(requested=("aaaa",), ran=ran, edits=EditReport(applied=True))
    kernel.elements = [UiElement("slider", "slider", "1", "a number", defined_by="aaaa")]
    return kernel


EDIT = {"action": "change", "cell_id": "aaaa", "version": 1, "code": "row = 1"}


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("execute_code", {"code": "raise ValueError(row)"}),
        ("edit_cells", {"edits": [EDIT]}),
        ("run_cells", {"cell_ids": ["aaaa"]}),
        ("set_ui_value", {"element": "slider", "value": 2}),
        ("read_cell", {"cell_id": "aaaa"}),
        ("list_cells", {}),
        ("list_errors", {}),
    ],
)
async def test_an_answer_with_a_long_error_stays_near_the_budget(
    connected: Agent, failing: FakeKernel, tool: str, arguments: dict[str, Any]
) -> None:
    answer = await connected(tool, **arguments, max_chars=500)
    assert size(answer) < FEW
    assert "row: 000000" in answer.text
    assert ":end" in answer.text
    assert "characters left out" in answer.text
    if "run_id" in answer.data:
        again = await connected("read_run", run_id=answer.data["run_id"], max_chars=500)
        assert size(again) < FEW


@pytest.mark.parametrize("tool", ["execute_code", "read_cell", "list_errors"])
async def test_an_error_is_read_whole_in_the_pages_that_its_notice_names(
    connected: Agent, failing: FakeKernel, tool: str
) -> None:
    arguments = {"execute_code": {"code": "raise ValueError(row)"}, "read_cell": {"cell_id": "aaaa"}}
    answer = await connected(tool, **arguments.get(tool, {}), max_chars=500)
    where = re.search(r"(read_run|read_cell)\((\w+)=\"([^\"]+)\", offset=0\) has all of it", str(answer.data))
    assert where is not None
    text, offset = "", 0
    while (
        page := await _page(connected, where.group(1), {where.group(2): where.group(3)}, offset)
    ) is not None:
        head, following = page
        text, offset = text + head, following
    assert MESSAGE in text


async def _page(agent: Agent, tool: str, which: dict[str, str], offset: int) -> tuple[str, int] | None:
    """Return the beginning of a page, and where the next one begins; None behind the last."""
    if offset < 0:
        return None
    outputs = (await agent(tool, **which, offset=offset, max_chars=50_000)).data["outputs"]
    cut = re.search(
        r"\n\[… \d+ of \d+ characters left out here\. .*offset=(\d+)\) gives the rest.*…\]\n", outputs
    )
    return (outputs, -1) if cut is None else (outputs[: cut.start()], int(cut[1]))


async def test_many_failed_dependents_do_not_make_an_answer_long(
    connected: Agent, failing: FakeKernel
) -> None:
    ran = tuple(cell_run(f"c{number:03d}", "error", FAILED) for number in range(300))
    failing.executions["x = 1"] = Execution(requested=("aaaa",), ran=(cell_run("aaaa"), *ran))
    answer = await connected("execute_code", code="x = 1", max_chars=500)
    assert size(answer) < FEW
    assert "of 300 reran left out" in answer.data["note"]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("list_cells", {}),
        ("read_cell", {"cell_id": "aaaa"}),
        ("read_dataflow", {"cell_id": "aaaa"}),
        ("list_variables", {}),
        ("read_variable", {"variable": "x"}),
        ("list_ui_elements", {}),
        ("list_errors", {}),
        ("search_cells", {"query": "nnnn"}),
        ("preview_run", {"edits": [EDIT]}),
        ("edit_cells", {"edits": [EDIT]}),
        ("kernel_status", {}),
    ],
)
async def test_no_name_label_value_or_problem_makes_an_answer_long(
    connected: Agent, kernel: FakeKernel, tool: str, arguments: dict[str, Any]
) -> None:
    many = tuple(f"name_{number}" for number in range(20_000))
    kernel.add(
        "aaaa",
        f"{LONG} = 1",
        defines=(LONG,),
        uses=many,
        downstream=("bbbb",),
        edited_by=LONG,
        last_run_by=LONG,
    )
    kernel.add(
        "bbbb",
        f"\n{LONG}",
        uses=(LONG, *many),
        upstream=("aaaa",),
        status="error",
        error=CellError(LONG, LONG),
    )
    kernel.variables = [Variable(LONG, LONG, LONG, defined_by="aaaa")]
    kernel.contents["x"] = VariableContent(
        Variable("x", LONG, LONG, defined_by="aaaa"), items=(LONG,), facts=(LONG,)
    )
    kernel.elements = [UiElement(LONG, LONG, LONG, LONG, LONG, defined_by="aaaa")]
    kernel.environment = kernel.environment.__class__(
        "/env/bin/python", "/env", "venv", "pip", (MissingImport(LONG, LONG, many),)
    )
    problems = (GraphProblem("cycle", LONG, many, many), GraphProblem("undefined_name", LONG, many, many))
    edits = EditReport(applied=False, problems=problems, added=many)
    kernel.executions["edit_cells"] = Execution(edits=edits)
    end = kernel.somebody_else_runs(LONG, client=LONG) if tool == "kernel_status" else None
    budget = {} if tool == "kernel_status" else {"max_chars": 500}
    assert size(await connected(tool, **arguments, **budget)) < 30_000
    if end is not None:
        end()


async def test_the_notebook_as_a_resource_has_bounded_errors_and_names(
    connected: Agent, failing: FakeKernel
) -> None:
    failing.add("cccc", f"{LONG} = 1", defines=(LONG,))
    (content,) = (await connected.client.read_resource("marimo://k1/notebook")).contents
    assert len(content.text) < FEW  # type: ignore[union-attr]  # JSON is text
    assert 'read_cell(cell_id=\\"aaaa\\"' in content.text  # type: ignore[union-attr]


async def test_a_refusal_is_bounded(
    connected: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise BridgeError("ui_value_refused", f"It takes no {MESSAGE}.", MESSAGE)

    monkeypatch.setattr(kernel, "_found", refuse)
    answer = await connected("list_variables")
    assert answer.refused("ui_value_refused")
    assert len(answer.text) < FEW


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("API_KEY", "k9-" + "s3cr3t" * 20)
    return "k9-" + "s3cr3t" * 20


async def test_no_part_of_a_secret_is_left_at_a_cut(
    secret: str, connected: Agent, kernel: FakeKernel
) -> None:
    for before in range(540, 640, 20):
        message = "x" * before + secret + "y" * 2000
        kernel.add("aaaa", "f()", status="error", error=CellError("ValueError", message))
        answer = await connected("list_cells")
        assert "s3cr3t" not in answer.text


def test_what_fits_is_left_alone() -> None:
    cells = CellList((CellLine("aaaa", 1, "error", "f()", error="x" * 1200),), 1, KERNEL)
    assert bounded(cells, lambda text: text) is cells
    assert bounded_text("y" * 1200, lambda text: text) == "y" * 1200


def test_a_list_of_any_length_is_cut_before_its_items_are_looked_at() -> None:
    line = CellLine("aaaa", 1, "ok", "x", stale=False)
    cut = first_items(CellList((line,) * (MOST_ITEMS + 5), MOST_ITEMS + 5, KERNEL, 0, "news."))
    assert len(cut.cells) == MOST_ITEMS
    assert cut.note == f"news. Left out: 5 of {MOST_ITEMS + 5} cells."


def test_secrets_are_looked_for_only_near_what_is_shown() -> None:
    seen: list[int] = []

    def redact(text: str) -> str:
        seen.append(len(text))
        return text

    text = bounded_text("x" * 10**6, redact)
    assert seen == [20_000]
    assert "of 1000000 characters left out" in text
    assert text.count("x") + int(text.split("[… ")[1].split()[0]) == 10**6
