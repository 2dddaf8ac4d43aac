"""Values of `mo.ui` elements, set by a client: the cells that read them run again."""

from pathlib import Path

import pytest

from marimo_kernel_bridge.errors import BridgeError
from marimo_kernel_bridge.protocol import messages as wire
from marimo_kernel_bridge.protocol.notebook import RunReport
from tests.unit.kernel.notebook_in_memory import Connect, FrontEnd


@pytest.fixture
def agent(connect: Connect) -> FrontEnd:
    return connect("lab")


@pytest.fixture
def notebook(lab: FrontEnd) -> FrontEnd:
    assert lab.run("imports", "import marimo as mo, datetime, base64, ipywidgets").ok
    return lab


def set_value(agent: FrontEnd, target: str, value: object, /) -> RunReport:
    request = wire.SetUiValue(ui_element=target, value=value, client="claude")
    return wire.decode_reply(agent.ask(request, "shell"), RunReport)


def test_a_set_value_runs_the_readers_and_not_the_cell_that_made_the_element(
    notebook: FrontEnd, agent: FrontEnd
) -> None:
    notebook.run("maker", "n = mo.ui.slider(1, 10, value=3)\nprint('made')\nn")
    notebook.run("reader", "print('n is', n.value)")
    notebook.run("below", "m = n.value * 2\nm")
    notebook.run("stranger", "print('stays')")

    report = set_value(agent, "n", 7)

    assert (report.client, report.finished, report.still_stale) == ("claude", True, ())
    assert {run.notebook_cell_id for run in report.cells} == {"reader", "below"}
    notebook.sync()
    assert (notebook.text("reader"), notebook.text("below")) == ("n is 7", "14")
    assert notebook.run(None, "n.value", store_history=False).text == "7"


SETTABLE = [
    ("mo.ui.slider(0, 1, 0.25)", 0.5, "0.5"),
    ("mo.ui.slider(steps=[1, 10, 100])", 100, "100"),
    ("mo.ui.range_slider(1, 10)", [2, 4], "[2, 4]"),
    ("mo.ui.range_slider(steps=[1, 10, 100])", [1, 100], "[1, 100]"),
    ("mo.ui.number(1, 10)", 4, "4"),
    ("mo.ui.number()", None, "None"),
    ("mo.ui.text(max_length=5)", "hello", "'hello'"),
    ("mo.ui.text(kind='password')", "x", "'x'"),
    ("mo.ui.text_area()", "a\nb", "'a\\nb'"),
    ("mo.ui.code_editor()", "x = 1", "'x = 1'"),
    ("mo.ui.checkbox()", True, "True"),
    ("mo.ui.switch()", True, "True"),
    ("mo.ui.dropdown(['a', 'b'])", "b", "'b'"),
    ("mo.ui.dropdown({'one': 1, 'two': 2}, value='one')", "two", "2"),
    ("mo.ui.dropdown({'one': 1, 'two': 2})", 2, "2"),
    ("mo.ui.dropdown(['a'], value='a', allow_select_none=True)", None, "None"),
    ("mo.ui.radio({'one': 1, 'two': 2})", "one", "1"),
    ("mo.ui.multiselect(['a', 'b', 'c'])", ["c", "a"], "['c', 'a']"),
    ("mo.ui.button(value=0, on_click=lambda value: value + 1)", True, "1"),
    ("mo.ui.date()", "2026-02-03", "datetime.date(2026, 2, 3)"),
    ("mo.ui.datetime()", "2026-02-03T04:05", "datetime.datetime(2026, 2, 3, 4, 5)"),
    (
        "mo.ui.date_range()",
        ["2026-01-01", "2026-01-02"],
        "(datetime.date(2026, 1, 1), datetime.date(2026, 1, 2))",
    ),
    (
        "mo.ui.file()",
        [{"name": "a.txt", "contents": "aGk="}],
        "(FileUploadResults(name='a.txt', contents=...),)",
    ),
    ("mo.ui.text().form()", "sent", "'sent'"),
    ("mo.ui.array([mo.ui.text(), mo.ui.slider(1, 9)])", ["x", 3], "['x', 3]"),
    ("mo.ui.dictionary({'a': mo.ui.text(), 'b': mo.ui.checkbox()})", {"b": True}, "{'a': '', 'b': True}"),
    ("mo.md('{a}').batch(a=mo.ui.number(1, 5))", {"a": 5}, "{'a': 5}"),
    ("mo.ui.table([{'a': 1}, {'a': 2}])", [1], "[{'a': 2}]"),
    ("mo.ui.tabs({'one': 1, 'two': 2})", "two", "'two'"),
    ("mo.ui.matrix([[1, 2], [3, 4]])", [[5, 6], [7, 8]], "[[5, 6], [7, 8]]"),
    ("mo.ui.matrix([1, 2, 3])", [4, 5, 6], "[4, 5, 6]"),
    ("mo.ui.refresh()", "1", "'1'"),
    ("mo.ui.slider(1, 10)", 4.0, "4"),
    ("mo.ui.slider(0.5, 10)", 2.5, "2.5"),
    ("mo.ui.dropdown({'one': 1.0, 'two': 2.0})", 2, "2.0"),
    ("mo.ui.dropdown(['a', 'b'])", ["b"], "'b'"),
    ("mo.ui.radio(['a'], value='a')", None, "None"),
    ("mo.ui.datetime()", None, "None"),
    (
        "mo.ui.file()",
        {"name": "a.txt", "contents": "aGk="},
        "(FileUploadResults(name='a.txt', contents=...),)",
    ),
    (
        "mo.ui.table([{'a': 1}], selection='multi-cell')",
        [{"rowId": "0", "columnName": "a"}],
        "[TableCell(row='0', column='a', value=1)]",
    ),
    ("mo.ui.tabs({'one': 1, 'two': 2})", 1, "'two'"),
    ("mo.ui.matrix([1, 2], max_value=[3, 4])", [3, 4], "[3, 4]"),
]


