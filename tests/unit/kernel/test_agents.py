"""What agents ask beyond single edits: batches, variables, search, history; and how a person holds them back."""

import re
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from IPython.core import inputtransformer2

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.inspecting.packages import imports
from marimo_kernel_bridge.kernel.cells import Allowance
from marimo_kernel_bridge.kernel.ipython import magic_names
from marimo_kernel_bridge.kernel.notebook import agent_edits
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol import pauses
from marimo_kernel_bridge.protocol.changes import (
    AddCell,
    Change,
    ChangeCell,
    DeleteCell,
    EditReport,
    MoveCell,
)
from marimo_kernel_bridge.protocol.inspection import Variable, VariableContent
from marimo_kernel_bridge.protocol.notebook import Cell, CellWithOutputs, RunReport
from marimo_kernel_bridge.protocol.output_log import strip_ansi
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd


@pytest.fixture
def agent(connect: Connect) -> FrontEnd:
    return connect("lab")


def cells(agent: FrontEnd) -> dict[str, Cell]:
    reply = agent.ask(wire.ListCells())
    return {cell.notebook_cell_id or cell.cell_id: cell for cell in wire.decode_reply(reply, list[Cell])}


def edit(agent: FrontEnd, *changes: Any, **options: Any) -> EditReport:
    request = wire.EditCells(changes=list(changes), client="claude", **options)
    return wire.decode_reply(agent.ask(request, "shell"), EditReport)


def change(cell: Cell, code: str) -> ChangeCell:
    return ChangeCell(cell_id=cell.cell_id, version=cell.version, code=code)


def shown(agent: FrontEnd, cell_id: str) -> str:
    outputs = wire.decode_reply(agent.ask(wire.ReadCell(cell_id=cell_id)), CellWithOutputs).outputs
    return "".join(output.get("text") or output["data"]["text/plain"] for output in outputs)


def caused(report: EditReport) -> RunReport:
    assert report.run is not None
    return report.run


def ran(report: EditReport) -> list[str]:
    return [run.cell_id for run in caused(report).cells]


# Batches


def test_a_batch_swaps_names_that_single_edits_could_not(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "b = 2")
    lab.run("sum", "print(a, b)")
    before = cells(agent)
    report = edit(agent, change(before["one"], "b = 10"), change(before["two"], "a = 20"))
    assert (report.applied, report.problems) == (True, ())
    lab.wait_for("sum", "20 10")
    assert ran(report).count(before["sum"].cell_id) == 1


def test_the_notice_that_a_cell_was_edited_is_no_change_of_its_outputs(
    lab: FrontEnd, agent: FrontEnd
) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "print(a)")
    report = edit(agent, change(cells(agent)["one"], "a = 2"))
    assert [run.outputs_changed for run in caused(report).cells] == [False, True]


def test_output_by_display_alone_is_output_of_a_dependent_too(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "n = 1")
    lab.run("two", "from IPython.display import display\nfor i in range(n): display({'shown': i})")
    report = edit(agent, change(cells(agent)["one"], "n = 2"))
    assert [run.outputs_changed for run in caused(report).cells] == [False, True]
    assert shown(agent, "two") == "{'shown': 0}{'shown': 1}"


def test_nobody_is_asked_for_input_by_what_an_agent_runs(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "question = ''")
    lab.run("two", "if question: input(question)")
    report = edit(agent, change(cells(agent)["one"], "question = 'why? '"))
    assert [run.status for run in caused(report).cells] == ["ok", "error"]
    error = cells(agent)["two"].error
    assert error is not None
    assert error.ename == "StdinNotImplementedError"


def test_several_cells_run_once_each_in_the_order_of_the_graph(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "b = a + 1")
    lab.run("three", "print(a, b)")
    before = cells(agent)
    report = edit(agent, change(before["one"], "a = 5"), change(before["three"], "print('sum', a + b)"))
    assert ran(report) == [before[name].cell_id for name in ("one", "two", "three")]
    lab.wait_for("three", "sum 11")
    run = wire.decode_reply(agent.ask(wire.RunCells(cell_ids=["three", "one"]), "shell"), RunReport)
    assert [cell.notebook_cell_id for cell in run.cells] == ["one", "two", "three"]


