"""The tools for a notebook as a whole: outline, search, dataflow, variables, errors, previews, batches, UI elements."""

import pytest
from person import change, refused

pytestmark = pytest.mark.anyio


@pytest.fixture
async def shared(agent, reactive_kernel, person_at):
    """The agent and a person on one kernel; the person has run a cell, one that uses it, and one below that."""
    person = await person_at(reactive_kernel)
    await agent.connect(reactive_kernel)
    await person.run("aaaa", "x = 1")
    await person.run("bbbb", "y = x + 1\ny")
    await person.run("cccc", "print('y is', y)")
    yield agent, person
    await agent("disconnect_kernel")


async def cells(agent) -> dict[str, dict]:
    listed = (await agent("list_cells")).data["cells"]
    return {cell.get("notebook_cell_id") or cell["cell_id"]: cell for cell in listed}


async def ids(agent) -> list[str]:
    return [cell["cell_id"] for cell in (await cells(agent)).values()]


async def test_variables_are_listed_with_their_cells_and_looked_into(shared):
    agent, person = shared
    await person.run("dddd", "import pandas as pd\ndf = pd.DataFrame({'a': range(1000), 'b': 'text'})")
    listed = (await agent("list_variables")).data
    known = {variable["name"]: variable for variable in listed["variables"]}
    assert known["x"]["summary"] == "1"
    assert known["df"]["summary"] == "1000 rows, 2 columns"
    assert known["df"]["cell_id"] == (await cells(agent))["dddd"]["cell_id"]
    assert listed["modules"] == ["pd"]
    view = await agent("read_variable", variable="df", limit=2)
    assert view.data["rows"] == [["0", "text"], ["1", "text"]]
    assert view.data["total_rows"] == 1000
    assert "2 of 1000 rows; offset=2 gives the next" in view.text
    last = await agent("read_variable", variable="df", offset=998, limit=5)
    assert [row[0] for row in last.data["rows"]] == ["998", "999"]
    assert "2 of 1000 rows, from 998 on" in last.text
    await person.run("eeee", "values = list(range(50))")
    assert (await agent("read_variable", variable="values", offset=40, limit=2)).data["items"] == ["40", "41"]
    assert refused(await agent("read_variable", variable="nosuch"), "no_such_variable")


async def test_a_variable_is_looked_at_while_a_cell_runs_but_not_sampled(shared, gate):
    agent, person = shared
    await person.run("dddd", "values = [1, 2, 3]")
    message_id = person.send("eeee", gate.code)
    await agent.sees_busy()
    answer = await agent("read_variable", variable="values")
    assert answer.data["summary"] == "3 items: [1, 2, 3]"
    assert "when it is idle" in answer.data["note"]
    gate.open()
    await person.until_idle(message_id)
    assert (await agent("read_variable", variable="values")).data["items"] == ["1", "2", "3"]


async def test_errors_are_listed_with_line_hint_and_what_they_block(shared):
    agent, person = shared
    await person.run("aaaa", "ready = True\nx = 1 / 0")
    await person.run("dddd", "import nosuchpackage")
    outline = await cells(agent)
    first, third, fourth = (outline[cell]["cell_id"] for cell in ("aaaa", "cccc", "dddd"))
    found = (await agent("list_errors")).data
    by_cell = {error["cell_id"]: error for error in found["errors"]}
    assert set(by_cell) == {first, fourth}
    assert (by_cell[first]["line"], by_cell[first]["kind"]) == (2, "runtime")
    assert third in by_cell[first]["blocks"]
    assert "install_packages(['nosuchpackage'])" in by_cell[fourth]["hint"]


async def test_a_preview_tells_what_would_run_and_how_long_it_took(shared):
    agent, _ = shared
    first, second, third = await ids(agent)
    preview = (await agent("preview_run", cell_ids=["aaaa"])).data
    assert [cell["cell_id"] for cell in preview["would_run"]] == [first, second, third]
    assert all(cell["last_seconds"] >= 0 for cell in preview["would_run"])
    assert (await agent("preview_run", which="stale")).data["would_run"] == []
    assert refused(await agent("preview_run"), "bad_request")


async def test_a_preview_of_edits_names_the_problems_and_changes_nothing(shared):
    agent, person = shared
    await person.run("mode", "%marimo strict")
    before = await cells(agent)
    edits = [{"action": "add", "code": "x = 5"}, {"action": "delete", "cell_id": "bbbb", "version": 1}]
    answer = await agent("preview_run", edits=edits)
    assert [problem["kind"] for problem in answer.data["problems"]] == [
        "multiple_definition",
        "undefined_name",
    ]
    assert "would be refused" in answer.data["message"]
    assert await cells(agent) == before


