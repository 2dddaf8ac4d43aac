"""What an agent's client reads of a kernel in this process, and what the kernel answers when it cannot."""

from __future__ import annotations

import linecache
import os
import sys
from typing import TYPE_CHECKING

import pytest
from ipykernel.kernelbase import Kernel

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.black_box import Process
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, EditReport, ExpectedRun
from marimo_kernel_bridge.protocol.environment import Environment, InstallReport
from marimo_kernel_bridge.protocol.inspection import (
    Completions,
    Documentation,
    Matches,
    RunOutcome,
    Variable,
    VariableContent,
)
from marimo_kernel_bridge.protocol.notebook import CellWithOutputs, KernelDescription, Outline, RunReport

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd, KernelInMemory


@pytest.fixture
def agent(connect: Connect) -> FrontEnd:
    return connect("lab")


@pytest.fixture
def notebook(lab: FrontEnd) -> FrontEnd:
    """A person's page with three cells, one of which depends on another."""
    lab.run("one", "a = 1")
    lab.run("two", "print('needle' * a)")
    lab.run("three", "import nosuch_module  # needle")
    return lab


def test_while_code_asks_the_person_to_type_its_prompt_is_told(
    kernel: KernelInMemory, lab: FrontEnd, agent: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks: list[str | None] = []

    def answered(_kernel: Kernel, prompt: str, *_arguments: object, **_options: object) -> str:
        asks.append(wire.decode_reply(agent.ask(wire.Describe()), KernelDescription).asks)
        return f"an answer to {prompt}"

    monkeypatch.setattr(Kernel, "_input_request", answered)
    assert lab.run("one", "name = input('Your name: ')\nname").ok
    assert asks == ["Your name: "]
    assert wire.decode_reply(agent.ask(wire.Describe()), KernelDescription).asks is None


def test_the_process_of_a_kernel_in_a_sandbox_is_the_one_outside_whatever_its_code_says(
    kernel: KernelInMemory, agent: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARIMO_KERNEL_BRIDGE_PID", "1")
    assert wire.decode_reply(agent.ask(wire.Describe()), KernelDescription).pid == os.getpid()
    kernel.kernel.process = Process(4711, 0, "")
    assert wire.decode_reply(agent.ask(wire.Describe()), KernelDescription).pid == 4711


def test_cells_are_read_in_pages(notebook: FrontEnd, agent: FrontEnd) -> None:
    page = wire.decode_reply(agent.ask(wire.ReadOutline(offset=1, limit=1)), Outline)
    assert ([cell.notebook_cell_id for cell in page.cells], page.total) == (["two"], 3)


def test_a_cell_is_read_with_as_much_output_as_is_wanted(notebook: FrontEnd, agent: FrontEnd) -> None:
    notebook.run("long", "print('x' * 5000)")
    whole = wire.decode_reply(agent.ask(wire.ReadCell(cell_id="long")), CellWithOutputs)
    part = wire.decode_reply(agent.ask(wire.ReadCell(cell_id="long", most_output=300)), CellWithOutputs)
    assert len(whole.outputs[0]["text"]) > 5000
    assert len(part.outputs[0]["text"]) < 1000


def test_text_is_found_in_code_and_outputs(notebook: FrontEnd, agent: FrontEnd) -> None:
    found = wire.decode_reply(agent.ask(wire.SearchCells(query="needle", limit=2)), Matches)
    names = {cell.cell_id: name for name, cell in notebook.cells().items()}
    assert [(names[match.cell_id], match.where) for match in found.found] == [
        ("two", "code"),
        ("two", "output"),
    ]
    assert found.total == 4  # the code of the third, and what it says of its failure


def test_variables_are_listed_and_one_is_looked_into(notebook: FrontEnd, agent: FrontEnd) -> None:
    one = notebook.cells()["one"].cell_id
    assert wire.decode_reply(agent.ask(wire.ListVariables()), list[Variable]) == [
        Variable("a", "int", "1", defined_by=one)
    ]
    content = wire.decode_reply(agent.ask(wire.InspectVariable(name="a")), VariableContent)
    assert content.variable.defined_by == one
    with pytest.raises(BridgeError) as refusal:
        wire.decode_reply(agent.ask(wire.InspectVariable(name="nosuch")), VariableContent)
    assert refusal.value.code == "no_such_variable"


def test_what_a_run_would_run_is_told_before(notebook: FrontEnd, agent: FrontEnd) -> None:
    cells = notebook.cells()
    expected = wire.decode_reply(
        agent.ask(wire.PreviewRun(cell_ids=[cells["one"].cell_id])), list[ExpectedRun]
    )
    assert [run.cell_id for run in expected] == [cells["one"].cell_id, cells["two"].cell_id]


def test_missing_imports_are_told_with_their_packages(notebook: FrontEnd, agent: FrontEnd) -> None:
    environment = wire.decode_reply(agent.ask(wire.ReadEnvironment()), Environment)
    assert environment.interpreter == sys.executable
    (missing,) = environment.missing
    assert (missing.module, missing.package, missing.cells) == (
        "nosuch_module",
        "nosuch-module",
        (notebook.cells()["three"].cell_id,),
    )


def test_what_became_of_a_run_is_read_and_nothing_of_one_that_is_unknown(
    notebook: FrontEnd, agent: FrontEnd
) -> None:
    run_id = notebook.run("one", "a = 2").msg_id
    outcome = wire.decode_reply(agent.ask(wire.ReadOutcome(run_id=run_id)), RunOutcome)
    assert outcome.report is not None
    assert [run.notebook_cell_id for run in outcome.report.cells] == ["one", "two"]
    assert {cell.notebook_cell_id for cell in outcome.cells} == {"one", "two"}
    unknown = wire.decode_reply(agent.ask(wire.ReadOutcome(run_id="nosuch")), RunOutcome)
    assert unknown == RunOutcome(None, ())


def test_the_history_is_read_newest_first(notebook: FrontEnd, agent: FrontEnd) -> None:
    newest = notebook.run("one", "a = 2").msg_id
    history = wire.decode_reply(agent.ask(wire.ReadHistory(limit=2)), list[RunReport])
    assert (len(history), newest in {report.run_id for report in history}) == (2, True)


# Refusals


def test_a_request_that_runs_code_is_refused_on_control(notebook: FrontEnd, agent: FrontEnd) -> None:
    run = wire.RunCells(cell_ids=[notebook.cells()["one"].cell_id], client="claude")
    with pytest.raises(BridgeError, match="go on the shell channel"):
        wire.decode_reply(agent.ask(run, "control"), RunReport)


def test_a_bug_is_logged_once_and_answered(
    agent: FrontEnd, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    agent.describe()
    with monkeypatch.context() as patched:
        patched.setattr(os, "getcwd", lambda: 1 / 0)
        with pytest.raises(BridgeError, match="its log says why") as refusal:
            agent.describe()
    assert refusal.value.code == "bad_request"
    (record,) = (record for record in caplog.records if record.exc_info)
    assert record.message == "A bridge request failed"


def test_a_dry_run_is_answered_while_agents_are_paused(notebook: FrontEnd, agent: FrontEnd) -> None:
    one = notebook.cells()["one"]
    change = ChangeCell(cell_id=one.cell_id, version=one.version, code="a = 5")
    notebook.run(None, "%marimo pause", store_history=False)
    looked = agent.ask(wire.EditCells(changes=[change], client="claude", dry_run=True), "shell")
    assert not wire.decode_reply(looked, EditReport).applied
    with pytest.raises(BridgeError) as refusal:
        wire.decode_reply(agent.ask(wire.EditCells(changes=[change], client="claude"), "shell"), EditReport)
    assert refusal.value.code == "paused"
    assert notebook.cells()["one"].code == "a = 1"


def test_a_dry_run_reads_no_script_elsewhere_than_in_the_working_directory(
    notebook: FrontEnd, agent: FrontEnd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for path in (tmp_path / "elsewhere.py", tmp_path / "here" / "here.py"):
        path.write_text("of_script = 1")
    reader = notebook.run("reader", "of_script")
    assert not reader.ok
    for script, runs in (("here.py", True), ("../elsewhere.py", False), ("/dev/zero", False)):
        change = AddCell(code=f"%run {script}")
        looked = agent.ask(wire.EditCells(changes=[change], client="claude", dry_run=True), "shell")
        expected = wire.decode_reply(looked, EditReport).would_run
        assert (notebook.cells()["reader"].cell_id in [cell.cell_id for cell in expected]) == runs, script


def test_texts_that_are_only_looked_at_do_not_add_up(notebook: FrontEnd, agent: FrontEnd) -> None:
    for number in range(3):
        change = AddCell(code=f"'text {number} that is only looked at'")
        agent.ask(wire.EditCells(changes=[change], client="claude", dry_run=True), "shell")
    kept = [line for entry in linecache.cache.values() if len(entry) == 4 for line in entry[2]]
    assert "print('needle' * a)\n" in kept
    assert sum(line.startswith("'text ") for line in kept) <= 1  # marimo keeps one for each cell


# Packages


def test_an_installation_runs_in_the_kernel_and_shows_what_it_prints(
    kernel: KernelInMemory,
    notebook: FrontEnd,
    agent: FrontEnd,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho Collecting nosuch\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    request = wire.InstallPackages(requirements=["nosuch>1"], client="claude")
    report = wire.decode_reply(agent.ask(request, "shell"), InstallReport)
    assert (report.interpreter, report.exit_code, report.changes) == (str(python), 1, ())
    shown = [message["content"]["text"] for message in agent.seen if message["msg_type"] == "stream"]
    assert "Collecting nosuch\n" in shown


def test_what_is_no_requirement_is_refused_before_anything_runs(notebook: FrontEnd, agent: FrontEnd) -> None:
    request = wire.InstallPackages(requirements=["--upgrade"], client="claude")
    with pytest.raises(BridgeError) as refusal:
        wire.decode_reply(agent.ask(request, "shell"), InstallReport)
    assert refusal.value.code == "bad_request"


def test_code_is_completed_and_looked_up_in_the_kernels_names(notebook: FrontEnd, agent: FrontEnd) -> None:
    notebook.run("four", "def scale(value, factor=2):\n    'Multiply.'\n    return value * factor")
    found = wire.decode_reply(agent.ask(wire.CompleteCode(code="sca")), Completions)
    assert [(match.name, match.kind, match.signature) for match in found.matches] == [
        ("scale", "function", "(value, factor=2)")
    ]
    told = wire.decode_reply(agent.ask(wire.InspectCode(code="scale(1")), Documentation)
    assert (told.expression, told.doc, told.cell_id) == (
        "scale",
        "Multiply.",
        notebook.cells()["four"].cell_id,
    )
    assert not wire.decode_reply(agent.ask(wire.CompleteCode(code="get_ipyth")), Completions).matches


def test_a_secret_in_a_default_or_a_documentation_is_not_told(
    notebook: FrontEnd, agent: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "s3cr3t-of-the-shop")
    notebook.run("four", "def pay(token='s3cr3t-of-the-shop'):\n    'Uses s3cr3t-of-the-shop.'")
    told = wire.decode_reply(agent.ask(wire.InspectCode(code="pay")), Documentation)
    assert "s3cr3t" not in f"{told}"
    assert "redacted" in told.signature
    assert "redacted" in told.doc


@pytest.mark.parametrize("code", ["-" * 50000 + "1", "a." * 20000 + "b"], ids=["-", "."])
def test_code_that_is_nested_deeper_than_a_parser_goes_is_refused_by_a_dry_run(
    notebook: FrontEnd, agent: FrontEnd, code: str
) -> None:
    del notebook
    looked = agent.ask(wire.EditCells(changes=[AddCell(code)], client="claude", dry_run=True), "shell")
    assert any(
        "nested too deeply" in problem.message for problem in wire.decode_reply(looked, EditReport).problems
    )