def tracebacks(outputs: tuple[dict[str, Any], ...]) -> str:
    return strip_ansi("\n".join(line for output in outputs for line in output.get("traceback", ())))


def test_tracebacks_call_each_cell_by_its_own_number(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "1 / (a - 2)")
    lab.run("three", "1 / (a - 2)")
    lab.run("one", "a = 2")
    assert "Cell In[2], line 1" in tracebacks(lab.outputs("two"))
    assert "Cell In[3], line 1" in tracebacks(lab.outputs("three"))
    report = edit(agent, change(cells(agent)["two"], "5 / (a - 2)"), AddCell("7 / (a - 2)"))
    lab.sync()
    assert "Cell In[2], line 1\n----> 1 5 / (a - 2)" in tracebacks(lab.outputs("two"))
    reply = agent.ask(wire.ReadCell(cell_id=report.added[0]))
    assert "Cell In[ ], line 1" in tracebacks(wire.decode_reply(reply, CellWithOutputs).outputs)


def test_new_cells_of_one_batch_have_outputs_of_their_own(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "a = 1")
    report = edit(agent, AddCell("c = a + 1\nprint('first', c)"), AddCell("print('second', c * 2)"))
    first, second = report.added
    assert (shown(agent, first), shown(agent, second)) == ("first 2\n", "second 4\n")
    lab.run("one", "a = 5")
    assert (shown(agent, first), shown(agent, second)) == ("first 6\n", "second 12\n")


def test_one_stale_version_refuses_the_whole_batch(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "b = 2")
    old = cells(agent)
    lab.run("two", "b = 3")
    with pytest.raises(BridgeError) as refusal:
        edit(agent, change(old["one"], "a = 9"), change(old["two"], "b = 9"), AddCell("c = 9"))
    assert refusal.value.code == "stale_version"
    assert (
        f"{old['two'].cell_id} is at version 2, not 1, by the person. Its text now:\nb = 3"
        in refusal.value.message
    )
    assert old["one"].cell_id not in refusal.value.message
    assert [cell.code for cell in cells(agent).values()] == ["a = 1", "b = 3"]


def test_an_agents_cell_that_an_export_has_brought_into_the_notebook_is_the_same_cell(
    lab: FrontEnd, agent: FrontEnd
) -> None:
    lab.run("one", "a = 1")
    (added,) = edit(agent, AddCell("b = a + 1\nb")).added
    lab.run(added, "b = a + 1\nb")  # the file names it by the kernel's own id
    assert list(cells(agent)) == ["one", added]
    assert cells(agent)[added].notebook_cell_id == added
    # An own id of the kernel may be an id of the notebook by chance: then the texts differ.
    (other,) = edit(agent, AddCell("c = a + 2")).added
    lab.run(other, "d = 5")
    listed = wire.decode_reply(agent.ask(wire.ListCells()), list[Cell])
    assert sorted(cell.code for cell in listed) == ["a = 1", "b = a + 1\nb", "c = a + 2", "d = 5"]


@pytest.mark.parametrize(
    ("codes", "kind", "names"),
    [
        (["a = 2"], "multiple_definition", ("a",)),
        (["x = y", "y = x"], "cycle", ("x", "y")),
        (["def f(:"], "syntax", ()),
        (["from os import *"], "syntax", ()),
    ],
)
def test_a_batch_that_the_graph_would_not_take_changes_nothing(
    strict: FrontEnd, agent: FrontEnd, codes: str, kind: str, names: str
) -> None:
    strict.run("one", "a = 1")
    report = edit(agent, AddCell("good = 1"), *(AddCell(code) for code in codes))
    assert not report.applied
    assert [(problem.kind, problem.names) for problem in report.problems] == [(kind, names)]
    assert [cell.code for cell in cells(agent).values()] == ["%marimo strict", "a = 1"]