async def test_several_cells_are_edited_at_once(shared):
    agent, person = shared
    edits = [
        {"action": "change", "cell_id": "aaaa", "version": 1, "code": "x = 10"},
        {"action": "change", "cell_id": "cccc", "version": 1, "code": "print('y and z', y, z)"},
        {"action": "add", "code": "z = x * 2"},
    ]
    answer = await agent("edit_cells", edits=edits)
    assert answer.data["status"] == "ok"
    assert len(answer.data["ran"]) == 3
    assert [ran["cell_id"] for ran in answer.data["reran"]] == [(await cells(agent))["bbbb"]["cell_id"]]
    await person.until_shown("bbbb", "11")
    await person.until(lambda: "y and z 11 20" in person.shown("cccc"), "the output below the notice")
    assert answer.data["added"][0] in await ids(agent)
    assert "y and z 11 20" in answer.data["outputs"]


async def test_edits_that_the_graph_would_not_take_are_refused_as_a_whole(shared):
    agent, person = shared
    await person.run("mode", "%marimo strict")
    before = await cells(agent)
    edits = [
        {"action": "change", "cell_id": "aaaa", "version": 1, "code": "x = 2"},
        {"action": "add", "code": "y = 3"},
    ]
    answer = await agent("edit_cells", edits=edits)
    assert answer.data["status"] == "refused"
    assert answer.data["problems"][0]["kind"] == "multiple_definition"
    assert await cells(agent) == before
    stale = [{"action": "change", "cell_id": "aaaa", "version": 7, "code": "x = 2"}]
    assert refused(await agent("edit_cells", edits=stale), "stale_version")


async def test_stale_cells_are_run_together(shared):
    agent, person = shared
    await agent("edit_cells", edits=[change("aaaa", 1, "x = 7")], run=False)
    assert (await agent("preview_run", which="stale")).data["would_run"][0]["stale"]
    answer = await agent("run_cells", which="stale")
    assert [ran["status"] for ran in answer.data["reran"]] == ["ok"] * 3
    await person.until_shown("cccc", "y is 8")


async def test_a_ui_element_is_set_and_its_readers_run(shared):
    agent, person = shared
    await person.run("dddd", "import marimo as mo\nslider = mo.ui.slider(0, 10)")
    await person.run("eeee", "print('at', slider.value)")
    known = {variable["name"]: variable for variable in (await agent("list_variables")).data["variables"]}
    assert (known["slider"]["ui_element"], known["slider"]["summary"]) == (True, "value 0")
    answer = await agent("set_ui_value", element="slider", value=4)
    assert [ran["status"] for ran in answer.data["reran"]] == ["ok"]
    await person.until_shown("eeee", "at 4")
    assert refused(await agent("set_ui_value", element="slider", value=99), "ui_value_refused")
    assert refused(await agent("set_ui_value", element="x", value=1), "no_such_ui_element")


async def test_a_widget_is_set_and_the_cells_that_read_it_are_named(shared):
    agent, person = shared
    await person.run(
        "dddd", "import ipywidgets\nknob = ipywidgets.IntSlider(1, 0, 9, description='Knob')\nknob"
    )
    await person.run("eeee", "print('at', knob.value)")
    (element,) = (await agent("list_ui_elements")).data["elements"]
    assert (element["kind"], element["value"], element["runs_readers"]) == (
        "ipywidgets.IntSlider",
        "1",
        False,
    )
    answer = await agent("set_ui_value", element="knob", value=5)
    reader = (await cells(agent))["eeee"]["cell_id"]
    assert (answer.data["status"], answer.data["to_run"]) == ("ok", [reader])
    assert "did not" in answer.data["message"]
    await agent("run_cells", cell_ids=answer.data["to_run"])
    await person.until_shown("eeee", "at 5")


async def test_names_and_changes_mean_what_the_instructions_say(agent, reactive_kernel):
    await agent.connect(reactive_kernel)
    codes = ("rows = [1]", "rows.append(2)", "print(rows)", "rows = 'other'", "print(rows)")
    edits = [{"action": "add", "code": code} for code in codes]
    first, _, middle, _, last = (await agent("edit_cells", edits=edits)).data["added"]
    assert await outputs_of(agent, middle, last) == ["[1, 2]", "other"]
    answer = await agent("edit_cells", edits=[change(first, 1, "rows = [5]")])
    assert last not in {ran["cell_id"] for ran in answer.data["reran"]}
    await agent("run_cells", cell_ids=[middle])
    assert await outputs_of(agent, middle, last) == ["[5, 2]", "other"]
    assert (await agent("execute_code", code="rows", scratch=True)).data["outputs"] == "'other'"
    await agent("execute_code", code="%marimo strict", scratch=True)
    refused_edit = await agent("edit_cells", edits=[{"action": "add", "code": "rows = 'third'"}])
    assert refused_edit.data["status"] == "refused"
    await agent("disconnect_kernel")


async def outputs_of(agent, *cell_ids: str) -> list[str]:
    return [(await agent("read_cell", cell_id=cell_id)).data["outputs"] for cell_id in cell_ids]