def test_each_kind_of_element_takes_the_value_it_gives(notebook: FrontEnd, agent: FrontEnd) -> None:
    wrong = {}
    for number, (code, value, shown) in enumerate(SETTABLE):
        name = f"e{number}"
        assert notebook.run(f"make {name}", f"{name} = {code}").ok
        set_value(agent, name, value)
        found = notebook.run(None, f"print(repr({name}.value))", store_history=False).text
        if found != shown:
            wrong[code] = found
    assert wrong == {}


REFUSED = [
    ("mo.ui.slider(1, 10)", 11, "from 1 to 10"),
    ("mo.ui.slider(1, 10)", "3", "takes a number"),
    ("mo.ui.slider(1, 10)", True, "takes a number"),
    ("mo.ui.slider(steps=[1, 10])", 5, "one of its steps"),
    ("mo.ui.range_slider(1, 10)", [4, 2], "lower end first"),
    ("mo.ui.range_slider(1, 10)", 4, "two numbers"),
    ("mo.ui.text()", 4, "takes text"),
    ("mo.ui.text(max_length=2)", "long", "at most 2"),
    ("mo.ui.checkbox()", 1, "true or false"),
    ("mo.ui.dropdown(['a', 'b'])", "c", "no option 'c'"),
    ("mo.ui.dropdown(['a'], value='a')", None, "not nothing"),
    ("mo.ui.multiselect(['a'], max_selections=1)", ["a", "a"], "at most 1"),
    ("mo.ui.button()", False, "any value but false"),
    ("mo.ui.date()", "tomorrow", "takes a date like"),
    ("mo.ui.date(start='2026-01-01', stop='2026-01-31')", "2026-02-01", "from 2026-01-01 to 2026-01-31"),
    ("mo.ui.date_range()", ["2026-01-02", "2026-01-01"], "the first one first"),
    ("mo.ui.file()", ["a.txt"], "name and contents"),
    ("mo.ui.file()", [["a", "aGk="], ["b", "aGk="]], "one file, not 2"),
    ("mo.ui.text().form(validate=lambda value: 'too short' if len(value) < 3 else None)", "x", "too short"),
    ("mo.ui.array([mo.ui.text()])", ["a", "b"], "holds 1 elements, not 2"),
    ("mo.ui.array([mo.ui.checkbox()])", ["a"], "true or false"),
    ("mo.ui.dictionary({'a': mo.ui.text()})", {"b": "x"}, "holds no 'b'"),
    ("mo.ui.table([{'a': 1}])", [5], "rows 0 to 0"),
    ("mo.ui.table([{'a': 1}], selection=None)", [0], "without selection"),
    ("mo.ui.tabs({'one': 1})", "two", "no tab 'two'"),
    ("mo.ui.matrix([[1, 2]])", [[1]], "rows of [2]"),
    ("mo.ui.matrix([1, 2])", [1, 2, 3], "takes numbers"),
    ("mo.download(b'x')", 1, "no value to set"),
    ("mo.ui.slider(1, 10)", 2.5, "takes whole numbers"),
    ("mo.ui.range_slider(1, 10)", [1, 2.5], "takes whole numbers"),
    ("mo.ui.slider(1, 10)", float("nan"), "takes a number, not"),
    ("mo.ui.multiselect(['a'])", "a", "takes a list of options"),
    ("mo.ui.dropdown(['a', 'b'])", ["a", "b"], "no option ['a', 'b']"),
    ("mo.ui.datetime()", "2026-02-03T04:05+00:00", "takes a date like"),
    ("mo.ui.date_range()", ["2026-01-01"], "takes two dates"),
    ("mo.ui.date_range()", [1, 2], "takes two dates like"),
    ("mo.ui.file()", "a.txt", "takes a list of files"),
    ("mo.ui.file()", {"name": "a", "contents": "not base64!"}, "takes contents in base64"),
    ("mo.ui.array([mo.ui.text()])", "x", "takes values by key"),
    ("mo.ui.table([{'a': 1}])", "x", "takes a list of row numbers"),
    ("mo.ui.table([{'a': 1}])", ["x"], "takes row numbers"),
    ("mo.ui.table([{'a': 1}, {'a': 2}], selection='single')", [0, 1], "takes one selection"),
    ("mo.ui.table([{'a': 1}], selection='multi-cell')", [0], "takes cells, not 0"),
    ("mo.ui.tabs({'one': 1})", True, "no tab True"),
    ("mo.ui.matrix([[1, 2]])", [["a", 2]], "takes numbers, not 'a'"),
    ("mo.ui.matrix([[1, 2]], max_value=3)", [[1, 4]], "takes numbers from None to 3 here, not 4"),
    ("mo.ui.anywidget(ipywidgets.IntSlider())", 3, "takes values by trait"),
    ("mo.ui.anywidget(ipywidgets.IntSlider())", {"vaule": 3}, "has no trait 'vaule'"),
    # Jupyter's messages have nan and infinity as text.
    ("mo.ui.number()", float("inf"), "takes a number, not 'inf'"),
    ("mo.ui.anywidget(ipywidgets.FloatText())", {"value": float("nan")}, "takes finite numbers"),
]