def test_a_dry_run_tells_what_would_run_and_changes_nothing(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "b = a + 1")
    lab.run("apart", "z = 1")
    before = cells(agent)
    report = edit(agent, change(before["one"], "a = 2"), dry_run=True)
    assert not report.applied
    assert [expected.cell_id for expected in report.would_run] == [
        before["one"].cell_id,
        before["two"].cell_id,
    ]
    assert all(expected.last_seconds for expected in report.would_run)
    assert cells(agent) == before


def test_deleting_a_cell_tells_who_used_it_and_the_person_that_it_is_gone(
    lab: FrontEnd, agent: FrontEnd
) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "print('a is', a)")
    before = cells(agent)
    one = before["one"]
    report = edit(agent, DeleteCell(cell_id=one.cell_id, version=one.version))
    assert [(problem.kind, problem.cells) for problem in report.problems] == [
        ("undefined_name", (before["two"].cell_id,))
    ]
    lab.wait_for("one", "deleted by claude: the kernel no longer has this cell. Run it to add it again.")
    assert [cell.code for cell in cells(agent).values()] == ["print('a is', a)"]
    lab.run("one", "a = 7")
    lab.wait_for("two", "a is 7")


def test_a_syntax_error_is_told_without_what_follows_from_it(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "b = 2")
    lab.run("three", "print(a, b)")
    one, two, three = (cells(agent)[name] for name in ("one", "two", "three"))
    broken = ChangeCell(cell_id=one.cell_id, version=one.version, code="a = ")
    gone = DeleteCell(cell_id=two.cell_id, version=two.version)
    told = [(problem.kind, problem.cells, problem.names) for problem in edit(agent, broken, gone).problems]
    assert told == [("syntax", (one.cell_id,), ()), ("undefined_name", (three.cell_id,), ("b",))]


def test_cells_are_moved_in_the_kernels_order_and_nothing_runs(lab: FrontEnd, agent: FrontEnd) -> None:
    for name in "abc":
        lab.run(name, f"{name} = 1")
    ids = {name: cell.cell_id for name, cell in cells(agent).items()}
    report = edit(agent, MoveCell(cell_id="c", version=1), MoveCell(cell_id="a", version=1, after=ids["b"]))
    assert (list(cells(agent)), caused(report).cells) == (["c", "b", "a"], ())


def test_a_batch_that_is_not_run_waits_until_stale_cells_are_run(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "print('a is', a)")
    edit(agent, change(cells(agent)["one"], "a = 2"), run=False)
    assert {name for name, cell in cells(agent).items() if cell.stale} == {"one", "two"}
    assert lab.text("two") == "a is 1"
    report = wire.decode_reply(agent.ask(wire.RunStale(), "shell"), RunReport)
    assert len(report.cells) == 2
    lab.wait_for("two", "a is 2")


def test_an_edit_that_is_not_run_runs_only_when_it_is_asked_for(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "b = a")
    one = cells(agent)["one"]
    edit(
        agent,
        AddCell("print('reads', a)"),
        AddCell("c = print('makes')", after=one.cell_id),
        ChangeCell(cell_id="two", version=1, code="b = print('edited', a)"),
        run=False,
    )
    lab.run("one", "a = 2")
    lab.run("mode", "%marimo lazy")
    lab.run("mode", "%marimo autorun")
    reply = lab.run("three", "(b, c)")
    assert reply.content["ename"] == "UpstreamError"
    assert "has code of claude that nobody has run" in reply.content["evalue"]
    lab.run("one", "a = 3")
    assert [cell.last_run_by for cell in cells(agent).values() if "print" in cell.code] == [
        None,
        "notebook",
        None,
    ]
    assert "edited" not in lab.text("two")
    lab.run("two", "b = a")
    wire.decode_reply(agent.ask(wire.RunStale(), "shell"), RunReport)
    lab.wait_for("three", "(3, None)")


