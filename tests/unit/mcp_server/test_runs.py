"""What a tool that runs something answers: a run that is not over is never called done, silence never death."""

import asyncio
import shutil
import time
from dataclasses import replace
from typing import Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.mcp_server.tools import run_waiting
from marimo_kernel_bridge.mcp_server.views import run_messages
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import ChangeCell, EditReport, ExpectedRun, GraphProblem
from marimo_kernel_bridge.protocol.environment import InstallReport, PackageChange
from marimo_kernel_bridge.protocol.inspection import UiElement
from marimo_kernel_bridge.protocol.notebook import CellError
from tests.unit.mcp_server.agent import Agent
from tests.unit.mcp_server.conftest import Serve
from tests.unit.mcp_server.fake_kernel import DESCRIPTION, Execution, FakeKernel, cell_run, result, stream

pytestmark = pytest.mark.anyio

ZERO = CellError("ZeroDivisionError", "division by zero")
BOUND = 60.0  # seconds


def change(cell_id: str, version: int, code: str) -> dict[str, Any]:
    return {"action": "change", "cell_id": cell_id, "version": version, "code": code}


# Code


async def test_code_becomes_a_cell_and_its_dependents_are_listed(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.add("mine", "x = 41")
    kernel.add("below", "y = x + 1", result("42"))
    kernel.executions["x = 41"] = Execution(
        (result("41"),), requested=("mine",), ran=(cell_run("mine"), cell_run("below"))
    )
    answer = await connected("execute_code", code="x = 41")
    assert (answer.data["status"], answer.data["outputs"], answer.data["cell_id"]) == ("ok", "41", "mine")
    (dependent,) = answer.data["reran"]
    assert dependent == {
        "cell_id": "below",
        "code": "y = x + 1",
        "seconds": 0.5,
        "outputs": "42",
    }
    assert "ran" not in answer.data
    assert answer.text.endswith("--- ran because of it\nbelow · outputs changed · 0.5 s · `y = x + 1`\n42")
    first = ["execute_request", "list_cells", "read_cell"]  # meanwhile, whether a notebook shows the kernel
    assert kernel.asked == first, "the kernel tells the outcome by itself"
    await connected("execute_code", code="x = 41")
    assert kernel.asked[len(first) :] == [first[0], first[2]]


async def test_code_that_fails_is_a_failed_run_and_no_broken_tool(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.executions["1/0"] = Execution(error=ZERO)
    answer = await connected("execute_code", code="1/0")
    assert (answer.failed, answer.data["status"]) == (False, "error")
    assert answer.data["message"] == "failed with ZeroDivisionError: division by zero"


async def test_the_limit_that_a_cell_has_hit_comes_first(connected: Agent, kernel: FakeKernel) -> None:
    kernel.add("mine", "big()")
    kernel.add("below", "bigger()")
    full, late = CellError("MemoryError", "", limit="memory"), CellError("OSError", "no", limit="open_files")
    kernel.executions["big()"] = Execution(
        error=full,
        requested=("mine",),
        ran=(cell_run("mine", "error", full), cell_run("below", "error", late)),
    )
    answer = await connected("execute_code", code="big()")
    assert answer.data["message"] == "limit_exceeded: memory; failed with MemoryError"
    assert answer.data["reran"][0]["error"] == "limit_exceeded: open_files; OSError: no"


async def test_input_says_that_nobody_can_type(connected: Agent, kernel: FakeKernel) -> None:
    kernel.executions["input()"] = Execution(error=CellError("StdinNotImplementedError", "raw_input"))
    assert "no one can enter input here" in (await connected("execute_code", code="input()")).data["message"]


@pytest.mark.parametrize(
    ("report", "told"),
    [
        ({"superseded": ("aaaa",)}, "It took over names from cell aaaa"),
        ({"not_taken": ("x",)}, "It took over no names"),
    ],
)
async def test_code_says_which_names_it_took_and_which_not(
    connected: Agent, kernel: FakeKernel, report: dict[str, Any], told: str
) -> None:
    kernel.executions["x = 2"] = Execution(requested=("mine",), ran=(cell_run("mine"),), report=report)
    assert told in (await connected("execute_code", code="x = 2")).data["message"]


async def test_a_failed_dependent_is_told_in_the_first_line(connected: Agent, kernel: FakeKernel) -> None:
    ran = (cell_run("mine"), cell_run("below", "error", ZERO))
    kernel.executions["x = 0"] = Execution(requested=("mine",), ran=ran)
    answer = await connected("execute_code", code="x = 0")
    assert answer.data["status"] == "ok"
    assert "dependents failed: below" in answer.text.splitlines()[0]
    assert answer.data["reran"][0]["error"] == "ZeroDivisionError: division by zero"


async def test_long_output_is_cut_with_the_way_to_the_rest(connected: Agent, kernel: FakeKernel) -> None:
    kernel.executions["long"] = Execution((stream("x" * 3000 + "MIDDLE" + "y" * 3000),))
    answer = await connected("execute_code", code="long", max_chars=1000)
    assert len(answer.data["outputs"]) < 1300
    assert "MIDDLE" not in answer.text
    run_id = answer.data["run_id"]
    assert f'read_run(run_id="{run_id}", offset=700)' in answer.text
    rest = await connected("read_run", run_id=run_id, offset=2900, max_chars=500)
    assert "MIDDLE" in rest.data["outputs"]


# Time


async def test_what_was_printed_too_much_is_told_as_not_kept(
    connected: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marimo_kernel_bridge.client.runs.MAX_STREAM_CHARACTERS", 10)
    kernel.executions["flood"] = Execution((stream("x" * 10), stream("y" * 7)))
    answer = await connected("execute_code", code="flood")
    assert (
        answer.data["outputs"] == f"{'x' * 10}\n[7 characters of output were not kept: the run made too much]"
    )


async def test_a_timeout_leaves_the_run_going_and_it_is_waited_for(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.executions["slow"] = Execution((stream("begun\n"),), held=True)
    first = await connected("execute_code", code="slow", timeout=0.05)
    assert (first.data["status"], first.data["outputs"]) == ("running", "begun")
    assert "The kernel is alive. Wait with read_run" in first.text
    status = await connected("kernel_status")
    assert status.data["our_runs"] == [first.data["run_id"]]
    kernel.release()
    second = await connected("read_run", run_id=first.data["run_id"])
    assert (second.data["status"], second.data["outputs"]) == ("ok", "begun")


async def test_dependents_that_still_run_are_told(connected: Agent, kernel: FakeKernel) -> None:
    kernel.executions["x = 1"] = Execution(held=True, requested=("mine",), ran=(cell_run("mine"),))
    answer = await connected("execute_code", code="x = 1", timeout=0.05)
    assert "its own code is done, and what follows it is still running" in answer.text


async def test_a_run_in_progress_names_the_cell_that_runs_below_it(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.add("slow", "import time\ntime.sleep(60)")
    kernel.description = replace(DESCRIPTION, busy=True, running_cell="slow", running_since=time.time() - 31)
    kernel.executions["x = 1"] = Execution(held=True, requested=("mine",), ran=(cell_run("mine"),))
    answer = await connected("execute_code", code="x = 1", timeout=0.05)
    assert "its own code is done, and cell slow (`import time`) is running for 31 s" in answer.text


async def test_code_that_failed_is_not_told_as_done_while_what_follows_it_runs(
    connected: Agent, kernel: FakeKernel
) -> None:
    failed = cell_run("mine", "error", ZERO)
    kernel.executions["1/0"] = Execution(held=True, requested=("mine",), ran=(failed,))
    answer = await connected("execute_code", code="1/0", timeout=0.05)
    assert answer.data["status"] == "running"
    assert "its own code failed with ZeroDivisionError: division by zero, and what follows" in answer.text


async def test_the_cell_that_was_asked_for_is_not_named_twice(connected: Agent, kernel: FakeKernel) -> None:
    kernel.add("mine", "slow()")
    kernel.description = replace(DESCRIPTION, busy=True, running_cell="mine", running_since=time.time())
    kernel.executions["slow()"] = Execution(held=True, requested=("mine",))
    answer = await connected("execute_code", code="slow()", timeout=0.05)
    assert "is running" not in answer.data["message"]


async def test_of_several_cells_the_one_that_runs_is_named_and_those_that_failed(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.add("one", "1/0")
    kernel.add("two", "slow()")
    kernel.description = replace(DESCRIPTION, busy=True, running_cell="two")
    failed = cell_run("one", "error", ZERO)
    kernel.executions["run_cells"] = Execution(held=True, requested=("one", "two"), ran=(failed,))
    answer = await connected("run_cells", cell_ids=["one", "two"], timeout=0.05)
    assert (
        "cell one failed with ZeroDivisionError: division by zero, and cell two (`slow()`) is running."
        in (answer.text)
    )


async def test_a_long_silence_is_told_with_the_proof_of_life(
    connected: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_messages, "_SILENT_RUN", 0.0)
    kernel.executions["slow"] = Execution((stream("begun"),), held=True)
    answer = await connected("execute_code", code="slow", timeout=0.05)
    assert "silent for 0 s" in answer.data["message"]
    assert "The kernel is alive." in answer.data["message"]


async def test_a_kernel_that_answers_nothing_is_not_called_dead(
    connected: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marimo_kernel_bridge.mcp_server.attached._ASKED_BOUND", 0.05)
    kernel.executions["hang"] = Execution(held=True)
    kernel.answers = False
    answer = await connected("execute_code", code="hang", timeout=0.05)
    assert answer.data["status"] == "running"
    assert "prevents the kernel from answering" in answer.data["message"]


async def test_what_a_run_prints_comes_as_progress_while_it_runs(
    connected: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_waiting, "_OUTPUT_EVERY", 0.01)
    kernel.executions["slow"] = Execution((stream("one\n"), stream("two\n")), held=True)
    told: list[str] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        del progress, total
        told.append(message or "")
        if "two" in "".join(told):
            kernel.release()

    arguments = {"code": "slow", "timeout": BOUND}
    await connected.client.call_tool("execute_code", arguments, progress_callback=heard)
    assert "".join(told).count("one") == "".join(told).count("two") == 1
    assert told[0].startswith("running, ")


async def test_a_key_that_is_printed_line_by_line_is_in_no_progress(
    connected: Agent, kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_waiting, "_OUTPUT_EVERY", 0.01)
    key = [
        "-----BEGIN PRIVATE KEY-----",
        *("MIIEvQIBADANBgkqhkiG9w0BAQ",) * 3,
        "-----END PRIVATE KEY-----",
        "over",
    ]
    kernel.executions["slow"] = Execution((stream("first\n"),), held=True)
    told: list[str] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        del progress, total
        told.append(message or "")
        if key:
            kernel.prints(f"{key.pop(0)}\n")
        elif kernel.busy:
            kernel.release()

    monkeypatch.setattr(run_waiting, "_PROGRESS_EVERY", 0.01)
    await connected.client.call_tool(
        "execute_code", {"code": "slow", "timeout": BOUND}, progress_callback=heard
    )
    assert "MIIE" not in "".join(told)
    assert "<<redacted:private key>>" in "".join(told)
    assert "over" in "".join(told)


async def test_cancelling_the_call_stops_the_run(connected: Agent, kernel: FakeKernel) -> None:
    kernel.executions["while True: pass"] = Execution(held=True)
    call = asyncio.create_task(connected("execute_code", code="while True: pass", timeout=600))
    async with asyncio.timeout(BOUND):
        while "execute_request" not in kernel.asked:  # noqa: ASYNC110  # nothing else tells of it
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        while kernel.busy:  # noqa: ASYNC110  # the server hears of it a little later
            await asyncio.sleep(0)


# Other requests, and the kernel's end


async def test_a_queued_run_says_who_is_in_its_way(connected: Agent, kernel: FakeKernel) -> None:
    end = kernel.somebody_else_runs("train()")
    answer = await connected("execute_code", code="1", timeout=0.05)
    assert answer.data["status"] == "queued"
    assert "the person's `train()`" in answer.text
    end()
    assert (await connected("read_run", run_id=answer.data["run_id"])).data["status"] == "ok"


async def test_a_queued_run_that_is_given_up_never_starts(connected: Agent, kernel: FakeKernel) -> None:
    end = kernel.somebody_else_runs("train()")
    run_id = (await connected("execute_code", code="1", timeout=0)).data["run_id"]
    answer = await connected("interrupt_run", run_id=run_id)
    assert (answer.data["status"], "cancelled" in answer.text) == ("queued", True)
    assert "will not start" in answer.text
    end()
    over = await connected("read_run", run_id=run_id)
    assert (over.data["status"], "cancelled before it started" in over.text) == ("aborted", True)
    assert "where" not in over.data  # there is no such cell
    assert "execute_request" not in kernel.asked


async def test_a_run_is_interrupted_on_demand(connected: Agent, kernel: FakeKernel) -> None:
    kernel.executions["while True: pass"] = Execution(held=True)
    run_id = (await connected("execute_code", code="while True: pass", timeout=0.05)).data["run_id"]
    answer = await connected("interrupt_run", run_id=run_id)
    assert (answer.data["status"], "Its effects up to then remain" in answer.text) == (
        "interrupted",
        True,
    )


async def test_a_kernel_killed_in_mid_run_is_reported_with_what_it_had_printed(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.executions["die"] = Execution((stream("last words\n"),), held=True)
    run_id = (await connected("execute_code", code="die", timeout=0.05)).data["run_id"]
    kernel.die()
    answer = await connected("read_run", run_id=run_id)
    assert (answer.failed, answer.data["status"], answer.data["outputs"]) == (True, "lost", "last words")
    assert "ended unexpectedly" in answer.text
    assert (await connected("execute_code", code="1")).refused("kernel_dead")


async def test_code_made_for_a_kernel_that_was_restarted_is_refused_once(
    connected: Agent, kernel: FakeKernel
) -> None:
    await kernel.restart()
    answer = await connected("execute_code", code="ran = True")
    assert answer.refused("kernel_dead")
    assert "restarted" in answer.text
    assert "Nothing was run" in answer.text
    assert kernel.asked == []
    assert (await connected("execute_code", code="ran = True")).data["status"] == "ok"


async def test_of_two_agents_one_can_neither_read_nor_stop_the_others_run(
    connected: Agent, kernel: FakeKernel, serve: Serve, connection_file: str
) -> None:
    other = await serve(name="ben")
    await other("connect_to_kernel", connection_file=connection_file)
    kernel.executions["slow"] = Execution(held=True)
    running = await connected("execute_code", code="slow", timeout=0.05)
    waiting = await other("execute_code", code="1", timeout=0.05)
    assert (waiting.data["status"], "ann's `slow`" in waiting.text) == ("queued", True)
    assert (await other("kernel_status")).data["working_on"][0]["client"] == "ann"
    for tool in ("read_run", "interrupt_run"):
        assert (await other(tool, run_id=running.data["run_id"])).refused("no_such_run")
    kernel.release()
    assert (await other("read_run", run_id=waiting.data["run_id"])).data["status"] == "ok"


async def test_a_run_of_an_earlier_session_is_read_and_not_stopped(
    connected: Agent, serve: Serve, kernel: FakeKernel, connection_file: str
) -> None:
    kernel.add("aaaa", "slow()", stream("so far\n"))
    kernel.executions["slow()"] = Execution(held=True, requested=("aaaa",), ran=(cell_run("aaaa"),))
    run = (await connected("execute_code", code="slow()", timeout=0)).data["run_id"]
    later = await serve()
    assert not (await later("connect_to_kernel", connection_file=connection_file)).failed
    waiting = await later("read_run", run_id=run, timeout=0)
    assert (waiting.data["status"], waiting.data["outputs"]) == ("running", "so far"), waiting.text
    assert run not in (await later("kernel_status")).text
    refused = await later("interrupt_run", run_id=run)
    assert refused.refused("no_such_run")
    assert kernel.busy
    assert (await later("read_run", run_id="nosuch")).refused("no_such_run")


async def test_of_several_kernels_one_must_be_named(
    connected: Agent, kernel: FakeKernel, connection_file: str
) -> None:
    second = shutil.copy(connection_file, connection_file.replace("fake", "second"))
    assert (await connected("connect_to_kernel", connection_file=second)).data["kernel"] == "k2"
    assert (await connected("connect_to_kernel", connection_file=second)).data["kernel"] == "k2"
    answer = await connected("list_cells")
    assert answer.refused("not_connected")
    assert "k1 (kernel-fake.json), k2 (kernel-second.json)" in answer.text
    assert not (await connected("list_cells", kernel="k2")).failed
    assert (await connected("list_cells", kernel="k9")).refused("not_connected")
    left = await connected("disconnect_kernel", kernel="k2")
    assert "the kernel runs on" in left.text
    assert not (await connected("list_cells")).failed


# Edits, cells and UI elements


async def test_edits_go_as_one_batch_and_the_answer_shows_the_cells(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.add("aaaa", "x = 10", version=2)
    kernel.add("new1", "x * 2", result("20"))
    kernel.add("below", "print(x)")
    kernel.executions["edit_cells"] = Execution(
        requested=("aaaa", "new1"),
        ran=(cell_run("aaaa"), cell_run("new1"), cell_run("below")),
        edits=EditReport(applied=True, added=("new1",)),
    )
    edits = [change("aaaa", 1, "x = 10"), {"action": "add", "code": "x * 2", "after": "aaaa"}]
    answer = await connected("edit_cells", edits=edits)
    assert [cell["cell_id"] for cell in answer.data["ran"]] == ["aaaa"]
    assert [cell["cell_id"] for cell in answer.data["reran"]] == ["below"]
    assert (answer.data["added"], answer.data["outputs"]) == (["new1"], "[cell new1]\n20")
    (request,) = [request for request in kernel.requests if isinstance(request, wire.EditCells)]
    assert request.changes[0] == ChangeCell("aaaa", 1, "x = 10")
    assert (request.client, request.run) == ("ann", True)


async def test_an_edit_that_is_not_run_says_what_is_stale(connected: Agent, kernel: FakeKernel) -> None:
    kernel.executions["edit_cells"] = Execution(requested=("aaaa",), edits=EditReport(applied=True))
    answer = await connected("edit_cells", edits=[change("aaaa", 1, "x = 7")], run=False)
    assert answer.data["message"] == "edited, not run: the changed cells and their dependents are stale."


async def test_edits_that_the_graph_would_not_take_change_nothing(
    connected: Agent, kernel: FakeKernel
) -> None:
    problem = GraphProblem("multiple_definition", "`x` would be defined by a and b.", ("a", "b"), ("x",))
    kernel.executions["edit_cells"] = Execution(edits=EditReport(applied=False, problems=(problem,)))
    answer = await connected("edit_cells", edits=[change("aaaa", 1, "x = 7")])
    assert answer.data["status"] == "refused"
    assert "nothing was changed" in answer.data["message"]
    assert "- multiple_definition: `x` would be" in answer.text


async def test_an_edit_that_fails_says_so(connected: Agent, kernel: FakeKernel) -> None:
    kernel.executions["edit_cells"] = Execution(
        requested=("aaaa",),
        ran=(cell_run("aaaa", "error", ZERO), cell_run("below", "cancelled")),
        edits=EditReport(applied=True),
    )
    answer = await connected("edit_cells", edits=[change("aaaa", 1, "x = 1 / 0")])
    assert (answer.failed, answer.data["status"]) == (False, "error")
    assert "ZeroDivisionError" in answer.data["message"]
    assert [cell["status"] for cell in answer.data["reran"]] == ["cancelled"]


@pytest.mark.parametrize("code", ["stale_version", "no_such_cell", "paused"])
async def test_a_refused_edit_is_a_tool_error_with_the_kernels_reason(
    connected: Agent, kernel: FakeKernel, code: Any
) -> None:
    refusal = BridgeError(code, "Not so.", "Read again.")
    kernel.executions["edit_cells"] = Execution(refusal=refusal)
    answer = await connected("edit_cells", edits=[change("aaaa", 1, "x = 7")])
    assert answer.refused(code)
    assert "Read again." in answer.text


async def test_code_that_a_paused_kernel_refuses_is_refused_as_a_tool(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.executions["x"] = Execution(refusal=BridgeError("paused", "Paused.", "`%marimo resume`"))
    answer = await connected("execute_code", code="x")
    assert answer.refused("paused")
    assert "%marimo resume" in answer.text


async def test_cells_are_run_by_either_id(connected: Agent, kernel: FakeKernel) -> None:
    kernel.add("aaaa", "x = 1")
    kernel.add("bbbb", "y = 2", stale=True)
    await connected("run_cells", cell_ids=["nb-aaaa"])
    await connected("run_cells", which="all")
    await connected("run_cells", which="stale")
    ran = [request for request in kernel.requests if isinstance(request, wire.RunCells | wire.RunStale)]
    assert ran == [
        wire.RunCells(cell_ids=["aaaa"], client="ann"),
        wire.RunCells(cell_ids=["aaaa", "bbbb"], client="ann"),
        wire.RunStale(client="ann"),
    ]
    assert (await connected("run_cells", cell_ids=["nosuch"])).refused("no_such_cell")
    assert (await connected("run_cells")).refused("bad_request")


async def test_one_call_runs_the_saved_notebook_in_a_kernel_that_knows_no_cells(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.saved = [kernel.add("aaaa", "x = 1"), kernel.add("bbbb", "y = x")]
    kernel.cells.clear()
    await connected("run_cells", which="all")
    assert wire.RunCells(cell_ids=["aaaa", "bbbb"], client="ann") in kernel.requests
    kernel.cells.clear()
    await connected("run_cells", which="stale")
    assert [op for op in kernel.asked if op in {"load_document", "run_stale"}][-2:] == [
        "load_document",
        "run_stale",
    ]


async def test_a_kernel_without_any_cell_or_notebook_is_not_said_to_have_run_them(
    connected: Agent, kernel: FakeKernel
) -> None:
    assert (await connected("run_cells", which="all")).refused("no_document")
    kernel.add("mine", "x = 1", notebook_cell_id=None)
    assert not (await connected("run_cells", which="all")).failed
    assert "run_cells" in kernel.asked


@pytest.mark.parametrize(
    ("takes", "given", "sent"),
    [
        ("a number from 0 to 500", "200", 200),
        ("two of: a number from 0 to 9", "[1, 2]", [1, 2]),
        ("true or false", "True", True),
        ("true, which is a click", "true", True),
        ("a number", "many", "many"),
        ("text", "200", "200"),
        ("one of '1', '2'", "2", "2"),
        ("a number", 5, 5),
    ],
)
async def test_a_number_in_text_is_set_where_an_element_takes_no_text(
    connected: Agent, kernel: FakeKernel, takes: str, given: object, sent: object
) -> None:
    kernel.elements = [UiElement("knob", "mo.ui.slider", "0", takes)]
    await connected("set_ui_value", element="knob", value=given)
    (request,) = (one for one in kernel.requests if isinstance(one, wire.SetUiValue))
    assert (request.value, type(request.value)) == (sent, type(sent))


async def test_a_widget_names_the_cells_that_did_not_run(connected: Agent, kernel: FakeKernel) -> None:
    kernel.executions["set_ui_value"] = Execution(requested=("?",), report={"not_run": ("eeee",)})
    answer = await connected("set_ui_value", element="knob", value=5)
    assert answer.data["to_run"] == ["eeee"]
    assert "did not" in answer.data["message"]


async def test_what_a_widgets_callback_raises_is_an_error(connected: Agent, kernel: FakeKernel) -> None:
    raised = {"output_type": "error", "ename": "ZeroDivisionError", "evalue": "by zero", "traceback": []}
    kernel.executions["set_ui_value"] = Execution((stream("clicked\n"), raised), requested=("?",))
    answer = await connected("set_ui_value", element="button", value=True)
    assert answer.data["status"] == "error"
    assert "ZeroDivisionError" in answer.data["message"]
    assert answer.data["outputs"].startswith("clicked")


# Previews


async def test_a_preview_of_edits_says_what_would_run_and_that_it_would_be_refused(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.add("aaaa", "x = 1")
    problem = GraphProblem("undefined_name", "y", ("bbbb",), ("y",))
    expected = (ExpectedRun("aaaa", 0.5), ExpectedRun("new1", None))
    kernel.executions["edit_cells"] = Execution(
        edits=EditReport(applied=False, would_run=expected, problems=(problem,))
    )
    edits = [change("aaaa", 1, "x = 5"), {"action": "add", "code": "z = 1"}]
    answer = await connected("preview_run", edits=edits)
    assert answer.data["message"] == "2 cells would run; the last time they took 0.5 s, 1 never ran."
    assert [cell["code"] for cell in answer.data["would_run"]] == ["x = 5", "(new)"]
    cycle = GraphProblem("cycle", "a and b", ("a", "b"))
    kernel.executions["edit_cells"] = Execution(edits=EditReport(applied=False, problems=(cycle,)))
    assert "would be refused" in (await connected("preview_run", edits=edits)).data["message"]


async def test_a_preview_of_a_run_is_what_the_kernel_expects(connected: Agent, kernel: FakeKernel) -> None:
    kernel.add("aaaa", "x = 1")
    kernel.add("bbbb", "print(x)", stale=True)
    kernel.expected = [ExpectedRun("aaaa", 0.5), ExpectedRun("bbbb", 1.5)]
    kernel.description = replace(kernel.description, mode="lazy")
    answer = await connected("preview_run", cell_ids=["nb-aaaa"])
    assert answer.data["message"] == (
        "2 cells would run; the last time they took 2.0 s. "
        "Lazy mode: what depends on them becomes stale and waits."
    )
    assert [cell.get("stale") for cell in answer.data["would_run"]] == [None, True]
    assert kernel.requests[-1] == wire.PreviewRun(cell_ids=["aaaa"])
    assert (await connected("preview_run")).refused("bad_request")


# Packages


async def test_an_installation_says_what_changed_and_what_to_run(
    serve: Serve, kernel: FakeKernel, connection_file: str
) -> None:
    agent = await serve("all")
    await agent("connect_to_kernel", connection_file=connection_file)
    changes = (PackageChange("polars", None, "1.0"),)
    report = InstallReport("pip", "/env/bin/python", 0, changes, ("aaaa",), ("numpy",))
    kernel.executions["install_packages"] = Execution((stream("Collecting polars\n"),), installed=report)
    answer = await agent("install_packages", packages=["polars"])
    assert (answer.data["status"], answer.data["to_run"]) == ("ok", ["aaaa"])
    assert "polars: not there -> 1.0" in answer.text
    assert "only a restart loads the new version" in answer.text
    assert answer.data["outputs"] == "Collecting polars"


@pytest.mark.parametrize(
    ("exit_code", "told"),
    [
        (0, "ok: pip for /env/bin/python: everything was already installed."),
        (1, "error: pip for /env/bin/python failed (exit code 1); its output says why."),
        (None, "interrupted: pip for /env/bin/python was interrupted"),
    ],
)
async def test_an_installation_that_changes_nothing_says_why(
    serve: Serve, kernel: FakeKernel, connection_file: str, exit_code: int | None, told: str
) -> None:
    agent = await serve("all")
    await agent("connect_to_kernel", connection_file=connection_file)
    report = InstallReport("pip", "/env/bin/python", exit_code)
    kernel.executions["install_packages"] = Execution(installed=report)
    assert (await agent("install_packages", packages=["polars"])).text.startswith(told)
