"""No secret that the kernel knows leaves it for an agent, and the person sees everything as it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.changes import AddCell, ChangeCell
from marimo_kernel_bridge.protocol.inspection import OwnMarks, Redacted, Variable
from marimo_kernel_bridge.protocol.notebook import CellWithOutputs

if TYPE_CHECKING:
    from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd

KEY = "zq81-HUSH-hush-99!"
MARK = "<<redacted:SERVICE_TOKEN>>"
PEM = "\n".join(
    [
        "-----BEGIN PRIVATE KEY-----",
        *(f"MIIEvQIBADANBgkqhkiG9w0BAQ{n}" for n in range(4)),
        "-----END PRIVATE KEY-----",
    ]
)


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", KEY)


@pytest.fixture
def agent(connect: Connect) -> FrontEnd:
    return connect("agent")


@pytest.fixture
def notebook(lab: FrontEnd) -> FrontEnd:
    lab.run("one", f"held = {KEY!r}\nlong = 'x' * 190 + held + 'x' * 9000")
    lab.run("two", "print(held)\nheld")
    lab.run("three", "print('x' * 470 + held + 'x' * 5000)")
    lab.run("four", f"raise ValueError({KEY!r})")
    return lab


def for_agents(agent: FrontEnd) -> list[dict[str, Any]]:
    """What came in answer to the agent's requests, with the replies."""
    asked = [m for m in agent.seen if m["parent_header"].get("session") == agent.session.session]
    return [m["content"] for m in [*asked, *agent.replies.values()]]


REQUESTS: list[wire.Request] = [
    wire.ListCells(),
    wire.ReadCell(cell_id="one"),
    wire.ReadCell(cell_id="two"),
    wire.ReadCell(cell_id="three"),
    wire.ReadCell(cell_id="three", most_output=1000),
    wire.ReadCell(cell_id="four", most_output=1000),
    wire.ReadOutline(offset=0, limit=9),
    wire.ReadHistory(),
    wire.SearchCells(query="held"),
    wire.ListVariables(),
    wire.InspectVariable(name="held"),
    wire.InspectVariable(name="long"),
    wire.ReadCell(cell_id=KEY),
    wire.EditCells(changes=[AddCell(code=f"held = {KEY!r} +")], dry_run=True),
    wire.EditCells(changes=[ChangeCell(cell_id=KEY, version=1, code="")]),
    wire.SetUiValue(ui_element=KEY, value=KEY),
    wire.Redact(value={"a": [f"the key is {KEY}"]}),
]


def test_no_reply_to_an_agent_has_a_secret_or_a_part_of_one(notebook: FrontEnd, agent: FrontEnd) -> None:
    for request in REQUESTS:
        content = agent.ask(request, "shell" if isinstance(request, wire.ShellRequest) else "control")
        assert KEY[:6] not in json.dumps([content, for_agents(agent)]), request


def test_a_secret_is_marked_before_text_is_shortened(notebook: FrontEnd, agent: FrontEnd) -> None:
    three = wire.decode_reply(agent.ask(wire.ReadCell(cell_id="three", most_output=1000)), CellWithOutputs)
    assert "<<redacted" in three.outputs[0]["text"]
    summaries = {
        v.name: v.summary for v in wire.decode_reply(agent.ask(wire.ListVariables()), list[Variable])
    }
    assert summaries["held"] == repr(MARK)
    notebook.run("five", "longer = 'x' * 75 + held")
    summaries = {
        v.name: v.summary for v in wire.decode_reply(agent.ask(wire.ListVariables()), list[Variable])
    }
    assert KEY[:4] not in summaries["longer"]


def test_a_hidden_value_cannot_be_guessed_by_a_search(notebook: FrontEnd, agent: FrontEnd) -> None:
    assert agent.ask(wire.SearchCells(query=KEY[:8]))["result"]["total"] == 0
    assert agent.ask(wire.SearchCells(query="redacted:SERVICE"))["result"]["total"] > 0


def test_a_text_that_looks_like_a_mark_is_told_from_one_that_stands_for_a_secret(
    lab: FrontEnd, agent: FrontEnd
) -> None:
    lab.run("one", "pattern = '<<redacted:x>>'")
    lab.run("two", f"both = [{KEY!r}, {MARK!r}, '<<redacted:y>>', '<<redacted:y>>']")
    lab.run("three", f"held = {KEY!r}")
    own = wire.decode_reply(agent.ask(wire.ReadOwnMarks()), OwnMarks)
    assert (own.own["one"], own.own["two"], own.hiding) == (
        ("<<redacted:x>>",),
        ("<<redacted:y>>",),
        (MARK,),
    )
    assert "three" not in own.own
    assert {cell.notebook_cell_id for cell in lab.cells().values() if cell.cell_id in own.own} == {
        "one",
        "two",
    }