@pytest.mark.parametrize("change_of", ["delete", "move", "add"])
def test_nothing_runs_because_of_a_batch_that_is_not_to_run(
    lab: FrontEnd, agent: FrontEnd, change_of: str
) -> None:
    lab.run("one", "a = 1")
    lab.run("two", "a = 2")
    lab.run("three", "print('a is', a)")
    one, two = cells(agent)["one"], cells(agent)["two"]
    edits: dict[str, Change] = {
        "delete": DeleteCell(cell_id=two.cell_id, version=two.version),
        "move": MoveCell(cell_id=one.cell_id, version=one.version, after=two.cell_id),
        "add": AddCell("a = 3", after=two.cell_id),
    }
    report = edit(agent, edits[change_of], run=False)
    assert caused(report).cells == ()
    lab.run("other", "c = 1")
    assert lab.text("three") == "a is 2"
    assert cells(agent)["three"].stale
    wire.decode_reply(agent.ask(wire.RunStale(), "shell"), RunReport)
    lab.wait_for("three", {"delete": "a is 1", "move": "a is 1", "add": "a is 3"}[change_of])


# Looking


def variables(agent: FrontEnd) -> dict[str, Variable]:
    return {one.name: one for one in wire.decode_reply(agent.ask(wire.ListVariables()), list[Variable])}


def look(agent: FrontEnd, name: str, channel: str = "shell", **options: Any) -> VariableContent:
    request = wire.InspectVariable(name=name, **options)
    return wire.decode_reply(agent.ask(request, channel), VariableContent)


def test_variables_are_looked_into_with_a_sample_on_shell_and_without_on_control(
    lab: FrontEnd, agent: FrontEnd
) -> None:
    lab.run("one", "v = [1, 2]")
    content = look(agent, "v", "control")
    assert (content.variable.summary, content.items, content.sampled) == ("2 items: [1, 2]", (), False)
    assert look(agent, "v").items == ("1", "2")
    assert variables(agent)["v"].defined_by == content.variable.defined_by == cells(agent)["one"].cell_id


def test_history_tells_who_ran_what(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "a = 1")
    edit(agent, change(cells(agent)["one"], "a = 2"))
    newest, oldest = wire.decode_reply(agent.ask(wire.ReadHistory()), list[RunReport])
    assert (newest.client, oldest.client) == ("claude", "notebook")
    assert newest.started_at >= oldest.started_at


def test_a_long_output_is_cut_in_the_kernel(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "print('start' + 'x' * 1_000_000 + 'end')")
    cell = wire.decode_reply(agent.ask(wire.ReadCell(cell_id="one", most_output=1000)), CellWithOutputs)
    (text,) = [output["text"] for output in cell.outputs]
    assert len(text) < 1200
    assert text.startswith("startx")
    assert text.endswith("xend\n")
    assert "of 1,000,009 characters are in the kernel …]" in text


# The person's brake


def test_a_person_sees_which_agents_use_the_kernel_and_what_became_of_their_requests(
    lab: FrontEnd, connect: Connect
) -> None:
    assert "none has used this kernel" in lab.run("magic", "%marimo agents").text
    agent = connect("agent")
    agent.run(None, "a = 1")
    assert re.search(
        r"agent: ran or changed something once( \(.+ s of running\))?, last heard ",
        lab.run("magic", "%marimo agents").text,
    )
    lab.run("magic", "%marimo pause")
    agent.run(None, "a = 2")
    agent.run(None, "a", store_history=False)
    text = lab.run("magic", "%marimo agents").text
    assert re.search(r"agent: ran or changed something once.*, was refused twice, last heard ", text)