def test_a_value_that_an_element_does_not_take_is_refused_and_changes_nothing(
    notebook: FrontEnd, agent: FrontEnd
) -> None:
    missing = {}
    for number, (code, value, reason) in enumerate(REFUSED):
        name = f"e{number}"
        assert notebook.run(f"make {name}", f"{name} = {code}").ok
        before = notebook.run(None, f"repr({name}.value)", store_history=False).text
        with pytest.raises(BridgeError) as refusal:
            set_value(agent, name, value)
        assert refusal.value.code == "ui_value_refused"
        if reason not in str(refusal.value):
            missing[code, str(value)] = str(refusal.value)
        assert notebook.run(None, f"repr({name}.value)", store_history=False).text == before
    assert missing == {}


BROWSED = [
    ("multiple=False", ["a.csv", "b.txt"], "takes one path, not 2"),
    ("", "none.csv", "finds no file"),
    ("", 3, "takes a list of paths"),
    ("", "sub", "takes file paths only"),
    ("", "../outside.csv", "does not take"),
    ("selection_mode='directory'", "a.csv", "takes directory paths only"),
    ("filetypes=['.csv']", "b.txt", "takes files of .csv"),
]


def test_a_file_browser_takes_what_it_shows(notebook: FrontEnd, agent: FrontEnd, tmp_path: Path) -> None:
    folder = tmp_path / "shown"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.csv", "b.txt", "../outside.csv"):
        (folder / name).touch()
    for number, (options, names, reason) in enumerate(BROWSED):
        notebook.run(f"make {number}", f"f{number} = mo.ui.file_browser({str(folder)!r}, {options})")
        listed = names if isinstance(names, list) else [names]
        value = [f"{folder}/{name}" for name in listed] if isinstance(names, (str, list)) else names
        with pytest.raises(BridgeError) as refusal:
            set_value(agent, f"f{number}", value)
        assert reason in str(refusal.value)
    notebook.run("make", f"f = mo.ui.file_browser({str(folder)!r}, filetypes=['.csv'])")
    set_value(agent, "f", f"{folder}/a.csv")
    assert notebook.run(None, "f.name()", store_history=False).text == "'a.csv'"