def test_a_text_that_looks_like_a_mark_is_known_in_a_document_before_it_runs(
    lab: FrontEnd, agent: FrontEnd
) -> None:
    lab.open({"a": "pattern = '<<redacted:z>>'", "b": f"key = {KEY!r}"})
    own = wire.decode_reply(agent.ask(wire.ReadOwnMarks()), OwnMarks)
    assert own == OwnMarks({"a": ("<<redacted:z>>",)}, (MARK,))


def test_the_person_and_their_commands_see_everything_as_it_is(notebook: FrontEnd, agent: FrontEnd) -> None:
    assert KEY in json.dumps([message["content"] for message in notebook.seen])
    agent.run(None, f"print({KEY!r})")
    assert notebook.cells()["two"].code == "print(held)\nheld"
    assert notebook.text("two").startswith(KEY)
    exported = agent.ask(wire.ReadCell(cell_id="two", redacted=False))
    assert KEY in json.dumps(exported)


def test_a_secret_that_left_the_environment_stays_hidden(
    notebook: FrontEnd, agent: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.ask(wire.Describe())
    monkeypatch.delenv("SERVICE_TOKEN")
    assert KEY not in json.dumps(agent.ask(wire.ReadCell(cell_id="two")))


CODES = [
    "print(held)",
    "held",
    "raise ValueError(held)",
    "display({'text/html': f'<b>{held}</b>'}, raw=True)",
    "import sys\nprint(held, file=sys.stderr)",
    "for letter in held:\n    print(letter, end='', flush=True)\nprint()",
    "print(held[:7], end='', flush=True)\ndisplay(1)\nprint(len(held))",
    "import json\nprint(json.dumps([held]), repr(held), flush=True)",
    "print('\\x1b[31m' + held[:5], end='', flush=True)\nprint('\\x1b[0m' + held[5:])",
]


@pytest.mark.parametrize("history", [True, False])
def test_what_an_agents_code_shows_has_no_secret(notebook: FrontEnd, connect: Connect, history: bool) -> None:
    for code in CODES:
        agent = connect("agent")
        reply = agent.run(None, code, store_history=history)
        shown = json.dumps([reply.content, for_agents(agent)])
        assert KEY[:9] not in shown, code
        assert KEY not in reply.text.replace("\n", ""), code
        assert MARK in shown or "display(1)" in code, code


def test_a_key_that_is_printed_line_by_line_is_hidden_as_a_whole(notebook: FrontEnd, agent: FrontEnd) -> None:
    code = f"import time\nfor line in {PEM!r}.splitlines():\n    print(line, flush=True)\nprint('over')"
    reply = agent.run(None, code, store_history=False)
    assert reply.text.splitlines() == ["<<redacted:private key>>", "over"]
    assert "MIIE" not in json.dumps(for_agents(agent)).replace(json.dumps(code)[1:-1], "")


def test_what_may_begin_a_secret_is_shown_in_the_end(notebook: FrontEnd, agent: FrontEnd) -> None:
    assert agent.run(None, "print('Bearer', end='', flush=True)", store_history=False).text == "Bearer"
    code = "import sys\nprint('a -----BEGIN', flush=True)\nprint('e', file=sys.stderr)\nprint('b')"
    assert set(agent.run(None, code, store_history=False).text.split()) == {"a", "-----BEGIN", "b", "e"}


def test_the_outcome_of_a_run_has_no_secret(notebook: FrontEnd, agent: FrontEnd) -> None:
    reply = agent.run(
        None, f"again = {KEY!r}", metadata={wire.METADATA_KEY: {"client": "ann", "outcome": True}}
    )
    assert reply.ok
    assert KEY not in json.dumps(for_agents(agent))


def test_a_file_beside_the_notebook_is_a_source_of_secrets(
    agent: FrontEnd, lab: FrontEnd, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert wire.decode_reply(agent.ask(wire.Redact(value="hush-1234")), Redacted).value == "hush-1234"
    (tmp_path / ".env").write_text("DB_PASSWORD=hush-1234\n")
    assert (
        wire.decode_reply(agent.ask(wire.Redact(value="hush-1234")), Redacted).value
        == "<<redacted:DB_PASSWORD>>"
    )
    (tmp_path / ".env.local").write_text("DB_PASSWORD='hush-5678' # here alone\n")
    assert (
        wire.decode_reply(agent.ask(wire.Redact(value="hush-5678")), Redacted).value
        == "<<redacted:DB_PASSWORD>>"
    )


def test_a_refusal_says_nothing_secret(notebook: FrontEnd, agent: FrontEnd) -> None:
    with pytest.raises(BridgeError, match="redacted:SERVICE_TOKEN") as refusal:
        wire.decode_reply(agent.ask(wire.InspectVariable(name=KEY)), Redacted)
    assert refusal.value.code == "no_such_variable"
