"""The person sees what each agent did, in words, and for how long the kernel ran because of it."""

import pytest

from marimo_kernel_bridge.kernel.ipython import status_table
from marimo_kernel_bridge.kernel.notebook.agent_actions import of_code, of_request
from marimo_kernel_bridge.kernel.notebook.agents import Agents
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell, DeleteCell
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd


@pytest.fixture
def agent(connect: Connect) -> FrontEnd:
    agent = connect("agent")
    agent.session.username = "claude"
    return agent


def shown(lab: FrontEnd) -> str:
    return lab.run("agents", "%marimo agents").text


def test_each_action_of_an_agent_is_told_the_newest_first(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "import time\ntime.sleep(0.06)\na = 1")
    lab.run("two", "b = a")
    for _ in range(3):
        agent.ask(wire.ListCells())
    agent.ask(wire.RunCells(cell_ids=[lab.cells()["one"].cell_id], client="claude"), "shell")
    added = [AddCell(code="c = b"), AddCell(code="d = c")]
    agent.ask(wire.EditCells(changes=list(added), client="claude"), "shell")
    agent.ask(wire.EditCells(changes=list(added), client="claude", dry_run=True), "shell")
    lines = shown(lab).splitlines()
    head = next(line for line in lines if line.startswith("claude: "))
    assert "ran or changed something twice (" in head
    assert "s of running)" in head
    assert "looked 4 times" in head
    after = lines[lines.index(head) + 1 :]
    assert [line.split(" ago: ")[1] for line in after[:2]] == [
        "added 2 cells",
        f"ran cell {lab.cells()['one'].cell_id}",
    ]


def test_what_was_refused_is_told_as_refused(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("pause", "%marimo pause")
    agent.ask(wire.RunStale(client="claude"), "shell")
    assert "was refused: ran the stale cells" in shown(lab)


def test_the_newest_ten_actions_are_kept_and_time_is_charged_once() -> None:
    agents = Agents()
    for number in range(12):
        agents.heard("claude", ran=True, did=f"action {number}")
    agents.charge("claude", "run 1", 1.5)
    agents.charge("claude", "run 1", 2.0)
    agents.charge("claude", "run 2", 1.0)
    agents.charge("nobody", "run 3", 1.0)
    (seen,) = agents
    assert [action.what for action in seen.actions] == [f"action {number}" for number in range(2, 12)]
    assert seen.seconds == pytest.approx(3.0)
    assert seen.told == "ran or changed something 12 times (3.0 s of running)"
    assert "action 11" in status_table.agents(agents, paused=False)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (wire.EditCells(changes=[ChangeCell(cell_id="a", version=1, code="x"), DeleteCell(cell_id="b", version=1)]), "changed 1 cell, deleted 1 cell"),
        (wire.EditDocument(changes=[AddCell(code="x")], propose=True), "proposed: added 1 cell"),
        (wire.EditDocument(changes=[AddCell(code="x")], dry_run=True), ""),
        (wire.RunCells(cell_ids=["a", "b"]), "ran 2 cells"),
        (wire.SetUiValue(ui_element="slider", value=3), "set slider to 3"),
        (wire.InstallPackages(requirements=["numpy", "polars"]), "installed numpy, polars"),
        (wire.SaveDocument(name="new.ipynb"), "renamed the notebook to new.ipynb"),
        (wire.RestoreCheckpoint(preview=True), ""),
        (wire.RestoreCheckpoint(name="lunch"), "restored the checkpoint lunch"),
        (wire.ListCells(), ""),
        (wire.ReadCell(cell_id="a"), ""),
    ],
)  # fmt: skip
def test_a_request_is_told_in_words(request_: wire.Request, words: str) -> None:
    assert of_request(request_) == words


def test_code_is_told_by_its_first_line_without_what_is_no_text() -> None:
    assert of_code("x = 1", scratch=False) == "ran `x = 1`"
    assert of_code("\n\nx = 1\ny = 2", scratch=True) == "ran scratch code `x = 1…`"
    assert of_code("x" * 100, scratch=False) == f"ran `{'x' * 60}…`"
    assert (
        of_code("a\x1b[31m\u202eb", scratch=False)
        == "ran `a\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}b`"
    )