def test_what_is_no_element_is_refused_with_the_names_of_those_there_are(
    notebook: FrontEnd, agent: FrontEnd
) -> None:
    notebook.run("one", "a = 1; volume = mo.ui.slider(1, 3)")
    for target in ("a", "nothing"):
        with pytest.raises(BridgeError, match="volume") as refusal:
            set_value(agent, target, 1)
        assert refusal.value.code == "no_such_ui_element"


def test_an_element_is_also_found_by_its_id(notebook: FrontEnd, agent: FrontEnd) -> None:
    notebook.run(
        "one", "pair = mo.ui.array([mo.ui.text(), mo.ui.text()])\nids = [child._id for child in pair]"
    )
    notebook.run("reader", "print(pair.value)")
    (second,) = (eval(notebook.run(None, "ids", store_history=False).text)[1:],)
    set_value(agent, second[0], "deep")
    notebook.sync()
    assert notebook.text("reader") == "['', 'deep']"


def test_a_run_button_is_pressed_for_one_run_only(notebook: FrontEnd, agent: FrontEnd) -> None:
    notebook.run("button", "go = mo.ui.run_button()")
    notebook.run("reader", "print('pressed', go.value)")
    set_value(agent, "go", "click")
    notebook.sync()
    assert notebook.text("reader") == "pressed True"
    assert notebook.run(None, "go.value", store_history=False).text == "False"
    notebook.run("reader", "print('pressed', go.value)")
    assert notebook.text("reader") == "pressed False"


def test_on_change_runs_with_the_new_value_and_its_error_is_shown(
    notebook: FrontEnd, agent: FrontEnd
) -> None:
    notebook.run("one", "seen = []\nn = mo.ui.slider(1, 10, on_change=seen.append)")
    notebook.run("two", "bad = mo.ui.slider(1, 10, on_change=lambda value: 1 / 0)")
    notebook.run("reader", "print(bad.value)")
    set_value(agent, "n", 4)
    set_value(agent, "bad", 5)
    assert notebook.run(None, "seen", store_history=False).text == "[4]"
    assert notebook.text("reader") == "5"
    shown = "".join(m["content"]["text"] for m in agent.seen if m["msg_type"] == "stream")
    assert "ZeroDivisionError" in shown


def test_on_change_may_set_state(notebook: FrontEnd, agent: FrontEnd) -> None:
    notebook.run("state", "get, set_ = mo.state(0)")
    notebook.run("one", "n = mo.ui.slider(1, 10, on_change=set_)")
    notebook.run("reader", "print('state', get())")
    set_value(agent, "n", 4)
    notebook.sync()
    assert notebook.text("reader") == "state 4"


def test_an_element_made_anew_has_its_first_value_again(notebook: FrontEnd, agent: FrontEnd) -> None:
    notebook.run("one", "n = mo.ui.slider(1, 10)")
    notebook.run("reader", "print(n.value)")
    set_value(agent, "n", 8)
    notebook.run("one", "n = mo.ui.slider(1, 10)")
    assert notebook.text("reader") == "1"