def test_a_pause_is_kept_under_the_notebooks_path_and_only_a_person_ends_it(
    lab: FrontEnd, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = tmp_path / "a.ipynb"
    notebook.write_text("{}")
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    agent = connect("agent")
    lab.run("magic", "%marimo pause")
    assert pauses.pauses() == [str(notebook)]
    assert not agent.run(None, "%marimo resume", store_history=False).ok
    assert pauses.pauses() == [str(notebook)]
    lab.run("magic", "%marimo resume")
    assert pauses.pauses() == []
    pauses.pause(str(notebook))  # by a kernel that was before this one
    assert agent.run(None, "a = 1").content["code"] == "paused"
    lab.run("magic", "%marimo resume")
    assert agent.run(None, "a = 1").ok


def test_looking_at_what_would_run_is_not_counted_as_a_change(lab: FrontEnd, agent: FrontEnd) -> None:
    lab.run("one", "a = 1")
    edit(agent, change(cells(agent)["one"], "a = 2"), dry_run=True)
    edit(agent, AddCell("x = y"), AddCell("y = x"))  # which the graph does not take
    assert "ran and changed nothing" in lab.run("magic", "%marimo agents").text


@pytest.mark.parametrize(
    "command", ["set s 7", "lazy", "autorun", "reset", "run stale", "forget one", "strict", "pause", "resume"]
)
def test_scratch_code_of_an_agent_gives_no_command_that_changes_the_notebook(
    lab: FrontEnd, connect: Connect, command: str
) -> None:
    lab.run("one", "a = 1")
    agent = connect("agent")
    before = cells(agent)
    ran = agent.run(None, f"%marimo {command}", store_history=False)
    assert "nothing was changed" in strip_ansi(str(ran))
    assert cells(agent) == before


def test_a_cell_of_an_agent_does_not_pause_or_resume_agents_and_a_persons_does(
    lab: FrontEnd, connect: Connect
) -> None:
    agent = connect("agent")
    assert "nothing was changed" in strip_ansi(str(agent.run(None, "%marimo pause")))
    assert "agents paused" in lab.run("magic", "%marimo pause").text


MAGICS = "%x\n" * 60 + "a = 1\n" * 100


@pytest.mark.parametrize(
    "codes", [(MAGICS,), ("%run many.ipy",), ("%%time\n" + MAGICS,), ("%x\n" * 6 + "a = 1\n" * 200,) * 6]
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_code_with_many_magics_holds_up_nobody_when_an_agent_asks_what_it_would_run(
    agent: FrontEnd, monkeypatch: pytest.MonkeyPatch, codes: tuple[str, ...], *, dry_run: bool
) -> None:
    tokenized: list[str] = []
    tokenize = inputtransformer2.make_tokens_by_line
    monkeypatch.setattr(
        inputtransformer2, "make_tokens_by_line", lambda lines: tokenized.extend(lines) or tokenize(lines)
    )
    monkeypatch.setattr(agent_edits, "Allowance", partial(Allowance, 20_000))
    Path("many.ipy").write_text(MAGICS)
    report = edit(agent, *(AddCell(code=code) for code in codes), dry_run=dry_run, run=False)
    assert len("".join(tokenized)) < 25_000
    assert any("magics take too long" in problem.message for problem in report.problems)
    assert (report.applied, cells(agent)) == (False, {})


def test_a_cell_with_more_magics_than_ipython_takes_is_refused_to_agents_and_fails_as_in_ipython(
    agent: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputtransformer2, "TRANSFORM_LOOP_LIMIT", 5)
    many = "%x\n" * 6
    assert edit(agent, AddCell(code=many), dry_run=True).problems
    assert tuple(imports(many)) == ()
    agent.run_all({"one": "1", "two": many})
    assert "still changing after 5" in agent.text("two")


def test_a_disk_that_does_not_answer_holds_up_a_batch_once(
    agent: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.run("one", "x = 1")
    read: list[str] = []

    def slow(path: str) -> None:
        read.append(path)
        threading.Event().wait(0.02)

    monkeypatch.setattr(magic_names, "read_script_here", slow)
    monkeypatch.setattr(agent_edits, "Allowance", partial(Allowance, seconds=0.01))
    edit(agent, *(AddCell(code=f"%run gone{number}.py") for number in range(5)), dry_run=True)
    assert read == ["gone0.py"]


def test_an_ordinary_batch_with_magics_is_looked_at(agent: FrontEnd) -> None:
    agent.run("one", "x = 1")
    codes = [f"%time y{number} = x\n" + "# text\n" * 200 for number in range(40)]
    report = edit(agent, *(AddCell(code=code) for code in codes), dry_run=True)
    assert (report.problems, len(report.would_run)) == ((), 40)
