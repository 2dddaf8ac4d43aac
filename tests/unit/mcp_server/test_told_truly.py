"""What agents were told wrongly, or had to ask for again: pending input, renamed notebooks, runs of nothing, exports, refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from marimo_kernel_bridge.client import discovery
from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.exporting.live import LiveNotebook
from marimo_kernel_bridge.mcp_server.answers.durations import took
from marimo_kernel_bridge.mcp_server.attached import Attached
from marimo_kernel_bridge.mcp_server.views import files
from tests.unit.mcp_server.fake_kernel import DESCRIPTION, Execution, cell_run, result

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.mcp_server.agent import Agent
    from tests.unit.mcp_server.fake_kernel import FakeKernel

pytestmark = pytest.mark.anyio


async def test_that_code_waits_for_the_person_to_type_is_told_with_its_prompt(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.description = replace(DESCRIPTION, busy=True, asks="Your name: ")
    status = await connected("kernel_status")
    assert "waits for the person to type an answer (`Your name:`)" in status.text
    end = kernel.somebody_else_runs("name = input('Your name: ')")
    waiting = await connected("execute_code", code="x = 1", timeout=0.01)
    assert waiting.data["status"] == "queued"
    assert "waits for the person to type an answer (`Your name:`)" in waiting.data["message"]
    end()


async def test_a_run_of_nothing_is_refused_or_said(connected: Agent, kernel: FakeKernel) -> None:
    assert (await connected("run_cells", which="all")).failed
    kernel.add("aaaa", "x = 1")
    kernel.executions["run_stale"] = Execution()
    answer = await connected("run_cells", which="stale")
    assert "nothing ran: no cell is stale." in answer.text


async def test_an_interrupted_cell_is_not_told_to_be_run_again_as_it_is(
    connected: Agent, kernel: FakeKernel
) -> None:
    kernel.add("aaaa", "while True: pass", status="interrupted")
    (problem,) = (await connected("list_errors")).data["errors"]
    assert "change it first" in problem["hint"]


async def test_a_renamed_notebook_is_asked_for_again(
    connected: Agent, kernel: FakeKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def now() -> dict[str, str]:
        return {"fake": str(tmp_path / "new.ipynb")}

    monkeypatch.setattr(discovery, "notebooks_by_kernel", now)
    old = property(lambda _: tmp_path / "old.ipynb")
    monkeypatch.setattr(Attached, "notebook_file", old)
    status = await connected("kernel_status")
    assert status.data["notebook"] == str(tmp_path / "new.ipynb")


async def test_outputs_of_dependents_have_a_bound_and_their_pictures_too(
    connected: Agent, kernel: FakeKernel
) -> None:
    names = [f"c{number:03}" for number in range(30)]
    for name in names:
        kernel.add(name, "show(x)", result("y" * 900))
    ran = (cell_run("mine"), *map(cell_run, names))
    kernel.executions["x = 1"] = Execution(requested=("mine",), ran=ran)
    answer = await connected("execute_code", code="x = 1")
    with_outputs = [cell for cell in answer.data["reran"] if "outputs" in cell]
    assert 3 <= len(with_outputs) < 6
    assert sum(len(cell["outputs"]) for cell in with_outputs) < 4000
    assert all("outputs" in cell or cell["outputs_changed"] for cell in answer.data["reran"]), (
        "the others are named"
    )


async def test_a_dependent_with_nothing_new_is_only_named(connected: Agent, kernel: FakeKernel) -> None:
    kernel.add("same", "y = x * 0", result("0"))
    ran = (cell_run("mine"), replace(cell_run("same"), outputs_changed=False))
    kernel.executions["x = 1"] = Execution(requested=("mine",), ran=ran)
    answer = await connected("execute_code", code="x = 1")
    assert answer.text.endswith("--- ran because of it\noutputs as before: same")
    assert "read_cell" not in kernel.asked


async def test_a_relative_output_of_an_export_is_beside_the_notebook(
    connected: Agent, kernel: FakeKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.add("aaaa", "x = 1")
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(Attached, "notebook_file", property(lambda _: folder / "a.ipynb"))
    monkeypatch.chdir(tmp_path)
    answer = await connected("export_notebook", output="a-copy.ipynb")
    assert answer.data["output"] == str(folder / "a-copy.ipynb")
    assert (folder / "a-copy.ipynb").exists()
    assert not (tmp_path / "a-copy.ipynb").exists()


async def test_what_an_export_lacks_is_told_with_what_an_agent_can_do(
    connected: Agent, kernel: FakeKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_arguments: Any) -> Any:
        raise BridgeError("not_installed", "Chromium does not run as root.", "pass --no-sandbox")

    kernel.add("aaaa", "x = 1")
    monkeypatch.setattr(files, "as_format", refused)
    monkeypatch.chdir(tmp_path)
    answer = await connected("export_notebook", format="pdf", output="notebook.pdf")
    assert answer.refused("not_installed")
    assert "marimo-kernel-bridge export --to pdf" in answer.text
    assert "uvx" in answer.text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(8.8e-05, "less than 1 ms"), (0.012, "12 ms"), (0.25, "0.2 s"), (3.04, "3.0 s"), (59.7, "1 min"), (80, "1 min 20 s"), (7500, "2 h 5 min")],
)  # fmt: skip
def test_durations_are_told_as_a_person_says_them(seconds: float, text: str) -> None:
    assert took(seconds) == text


def test_notes_of_an_export_name_cells_as_all_answers_do(kernel: FakeKernel) -> None:
    cell = kernel.add("Hbol", "x = 1")
    notebook = LiveNotebook({}, {"c10": cell}, newer=("c10",), added=("c10",), not_run=("c11",))
    told = " ".join(notebook.notes(of_kernel=True))
    assert ("Hbol" in told, "c10" in told, "c11" in told) == (True, False, True)
    assert "c10" in " ".join(notebook.notes())