@pytest.mark.parametrize(
    ("text", "shown"), [("7", "7"), ("'7'", "takes a number"), ("nonsense", "takes a number")]
)
def test_a_person_sets_a_value_by_a_magic(notebook: FrontEnd, text: str, shown: str) -> None:
    notebook.run("one", "n = mo.ui.slider(1, 10)")
    notebook.run("reader", "print(n.value)")
    reply = notebook.run("magic", f"%marimo set n {text}")
    assert shown in (notebook.text("reader") if reply.ok else reply.content["evalue"])


def test_the_shown_way_to_set_an_element_is_one_that_works(notebook: FrontEnd) -> None:
    notebook.run("one", "name = mo.ui.text(label='Your *name*')\nname")
    (output,) = notebook.outputs("one")
    assert "%marimo set name VALUE" in output["data"]["text/plain"]
    notebook.run("reader", "print('hello', name.value)")
    notebook.run("two", "%marimo set name Ada Lovelace")
    assert notebook.text("reader") == "hello Ada Lovelace"


def test_cells_that_show_a_set_element_and_have_no_reason_to_run_are_drawn_anew(
    notebook: FrontEnd, agent: FrontEnd
) -> None:
    notebook.run("maker", "n = mo.ui.slider(1, 9)\nprint('made')\nn")
    notebook.run("layout", "mo.hstack(['n is', n])")
    notebook.run("markdown", "shown = mo.md(f'{n}')\nmo.output.append(shown)")
    notebook.run("reader", "mo.vstack([n, n.value])")
    start = len(notebook.seen)
    set_value(agent, "n", 7)
    notebook.sync()
    assert notebook.text("maker") == "made\n7 (slider · from 1 to 9 · %marimo set n VALUE)"
    assert notebook.text("layout") == "n is  7 (slider · from 1 to 9 · %marimo set n VALUE)"
    assert notebook.text("reader") == "7 (slider · from 1 to 9 · %marimo set n VALUE)\n7"
    for cell in ("maker", "layout"):
        (result,) = (o for o in notebook.outputs(cell) if o["output_type"] == "execute_result")
        assert result["execution_count"] == notebook.counts[cell]
    clears = [m for m in notebook.seen[start:] if m["msg_type"] == "clear_output"]
    assert len(clears) == 4


def test_an_element_inside_another_is_drawn_anew_with_it(notebook: FrontEnd, agent: FrontEnd) -> None:
    notebook.run("form", "form = mo.ui.array([mo.ui.text(label='Name')]).form()\nform")
    assert "Name: nothing" in notebook.text("form")
    set_value(agent, "form", ["Ada"])
    notebook.sync()
    assert "Name: Ada" in notebook.text("form")
    assert "submitted: ['Ada']" in notebook.text("form")


def test_batch_clients_see_a_set_element_by_an_update(connect: Connect) -> None:
    batch = connect("batch")
    batch.run(None, "import marimo as mo")
    batch.run(None, "n = mo.ui.slider(1, 9)\nn")
    reply = batch.run(None, "%marimo set n 4")
    updates = [
        m["content"]["data"]["text/plain"] for m in reply.messages if m["msg_type"] == "update_display_data"
    ]
    assert updates == ["4 (slider · from 1 to 9 · %marimo set n VALUE)"]


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("mo.ui.number()", "1e999"),
        ("mo.ui.array([mo.ui.number()])", "[-1e999]"),
        ("mo.ui.matrix([[1, 2]])", "[[1, 1e999]]"),
        ("mo.ui.anywidget(ipywidgets.FloatText())", "{'value': 1e999}"),
    ],
)
def test_a_value_that_json_cannot_say_is_refused(notebook: FrontEnd, element: str, value: str) -> None:
    assert notebook.run("make", f"e = {element}").ok
    told = notebook.run("set", f"%marimo set e {value}")
    assert "takes finite numbers" in str(told)
    assert "inf" not in notebook.run(None, "repr(e.value)", store_history=False).text
